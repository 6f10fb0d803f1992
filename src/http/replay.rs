//! The framing of this room without its sockets, for tests that split a body at every byte.
//! Refuses to be an answer: no status, no timers, no pace.

use std::{
    collections::VecDeque,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{Frames, Framing, body::Chunks, framed::Framed};
use crate::error::Result;

/// Chunks that are there already.
struct Recorded(VecDeque<Bytes>);

impl Chunks for Recorded {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn moved(&mut self) {}
}

/// A body that is there already, as it is cut.
pub(crate) struct Replay(Framed<Recorded>);

/// The frames of a body that comes in these chunks.
pub(crate) fn replay(framing: Framing, chunks: impl IntoIterator<Item = Bytes>) -> Replay {
    let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
    let recorded = Recorded(chunks.collect());
    Replay(Framed::new(framing, recorded))
}

impl Frames for Replay {
    fn poll_frame<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&str, &str) -> T,
    ) -> Poll<Option<Result<T>>> {
        self.0.poll_frame(cx, take)
    }
}

/// The frames of one body, then those of another.
pub(crate) struct Chained(pub(crate) Replay, pub(crate) Replay);

impl Frames for Chained {
    fn poll_frame<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&str, &str) -> T,
    ) -> Poll<Option<Result<T>>> {
        let mut take = Some(take);
        let first = self
            .0
            .poll_frame(cx, |event, data| take.take().map(|take| take(event, data)));
        match (first, take) {
            (Poll::Ready(None), Some(take)) => self.1.poll_frame(cx, take),
            (first, _) => {
                first.map(|frame| frame.map(|taken| taken.map(|taken| taken.expect("shown once"))))
            }
        }
    }
}
