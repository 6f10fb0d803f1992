//! Cuts chunks of bytes into lines, each byte looked at once, with a cap on what is kept.
//! Refuses to know what a line means, and to keep more than the cap.

use std::ops::Range;

use bytes::{Buf, Bytes};
use memchr::{memchr, memchr2};

use crate::error::{Error, ErrorKind, Result};

/// What an event is called that does not say.
const UNNAMED: &str = "message";
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What ends a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// LF only; a CR before it belongs to the end.
    Lf,
    /// LF, CR LF, or CR alone.
    Any,
}

/// Where the next LF of the chunk is.
#[derive(Clone, Copy)]
enum Lf {
    Unknown,
    At(usize),
    Nowhere,
}

/// An event as it lies in the chunk, and how many bytes it takes there.
pub(super) struct Plain<'a> {
    pub(super) event: &'a str,
    pub(super) data: &'a str,
    pub(super) size: usize,
}

/// Holds the chunk in hand and the beginning of a line that it did not finish.
pub(super) struct Cutter {
    chunk: Bytes,
    partial: Vec<u8>,
    lf: Lf,
    ends: Ends,
    cap: usize,
    held: usize,
    offset: u64,
    after_cr: bool,
}

impl Cutter {
    pub(super) fn new(ends: Ends, cap: usize) -> Self {
        Self {
            chunk: Bytes::new(),
            partial: Vec::new(),
            lf: Lf::Unknown,
            ends,
            cap,
            held: 0,
            offset: 0,
            after_cr: false,
        }
    }

    /// Takes the next chunk. Only after `next` gave nothing: the last chunk is used up then.
    pub(super) fn push(&mut self, mut chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "a chunk must not push out another");
        if chunk.is_empty() {
            return;
        }
        if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
            chunk.advance(1);
            self.offset += 1;
        }
        self.chunk = chunk;
        self.lf = Lf::Unknown;
    }

    /// An event that is whole in the chunk and as plain as nearly all are: a line with its name or
    /// none, one line of data, a blank line. What is anything else is left to [`Self::next`].
    pub(super) fn plain(&self) -> Option<Plain<'_>> {
        let window = &self.chunk[..self.chunk.len().min(self.cap)];
        let may_be_mark = self.offset == 0 && window.first() == MARK.first();
        if may_be_mark || self.pending() > 0 {
            return None;
        }
        let (mut name, mut at) = (0..0, 0);
        if window.starts_with(b"event:") {
            (name, at) = value(window, b"event:".len())?;
        }
        if !window[at..].starts_with(b"data:") {
            return None;
        }
        let (data, next) = value(window, at + b"data:".len())?;
        let size = next + break_at(&window[next..])?;
        let text = std::str::from_utf8(&window[..data.end]).ok()?;
        let event = if name.is_empty() {
            UNNAMED
        } else {
            &text[name]
        };
        let data = &text[data];
        Some(Plain { event, data, size })
    }

    /// Goes on behind a plain event of this size.
    pub(super) fn skip(&mut self, size: usize) {
        self.chunk.advance(size);
        self.lf = Lf::Unknown;
        self.offset += size as u64;
    }

    /// The next whole line with its end, which is LF or CR LF whatever came.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>> {
        let Some((end, lone_cr)) = self.end() else {
            self.room(self.chunk.len())?;
            self.partial.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
            return Ok(None);
        };
        self.room(end)?;
        let mut line = self.chunk.split_to(end);
        if let Lf::At(at) = self.lf {
            self.lf = if at < end {
                Lf::Unknown
            } else {
                Lf::At(at - end)
            };
        }
        let size = self.partial.len() + line.len();
        if lone_cr || !self.partial.is_empty() {
            let mut whole = std::mem::take(&mut self.partial);
            whole.extend_from_slice(&line);
            if lone_cr {
                whole.pop();
                whole.push(b'\n');
                self.after_cr = self.chunk.is_empty();
            }
            line = Bytes::from(whole);
        }
        if self.offset == 0 && line.starts_with(MARK) {
            line.advance(MARK.len());
        }
        self.offset += size as u64;
        Ok(Some(line))
    }

    /// What is left at the end of the body: a line without an end.
    pub(super) fn rest(&mut self) -> Option<Bytes> {
        let mut rest = Bytes::from(std::mem::take(&mut self.partial));
        if self.offset == 0 && rest.starts_with(MARK) {
            rest.advance(MARK.len());
        }
        (!rest.is_empty()).then_some(rest)
    }

    /// Counts a line that was given out against the cap, until `release`.
    pub(super) fn hold(&mut self, bytes: usize) {
        self.held += bytes;
    }

    /// Nothing that was given out is kept any more.
    pub(super) fn release(&mut self) {
        self.held = 0;
    }

    /// How much of an unfinished event or line has come.
    pub(super) fn pending(&self) -> usize {
        self.held + self.partial.len()
    }

    /// How the unfinished line begins.
    pub(super) fn beginning(&self) -> &[u8] {
        &self.partial
    }

    /// How many bytes of the body stand before what `next` gives next.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Checked before anything is copied, so that what is kept never exceeds the cap.
    fn room(&self, more: usize) -> Result<()> {
        if self.pending() + more <= self.cap {
            return Ok(());
        }
        let text = format!(
            "one event of the answer is larger than the limit: `{} bytes`",
            self.cap
        );
        Err(Error::new(ErrorKind::Limit, text).possibly_billed())
    }

    /// Where the line in hand ends in the chunk, and whether by a CR without LF.
    fn end(&mut self) -> Option<(usize, bool)> {
        // Remembered, because lines that end in CR would each search the whole chunk for an LF.
        if let Lf::Unknown = self.lf {
            self.lf = memchr(b'\n', &self.chunk).map_or(Lf::Nowhere, Lf::At);
        }
        let lf = match self.lf {
            Lf::At(at) => Some(at),
            Lf::Nowhere | Lf::Unknown => None,
        };
        if self.ends == Ends::Lf {
            return lf.map(|at| (at + 1, false));
        }
        let before = lf.unwrap_or(self.chunk.len());
        match (memchr(b'\r', &self.chunk[..before]), lf) {
            (Some(cr), Some(lf)) if cr + 1 == lf => Some((lf + 1, false)),
            (Some(cr), _) => Some((cr + 1, true)),
            (None, Some(lf)) => Some((lf + 1, false)),
            (None, None) => None,
        }
    }
}

/// Where a field's value is that may begin here, behind one space, and where the next line begins.
fn value(window: &[u8], at: usize) -> Option<(Range<usize>, usize)> {
    let begin = at + usize::from(window.get(at) == Some(&b' '));
    let end = begin + memchr2(b'\n', b'\r', &window[begin..])?;
    Some((begin..end, end + break_at(&window[end..])?))
}

/// How long the end of a line is that stands here; none for a CR alone, or that may be.
fn break_at(window: &[u8]) -> Option<usize> {
    match window {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}
