//! What holds for one agent holds for its children and theirs: hooks, rules, and the invariants.
//! Refuses scenarios of its own where a table will do: the same scene runs at each depth.

mod doors;
mod hooks;
mod invariants;
mod permission;
mod rig;
