//! The whole body as one frame, up to a cap.
//! Refuses to keep more than the cap.

use std::task::{Context, Poll, ready};

use super::{Frames, MAX_WHOLE, body::Chunks, lines};
use crate::error::{Error, ErrorKind, Result};

/// The one frame of an answer that is not streamed.
pub(super) struct Whole<S> {
    source: S,
    kept: Vec<u8>,
    cap: usize,
    done: bool,
}

impl<S: Chunks> Whole<S> {
    pub(super) fn new(source: S) -> Self {
        Self::with_cap(source, MAX_WHOLE)
    }

    pub(super) fn with_cap(source: S, cap: usize) -> Self {
        Self {
            source,
            kept: Vec::new(),
            cap,
            done: false,
        }
    }
}

impl<S: Chunks> Frames for Whole<S> {
    fn poll_frame<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&str, &str) -> T,
    ) -> Poll<Option<Result<T>>> {
        if self.done {
            return Poll::Ready(None);
        }
        while let Some(chunk) = ready!(self.source.poll_chunk(cx)) {
            let chunk = chunk?;
            self.source.moved();
            if self.kept.len() + chunk.len() > self.cap {
                self.done = true;
                let text = format!("the answer is larger than the limit: `{} bytes`", self.cap);
                let error = Error::new(ErrorKind::Limit, text).possibly_billed();
                return Poll::Ready(Some(Err(error)));
            }
            self.kept.extend_from_slice(&chunk);
        }
        self.done = true;
        let kept = std::mem::take(&mut self.kept);
        Poll::Ready(Some(lines::text(&kept).map(|data| take("", data))))
    }
}
