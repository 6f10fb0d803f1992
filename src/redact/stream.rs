//! Redaction of text that comes in pieces: holds back only what may be the beginning of a secret.
//! Refuses to hold back more than one secret's length, however long the text.

use super::{REDACTED, Redactor};

/// Takes secrets out of text that comes in pieces. See [`Redactor::stream`].
///
/// What comes out, joined, is what [`Redactor::redact`] makes of the whole.
#[derive(Clone, Debug)]
pub struct RedactorStream {
    redactor: Redactor,
    pub(super) held: String,
    /// So many bytes at the start of `held` belong to a secret that was already replaced.
    covered: usize,
}

impl RedactorStream {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            held: String::new(),
            covered: 0,
        }
    }

    /// Takes the next piece and gives what can be shown by now.
    pub fn push(&mut self, piece: &str) -> String {
        if self.redactor.is_empty() {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        let safe = self.redactor.finder().growing(&self.held);
        self.release(safe)
    }

    /// The text has ended: gives the rest.
    pub fn finish(&mut self) -> String {
        self.release(self.held.len())
    }

    /// Gives out everything before `safe`, where no secret can begin any more.
    fn release(&mut self, safe: usize) -> String {
        if self.redactor.is_empty() || self.held.is_empty() {
            return String::new();
        }
        let mut spans = self.redactor.finder().spans(&self.held);
        let mut covered = self.covered;
        // What was replaced before grows with what overlaps it.
        let within = spans
            .iter()
            .take_while(|(start, _)| *start < covered)
            .count();
        for (_, end) in spans.drain(..within) {
            covered = covered.max(end);
        }
        let mut out = String::with_capacity(safe);
        let mut done = covered;
        for (start, end) in spans {
            if start >= safe {
                break;
            }
            out.push_str(&self.held[done..start]);
            out.push_str(REDACTED);
            done = end;
        }
        if done < safe {
            out.push_str(&self.held[done..safe]);
        }
        self.covered = done.saturating_sub(safe);
        self.held.drain(..safe);
        out
    }
}
