//! Which of OpenAI's own models reason, and how little and how much they can be told to.
//! Refuses other vendors' models: a name that is not in the table is left to its server.

use crate::provider::Effort;

/// What a family of models takes. `least` and `most` stand for [`Effort::None`] and [`Effort::Max`].
struct Family {
    prefix: &'static str,
    mind: Mind,
    least: &'static str,
    most: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mind {
    /// Takes neither effort nor encrypted reasoning.
    Plain,
    /// Takes both, and no temperature unless it is told not to reason.
    Reasons,
}

/// The longest prefix counts.
#[rustfmt::skip]
const FAMILIES: &[Family] = &[
    Family { prefix: "gpt-3",            mind: Mind::Plain,   least: "",        most: "" },
    Family { prefix: "gpt-4",            mind: Mind::Plain,   least: "",        most: "" },
    Family { prefix: "chatgpt-",         mind: Mind::Plain,   least: "",        most: "" },
    Family { prefix: "gpt-5-chat",       mind: Mind::Plain,   least: "",        most: "" },
    Family { prefix: "o1",               mind: Mind::Reasons, least: "low",     most: "high" },
    Family { prefix: "o3",               mind: Mind::Reasons, least: "low",     most: "high" },
    Family { prefix: "o4",               mind: Mind::Reasons, least: "low",     most: "high" },
    Family { prefix: "gpt-5",            mind: Mind::Reasons, least: "minimal", most: "high" },
    Family { prefix: "gpt-5-pro",        mind: Mind::Reasons, least: "high",    most: "high" },
    Family { prefix: "gpt-5-codex",      mind: Mind::Reasons, least: "low",     most: "high" },
    Family { prefix: "gpt-5.",           mind: Mind::Reasons, least: "none",    most: "xhigh" },
    Family { prefix: "gpt-5.1",          mind: Mind::Reasons, least: "none",    most: "high" },
    Family { prefix: "gpt-5.1-codex",    mind: Mind::Reasons, least: "low",     most: "high" },
    Family { prefix: "gpt-5.1-codex-max", mind: Mind::Reasons, least: "low",    most: "xhigh" },
];

fn family(model: &str) -> Option<&'static Family> {
    let fits = FAMILIES.iter().filter(|row| model.starts_with(row.prefix));
    fits.max_by_key(|row| row.prefix.len())
}

/// Whether this is known to be a model that does not reason: it refuses to be asked about it.
pub(super) fn is_plain(model: &str) -> bool {
    family(model).is_some_and(|row| row.mind == Mind::Plain)
}

/// The vendor's word for an effort; `None` for a model that takes none.
pub(super) fn word(model: &str, effort: Effort) -> Option<&'static str> {
    let row = family(model);
    if row.is_some_and(|row| row.mind == Mind::Plain) {
        return None;
    }
    Some(match effort {
        Effort::None => row.map_or("none", |row| row.least),
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Max => row.map_or("high", |row| row.most),
    })
}

/// Whether a temperature can be sent: models that reason refuse one.
pub(super) fn takes_temperature(model: &str, effort: Option<Effort>) -> bool {
    match family(model) {
        Some(row) if row.mind == Mind::Reasons => {
            effort == Some(Effort::None) && row.least == "none"
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_are_spelt_as_each_family_takes_them() {
        for (model, least, most) in [
            ("gpt-4.1", None, None),
            ("gpt-5-chat-latest", None, None),
            ("o4-mini", Some("low"), Some("high")),
            ("gpt-5-mini-2025-08-07", Some("minimal"), Some("high")),
            ("gpt-5.1", Some("none"), Some("high")),
            ("gpt-5.1-codex-max", Some("low"), Some("xhigh")),
            ("gpt-5.4", Some("none"), Some("xhigh")),
            ("qwen3", Some("none"), Some("high")),
        ] {
            assert_eq!(word(model, Effort::None), least, "{model}");
            assert_eq!(word(model, Effort::Max), most, "{model}");
        }
    }

    #[test]
    fn temperature_goes_only_to_models_that_take_it() {
        assert!(takes_temperature("gpt-4.1", None));
        assert!(takes_temperature("qwen3", Some(Effort::High)));
        assert!(takes_temperature("gpt-5.2", Some(Effort::None)));
        assert!(!takes_temperature("gpt-5.2", None));
        assert!(!takes_temperature("gpt-5", Some(Effort::None)));
    }
}
