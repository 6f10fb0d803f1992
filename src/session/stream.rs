//! The stream of one turn: numbers events, tells tracers, and sees to exactly one end.
//! Refuses to look into the turn; a backend that breaks its contract is mended here.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::atomic::Ordering::Relaxed,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, stream::BoxStream};

use super::Shared;
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, EventKind, FORMAT, StopReason},
    id::TurnId,
    scope::Scope,
    sink::Origin,
    usage::{Cost, Usage},
};

/// The events of one turn, ending with exactly one `turn_end`.
///
/// The turn runs while this is polled; a watcher that is slow slows it down. Dropping it cancels
/// the turn: what it started in the foreground is gone within a moment, tracers still hear a
/// `turn_end` that says cancelled, and the session can take the next message.
#[must_use = "a turn runs only while its stream is polled"]
pub struct TurnStream<'a> {
    inner: Option<BoxStream<'a, Event>>,
    scope: Scope,
    shared: Shared,
    book: Book,
}

/// What is remembered of the events that went by.
struct Book {
    first: Option<String>,
    ended: bool,
    origin: Option<Origin>,
    usage: Usage,
    cost: Cost,
    /// What the session had spent before.
    before: (Usage, Cost),
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
        inner: BoxStream<'a, Event>,
        scope: Scope,
        shared: Shared,
        model: String,
    ) -> Self {
        let book = Book {
            first: Some(model),
            ended: false,
            origin: None,
            usage: Usage::default(),
            cost: Cost::default(),
            before: shared.meter.spent(),
        };
        Self {
            inner: Some(inner),
            scope,
            shared,
            book,
        }
    }

    /// Runs the turn to its end.
    ///
    /// Cancel safety: dropping it cancels the turn.
    pub async fn finish(mut self) -> TurnOutcome {
        while let Some(event) = self.next().await {
            if let EventKind::TurnEnd {
                stop,
                text,
                usage,
                cost,
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
    pub async fn text(self) -> Result<String> {
        let outcome = self.finish().await;
        match outcome.stop {
            StopReason::Finished => Ok(outcome.text),
            stop => Err(stop.into_error()),
        }
    }

    fn stamp(&mut self, mut event: Event) -> Event {
        event.seq = self.shared.seq.fetch_add(1, Relaxed) + 1;
        self.shared.tracers.hear(&event);
        event
    }

    fn origin(&self) -> Origin {
        let root = || Origin::new(self.shared.scope.path(), TurnId(1));
        self.book.origin.clone().unwrap_or_else(root)
    }

    fn run_start(&mut self, model: String) -> Option<Event> {
        if self.shared.seq.load(Relaxed) > 0 {
            return None;
        }
        let origin = Origin::new(self.shared.scope.path(), TurnId(0));
        let event = origin.event(EventKind::RunStart {
            format: FORMAT,
            session: self.shared.id.clone(),
            model,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        Some(self.stamp(event))
    }

    /// What the turn used: the meter also knows of retries, summaries and half a message. A backend
    /// that books nothing there is believed by its own messages.
    fn spent(&self) -> (Usage, Cost) {
        let (usage, cost) = self.shared.meter.spent();
        let (before, paid) = &self.book.before;
        let (usage, cost) = (usage.since(before), cost.since(paid));
        if usage.total() >= self.book.usage.total() {
            (usage, cost)
        } else {
            (self.book.usage, self.book.cost)
        }
    }

    /// The end that the backend did not give.
    fn missing_end(&mut self, stop: StopReason) -> Event {
        self.book.ended = true;
        let (usage, cost) = self.spent();
        let kind = EventKind::TurnEnd {
            stop,
            text: String::new(),
            usage,
            cost,
        };
        let event = self.origin().event(kind);
        self.stamp(event)
    }
}

impl Book {
    /// Remembers what the end may need; only the root's own events count.
    fn note(&mut self, event: &Event) {
        if event.parent.is_some() {
            return;
        }
        match &event.kind {
            EventKind::TurnStart { .. } => {
                self.origin = Some(Origin::new(&event.agent, event.turn));
            }
            EventKind::MessageEnd { usage, cost, .. } => {
                self.usage += *usage;
                self.cost += *cost;
            }
            EventKind::TurnEnd { .. } => self.ended = true,
            _ => {}
        }
    }
}

impl Stream for TurnStream<'_> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if let Some(model) = self.book.first.take()
            && let Some(event) = self.run_start(model)
        {
            return Poll::Ready(Some(event));
        }
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        // A panic in a provider or a hook must not take the program down, nor the one end away.
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll_next_unpin(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(event))) => {
                self.book.note(&event);
                if self.book.ended {
                    self.inner = None;
                }
                Poll::Ready(Some(self.stamp(event)))
            }
            Ok(Poll::Ready(None)) => {
                self.inner = None;
                let error = Error::new(ErrorKind::Bug, "the backend ended without an end event");
                Poll::Ready(Some(self.missing_end(StopReason::failed(error))))
            }
            Err(panic) => {
                self.inner = None;
                let words = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
                let text = format!("the turn panicked: {}", words.unwrap_or_default());
                let error = Error::new(ErrorKind::Bug, text);
                Poll::Ready(Some(self.missing_end(StopReason::failed(error))))
            }
        }
    }
}

impl Drop for TurnStream<'_> {
    fn drop(&mut self) {
        self.scope.cancel();
        let begun = self.book.origin.is_some();
        self.inner = None;
        if begun && !self.book.ended {
            self.missing_end(StopReason::Cancelled);
        }
    }
}

impl fmt::Debug for TurnStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnStream")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
