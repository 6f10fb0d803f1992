//! Every test that enters by the front door, in one program: one file for each behaviour.
//! Refuses the private parts of the crate; those are tested beside the code.

mod ask;
mod bench_gate;
#[cfg(all(feature = "cli", feature = "testing"))]
mod cli;
#[cfg(all(feature = "cli", feature = "testing"))]
mod cli_sessions;
#[cfg(all(unix, feature = "cli", feature = "testing"))]
mod cli_tree;
mod compaction;
mod depth;
mod dispatch;
mod events;
#[cfg(feature = "testing")]
mod examples;
mod floods;
mod hooks;
#[cfg(feature = "testing")]
mod import;
mod invariants;
mod kit;
#[cfg(feature = "testing")]
mod log;
mod naive;
#[cfg(feature = "local")]
mod offline;
mod permission;
#[cfg(all(feature = "cli", feature = "testing"))]
mod pty;
#[cfg(all(unix, feature = "cli", feature = "testing"))]
mod pty_tree;
mod retry;
#[cfg(feature = "testing")]
mod review;
mod sessions;
#[cfg(all(unix, feature = "local", feature = "testing"))]
mod settings;
mod steer;
#[cfg(all(feature = "sqlite", feature = "testing"))]
mod store;
#[cfg(feature = "testing")]
mod streams;
#[cfg(feature = "testing")]
mod testing;
#[cfg(feature = "local")]
mod tools;
mod tree;
mod turn;
#[cfg(feature = "local")]
mod workspace;
