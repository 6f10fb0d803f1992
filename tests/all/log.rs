//! The session log by the front door: resume, fork, replay, and death at every record.
//! Refuses to know how a store keeps it; the same tests run on every store.

mod around;
mod away;
mod boundaries;
mod doubt;
mod durability;
mod faults;
mod fork;
mod format;
mod histories;
#[cfg(all(unix, feature = "sqlite"))]
mod kills;
#[cfg(feature = "local")]
mod large;
mod replay;
mod resume;
mod unread;
mod world;
