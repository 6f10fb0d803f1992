//! Many agents: long chains and wide trees cost what their number says.
//! Refuses recursion: whatever is freed last frees a chain of ten thousand.

#![expect(clippy::print_stdout, reason = "a proof prints the figures it saw")]

use std::time::Instant;

use super::*;
use crate::message::{Note, Urgency};

const LONG: usize = 10_000;

/// A chain in which everybody waits for the one below, as foreground agents do.
fn chain(length: usize) -> (AgentRegistry, Vec<(Seat, Option<WaitOn>)>) {
    let (registry, root) = planted();
    let mut seats = vec![(root, None)];
    for _ in 0..length {
        let (above, wait) = seats.last_mut().unwrap();
        let below = child(above, "link");
        let path = below.path().clone();
        *wait = Some(above.desk().wait_on(&contact(above, &below)).unwrap());
        assert_eq!(path.depth(), above.path().depth() + 1);
        seats.push((below, None));
    }
    (registry, seats)
}

#[test]
fn a_chain_of_ten_thousand_agents_is_cancelled_listed_and_freed() {
    for from_below in [true, false] {
        let (registry, mut seats) = chain(LONG);
        assert_eq!(registry.len(), LONG + 1);
        let (leaf, _) = seats.last().unwrap();
        // The very last waits for the very first: found, named, and cut when it is printed.
        let stall = leaf
            .desk()
            .wait_on(&contact(leaf, &seats[0].0))
            .unwrap_err();
        assert_eq!(stall.cycle.len(), LONG + 1);
        let receipt = seats[0].0.scope().cancel();
        assert_eq!(receipt.agents().len(), LONG + 1);
        assert!(receipt.to_string().ends_with("more"));
        if from_below {
            while let Some(lowest) = seats.pop() {
                drop(lowest);
            }
        }
        drop(seats);
        assert!(registry.is_empty());
    }
}

#[test]
fn the_cost_of_a_chain_is_linear() {
    let cost = |length| {
        let best = (0..3).map(|_| {
            let start = Instant::now();
            let (registry, seats) = chain(length);
            seats[0].0.scope().cancel();
            drop(seats);
            assert!(registry.is_empty());
            start.elapsed()
        });
        best.min().unwrap()
    };
    let (short, long) = (cost(LONG / 10), cost(LONG));
    let ratio = long.as_secs_f64() / short.as_secs_f64();
    println!("chain of 1,000: {short:?}, of 10,000: {long:?}, ratio {ratio:.1}");
    assert!(
        ratio < 40.0,
        "ten times the length, {ratio:.1} times the cost; squared is 100"
    );
}

#[tokio::test]
async fn one_of_many_idle_agents_is_woken_alone() {
    let count = size(10_000, 100_000);
    let registry = AgentRegistry::new();
    let idle: Vec<_> = (0..count)
        .map(|n| registry.root(SessionId::new(format!("s{n}")), &Scope::root()))
        .collect();
    let scope = Scope::root();
    let mailbox = idle[count / 2].mailbox().clone();
    let wait = mailbox.arrived();
    let woken = scope.spawn(async move {
        wait.await;
        Instant::now()
    });
    tokio::task::yield_now().await;
    let session = SessionId::new(format!("s{}", count / 2));
    let start = Instant::now();
    let row = registry.find(&session, &AgentPath::root()).unwrap();
    assert_eq!(row.id, *idle[count / 2].id());
    mailbox
        .push(Note {
            from: "test".into(),
            text: "wake up".into(),
            urgency: Urgency::WhenIdle,
        })
        .unwrap();
    let woken = soon(woken).await.unwrap() - start;
    println!("found and woken in {woken:?} among {count}");
    assert!(woken < Duration::from_millis(100), "{woken:?}");
    drop(idle);
    assert!(registry.is_empty() && registry.0.trees.is_empty());
}
