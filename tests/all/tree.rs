//! The agent tree by the front door: children, their events, their mail, their limits.
//! Refuses to look inside: everything is seen through sessions, events and the registry.

mod basics;
mod cancel;
mod chain;
mod racing;
mod stage;
