//! Every test that enters by the front door, in one program: one file for each behaviour.
//! Refuses the private parts of the crate; those are tested beside the code.

#[cfg(all(feature = "cli", feature = "testing"))]
mod cli;
#[cfg(feature = "testing")]
mod examples;
mod kit;
#[cfg(feature = "local")]
mod offline;
#[cfg(feature = "testing")]
mod review;
#[cfg(feature = "testing")]
mod testing;
#[cfg(feature = "local")]
mod tools;
mod turn;
#[cfg(feature = "local")]
mod workspace;
