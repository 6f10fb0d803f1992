//! The agent tree by the front door: children, their events, their mail, their limits.
//! Refuses to look inside: everything is seen through sessions, events and the registry.

mod asking;
mod away;
mod basics;
mod bombs;
mod cancel;
mod chain;
mod drops;
mod groups;
mod limits;
mod mail;
mod many;
mod permits;
mod racing;
mod rings;
mod stage;
mod stubborn;
