//! The bytes of one answer, watched by its timers.
//! Refuses to frame and to understand them.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::{fault, lanes::Place, watch::Watch};
use crate::error::Result;

/// Where the framers get their bytes: an answer, or a test's list of chunks.
pub(super) trait Chunks {
    /// The next chunk, never an empty one.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>>;

    /// The framer saw more than pings and comments.
    fn moved(&mut self);
}

/// The body of an answer.
pub(super) struct Body {
    response: reqwest::Response,
    watch: Watch,
    host: Arc<str>,
    ahead: Option<Bytes>,
    /// On a connection that others share.
    _place: Option<Place>,
}

impl Body {
    pub(super) fn new(
        response: reqwest::Response,
        watch: Watch,
        host: Arc<str>,
        place: Option<Place>,
    ) -> Self {
        Self {
            response,
            watch,
            host,
            ahead: None,
            _place: place,
        }
    }

    /// Reads the first chunk, which stays there to be read again.
    ///
    /// Cancel safety: nothing is lost.
    pub(super) async fn peek(&mut self) -> Result<Option<Bytes>> {
        if self.ahead.is_none() {
            self.ahead = self.chunk().await?;
        }
        Ok(self.ahead.clone())
    }

    /// The next chunk.
    ///
    /// Cancel safety: nothing is lost.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }
}

impl Chunks for Body {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if let Some(chunk) = self.ahead.take() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        loop {
            // Made anew for each poll: the bytes wait in the response, not in this future.
            let chunk = pin!(self.response.chunk()).poll(cx);
            return match chunk {
                Poll::Ready(Ok(Some(chunk))) if chunk.is_empty() => continue,
                Poll::Ready(Ok(Some(chunk))) => {
                    self.watch.came();
                    Poll::Ready(Some(Ok(chunk)))
                }
                Poll::Ready(Ok(None)) => Poll::Ready(None),
                Poll::Ready(Err(error)) => Poll::Ready(Some(Err(fault::broken(error, &self.host)))),
                Poll::Pending => self.watch.poll_quiet(cx).map(|error| Some(Err(error))),
            };
        }
    }

    fn moved(&mut self) {
        self.watch.moved();
    }
}
