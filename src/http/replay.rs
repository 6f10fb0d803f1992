//! The framing of this room without its sockets, for tests that split a body at every byte.
//! Refuses to be an answer: no status, no timers, no pace.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};

use async_stream::try_stream;
use bytes::Bytes;
use futures::Stream;

use super::{Frame, Framing, body::Chunks, lines::Lines, sse::Events, whole::Whole};
use crate::error::Result;

/// Chunks that are there already.
struct Recorded(VecDeque<Bytes>);

impl Chunks for Recorded {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }

    fn moved(&mut self) {}
}

/// The frames of a body that comes in these chunks.
pub(crate) fn replay(
    framing: Framing,
    chunks: impl IntoIterator<Item = Bytes>,
) -> impl Stream<Item = Result<Frame>> + Send + Unpin + 'static {
    let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
    let recorded = Recorded(chunks.collect());
    Box::pin(try_stream! {
        match framing {
            Framing::Sse => {
                let mut events = Events::new(recorded);
                while let Some(frame) = poll_fn(|cx| events.poll_frame(cx)).await {
                    yield frame?;
                }
            }
            Framing::Lines => {
                let mut lines = Lines::new(recorded);
                while let Some(frame) = poll_fn(|cx| lines.poll_frame(cx)).await {
                    yield frame?;
                }
            }
            Framing::Whole => {
                let mut whole = Whole::new(recorded);
                while let Some(frame) = poll_fn(|cx| whole.poll_frame(cx)).await {
                    yield frame?;
                }
            }
        }
    })
}
