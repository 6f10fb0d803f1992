//! How hard the model is asked to think, in the words that its family understands.
//! Refuses prices and limits: those are rows of the model table.

use super::{Thoughts, wire::ThinkingConfig};
use crate::provider::Effort;

/// How a model family is asked to think harder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It does not think, or is not Gemini.
    Never,
    /// By a budget between these two; whether it can be switched off is the lower one being 0.
    Budget(u32, u32),
    /// By a level, the least of which is this.
    Level(&'static str),
}

/// The first row whose words are all in the name counts.
const WAYS: [(&str, &str, Way); 10] = [
    ("gemini-1", "", Way::Never),
    ("gemini-2.0", "", Way::Never),
    ("gemini-2.5", "-image", Way::Never),
    ("gemini-2.5", "-tts", Way::Never),
    ("gemini-2.5-pro", "", Way::Budget(128, 32_768)),
    ("gemini-2.5-flash-lite", "", Way::Budget(0, 24_576)),
    ("gemini-2.5", "", Way::Budget(0, 24_576)),
    ("gemini-", "flash", Way::Level("MINIMAL")),
    ("gemini-", "", Way::Level("LOW")),
    ("", "", Way::Never),
];

/// What to send as `thinkingConfig`.
pub(super) fn ask(
    model: &str,
    thoughts: Thoughts,
    effort: Option<Effort>,
) -> Option<ThinkingConfig> {
    let mut config = ThinkingConfig {
        include_thoughts: thoughts == Thoughts::Shown,
        thinking_budget: None,
        thinking_level: None,
    };
    match (way(model), effort) {
        (Way::Never, _) => return None,
        (_, None) => {}
        (Way::Budget(least, most), Some(effort)) => {
            let tokens = match effort {
                Effort::None => least,
                Effort::Low => 1_024,
                Effort::Medium => 8_192,
                Effort::High => 24_576,
                Effort::Max => most,
            };
            config.thinking_budget = Some(tokens);
            config.include_thoughts &= tokens > 0;
        }
        (Way::Level(least), Some(effort)) => {
            config.thinking_level = Some(match effort {
                Effort::None => least,
                Effort::Low => "LOW",
                // The first of its family knows only the two ends.
                Effort::Medium if model.starts_with("gemini-3-pro") => "HIGH",
                Effort::Medium => "MEDIUM",
                Effort::High | Effort::Max => "HIGH",
            });
        }
    }
    let silent = config.thinking_budget.is_none() && config.thinking_level.is_none();
    (config.include_thoughts || !silent).then_some(config)
}

/// Whether the model refuses calls that have lost their signature. Gemini 3 and later do; a name
/// without a number ("gemini-flash-latest") is taken for the newest.
pub(super) fn checks_signatures(model: &str) -> bool {
    matches!(way(model), Way::Level(_))
}

/// Whether the model can be held to a schema while it has tools. Gemini 3 and later can.
pub(super) fn answers_beside_tools(model: &str) -> bool {
    matches!(way(model), Way::Level(_))
}

fn way(model: &str) -> Way {
    let name = model.rsplit('/').next().unwrap_or(model);
    WAYS.iter()
        .find(|(start, word, _)| name.starts_with(start) && name.contains(word))
        .map_or(Way::Never, |(_, _, way)| *way)
}
