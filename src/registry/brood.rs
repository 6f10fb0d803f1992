//! How many children of an agent live, and the bell that rings when one has left.
//! Refuses to know who they are.

use super::{
    bell::{After, Bell},
    sync::{AtomicUsize, Ordering},
};

/// The count of an agent's living children.
#[derive(Debug, Default)]
pub(super) struct Brood {
    living: AtomicUsize,
    bell: Bell,
}

impl Brood {
    pub(super) fn enter(&self) {
        self.living.fetch_add(1, Ordering::Relaxed);
    }

    /// A child has left. What it did before, its last note above all, is seen by whoever sees the
    /// smaller count.
    pub(super) fn leave(&self) {
        self.living.fetch_sub(1, Ordering::Release);
    }

    /// Wakes who waits for a child to leave; after [`leave`](Self::leave), without any lock.
    pub(super) fn tell(&self) {
        self.bell.ring();
    }

    /// Whether a child lives.
    pub(super) fn any(&self) -> bool {
        self.living.load(Ordering::Acquire) > 0
    }

    /// Ends when a child leaves after this call.
    pub(super) fn changed(&self) -> After {
        self.bell.after(self.bell.mark())
    }
}
