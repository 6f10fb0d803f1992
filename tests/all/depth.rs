//! What holds for one agent holds for its children and theirs: hooks, rules, and the invariants.
//! Refuses scenarios of its own where a table will do: the same scene runs at each depth.

mod doors;
mod engine;
mod guards;
mod hooks;
mod invariants;
#[cfg(all(unix, feature = "cli", feature = "testing"))]
mod narrow;
mod permission;
mod rig;
#[cfg(all(unix, feature = "cli", feature = "testing"))]
mod trust;
