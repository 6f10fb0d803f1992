//! Cuts chunks of bytes into lines, each byte looked at once, with a cap on what is kept.
//! Refuses to know what a line means, and to keep more than the cap.

use bytes::{Buf, Bytes};
use memchr::{memchr, memchr2};

use crate::error::{Error, ErrorKind, Result};

/// A block is at most so large and has at most so many lines; the parser copies the rest of a
/// block after each of its lines.
const BLOCK: usize = 4 << 10;
const BLOCK_LINES: usize = 8;
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

    /// The lines up to a blank one, where all of them are in the chunk, few, short, and end in LF:
    /// what nearly every event is. `each` sees the lines, also those of a block that is not given.
    pub(super) fn block(&mut self, mut each: impl FnMut(&[u8])) -> Option<Bytes> {
        if self.offset == 0 || self.pending() > 0 {
            return None;
        }
        let window = &self.chunk[..self.chunk.len().min(BLOCK).min(self.cap)];
        let mut start = 0;
        for _ in 0..BLOCK_LINES {
            let end = start + memchr2(b'\n', b'\r', &window[start..])?;
            if window[end] == b'\r' {
                return None;
            }
            if end == start {
                std::str::from_utf8(&window[..end]).ok()?;
                self.lf = Lf::Unknown;
                self.offset += end as u64 + 1;
                return Some(self.chunk.split_to(end + 1));
            }
            each(&window[start..end]);
            start = end + 1;
        }
        None
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
