//! The floors: what the same turns cost without this crate.
//! Refuses a change of any of them unseen: their hashes stand in BENCHMARKS.md.

pub(crate) mod bare;
pub(crate) mod careful;
pub(crate) mod obvious;
