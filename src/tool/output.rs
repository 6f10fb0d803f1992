//! What a tool hands back, and the bounded buffer for what it writes on the way.
//! Refuses to grow: the head and the tail are kept, the middle is counted.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use serde::Serialize;

use crate::message::{Content, Media, Outcome};

/// What a tool hands back. Made from text with `into()`, or by the functions here.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolOutput {
    /// How it ended, in the tool's own view. A tool that refuses says `Denied`, one that waited
    /// for another agent says how that one ended.
    pub outcome: Outcome,
    /// What the model reads, after whatever was written to `ctx.output()`.
    pub content: Vec<Content>,
}

impl ToolOutput {
    /// It worked, and this is what the model reads.
    pub fn ok(text: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Ok,
            content: vec![Content::Text(text.into())],
        }
    }

    /// It did not work; say what the model can do about it.
    pub fn failed(text: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Failed,
            content: vec![Content::Text(text.into())],
        }
    }

    /// It ended in some other way; say what the model can do about it.
    pub fn ended(outcome: Outcome, text: impl Into<String>) -> Self {
        Self {
            outcome,
            content: vec![Content::Text(text.into())],
        }
    }

    /// It worked, and everything to read was written to `ctx.output()`.
    pub fn written() -> Self {
        Self {
            outcome: Outcome::Ok,
            content: Vec::new(),
        }
    }

    /// It worked; the model reads the value as JSON.
    pub fn json(value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => Self::ok(text),
            Err(error) => Self::failed(format!("the tool's answer has no JSON form: {error}")),
        }
    }

    /// It worked; the model sees a picture or a document.
    pub fn media(media: Media) -> Self {
        Self {
            outcome: Outcome::Ok,
            content: vec![Content::Media(media)],
        }
    }
}

impl From<String> for ToolOutput {
    fn from(text: String) -> Self {
        Self::ok(text)
    }
}

impl From<&str> for ToolOutput {
    fn from(text: &str) -> Self {
        Self::ok(text)
    }
}

impl<T: Into<ToolOutput>, E: fmt::Display> From<Result<T, E>> for ToolOutput {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(output) => output.into(),
            Err(error) => Self::failed(error.to_string()),
        }
    }
}

/// Where the whole of an output goes of which the model reads only head and tail.
pub(crate) trait Keeper: Send + fmt::Debug {
    /// Takes the next bytes. Never waits.
    fn take(&mut self, bytes: &[u8]);

    /// Waits until what was taken is kept.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Option<KeptWhole>>;
}

/// Under which name the whole of an output is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptWhole {
    pub(crate) name: String,
    /// How much of it there is.
    pub(crate) bytes: u64,
    /// Whether that is all.
    pub(crate) whole: bool,
}

/// A bounded buffer that keeps the first and the last bytes written to it.
#[derive(Debug)]
pub struct Output {
    state: Mutex<Buffer>,
}

#[derive(Debug)]
struct Buffer {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    head_cap: usize,
    tail_cap: usize,
    /// Takes everything, once something is left out.
    keeper: Option<Box<dyn Keeper>>,
    kept: Option<KeptWhole>,
}

impl Output {
    /// Bytes of one result that the model reads when nobody says otherwise.
    pub const DEFAULT_CAP: usize = 100_000;

    /// A buffer that keeps about `cap` bytes: three quarters from the start, the rest from the end.
    pub fn with_cap(cap: usize) -> Self {
        let tail_cap = cap / 4;
        let buffer = Buffer {
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
            head_cap: cap - tail_cap,
            tail_cap,
            keeper: None,
            kept: None,
        };
        Self {
            state: Mutex::new(buffer),
        }
    }

    /// As [`with_cap`](Self::with_cap); what is more goes to the keeper, all of it.
    pub(crate) fn with_keeper(cap: usize, keeper: Option<Box<dyn Keeper>>) -> Self {
        let output = Self::with_cap(cap);
        output.buffer().keeper = keeper;
        output
    }

    /// Waits until the whole of it is kept, where something is left out.
    pub(crate) async fn keep(&self) {
        let keeper = {
            let mut buffer = self.buffer();
            let is_cut = buffer.total > buffer.held();
            buffer.keeper.take().filter(|_| is_cut)
        };
        if let Some(keeper) = keeper {
            let kept = keeper.finish().await;
            self.buffer().kept = kept;
        }
    }

    /// Adds bytes. Never fails, never waits, never grows past its cap.
    pub fn write(&self, bytes: impl AsRef<[u8]>) {
        let mut bytes = bytes.as_ref();
        let mut buffer = self.buffer();
        buffer.give(bytes);
        buffer.total += bytes.len() as u64;
        let room = buffer.head_cap - buffer.head.len();
        if room > 0 {
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            buffer.head.extend_from_slice(now);
            bytes = later;
        }
        // Only the last `tail_cap` bytes of what is left can matter.
        bytes = &bytes[bytes.len().saturating_sub(buffer.tail_cap)..];
        let excess = (buffer.tail.len() + bytes.len()).saturating_sub(buffer.tail_cap);
        buffer.tail.drain(..excess);
        buffer.tail.extend(bytes);
    }

    /// Adds text and a line end.
    pub fn line(&self, text: impl AsRef<str>) {
        self.write(text.as_ref());
        self.write("\n");
    }

    /// How many bytes were written in all.
    pub fn total(&self) -> u64 {
        self.buffer().total
    }

    /// What is kept, as text: bytes that are not UTF-8 are replaced, and a notice stands where the
    /// middle is missing.
    pub fn text(&self) -> String {
        let mut buffer = self.buffer();
        let missing = buffer.total - buffer.held();
        if missing == 0 {
            // Joined before decoding: the seam may lie inside a character.
            let mut bytes = buffer.head.clone();
            bytes.extend(buffer.tail.iter());
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        let head = trim_broken_end(&buffer.head);
        let mut text = String::from_utf8_lossy(head).into_owned();
        let total = buffer.total;
        let whole = match &buffer.kept {
            Some(kept) if kept.whole => {
                format!("; the whole is kept as `{}`", kept.name)
            }
            Some(kept) => format!(
                "; the first {} bytes are kept as `{}`",
                kept.bytes, kept.name
            ),
            None => String::new(),
        };
        text.push_str(&format!(
            "\n[… {missing} of {total} bytes left out here{whole} …]\n"
        ));
        let tail = buffer.tail.make_contiguous();
        text.push_str(&String::from_utf8_lossy(trim_broken_start(tail)));
        text
    }

    /// A text cut to the same cap as this buffer; the whole of it goes to a keeper.
    pub(crate) async fn cut(
        &self,
        text: String,
        keeper: impl FnOnce() -> Option<Box<dyn Keeper>>,
    ) -> String {
        let cap = {
            let buffer = self.buffer();
            buffer.head_cap + buffer.tail_cap
        };
        if text.len() <= cap {
            return text;
        }
        let whole = Self::with_keeper(cap, keeper());
        whole.write(text);
        whole.keep().await;
        whole.text()
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    fn held(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64
    }

    /// Gives the keeper what comes next, and before that what was held until now.
    fn give(&mut self, bytes: &[u8]) {
        let before = self.total;
        let after = before + bytes.len() as u64;
        let cap = (self.head_cap + self.tail_cap) as u64;
        if after <= cap {
            return;
        }
        let Some(keeper) = &mut self.keeper else {
            return;
        };
        if before <= cap {
            keeper.take(&self.head);
            let (one, two) = self.tail.as_slices();
            keeper.take(one);
            keeper.take(two);
        }
        keeper.take(bytes);
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::with_cap(Self::DEFAULT_CAP)
    }
}

/// Cuts off a character that the cap cut in half; leaves bytes that were never UTF-8.
fn trim_broken_end(bytes: &[u8]) -> &[u8] {
    for back in 1..=bytes.len().min(3) {
        let start = bytes.len() - back;
        let width = match bytes[start] {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => return bytes,
        };
        return if width > back { &bytes[..start] } else { bytes };
    }
    bytes
}

fn trim_broken_start(bytes: &[u8]) -> &[u8] {
    let skip = bytes
        .iter()
        .take(3)
        .take_while(|b| (**b & 0xC0) == 0x80)
        .count();
    &bytes[skip..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_output_is_kept_whole() {
        let output = Output::with_cap(16);
        for byte in "grün ✓".bytes() {
            output.write([byte]);
        }
        assert_eq!(output.text(), "grün ✓");
    }

    #[test]
    fn large_output_keeps_head_and_tail() {
        let output = Output::with_cap(8);
        for _ in 0..1000 {
            output.write("abcdefghij");
        }
        assert_eq!(
            output.text(),
            "abcdef\n[… 9992 of 10000 bytes left out here …]\nij"
        );
        assert_eq!(output.total(), 10_000);
    }

    #[test]
    fn a_cut_never_makes_a_replacement_character() {
        for cap in 4..40 {
            let output = Output::with_cap(cap);
            output.write("✓".repeat(100));
            assert!(
                !output.text().contains('\u{FFFD}'),
                "cap {cap}: {}",
                output.text()
            );
        }
    }
}
