//! One who watches a session's events without being able to slow it down.
//! Refuses to grow: pieces of words are dropped first, and one who never reads is let go.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use futures::Stream;

use crate::event::{Event, EventKind};

/// How many events wait for one who watches before pieces of words are dropped.
pub const WATCH_CAPACITY: usize = 1_024;

/// How many events of any kind wait for one who watches before the watch ends.
pub const MAX_WATCH: usize = 65_536;

/// A session's events as they happen, also between turns. Ends with the session.
///
/// Reading it slowly slows nobody down: when more than [`WATCH_CAPACITY`] events wait, pieces of
/// words are dropped and a `lagged` event says how many. Other events are kept; one who leaves
/// [`MAX_WATCH`] of them unread is let go after a last `lagged`.
#[must_use = "events are collected for whoever reads this"]
pub struct EventWatch {
    watcher: Arc<Watcher>,
}

#[derive(Default)]
pub(super) struct Watcher {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Event>,
    dropped: u64,
    over: bool,
    waker: Option<Waker>,
}

impl EventWatch {
    pub(super) fn new(watcher: Arc<Watcher>) -> Self {
        Self { watcher }
    }

    /// The next event if one is there now.
    pub fn try_next(&mut self) -> Option<Event> {
        self.watcher.state().next()
    }
}

impl Watcher {
    /// Takes an event; `false` when this one is let go.
    pub(super) fn take(&self, event: &Event) -> bool {
        let mut state = self.state();
        if state.over {
            return false;
        }
        let delta = event.kind.is_delta();
        if delta && state.queue.len() >= WATCH_CAPACITY {
            state.dropped += 1;
            return true;
        }
        if state.queue.len() >= MAX_WATCH {
            state.dropped += 1;
            state.over = true;
        } else {
            state.lagged(event);
            state.queue.push_back(event.clone());
        }
        let open = !state.over;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        open
    }

    pub(super) fn close(&self) {
        let mut state = self.state();
        state.over = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Says before this event how many were dropped before it.
    fn lagged(&mut self, before: &Event) {
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            let mut event = before.clone();
            event.kind = EventKind::Lagged { dropped };
            self.queue.push_back(event);
        }
    }

    fn next(&mut self) -> Option<Event> {
        let event = self.queue.pop_front();
        if let Some(last) = &event
            && self.queue.is_empty()
            && self.over
        {
            self.lagged(&last.clone());
        }
        event
    }
}

impl Stream for EventWatch {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = self.watcher.state();
        match state.next() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.over => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for EventWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventWatch")
            .field("waiting", &self.watcher.state().queue.len())
            .finish_non_exhaustive()
    }
}
