//! The session log by the front door: resume, fork, replay, and death at every record.
//! Refuses to know how a store keeps it; the same tests run on every store.

mod boundaries;
mod fork;
mod histories;
#[cfg(feature = "local")]
mod large;
mod replay;
mod resume;
mod world;
