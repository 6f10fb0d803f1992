//! What a receipt says: who lived, in which phase, and nobody who did not.
//! Refuses chance: what races is made to happen at the worst moment.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
};

use super::*;

fn working(agent: &Scope) -> Stopped {
    Stopped {
        agent: agent.path().clone(),
        phase: Phase::Working,
    }
}

#[test]
fn every_living_agent_is_on_the_receipt_and_an_idle_place_is_not() {
    let root = Scope::root();
    let (busy, waits, idle) = (root.child("busy"), root.child("waits"), root.child("idle"));
    let gone = root.child("gone");
    let _lives = [busy.occupy(), waits.occupy()];
    drop(gone.occupy());
    // Waits in parts of an agent's life are the agent's.
    let tools = [waits.part(), waits.part().part()];
    let _waits = [
        tools[0].waiting(WaitFor::Tool("Read".into())),
        tools[1].waiting(WaitFor::Permit),
    ];
    assert_eq!(
        waits.agent_waits(),
        [WaitFor::Tool("Read".into()), WaitFor::Permit]
    );
    assert_eq!(root.agent_waits(), [], "not what agents below wait for");
    let below = waits.child("below");
    let _below = below.occupy();

    let receipt = root.cancel();
    assert_eq!(
        receipt.stopped,
        [
            working(&busy),
            super::waiting(waits.path(), WaitFor::Tool("Read".into())),
            super::waiting(waits.path(), WaitFor::Permit),
            working(&below),
        ]
    );
    let agents = [
        busy.path().clone(),
        waits.path().clone(),
        below.path().clone(),
    ];
    assert_eq!(receipt.agents(), agents);
    assert!(idle.is_cancelled() && gone.is_cancelled());
}

#[test]
fn an_agent_and_its_turn_are_one() {
    let scope = Scope::root();
    let turn = scope.part();
    let _lives = [scope.occupy(), turn.occupy(), turn.part().occupy()];
    assert_eq!(
        turn.cancel().stopped,
        [working(&turn)],
        "the turn alone is stopped"
    );
    assert_eq!(
        scope.cancel().stopped,
        [working(&scope)],
        "the turn was told of before"
    );
    assert!(scope.cancel().is_empty());
}

#[test]
fn what_comes_after_the_cancel_is_born_cancelled_and_not_told_of() {
    let root = Scope::root();
    let child = root.child("child");
    assert!(root.cancel().is_empty());
    let late = child.child_at(child.path().nth("late", 3)).part();
    let _lives = [child.occupy(), late.occupy()];
    let _waits = late.waiting(WaitFor::Mail);
    assert!(late.is_cancelled());
    assert_eq!(late.path().as_str(), "root/child/late/3");
    assert_eq!(late.depth(), 2);
    assert!(child.cancel().is_empty() && late.cancel().is_empty());
    assert_eq!(
        futures::FutureExt::now_or_never(late.race(async {})),
        Some(None)
    );
}

#[test]
fn receipts_are_one_line_and_join() {
    let root = Scope::root();
    assert_eq!(root.cancel().to_string(), "stopped nothing");

    let root = Scope::root();
    let child = root.child_at(root.path().nth("explore", 1));
    let _waits = [
        child.waiting(WaitFor::Model("x".into())),
        child.waiting(WaitFor::Room("live children".into())),
    ];
    let _lives = root.occupy();
    let receipt = root.cancel();
    assert_eq!(
        receipt.to_string(),
        "stopped 2 agents: root (working), \
         root/explore/1 (model `x`, room under the limit `live children`)"
    );

    let other = Scope::root();
    let lives: Vec<_> = (0..30).map(|_| other.child("many").occupy()).collect();
    let _one = other.child("hook").waiting(WaitFor::Hook("h".into()));
    let _two = other.child("run").waiting(WaitFor::Process("make".into()));
    let mut sum = Receipt::default();
    sum.merge(receipt);
    sum.merge(other.cancel());
    assert_eq!(sum.stopped.len(), 3 + lives.len() + 2);
    assert_eq!(sum.agents().len(), 5, "each place once");

    let crowd = Scope::root();
    let places: Vec<_> = (0..25)
        .map(|n| crowd.child_at(crowd.path().nth("a", n)))
        .collect();
    let lives: Vec<_> = places.iter().map(Scope::occupy).collect();
    let line = crowd.cancel().to_string();
    assert!(
        line.starts_with("stopped 25 agents: root/a/0 (working), "),
        "{line}"
    );
    assert!(line.ends_with("root/a/19 (working), and 5 more"), "{line}");
    drop(lives);
}

/// Leaves the moment it is woken, as a task on another thread might.
struct Leaves(Mutex<Option<Occupied>>);

impl Wake for Leaves {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().take();
    }
}

/// A parent that lets go of its child as soon as it hears of the cancel.
fn heard_of_by(cancel: impl FnOnce(&Scope) -> Receipt) -> Vec<AgentPath> {
    let root = Scope::root();
    let child = root.child("child");
    let leaves = Arc::new(Leaves(Mutex::new(Some(child.occupy()))));
    let waker = Waker::from(leaves.clone());
    let mut told = Box::pin(root.cancelled());
    assert!(
        told.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let receipt = cancel(&root);
    assert!(leaves.0.lock().unwrap().is_none(), "the parent has heard");
    receipt.agents()
}

#[test]
fn nobody_hears_of_a_cancel_before_everybody_is_on_the_receipt() {
    let child = AgentPath::root().child("child");
    assert_eq!(heard_of_by(Scope::cancel), [child]);
}

#[test]
fn twin_a_cancel_that_tells_while_it_walks_loses_who_lived() {
    // The same walk, one place at a time, each told when it is met.
    let heard = heard_of_by(|scope| {
        scope.0.token.cancel();
        scope.cancel()
    });
    assert!(heard.is_empty(), "the fault must be seen: {heard:?}");
}
