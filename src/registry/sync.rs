//! The locks and atomics of this room, so that a model checker can put its own in their place.
//! Refuses anything else of `std::sync`: what the models do not need to see is named where it is used.

#[cfg(not(all(test, offshoot_loom)))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};

#[cfg(all(test, offshoot_loom))]
pub(super) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};
