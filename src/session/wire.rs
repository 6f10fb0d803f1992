//! Where every event of a session passes: numbered, told to tracers, handed to those who watch.
//! Refuses to wait for anybody: who is too slow loses pieces of words, and is told how many.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use super::watch::{EventWatch, Watcher};
use crate::{
    event::{Event, EventKind, FORMAT},
    id::TurnId,
    registry::Desk,
    sink::Origin,
    store::Log,
    trace::Tracers,
};

/// Where every event of a session passes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    line: Line,
    /// Whether the first line was told.
    begun: AtomicBool,
    tracers: Tracers,
    log: Log,
    watchers: Mutex<Vec<Weak<Watcher>>>,
    /// How many watch, so that nobody locks while nobody does.
    count: AtomicUsize,
}

impl Wire {
    /// Numbers go on after `seq`, the last of an earlier life of the session.
    pub(super) fn new(tracers: Tracers, log: Log, seq: u64) -> Self {
        Self(Arc::new(Inner {
            line: Line::after(seq),
            begun: AtomicBool::new(false),
            tracers,
            log,
            watchers: Mutex::default(),
            count: AtomicUsize::new(0),
        }))
    }

    /// Numbers an event and tells everybody, in the order of the numbers: between turns children and
    /// whoever wakes the root tell on threads of their own. What somebody tells in the middle of
    /// hearing of something is numbered at once and told after it.
    pub(super) fn tell(&self, event: &mut Event) {
        let line = &self.0.line;
        if line.is_held_here() {
            event.seq = line.next();
            line.later().push_back(event.clone());
            line.waits.store(true, Relaxed);
            return;
        }
        let held = line.hold();
        event.seq = line.next();
        self.hear(event);
        // Only this thread has put anything there, so it need not lock to see that there is nothing.
        while line.waits.load(Relaxed) {
            let next = line.later().pop_front();
            match next {
                Some(event) => self.hear(&event),
                None => line.waits.store(false, Relaxed),
            }
        }
        drop(held);
    }

    fn hear(&self, event: &Event) {
        self.0.log.tell(event);
        self.0.tracers.hear(event);
        if self.0.count.load(Relaxed) > 0 {
            self.tell_watchers(event);
        }
    }

    /// The first line of a run's log; nothing when it was told already.
    pub(super) fn first(&self, desk: &Desk, model: String) -> Option<Event> {
        if self.0.begun.swap(true, Relaxed) {
            return None;
        }
        let origin = Origin::new(desk.path(), TurnId(0));
        Some(origin.event(EventKind::RunStart {
            format: FORMAT,
            session: desk.session().clone(),
            model,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    /// Begins to watch.
    pub(super) fn watch(&self) -> EventWatch {
        let watcher = Arc::new(Watcher::default());
        let mut watchers = lock(&self.0.watchers);
        watchers.push(Arc::downgrade(&watcher));
        self.0.count.store(watchers.len(), Relaxed);
        EventWatch::new(watcher)
    }

    fn tell_watchers(&self, event: &Event) {
        let mut watchers = lock(&self.0.watchers);
        watchers.retain(|watcher| watcher.upgrade().is_some_and(|w| w.take(event)));
        self.0.count.store(watchers.len(), Relaxed);
    }
}

/// The one place in the line: whoever holds it numbers an event and tells it.
#[derive(Default)]
struct Line {
    seq: AtomicU64,
    place: Mutex<()>,
    /// Which thread holds the place; 0 when none does.
    holder: AtomicUsize,
    /// What the holder was told to tell while it told something.
    later: Mutex<VecDeque<Event>>,
    /// Whether there may be something.
    waits: AtomicBool,
}

/// The place in the line, until it is dropped.
struct Held<'a> {
    line: &'a Line,
    _place: MutexGuard<'a, ()>,
}

impl Line {
    fn after(seq: u64) -> Self {
        Self {
            seq: AtomicU64::new(seq),
            ..Self::default()
        }
    }

    fn next(&self) -> u64 {
        self.seq.fetch_add(1, Relaxed) + 1
    }

    fn is_held_here(&self) -> bool {
        self.holder.load(Relaxed) == here()
    }

    fn hold(&self) -> Held<'_> {
        let place = lock(&self.place);
        self.holder.store(here(), Relaxed);
        Held {
            line: self,
            _place: place,
        }
    }

    fn later(&self) -> MutexGuard<'_, VecDeque<Event>> {
        lock(&self.later)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.line.holder.store(0, Relaxed);
    }
}

/// What no other living thread has: a place in this one's own memory. A thread only ever asks
/// whether it has stored its own, so that the order in which others see it does not matter.
fn here() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Inner {
    fn drop(&mut self) {
        let watchers = self
            .watchers
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for watcher in watchers.iter().filter_map(Weak::upgrade) {
            watcher.close();
        }
    }
}
