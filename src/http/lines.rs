//! One JSON text a line, under the same cap as an event.
//! Refuses to read the JSON.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::{
    Frame, MAX_EVENT, Text,
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

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        loop {
            while let Some(line) = self.cutter.next()? {
                // Blank lines keep a connection alive and say nothing.
                if let Some(frame) = frame(&line)? {
                    self.source.moved();
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
            if self.cutter.pending() > 0 {
                self.source.moved();
            }
            match ready!(self.source.poll_chunk(cx)) {
                Some(chunk) => self.cutter.push(chunk?),
                None => {
                    let last = self.cutter.rest().map(|rest| frame(&rest));
                    return Poll::Ready(last.and_then(Result::transpose));
                }
            }
        }
    }
}

fn frame(line: &Bytes) -> Result<Option<Frame>> {
    let trimmed = line.trim_ascii();
    if trimmed.is_empty() {
        return Ok(None);
    }
    Ok(Some(Frame {
        event: Text::default(),
        data: text(line.slice_ref(trimmed))?,
    }))
}

pub(super) fn text(bytes: Bytes) -> Result<Text> {
    Text::of(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let text = format!("a line of the answer is not UTF-8 at byte: `{at}`");
        Error::new(ErrorKind::Decode, text).possibly_billed()
    })
}
