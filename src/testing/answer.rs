//! One answer of a model, said once and played by the scripted provider or by the model server.
//! Refuses to know how a vendor spells it; the encoders of the server do.

use std::time::Duration;

use serde_json::Value;

use crate::{
    error::Error,
    message::RawJson,
    provider::{Delta, Stop},
    usage::Usage,
};

/// One answer of a model: parts in the order they are added, and how it ends.
///
/// Models think before they speak, so begin an answer with reasoning as
/// `Answer::empty().thinking("…").and_text("…")`.
///
/// An answer comes in pieces, called deltas here: each delta is one item of the stream of a
/// [`Scripted`](super::Scripted) provider, or one event on the wire of a
/// [`ModelServer`](super::ModelServer). Numbers of deltas count exactly these.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub(super) pieces: Vec<Piece>,
    pub(super) split: Split,
    pub(super) count: Count,
    pub(super) stop: Option<Stop>,
    pub(super) raw_stop: Option<String>,
    pub(super) model: Option<String>,
    pub(super) pause: Option<Duration>,
    pub(super) ending: Ending,
}

/// How words, reasoning and arguments are split into deltas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// After each run of white space: word by word. Arguments come eight characters at a time.
    #[default]
    Words,
    /// So many characters at a time; 0 counts as 1.
    Chars(usize),
    /// Each part in one delta.
    Whole,
}

/// One part of an answer.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Text(Words),
    Thinking(Words),
    Call(Call),
    Opaque(RawJson),
    Raw(Box<Delta>),
}

#[derive(Clone, Debug)]
pub(super) struct Words {
    text: String,
    /// The deltas, where the test gave them one by one.
    exact: Option<Vec<String>>,
    pub(super) seal: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    id: Option<String>,
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) seal: Option<String>,
}

/// What the answer says of its usage.
#[derive(Clone, Debug, Default)]
pub(super) enum Count {
    /// A token for four bytes, read and written.
    #[default]
    Guess,
    Given(Usage),
    Missing,
}

/// How the answer ends, after so many deltas.
#[derive(Clone, Debug, Default)]
pub(super) enum Ending {
    #[default]
    Stop,
    Break(usize),
    Stall(usize),
    Fail(usize, Error),
}

/// Bytes that make a token when nobody says what was used.
const BYTES_A_TOKEN: u64 = 4;
/// Characters of arguments in a delta when words are split by words.
const ARGUMENT_CHARS: usize = 8;

impl Answer {
    /// An answer without any part yet.
    pub fn empty() -> Self {
        Self::default()
    }

    /// An answer of words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::empty().and_text(text)
    }

    /// No answer but an error, before the first delta. The model server spells it as a status and
    /// an error body; errors of the connection itself close the connection without a word.
    pub fn error(error: Error) -> Self {
        Self::empty().fail_after(0, error)
    }

    /// Adds words.
    #[must_use]
    pub fn and_text(self, text: impl Into<String>) -> Self {
        self.and(Piece::Text(Words::new(text.into(), None)))
    }

    /// Adds words that come in exactly these deltas.
    #[must_use]
    pub fn text_deltas(self, deltas: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let exact: Vec<String> = deltas.into_iter().map(Into::into).collect();
        self.and(Piece::Text(Words::new(exact.concat(), Some(exact))))
    }

    /// Adds reasoning.
    #[must_use]
    pub fn thinking(self, text: impl Into<String>) -> Self {
        self.and(Piece::Thinking(Words::new(text.into(), None)))
    }

    /// Adds a tool call. Its id is made from the number of the request and of the call.
    #[must_use]
    pub fn call(self, name: impl Into<String>, input: Value) -> Self {
        self.and_call(None, name.into(), input.to_string())
    }

    /// Adds a tool call with this id.
    #[must_use]
    pub fn call_as(self, id: impl Into<String>, name: impl Into<String>, input: Value) -> Self {
        self.and_call(Some(id.into()), name.into(), input.to_string())
    }

    /// Adds a tool call whose arguments are any text: half an object, or no JSON at all.
    #[must_use]
    pub fn call_text(self, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        self.and_call(None, name.into(), arguments.into())
    }

    /// Seals the last part: a signature that the vendor wants back with it.
    ///
    /// # Panics
    /// When the last part is not words, reasoning or a call.
    #[must_use]
    pub fn signed(mut self, signature: impl Into<String>) -> Self {
        let seal = match self.pieces.last_mut() {
            Some(Piece::Text(words) | Piece::Thinking(words)) => &mut words.seal,
            Some(Piece::Call(call)) => &mut call.seal,
            _ => panic!("there is no part to sign"),
        };
        *seal = Some(signature.into());
        self
    }

    /// Adds a block of the vendor's own, byte for byte: a content block for Anthropic, an output
    /// item for OpenAI Responses, a part for Gemini.
    #[must_use]
    pub fn opaque(self, json: RawJson) -> Self {
        self.and(Piece::Opaque(json))
    }

    /// Adds a delta as it is, for [`Scripted`](super::Scripted) only: it has no form on a wire.
    #[must_use]
    pub fn delta(self, delta: Delta) -> Self {
        self.and(Piece::Raw(Box::new(delta)))
    }

    /// What was used. Without this, a token is counted for every four bytes read and written.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.count = Count::Given(usage);
        self
    }

    /// The vendor never says what was used.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.count = Count::Missing;
        self
    }

    /// Why the model stopped. Without this it was done.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// The vendor's own stop word, in place of the one that says the same as [`stop`](Self::stop).
    #[must_use]
    pub fn raw_stop(mut self, word: impl Into<String>) -> Self {
        self.raw_stop = Some(word.into());
        self
    }

    /// The model that says it answers, in place of the one asked.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }

    /// Waits so long between two deltas.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    /// How parts are split into deltas.
    #[must_use]
    pub fn split(mut self, split: Split) -> Self {
        self.split = split;
        self
    }

    /// Ends after so many deltas without saying that it ends.
    #[must_use]
    pub fn break_after(mut self, deltas: usize) -> Self {
        self.ending = Ending::Break(deltas);
        self
    }

    /// Says nothing more after so many deltas, until the listener gives up.
    #[must_use]
    pub fn stall_after(mut self, deltas: usize) -> Self {
        self.ending = Ending::Stall(deltas);
        self
    }

    /// Fails after so many deltas.
    #[must_use]
    pub fn fail_after(mut self, deltas: usize, error: Error) -> Self {
        self.ending = Ending::Fail(deltas, error);
        self
    }

    fn and_call(self, id: Option<String>, name: String, arguments: String) -> Self {
        self.and(Piece::Call(Call {
            id,
            name,
            arguments,
            seal: None,
        }))
    }

    fn and(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }

    /// Whether it asks for tools.
    pub(super) fn has_calls(&self) -> bool {
        self.pieces.iter().any(|p| matches!(p, Piece::Call(_)))
    }

    /// Why the model stopped.
    pub(super) fn stopped(&self) -> Stop {
        self.stop.clone().unwrap_or(Stop::Done)
    }

    /// The vendor's stop word, given its spelling of ours.
    pub(super) fn stop_word(&self, spelled: &str) -> String {
        self.raw_stop.clone().unwrap_or_else(|| spelled.to_owned())
    }

    /// What was used, when so many bytes were read.
    pub(super) fn used(&self, prompt_bytes: usize) -> Option<Usage> {
        match &self.count {
            Count::Given(usage) => Some(*usage),
            Count::Missing => None,
            Count::Guess => {
                let (mut written, mut thought) = (0, 0);
                for piece in &self.pieces {
                    match piece {
                        Piece::Text(words) => written += words.text.len(),
                        Piece::Thinking(words) => thought += words.text.len(),
                        Piece::Call(call) => written += call.name.len() + call.arguments.len(),
                        Piece::Opaque(_) | Piece::Raw(_) => {}
                    }
                }
                let tokens = |bytes: usize| (bytes as u64).div_ceil(BYTES_A_TOKEN);
                Some(Usage {
                    input: tokens(prompt_bytes),
                    output: tokens(written) + tokens(thought),
                    reasoning: tokens(thought),
                    ..Usage::default()
                })
            }
        }
    }
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        Self::error(error)
    }
}

impl Words {
    fn new(text: String, exact: Option<Vec<String>>) -> Self {
        Self {
            text,
            exact,
            seal: None,
        }
    }

    /// All of it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its deltas.
    pub(super) fn deltas(&self, split: Split) -> Vec<&str> {
        match (&self.exact, split) {
            (Some(exact), _) => exact.iter().map(String::as_str).collect(),
            (None, Split::Words) => words(&self.text),
            (None, Split::Chars(n)) => chars(&self.text, n),
            (None, Split::Whole) => vec![self.text.as_str()],
        }
    }
}

impl Call {
    /// Its id: the one given, or one made of the numbers of the request and of the part. Always of
    /// the same length, so that the same answer is the same number of bytes.
    pub(super) fn id(&self, prefix: &str, request: u64, part: usize) -> String {
        let made = || format!("{prefix}{request:06}_{part:02}");
        self.id.clone().unwrap_or_else(made)
    }

    /// The deltas of its arguments.
    pub(super) fn deltas(&self, split: Split) -> Vec<&str> {
        match split {
            Split::Words => chars(&self.arguments, ARGUMENT_CHARS),
            Split::Chars(n) => chars(&self.arguments, n),
            Split::Whole => vec![self.arguments.as_str()],
        }
    }
}

fn words(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut white) = (0, false);
    for (at, c) in text.char_indices() {
        if white && !c.is_whitespace() {
            out.push(&text[start..at]);
            start = at;
        }
        white = c.is_whitespace();
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

fn chars(text: &str, n: usize) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .char_indices()
            .nth(n.max(1))
            .map_or(rest.len(), |(at, _)| at);
        let (now, later) = rest.split_at(end);
        out.push(now);
        rest = later;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_loses_nothing() {
        let text = "  Grüße an\nalle,  ✓✓ Welt ";
        assert_eq!(
            words(text),
            ["  ", "Grüße ", "an\n", "alle,  ", "✓✓ ", "Welt "]
        );
        assert_eq!(words(""), [""; 0]);
        for n in 0..9 {
            assert_eq!(chars(text, n).concat(), text);
        }
        assert_eq!(chars("abcde", 2), ["ab", "cd", "e"]);
    }

    #[test]
    fn usage_is_guessed_unless_given() {
        let answer = Answer::empty().thinking("12345").and_text("1234");
        let used = answer.used(9).unwrap();
        assert_eq!((used.input, used.output, used.reasoning), (3, 3, 2));
        assert!(answer.clone().without_usage().used(9).is_none());
        let given = Usage {
            input: 7,
            ..Usage::default()
        };
        assert_eq!(answer.usage(given).used(9), Some(given));
    }
}
