//! Seats, desks and waits, one at a time and under threads.
//! Refuses sleeps: what is waited for is an event.

use std::{future::Future, time::Duration};

use super::*;
use crate::event::Ground;

mod circles;
mod growth;
#[cfg(offshoot_loom)]
mod models;
mod seats;
mod trials;
mod watching;

fn newcomer<'a>(kind: &'a str, scope: &'a Scope) -> Newcomer<'a> {
    Newcomer {
        kind,
        description: "a test",
        ground: Ground::Background,
        scope,
    }
}

/// A registry of its own with one tree.
fn planted() -> (AgentRegistry, Seat) {
    let registry = AgentRegistry::new();
    let root = registry.root(SessionId::new("s1"), &Scope::root());
    (registry, root)
}

fn child(of: &Seat, kind: &str) -> Seat {
    of.enroll(newcomer(kind, of.scope()))
}

fn contact(from: &Seat, to: &Seat) -> Contact {
    // By id: to spell the paths of a whole chain out would cost the square of its length.
    match from.desk().reach(to.id().as_str()) {
        Reached::Alive(contact) => contact,
        other => panic!("{}: {other:?}", to.path()),
    }
}

/// What ends by itself does so soon; what does not is a lost wakeup.
async fn soon<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(10);
    let ended = tokio::time::timeout(limit, future).await;
    ended.expect("a wakeup was lost")
}

/// The smaller size of a proof, or the whole of it under `OFFSHOOT_PROOF=full`.
fn size(ci: usize, full: usize) -> usize {
    let whole = std::env::var("OFFSHOOT_PROOF").is_ok_and(|size| size == "full");
    if whole { full } else { ci }
}

/// Chances that a seed repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}
