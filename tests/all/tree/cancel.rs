//! Cancels of large trees: everybody hears of it, everybody is named, nothing is left.
//! Refuses races; what happens at the same moment is next door.

use std::time::{Duration, Instant};

use futures::StreamExt;
use offshoot::{Budget, EventKind, Outcome, StopReason, testing::Answer};

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, aside, ends, order},
};
use crate::kit::echo;

const BRANCHES: usize = 20;
const LEAVES: usize = 9;
const CHILDREN: usize = BRANCHES * (1 + LEAVES);

/// Twenty agents with nine each, whose model never answers.
fn broad(open: fn(String) -> serde_json::Value) -> offshoot::testing::Scripted {
    by_prompt(move |seen, first| match (first, steps(seen)) {
        ("leaf", _) => Answer::text("never said").stall_after(0),
        ("branch", 0) => (0..LEAVES).fold(Answer::empty(), |a, _| a.call("Agent", order("leaf"))),
        ("go", 0) => (0..BRANCHES).fold(Answer::empty(), |a, _| {
            a.call("Agent", open("branch".into()))
        }),
        (_, 1) if seen.messages.last().unwrap().text() == "again" => {
            Answer::empty().call("echo", serde_json::json!({"text": "a permit"}))
        }
        _ => Answer::text("done"),
    })
}

fn raised() -> Budget {
    Budget::unlimited().live(1_000).spawns(1_000)
}

#[tokio::test]
async fn invariant_11_a_cancel_ends_two_hundred_agents_and_names_each() {
    let bound = offshoot::CANCEL_GRACE + offshoot::TREE_GRACE;
    let mut took = Vec::new();
    // What else runs on this machine may take its time from one of them.
    while took.len() < 3 && took.last().is_none_or(|last| *last >= bound) {
        took.push(cancelled().await);
    }
    println!("cancel of {CHILDREN} agents: {took:?}");
    assert!(took.last().is_some_and(|last| *last < bound), "{took:?}");
}

/// Cancels all of them; how long it took until the last had ended.
async fn cancelled() -> Duration {
    let model = broad(order);
    let mut stage = Stage::with(agent(model.clone(), [echo()]), |session| {
        session.budget(raised()).parallel_tools(1)
    })
    .await;
    let handle = stage.session.handle();
    let registry = stage.registry.clone();
    let mut turn = stage.session.submit_message("go");
    let cancel = async {
        super::stage::until("two hundred agents", || {
            registry.len() == CHILDREN + 1 && model.open() == BRANCHES * LEAVES
        })
        .await;
        let living: Vec<_> = registry.list().into_iter().map(|row| row.path).collect();
        let since = Instant::now();
        (handle.cancel(), living, since)
    };
    let mut events = Vec::new();
    let drain = async {
        while let Some(event) = turn.next().await {
            events.push(event);
        }
        Instant::now()
    };
    let ((receipt, mut living, since), until) = tokio::join!(cancel, drain);
    let mut named = receipt.agents();
    named.sort();
    living.sort();
    assert_eq!(named, living, "the receipt names who lived");
    assert_eq!(named.len(), CHILDREN + 1);
    drop(turn);
    assert_eq!(stage.registry.len(), 1, "the root alone");
    assert_eq!(model.open(), 0, "no answer is read any more");
    assert_eq!(stage.permits.available_permits(), 1);
    let ends = ends(&events);
    assert_eq!(ends.len(), CHILDREN);
    assert!(ends.iter().all(|end| end.1 == Outcome::Interrupted));
    assert!(matches!(
        events.last().map(|event| &event.kind),
        Some(EventKind::TurnEnd { stop: StopReason::Cancelled, children, .. }) if children.is_empty()
    ));
    let outcome = stage.session.submit_message("again").finish().await;
    assert_eq!(outcome.stop, StopReason::Finished, "the next message works");
    stage.close().await;
    until - since
}

/// The twin: children that are not below the turn are not reached by its cancel, and the count sees
/// them. They end with their session.
#[tokio::test]
async fn twin_agents_outside_the_turn_outlive_its_cancel() {
    let model = broad(aside);
    let mut stage = Stage::new(agent(model.clone(), []), raised()).await;
    let handle = stage.session.handle();
    let registry = stage.registry.clone();
    let cancel = async {
        super::stage::until("two hundred agents", || {
            registry.len() == CHILDREN + 1 && model.open() == BRANCHES * LEAVES
        })
        .await;
        handle.cancel()
    };
    let turn = stage.session.submit_message("go").finish();
    let (receipt, outcome) = tokio::join!(cancel, turn);
    assert_eq!(outcome.stop, StopReason::Cancelled);
    assert_eq!(receipt.agents().len(), 1, "only the root's turn");
    assert_eq!(stage.registry.len(), CHILDREN + 1, "they live on");
    let events = stage.close().await;
    assert_eq!(ends(&events).len(), CHILDREN);
}
