//! The terminal: is there one, may it have colour, what is safe to show, and who answers.
//! Refuses escape sequences from anybody but itself.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use async_trait::async_trait;

use super::{area::Asking, keyboard};
use crate::{
    dispatch::CANCEL_GRACE,
    error::Error,
    permission::{Answer, Asker, Question},
};

/// A stream of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

impl Stream {
    pub(super) fn is_terminal(self) -> bool {
        match self {
            Self::Out => io::stdout().is_terminal(),
            Self::Err => io::stderr().is_terminal(),
        }
    }

    /// Colour only on a terminal, and never against the person's wish.
    pub(super) fn has_colour(self) -> bool {
        let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
        self.is_terminal() && unset("NO_COLOR") && !is_dumb()
    }
}

/// Whether the terminal understands no escape sequence at all.
pub(super) fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| term == "dumb")
}

/// A text between two colour codes, or as it is.
pub(super) fn painted(stream: Stream, code: &str, text: &str) -> String {
    if stream.has_colour() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// A text without control characters, except line ends and tabs: what a model or a tool says must
/// not move the cursor, set the title or answer for the person.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars()
            .map(|c| if bad(c) { '\u{FFFD}' } else { c })
            .collect(),
    )
}

/// One line on standard error; a closed standard error is nobody's problem.
pub(super) fn say(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
}

/// What failed, and what to do about it.
pub(super) fn print_error(error: &Error) {
    say(&format!(
        "{} {}",
        painted(Stream::Err, "1;31", "error:"),
        harmless(&error.to_string())
    ));
    if let Some(hint) = error.hint() {
        say(&format!(
            "\n{} {}",
            painted(Stream::Err, "1;36", "hint:"),
            harmless(hint)
        ));
    }
}

/// Asks the person at the terminal, one question at a time: several agents may want to know.
#[derive(Debug)]
pub(super) struct TerminalAsker;

impl TerminalAsker {
    /// Whether somebody is there to ask.
    pub(super) fn possible() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}

#[async_trait]
impl Asker for TerminalAsker {
    async fn ask(&self, question: Question) -> Answer {
        let hold = keyboard::take().await;
        let _asking = Asking::begin();
        let input = harmless(&question.input.to_string()).into_owned();
        let shown: String = input.chars().take(500).collect();
        let text = format!(
            "{} wants to run {} {shown}\n{}. Allow? [y/N] ",
            question.agent,
            painted(Stream::Err, "1", &question.tool),
            question.reason,
        );
        write!(io::stderr(), "{text}").ok();
        io::stderr().flush().ok();
        let line = tokio::select! {
            line = keyboard::line(&hold) => line,
            () = given_up() => Ok(String::new()),
        };
        match line {
            Ok(line) if matches!(line.trim(), "y" | "Y" | "yes") => Answer::Allow,
            _ => Answer::Deny(format!("the person said no to running {}", question.tool)),
        }
    }
}

/// Waits for a Ctrl-C that no turn hears: a helper between two turns asks too. Where one hears it,
/// this question is dropped with the turn, and nobody has said no.
async fn given_up() {
    tokio::signal::ctrl_c().await.ok();
    tokio::time::sleep(CANCEL_GRACE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(harmless("a\tb\nc"), "a\tb\nc");
        assert_eq!(
            harmless("\x1b]0;title\x07\x1b[2J\r"),
            "\u{FFFD}]0;title\u{FFFD}\u{FFFD}[2J\u{FFFD}"
        );
        assert_eq!(
            harmless("\u{9b}31m"),
            "\u{FFFD}31m",
            "the one-byte form of the escape"
        );
    }
}
