//! How hard the model is asked to think, in the words that its family understands.
//! Refuses prices and limits: those are rows of the model table.

use super::{Thinking, wire::ThinkingConfig};
use crate::provider::Effort;

/// How a model family is asked to think harder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It does not think.
    Never,
    /// By a budget of tokens.
    Budget,
    /// By an effort word alone.
    Effort,
    /// By an effort word, with adaptive thinking switched on.
    Adaptive,
}

/// The first row whose word begins the name counts. Names of other makers, behind a
/// gateway, get the effort word alone.
const WAYS: [(&str, Way); 14] = [
    ("claude-3-7", Way::Budget),
    ("claude-3", Way::Never),
    ("claude-haiku-4-5", Way::Budget),
    ("claude-sonnet-4-5", Way::Budget),
    ("claude-sonnet-4-0", Way::Budget),
    ("claude-sonnet-4-2025", Way::Budget),
    ("claude-sonnet-4@", Way::Budget),
    ("claude-opus-4-0", Way::Budget),
    ("claude-opus-4-1", Way::Budget),
    ("claude-opus-4-2025", Way::Budget),
    ("claude-opus-4@", Way::Budget),
    ("claude-opus-4-5", Way::Effort),
    ("claude-", Way::Adaptive),
    ("", Way::Effort),
];

/// The smallest budget the API takes.
const MIN_BUDGET: u64 = 1024;

/// What to send as `thinking`, and the effort to send as a word.
pub(super) fn ask(
    model: &str,
    asked: Thinking,
    effort: Option<Effort>,
    max_tokens: u64,
) -> (Option<ThinkingConfig>, Option<Effort>) {
    let way = WAYS
        .iter()
        .find(|(word, _)| model.starts_with(word))
        .map_or(Way::Effort, |(_, way)| *way);
    let word = effort.filter(|_| matches!(way, Way::Effort | Way::Adaptive));
    let config = match (asked, effort) {
        (Thinking::Adaptive, _) => Some(ThinkingConfig::Adaptive),
        (Thinking::Budget(tokens), _) => budget(tokens, max_tokens),
        (Thinking::Off, _) => Some(ThinkingConfig::Disabled),
        (Thinking::ByEffort, None) => None,
        (Thinking::ByEffort, Some(Effort::None)) => match way {
            Way::Never => None,
            _ => Some(ThinkingConfig::Disabled),
        },
        (Thinking::ByEffort, Some(effort)) => match way {
            Way::Adaptive => Some(ThinkingConfig::Adaptive),
            Way::Budget => budget(tokens(effort), max_tokens),
            Way::Effort | Way::Never => None,
        },
    };
    (config, word)
}

fn tokens(effort: Effort) -> u64 {
    match effort {
        Effort::None => 0,
        Effort::Low => 2_048,
        Effort::Medium => 8_192,
        Effort::High => 16_384,
        Effort::Max => 32_768,
    }
}

/// A budget has to leave room for the answer; half of the limit at least stays for it.
fn budget(asked: u64, max_tokens: u64) -> Option<ThinkingConfig> {
    let budget_tokens = asked.min(max_tokens / 2).max(MIN_BUDGET);
    (budget_tokens < max_tokens).then_some(ThinkingConfig::Enabled { budget_tokens })
}

impl ThinkingConfig {
    /// Whether the model thinks.
    pub(super) fn is_on(self) -> bool {
        !matches!(self, Self::Disabled)
    }
}
