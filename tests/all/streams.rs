//! The vendors' streams under `tests/data/streams`, by the front door: over real HTTP, through the
//! real providers. Refuses to decide alone what a stream means: the vendors' SDKs have said so.

mod chunks;
mod cuts;
mod differences;
mod mangled;
mod novelties;
mod reading;
mod sessions;
mod vectors;
