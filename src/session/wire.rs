//! Where every event of a session passes: numbered, told to tracers, handed to those who watch.
//! Refuses to wait for anybody: who is too slow loses pieces of words, and is told how many.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use super::watch::{EventWatch, Watcher};
use crate::{
    backend::Grant,
    event::{Event, EventKind, FORMAT},
    id::TurnId,
    sink::Origin,
    store::Log,
    trace::Tracers,
};

/// Where every event of a session passes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    seq: AtomicU64,
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
            seq: AtomicU64::new(seq),
            begun: AtomicBool::new(false),
            tracers,
            log,
            watchers: Mutex::default(),
            count: AtomicUsize::new(0),
        }))
    }

    /// Numbers an event and tells everybody.
    pub(super) fn tell(&self, event: &mut Event) {
        event.seq = self.0.seq.fetch_add(1, Relaxed) + 1;
        self.0.log.tell(event);
        self.0.tracers.hear(event);
        if self.0.count.load(Relaxed) > 0 {
            self.tell_watchers(event);
        }
    }

    /// The first line of a run's log; nothing when it was told already.
    pub(super) fn first(&self, grant: &Grant, model: String) -> Option<Event> {
        if self.0.begun.swap(true, Relaxed) {
            return None;
        }
        let origin = Origin::new(grant.scope.path(), TurnId(0));
        Some(origin.event(EventKind::RunStart {
            format: FORMAT,
            session: grant.session.clone(),
            model,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    /// Begins to watch.
    pub(super) fn watch(&self) -> EventWatch {
        let watcher = Arc::new(Watcher::default());
        let mut watchers = self
            .0
            .watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watchers.push(Arc::downgrade(&watcher));
        self.0.count.store(watchers.len(), Relaxed);
        EventWatch::new(watcher)
    }

    fn tell_watchers(&self, event: &Event) {
        let mut watchers = self
            .0
            .watchers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.upgrade().is_some_and(|w| w.take(event)));
        self.0.count.store(watchers.len(), Relaxed);
    }
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
