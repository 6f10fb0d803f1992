//! A bell that many may listen to: whoever notes its mark first and looks then misses no ring.
//! Refuses to carry anything: what the ring means is looked up where it is kept.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use super::sync::{Mutex, MutexGuard};

/// A bell. Cheap to clone; every clone is the same bell.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<Mutex<Ring>>);

#[derive(Default)]
struct Ring {
    /// How often it was rung.
    rung: u64,
    sleepers: Sleepers,
}

impl Bell {
    /// How often it was rung so far. Take the mark, look, then wait for what comes
    /// [`after`](Self::after) it.
    pub(super) fn mark(&self) -> u64 {
        self.ring_state().rung
    }

    /// Wakes everybody who listens.
    pub(super) fn ring(&self) {
        let mut state = self.ring_state();
        state.rung += 1;
        let woken = state.sleepers.all();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Ends once it was rung after the mark was taken.
    pub(super) fn after(&self, mark: u64) -> After {
        After {
            bell: self.clone(),
            mark,
            id: None,
        }
    }

    fn ring_state(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}

/// A wait for a ring.
pub(super) struct After {
    bell: Bell,
    mark: u64,
    id: Option<u64>,
}

impl Future for After {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.bell.ring_state();
        if state.rung != this.mark {
            state.sleepers.forget(&mut this.id);
            return Poll::Ready(());
        }
        state.sleepers.lie_down(&mut this.id, cx.waker());
        Poll::Pending
    }
}

impl Drop for After {
    fn drop(&mut self) {
        if self.id.is_some() {
            self.bell.ring_state().sleepers.forget(&mut self.id);
        }
    }
}

/// Tasks that want to be woken. Kept under the lock of what they wait for, so that nothing changes
/// between their look and their sleep.
#[derive(Default)]
pub(super) struct Sleepers {
    next: u64,
    asleep: Vec<(u64, Waker)>,
}

impl Sleepers {
    /// Puts a waiter to sleep under the number it has or is given now.
    pub(super) fn lie_down(&mut self, id: &mut Option<u64>, waker: &Waker) {
        let known = id.and_then(|id| self.asleep.iter_mut().find(|(other, _)| *other == id));
        match known {
            Some((_, old)) => old.clone_from(waker),
            None => {
                *id = Some(self.next);
                self.asleep.push((self.next, waker.clone()));
                self.next += 1;
            }
        }
    }

    /// Forgets a waiter that does not wait any more.
    pub(super) fn forget(&mut self, id: &mut Option<u64>) {
        if let Some(id) = id.take() {
            self.asleep.retain(|(other, _)| *other != id);
        }
    }

    /// Takes out everybody, to be woken once the lock is given back.
    pub(super) fn all(&mut self) -> Vec<Waker> {
        let all = std::mem::take(&mut self.asleep);
        all.into_iter().map(|(_, waker)| waker).collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.asleep.is_empty()
    }
}
