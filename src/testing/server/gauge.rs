//! Counts what is open on the server, and lets streams wait for each other.
//! Refuses to know what the streams carry.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use tokio::sync::watch;

/// What is open now, what was open at most, and who waits for whom.
#[derive(Default)]
pub(super) struct Gauge {
    open: AtomicUsize,
    peak: AtomicUsize,
    connections: AtomicUsize,
    rounds: Mutex<HashMap<usize, Arc<Round>>>,
    changed: watch::Sender<u64>,
}

/// Streams that wait until there are enough of them.
struct Round {
    waiting: AtomicUsize,
    released: watch::Sender<bool>,
}

impl Gauge {
    /// Counts one answer until the guard is dropped.
    pub(super) fn open(self: &Arc<Self>) -> OpenStream {
        let now = self.open.fetch_add(1, SeqCst) + 1;
        self.peak.fetch_max(now, SeqCst);
        self.touch();
        OpenStream(self.clone())
    }

    /// Counts one connection until the guard is dropped; `None` when there are `most` already.
    pub(super) fn connect(self: &Arc<Self>, most: usize) -> Option<OpenConnection> {
        let more = |now| (now < most).then_some(now + 1);
        self.connections.fetch_update(SeqCst, SeqCst, more).ok()?;
        self.touch();
        Some(OpenConnection(self.clone()))
    }

    pub(super) fn open_streams(&self) -> usize {
        self.open.load(SeqCst)
    }

    pub(super) fn peak_streams(&self) -> usize {
        self.peak.load(SeqCst)
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(SeqCst)
    }

    /// Says that something may have changed, to those who watch.
    pub(super) fn touch(&self) {
        self.changed
            .send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Changes with every change of the counts.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until `n` streams wait here at the same time; then all of them go on.
    ///
    /// Cancel safety: a stream that gives up no longer counts.
    pub(super) async fn hold(&self, n: usize) {
        let round = {
            let mut rounds = self.rounds();
            let round = rounds.entry(n).or_insert_with(Round::begin).clone();
            if round.waiting.fetch_add(1, SeqCst) + 1 >= n {
                rounds.remove(&n);
                round.released.send_replace(true);
                return;
            }
            round
        };
        let _place = Place {
            gauge: self,
            round: &round,
        };
        let mut released = round.released.subscribe();
        // The sender lives in `round`, so this cannot fail.
        released.wait_for(|released| *released).await.ok();
    }

    fn rounds(&self) -> MutexGuard<'_, HashMap<usize, Arc<Round>>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Round {
    fn begin() -> Arc<Self> {
        Arc::new(Self {
            waiting: AtomicUsize::new(0),
            released: watch::Sender::new(false),
        })
    }
}

/// One stream's place in a round.
struct Place<'a> {
    gauge: &'a Gauge,
    round: &'a Round,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let _rounds = self.gauge.rounds();
        self.round.waiting.fetch_sub(1, SeqCst);
    }
}

/// One answer in progress.
pub(super) struct OpenStream(Arc<Gauge>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
        self.0.touch();
    }
}

/// One open connection.
pub(super) struct OpenConnection(Arc<Gauge>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, SeqCst);
        self.0.touch();
    }
}
