//! One JSON text a line, under the same cap as an event.
//! Refuses to read the JSON.

use std::task::{Context, Poll, ready};

use super::{
    Frames, MAX_EVENT,
    body::Chunks,
    cut::{Cutter, Ends},
};
use crate::error::{Error, ErrorKind, Result};

/// The lines of an answer; a last line without an end counts.
pub(super) struct Lines<S> {
    source: S,
    cutter: Cutter,
}

impl<S: Chunks> Lines<S> {
    pub(super) fn new(source: S) -> Self {
        Self::with_cap(source, MAX_EVENT)
    }

    pub(super) fn with_cap(source: S, cap: usize) -> Self {
        Self {
            source,
            cutter: Cutter::new(Ends::Lf, cap),
        }
    }
}

impl<S: Chunks> Frames for Lines<S> {
    fn poll_frame<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&str, &str) -> T,
    ) -> Poll<Option<Result<T>>> {
        loop {
            while let Some(line) = self.cutter.next()? {
                // Blank lines keep a connection alive and say nothing.
                let line = line.trim_ascii();
                if !line.is_empty() {
                    self.source.moved();
                    return Poll::Ready(Some(text(line).map(|line| take("", line))));
                }
            }
            if self.cutter.pending() > 0 {
                self.source.moved();
            }
            match ready!(self.source.poll_chunk(cx)) {
                Some(chunk) => self.cutter.push(chunk?),
                None => {
                    let last = self.cutter.rest();
                    let last = last.as_deref().map(<[u8]>::trim_ascii);
                    let last = last.filter(|line| !line.is_empty());
                    return Poll::Ready(last.map(|line| text(line).map(|line| take("", line))));
                }
            }
        }
    }
}

pub(super) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let text = format!("a line of the answer is not UTF-8 at byte: `{at}`");
        Error::new(ErrorKind::Decode, text).possibly_billed()
    })
}
