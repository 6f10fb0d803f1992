//! What one file yields: a count, or the lines of an answer.
//! Refuses lines that are longer than anybody reads, and more of them than were asked for.

use std::io;

use grep_matcher::Matcher;
use grep_regex::RegexMatcher;
use grep_searcher::{Searcher, Sink, SinkContext, SinkContextKind, SinkMatch};

use super::{Input, OutputMode};

/// Characters of one line of an answer.
const LINE_CHARS: usize = 500;
/// Bytes of one answer. Less than what the engine cuts results to, since it cuts the middle out.
const ANSWER_BYTES: usize = 80_000;

/// What one file yields.
pub(super) struct Hits<'a> {
    pub(super) input: &'a Input,
    pub(super) matcher: &'a RegexMatcher,
    pub(super) path: String,
    pub(super) count: u64,
    pub(super) lines: &'a mut String,
    pub(super) listed: &'a mut usize,
    pub(super) full: bool,
}

impl Hits<'_> {
    /// One line of an answer; the part around the match where the line is long.
    fn line(&mut self, mark: char, number: u64, bytes: &[u8]) {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let mut from = 0;
        if bytes.len() > LINE_CHARS
            && mark == ':'
            && let Ok(Some(hit)) = self.matcher.find(bytes)
            && hit.start() > LINE_CHARS / 2
        {
            from = hit.start() - LINE_CHARS / 4;
        }
        // At most four bytes a character; the rest of a huge line is not even decoded.
        let window = &bytes[from..bytes.len().min(from + 4 * LINE_CHARS + 4)];
        let start = window.iter().take(3).take_while(|b| **b & 0xC0 == 0x80);
        let window = match from {
            0 => window,
            _ => &window[start.count()..],
        };
        let text = String::from_utf8_lossy(window);
        let (end, cut) = match text.char_indices().nth(LINE_CHARS) {
            Some((end, _)) => (end, true),
            None => (text.len(), from + window.len() < bytes.len()),
        };
        self.lines.push_str(&self.path);
        self.lines.push(mark);
        if self.input.numbers != Some(false) {
            self.lines.push_str(&format!("{number}{mark}"));
        }
        self.lines.push(' ');
        if from > 0 {
            self.lines.push('…');
        }
        self.lines.push_str(&text[..end]);
        if cut {
            self.lines
                .push_str(&format!("… [line of {} bytes]", bytes.len()));
        }
        self.lines.push('\n');
    }

    fn has_room(&self) -> bool {
        *self.listed < self.input.listed() && self.lines.len() < ANSWER_BYTES
    }
}

impl Sink for Hits<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, hit: &SinkMatch<'_>) -> io::Result<bool> {
        match self.input.mode() {
            OutputMode::FilesWithMatches => {
                self.count = 1;
                Ok(false)
            }
            OutputMode::Count => {
                let mut found = 0;
                if self.input.spans_lines() {
                    // Neighbouring matches come as one.
                    self.matcher.find_iter(hit.bytes(), |_| {
                        found += 1;
                        true
                    })?;
                }
                self.count += found.max(1);
                Ok(true)
            }
            OutputMode::Content => {
                if !self.has_room() {
                    self.full = true;
                    return Ok(false);
                }
                self.count += 1;
                *self.listed += 1;
                let first = hit.line_number().unwrap_or(0);
                for (number, line) in (first..).zip(hit.lines()) {
                    if self.lines.len() >= ANSWER_BYTES {
                        self.full = true;
                        return Ok(false);
                    }
                    self.line(':', number, line);
                }
                Ok(true)
            }
        }
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> io::Result<bool> {
        // The context before a match that has no room any more says nothing.
        if *context.kind() != SinkContextKind::After && !self.has_room() {
            self.full = true;
            return Ok(false);
        }
        self.line('-', context.line_number().unwrap_or(0), context.bytes());
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> io::Result<bool> {
        self.lines.push_str("--\n");
        Ok(true)
    }
}
