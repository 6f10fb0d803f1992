//! How many tokens a message is: OpenAI's own encoding for its models, an estimate for all others.
//! Refuses to count what a vendor has counted, and to trust a tokenizer with text of any shape.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    kept::Kept,
    message::{Content, Media, Message, Part},
    provider::Model,
};

/// What a picture counts.
const IMAGE_TOKENS: u64 = 2_000;
/// A document counts as one picture for each so many bytes of base64, about a page.
const DOCUMENT_PAGE: usize = 64 * 1024;
/// What the frame of a message costs, where tokens are counted exactly.
const MESSAGE_FRAME: u64 = 4;

/// Counts tokens for one family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    scale: Scale,
}

/// The ways to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Scale {
    /// A token for four characters; for three in tool results, which are denser than prose.
    #[default]
    Estimate,
    #[cfg(feature = "tiktoken")]
    O200k,
}

/// How many variants [`Scale`] can have.
const SCALES: usize = 2;

impl Counter {
    /// The best counter for a model: exact for OpenAI's own models since GPT-4o, an estimate for all
    /// others.
    ///
    /// Nothing is loaded before the first count.
    pub fn for_model(model: &Model) -> Self {
        let scale = match &*model.vendor {
            // A name that we do not know, at OpenAI itself, is a newer model.
            "openai" => encoding_of(&model.name, newest()),
            "openai-chat" => encoding_of(&model.name, Scale::Estimate),
            _ => Scale::Estimate,
        };
        Self { scale }
    }

    /// The counter that estimates from the number of characters.
    pub fn estimate() -> Self {
        Self {
            scale: Scale::Estimate,
        }
    }

    /// Whether the counts are estimates.
    pub fn is_estimate(&self) -> bool {
        self.scale == Scale::Estimate
    }

    /// Tokens of plain text, such as a system prompt.
    pub fn text(&self, text: &str) -> u64 {
        self.count(text, 4)
    }

    /// Tokens of one message.
    pub fn message(&self, message: &Message) -> u64 {
        let frame = if self.is_estimate() { 0 } else { MESSAGE_FRAME };
        frame
            + message
                .parts
                .iter()
                .map(|part| self.part(part))
                .sum::<u64>()
    }

    /// Tokens of what a tool handed back.
    pub(super) fn contents(&self, contents: &[Content]) -> u64 {
        let one = |content: &Content| match content {
            Content::Text(text) => self.count(text, 3),
            Content::Media(media) => media_tokens(media),
        };
        contents.iter().map(one).sum()
    }

    fn part(&self, part: &Part) -> u64 {
        match part {
            Part::Text { text, .. } => self.text(text),
            Part::Media(media) => media_tokens(media),
            Part::Reasoning { text, seal } => {
                let seal = seal
                    .as_ref()
                    .map_or(0, |seal| self.estimated(&seal.value, 4));
                self.text(text) + seal
            }
            Part::Call(call) => {
                let arguments = call.malformed.as_deref().unwrap_or(call.input.as_str());
                self.text(&call.name) + self.text(arguments)
            }
            Part::Result(result) => self.contents(&result.content),
            Part::Opaque { json, .. } => self.estimated(json.as_str(), 4),
        }
    }

    fn count(&self, text: &str, chars_per_token: u64) -> u64 {
        match self.scale {
            Scale::Estimate => self.estimated(text, chars_per_token),
            #[cfg(feature = "tiktoken")]
            Scale::O200k => exact(tiktoken_rs::o200k_base_singleton(), text),
        }
    }

    /// Also for sealed bytes, which no tokenizer sees as text.
    fn estimated(&self, text: &str, chars_per_token: u64) -> u64 {
        (text.chars().count() as u64).div_ceil(chars_per_token)
    }
}

fn media_tokens(media: &Media) -> u64 {
    use crate::message::MediaSource::Base64;
    match &media.source {
        Base64(bytes) if !media.is_image() => {
            (bytes.len().div_ceil(DOCUMENT_PAGE) as u64).max(1) * IMAGE_TOKENS
        }
        _ => IMAGE_TOKENS,
    }
}

#[cfg(feature = "tiktoken")]
fn newest() -> Scale {
    Scale::O200k
}

#[cfg(not(feature = "tiktoken"))]
fn newest() -> Scale {
    Scale::Estimate
}

/// The encoding of a model's name; `other` for a name that is not OpenAI's.
#[cfg(feature = "tiktoken")]
fn encoding_of(name: &str, other: Scale) -> Scale {
    /// The first row whose prefix fits decides, so longer prefixes stand above shorter ones.
    const ROWS: &[(&str, Scale)] = &[
        ("gpt-4o", Scale::O200k),
        ("gpt-4.", Scale::O200k),
        // Of an older encoding, whose table would make every program 1.6 MB larger.
        ("gpt-4", Scale::Estimate),
        ("gpt-3.5", Scale::Estimate),
        ("gpt-35", Scale::Estimate),
        ("gpt-", Scale::O200k),
        ("chatgpt-", Scale::O200k),
        ("codex", Scale::O200k),
        ("o1", Scale::O200k),
        ("o3", Scale::O200k),
        ("o4", Scale::O200k),
    ];
    // `openrouter`-like routers write `openai/gpt-5`; fine-tuned models are `ft:gpt-4o:org::id`.
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let name = name.rsplit('/').next().unwrap_or(name);
    ROWS.iter()
        .find(|(prefix, _)| name.starts_with(prefix))
        .map_or(other, |(_, scale)| *scale)
}

#[cfg(not(feature = "tiktoken"))]
fn encoding_of(_name: &str, other: Scale) -> Scale {
    other
}

#[cfg(feature = "tiktoken")]
fn exact(encoding: &tiktoken_rs::CoreBPE, text: &str) -> u64 {
    pieces(text)
        .map(|piece| encoding.count_ordinary(piece) as u64)
        .sum()
}

/// Cuts text so that the work stays in proportion to its length, whatever its shape and whichever
/// release of the tokenizer: merging an unbroken run costs more than its length (quadratic in some
/// releases), and the pattern that finds runs backtracks. Each cut can add one token.
#[cfg(feature = "tiktoken")]
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    /// A run of letters, signs or white space longer than this is cut.
    const RUN: usize = 256;
    /// After so many bytes the next space ends a piece.
    const PIECE: usize = 8 * 1024;
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut run, mut spaces, mut end) = (0, false, rest.len());
        for (at, letter) in rest.char_indices() {
            let space = letter.is_whitespace();
            let turns = space != spaces;
            if (run >= RUN && !turns) || (at >= PIECE && turns && space) {
                end = at;
                break;
            }
            run = if turns { 0 } else { run + letter.len_utf8() };
            spaces = space;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// Remembers the sum of what was counted, so that no message is counted twice on the same scale.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Sums>);

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    rows: [Sum; SCALES],
    last: Scale,
}

/// The entries up to here, from where the vendor's count ends, have so many tokens.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    upto: usize,
    tokens: u64,
}

impl Tally {
    /// Tokens of the entries from `from` on. `from` changes only together with [`Tally::reset`].
    pub(super) fn count(&self, counter: &Counter, from: usize, entries: &[Kept<Message>]) -> u64 {
        let mut sums = self.sums();
        sums.last = counter.scale;
        let sum = &mut sums.rows[counter.scale as usize];
        debug_assert!(sum.upto >= from, "reset goes with a new start");
        for entry in &entries[sum.upto..] {
            sum.tokens += counter.message(entry.get());
        }
        sum.upto = entries.len();
        sum.tokens
    }

    /// Begins anew at this entry.
    pub(super) fn reset(&mut self, from: usize) {
        let empty = Sum {
            upto: from,
            tokens: 0,
        };
        self.sums().rows = [empty; SCALES];
    }

    /// The entry at `index` became smaller by so much on this counter's scale. What other scales
    /// made of it is unknown: they begin anew at `from`.
    pub(super) fn shrink(&mut self, counter: &Counter, index: usize, by: u64, from: usize) {
        let mut sums = self.sums();
        for (row, sum) in sums.rows.iter_mut().enumerate() {
            if index >= sum.upto {
                continue;
            }
            if row == counter.scale as usize {
                sum.tokens = sum.tokens.saturating_sub(by);
            } else {
                *sum = Sum {
                    upto: from,
                    tokens: 0,
                };
            }
        }
    }

    /// The counter that was used last.
    pub(super) fn last(&self) -> Counter {
        Counter {
            scale: self.sums().last,
        }
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Tally {
    fn clone(&self) -> Self {
        Self(Mutex::new(*self.sums()))
    }
}
