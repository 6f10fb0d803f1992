//! A record of a session's log in one short line, and small words about sessions.
//! Refuses to print, and to let what a log holds move the cursor.

use std::time::Duration;

use super::terminal::harmless;
use crate::{
    event::StopReason,
    message::{Message, Part},
    store::{Body, LoggedEffect, Record},
};

/// Characters of a line.
const MAX_LINE: usize = 100;

/// What happened, in one line.
pub(super) fn brief(record: &Record) -> String {
    let text = match &record.body {
        Body::Opened { model, .. } => format!("opened with {model}"),
        Body::Resumed {
            model,
            lost,
            forked,
            ..
        } => {
            let fork = forked
                .as_ref()
                .map(|(from, at)| format!(" of {from} at {at}"));
            let what = fork.map_or("taken up again".to_owned(), |fork| format!("a fork{fork}"));
            let lost = if *lost > 0 {
                format!(", {lost} records lost")
            } else {
                String::new()
            };
            format!("{what} with {model}{lost}")
        }
        Body::User { message } => format!("user: {}", words(message)),
        Body::Assistant { message, .. } => format!("assistant: {}", words(message)),
        Body::Intent {
            tool,
            input,
            effect,
            ..
        } => format!("runs {tool} {} ({})", input.as_str(), effect_word(*effect)),
        Body::Result { result, .. } => {
            let (name, outcome) = (&result.name, result.outcome.as_str());
            format!("{name}: {outcome}: {}", result.joined_text())
        }
        Body::Note { from, text, .. } => format!("note from {from}: {text}"),
        Body::Asked { tool, reason, .. } => format!("asks whether {tool} may run: {reason}"),
        Body::Answered { allowed: true, .. } => "the answer is yes".into(),
        Body::Answered { .. } => "the answer is no".into(),
        Body::Trimmed { calls } => format!("old results cleared: {}", calls.len()),
        Body::Summarised { text, .. } => format!("history summarised: {text}"),
        Body::Charge { usage, cost } => format!("charged {} tokens, {cost}", usage.total()),
        Body::ChildStart {
            kind, description, ..
        } => format!("agent begins ({kind}): {description}"),
        Body::ChildEnd { outcome, text, .. } => {
            format!("agent ends ({}): {text}", outcome.as_str())
        }
        Body::TurnEnd { stop } => format!("turn ends: {}", stop_words(stop)),
        Body::Told(_) => "told".into(),
    };
    line(&text)
}

fn words(message: &Message) -> String {
    let parts = message.parts.iter().map(|part| match part {
        Part::Text { text, .. } => text.clone(),
        Part::Call(call) => format!("→ {} {}", call.name, call.input.as_str()),
        Part::Media(media) => format!("[{}]", media.mime),
        Part::Reasoning { text, .. } if text.is_empty() => "(thinking)".into(),
        Part::Reasoning { text, .. } => format!("(thinking: {text})"),
        _ => "[…]".into(),
    });
    parts.collect::<Vec<_>>().join(" ")
}

fn effect_word(effect: LoggedEffect) -> &'static str {
    match effect {
        LoggedEffect::Pure => "pure",
        LoggedEffect::Idempotent => "idempotent",
        LoggedEffect::Keyed => "keyed",
        LoggedEffect::Once => "once",
    }
}

/// Why a turn ended.
pub(super) fn stop_words(stop: &StopReason) -> String {
    match stop {
        StopReason::Finished => "finished".into(),
        StopReason::Truncated => "cut off at the output limit".into(),
        StopReason::Cancelled => "cancelled".into(),
        StopReason::BudgetSpent { limit } => format!("the limit is reached: {limit}"),
        StopReason::ContextFull => "the history no longer fits".into(),
        StopReason::Refused { reason } => format!("refused: {reason}"),
        StopReason::Failed { message, .. } => format!("failed: {message}"),
    }
}

/// A text on one harmless line of limited length.
pub(super) fn line(text: &str) -> String {
    clipped(text, MAX_LINE)
}

/// A text on one harmless line of at most so many characters.
pub(super) fn clipped(text: &str, width: usize) -> String {
    let mut out = String::new();
    let text = harmless(text);
    let words = text.split_whitespace();
    for (at, word) in words.enumerate() {
        if at > 0 {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > 4 * width {
            break;
        }
    }
    match out.char_indices().nth(width) {
        Some(_) => {
            let mut cut: String = out.chars().take(width.saturating_sub(1)).collect();
            cut.push('…');
            cut
        }
        None => out,
    }
}

/// How long ago, in one unit.
pub(super) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Bytes as people write them.
pub(super) fn size(bytes: u64) -> String {
    let unit = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match unit.into_iter().find(|(size, _)| bytes >= *size) {
        Some((size, name)) => format!("{:.1} {name}", bytes as f64 / size as f64),
        None => format!("{bytes} bytes"),
    }
}

/// `1 record`, `2 records`.
pub(super) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_harmless_line_of_limited_length() {
        assert_eq!(clipped("a\n\tb  c", 10), "a b c");
        assert_eq!(clipped("äöü\x1b[2J", 4), "äöü…");
        assert_eq!(clipped("", 4), "");
    }

    #[test]
    fn figures_have_one_unit() {
        assert_eq!(age(Duration::from_secs(59)), "59 s");
        assert_eq!(age(Duration::from_secs(7_300)), "2 h");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(3 << 19), "1.5 MiB");
        assert_eq!(count(1, "turn"), "1 turn");
    }
}
