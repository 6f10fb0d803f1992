//! The stream of one turn: joins the turn's events with those of its children and numbers them.
//! Refuses to look into the turn; what it promises of its end is kept one floor below.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, stream::BoxStream};

use super::Shared;
use crate::{
    backend::Mended,
    error::Result,
    event::{Event, EventKind, StopReason},
    scope::Scope,
    sink::SinkReader,
    usage::{Cost, Usage},
};

/// The events of one turn, ending with exactly one `turn_end`.
///
/// The turn runs while this is polled; a watcher that is slow slows it down. Dropping it cancels
/// the turn: what it started in the foreground is gone within a moment, tracers still hear a
/// `turn_end` that says cancelled, and the session can take the next message.
#[must_use = "a turn runs only while its stream is polled"]
pub struct TurnStream<'a> {
    turn: Mended<'a>,
    scope: Scope,
    shared: Shared,
    /// What comes from below; given up before anything else when the stream is dropped.
    below: Option<SinkReader>,
    /// The first event of a session, not yet told. By itself, for most turns have none.
    first: Option<Box<Event>>,
    /// An event of the turn itself that waits until those below that came before it were told.
    held: Option<Event>,
}

/// How a turn ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TurnOutcome {
    /// Why.
    pub stop: StopReason,
    /// The model's final words.
    pub text: String,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: Cost,
}

impl<'a> TurnStream<'a> {
    pub(super) fn new(
        turn: BoxStream<'a, Event>,
        scope: Scope,
        shared: Shared,
        model: String,
    ) -> Self {
        Self {
            turn: Mended::new(turn, shared.desk.path(), &shared.meter, shared.told.clone()),
            below: Some(shared.sink.read()),
            first: shared.wire.first(&shared.desk, model).map(Box::new),
            held: None,
            scope,
            shared,
        }
    }

    /// Runs the turn to its end.
    ///
    /// Cancel safety: dropping it cancels the turn.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function would hold the stream twice"
    )]
    pub fn finish(mut self) -> impl Future<Output = TurnOutcome> + Send + use<'a> {
        async move { self.run_out().await }
    }

    async fn run_out(&mut self) -> TurnOutcome {
        while let Some(event) = self.next().await {
            if let EventKind::TurnEnd {
                stop,
                text,
                usage,
                cost,
                ..
            } = event.kind
                && event.parent.is_none()
            {
                return TurnOutcome {
                    stop,
                    text,
                    usage,
                    cost,
                };
            }
        }
        unreachable!("every turn ends with `turn_end`")
    }

    /// Runs the turn to its end and returns the model's final words.
    ///
    /// # Errors
    /// When the turn did not finish: the failure, or an error that says why it stopped.
    ///
    /// Cancel safety: dropping it cancels the turn.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function would hold the stream twice"
    )]
    pub fn text(mut self) -> impl Future<Output = Result<String>> + Send + use<'a> {
        async move {
            let outcome = self.run_out().await;
            match outcome.stop {
                StopReason::Finished => Ok(outcome.text),
                stop => Err(stop.into_error()),
            }
        }
    }

    /// Reads no more: from now on events go straight on.
    fn leave(&mut self) {
        if self.below.take().is_some() {
            self.shared.submitted.over(&self.scope);
            // A note that came while the turn ended has woken nobody.
            super::wake(&self.shared);
        }
    }

    /// What is ready to be told, oldest first.
    fn ready(&mut self) -> Option<Event> {
        self.first
            .take()
            .map(|first| *first)
            .or_else(|| self.below.as_mut()?.next_taken())
            .or_else(|| self.held.take())
    }
}

impl Stream for TurnStream<'_> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let this = &mut *self;
        loop {
            if let Some(mut event) = this.ready() {
                this.shared.wire.tell(&mut event);
                if event.is_root_end() {
                    // Whoever keeps the stream holds up nobody who works on behind it.
                    this.leave();
                }
                return Poll::Ready(Some(event));
            }
            let Some(below) = &mut this.below else {
                return Poll::Ready(None);
            };
            // The turn is polled after each batch from below, so that an agent that never stops
            // talking cannot hide a cancel.
            match this.turn.poll_next_unpin(cx) {
                Poll::Ready(Some(event)) => {
                    this.held = Some(event);
                    below.take();
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    if below.poll_take(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Drop for TurnStream<'_> {
    fn drop(&mut self) {
        self.scope.cancel();
        let end = self.turn.cut(StopReason::Cancelled);
        if let Some(below) = &mut self.below {
            // What was said before the end is told before it.
            below.take();
        }
        while let Some(mut event) = self.ready() {
            self.shared.wire.tell(&mut event);
        }
        if let Some(mut end) = end {
            self.shared.wire.tell(&mut end);
        }
        self.leave();
    }
}

impl fmt::Debug for TurnStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnStream")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
