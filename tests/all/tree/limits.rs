//! What a tree may spend and how long its agents may take, seen from the root.
//! Refuses the books themselves; they have proofs of their own beside the code.

use std::time::Duration;

use futures::StreamExt;
use offshoot::{
    Agent, AgentKind, AgentKinds, Budget, Event, EventKind, NO_PROGRESS, Outcome, Price,
    StopReason, Usage,
    provider::Model,
    subagents,
    testing::{Answer, Scripted},
};
use serde_json::json;
use tokio::time::Instant;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, aside, ends, order, said, started},
};
use crate::kit::{echo, stop_of};

const CHILDREN: u64 = 20;
const CALL: u64 = 100;

fn costly(answer: Answer) -> Answer {
    answer.usage(Usage {
        input: CALL - 10,
        output: 10,
        ..Usage::default()
    })
}

/// Twenty children that never stop asking.
fn thirsty() -> Scripted {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("go", 0) => costly((0..CHILDREN).fold(Answer::empty(), |answer, _| {
            answer.call("Agent", order("drink"))
        })),
        ("go", _) => costly(Answer::text("done")),
        _ => costly(Answer::empty().call("echo", json!({"text": "more"}))),
    });
    // A dollar for a million tokens: a token is a millionth.
    let mut priced = Model::unknown("scripted", "scripted");
    priced.price = Some(Price::per_million(1.0, 1.0));
    model.as_model(priced)
}

async fn drink(limits: Budget) -> Vec<Event> {
    let mut stage = Stage::new(agent(thirsty(), [echo()]), limits).await;
    let events: Vec<_> = stage.session.submit_message("go").collect().await;
    assert_eq!(started(&events) as u64, CHILDREN);
    stage.close().await;
    events
}

fn spent(events: &[Event]) -> (Usage, u64) {
    match events.last().map(|event| &event.kind) {
        Some(EventKind::TurnEnd { usage, cost, .. }) => (*usage, cost.micros),
        other => panic!("no end: {other:?}"),
    }
}

fn is_spent(stop: &StopReason, name: &str) -> bool {
    matches!(stop, StopReason::BudgetSpent { limit } if limit == name)
}

#[tokio::test]
async fn invariant_7_a_limit_of_the_root_holds_over_twenty_children() {
    let limit = 5_000;
    let over = limit + CHILDREN * CALL;
    let events = drink(Budget::unlimited().tokens(limit)).await;
    assert!(
        is_spent(stop_of(&events), "tokens"),
        "{:?}",
        stop_of(&events)
    );
    let tokens = spent(&events).0.total();
    assert!((limit..over).contains(&tokens), "{tokens}");
    let told = ends(&events);
    assert!(told.iter().all(|end| end.1 == Outcome::Failed), "{told:?}");
    assert!(told.iter().all(|end| end.2.contains("tokens")), "{told:?}");

    let events = drink(Budget::unlimited().dollars(limit as f64 / 1e6)).await;
    assert!(
        is_spent(stop_of(&events), "money"),
        "{:?}",
        stop_of(&events)
    );
    let micros = spent(&events).1;
    assert!((limit..over).contains(&micros), "{micros}");

    let events = drink(Budget::unlimited().turns(77)).await;
    assert!(
        is_spent(stop_of(&events), "turns"),
        "{:?}",
        stop_of(&events)
    );
    assert_eq!(
        spent(&events).0.requests,
        77,
        "calls are counted before they are made"
    );
}

/// The twin: without a limit of the root each child goes on to its own.
#[tokio::test]
async fn twin_without_a_limit_every_child_drinks_on() {
    let events = drink(Budget::unlimited()).await;
    let tokens = spent(&events).0.total();
    assert_eq!(tokens, CALL * (CHILDREN * Agent::DEFAULT_MAX_STEPS + 2));
}

fn sipping(kind: AgentKind, model: Scripted) -> Agent {
    let kinds = AgentKinds::none().with(kind).unwrap();
    Agent::builder(model)
        .tools(subagents(kinds))
        .tool(echo())
        .build()
        .unwrap()
}

fn sip(prompt: &str) -> serde_json::Value {
    json!({"description": "sip", "prompt": prompt, "subagent_type": "sipper"})
}

#[tokio::test]
async fn a_kind_has_a_budget_of_its_own_and_its_parent_goes_on() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("go", 0) => Answer::empty().call("Agent", sip("drink")),
        ("go", _) => Answer::text(said(&seen.messages)[0].1.clone()),
        _ => Answer::text("a sip").call("echo", json!({"text": "more"})),
    });
    let kind = AgentKind::new("sipper", "sips").budget(Budget::unlimited().turns(2));
    let mut stage = Stage::new(sipping(kind, model), Budget::unlimited()).await;
    let outcome = stage.session.submit_message("go").finish().await;
    assert_eq!(outcome.stop, StopReason::Finished);
    assert!(
        outcome.text.contains("the limit of 2 model calls") || outcome.text.contains("turns"),
        "{}",
        outcome.text
    );
    assert!(
        outcome.text.contains("a sip"),
        "its words are kept: {}",
        outcome.text
    );
    assert_eq!(outcome.usage.requests, 4);
    stage.close().await;
}

/// Of 1,500 tokens each child is given 1,000 and uses 100.
fn three(orders: fn(usize) -> usize) -> Agent {
    let model = by_prompt(move |seen, first| match first {
        "go" => match orders(steps(seen)) {
            0 => costly(Answer::text("done")),
            n => costly((0..n).fold(Answer::empty(), |a, _| a.call("Agent", sip("drink")))),
        },
        _ => costly(Answer::text("a sip")),
    });
    sipping(
        AgentKind::new("sipper", "sips").budget(Budget::unlimited().tokens(1_000)),
        model,
    )
}

#[tokio::test]
async fn what_a_child_does_not_use_comes_back_at_its_end() {
    let one_by_one = three(|step| usize::from(step < 3));
    let mut stage = Stage::new(one_by_one, Budget::unlimited().tokens(1_500)).await;
    let outcome = stage.session.submit_message("go").finish().await;
    assert_eq!(outcome.stop, StopReason::Finished);
    assert_eq!(outcome.usage.total(), 7 * CALL);
    assert_eq!(stage.meter.tokens_left(), Some(1_500 - 7 * CALL));
    assert_eq!(started(&stage.close().await), 3);

    // The twin: while they live what they were given is out of reach, and the third gets nothing.
    let together = three(|step| if step == 0 { 3 } else { 0 });
    let mut stage = Stage::new(together, Budget::unlimited().tokens(1_500)).await;
    let outcome = stage.session.submit_message("go").finish().await;
    assert_eq!(outcome.stop, StopReason::Finished);
    let told = said(&stage.session.history());
    assert!(
        told[2].1.contains("`tokens`") && told[2].1.contains("held"),
        "{told:?}"
    );
    assert_eq!(started(&stage.close().await), 2);
}

#[tokio::test(start_paused = true)]
async fn a_child_past_its_deadline_is_timed_out_and_its_siblings_are_not() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("go", 0) => Answer::empty()
            .call(
                "Agent",
                json!({"description": "slow", "prompt": "slow", "deadline": 5}),
            )
            .call("Agent", order("quick")),
        ("go", _) => Answer::text("done"),
        ("slow", _) => Answer::text("half a word").stall_after(2),
        _ => Answer::text("one two three").pause(Duration::from_secs(4)),
    });
    let mut stage = Stage::new(agent(model, []), Budget::unlimited()).await;
    let since = Instant::now();
    let events: Vec<_> = stage.session.submit_message("go").collect().await;
    let took = since.elapsed().as_secs();
    assert!(
        (20..=21).contains(&took),
        "the sibling took its time: {took} s"
    );
    assert_eq!(*stop_of(&events), StopReason::Finished);
    let told = ends(&events);
    let how: Vec<_> = told.iter().map(|end| (&*end.0, end.1)).collect();
    assert_eq!(
        how,
        [
            ("root/general-purpose/1", Outcome::TimedOut),
            ("root/general-purpose/2", Outcome::Ok)
        ]
    );
    assert!(told[0].2.contains("ran past its deadline"), "{}", told[0].2);
    let stalled = |e: &Event| matches!(e.kind, EventKind::Stalled { .. });
    assert!(!events.iter().any(stalled), "late is not stuck");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_from_which_nothing_comes_is_said_to_be_stuck_and_ends() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("go", 0) => Answer::empty()
            .call("Agent", order("mute"))
            .call("Agent", aside("slow")),
        ("slow", _) => Answer::text("one two three").pause(NO_PROGRESS * 4 / 10),
        ("mute", _) => Answer::text("never said").stall_after(0),
        ("go", 1) => Answer::text("waiting"),
        _ => Answer::text("done"),
    });
    let mut stage = Stage::new(agent(model, []), Budget::unlimited()).await;
    let since = Instant::now();
    let mut turn = stage.session.submit_message("go");
    let (mut stalled, mut events) = (Vec::new(), Vec::new());
    while let Some(event) = turn.next().await {
        if let EventKind::Stalled { agents, reason } = &event.kind {
            stalled.push((since.elapsed(), agents[0].to_string(), reason.clone()));
        }
        events.push(event);
    }
    drop(turn);
    assert_eq!(
        stalled.len(),
        1,
        "who speaks now and then is not stuck: {stalled:?}"
    );
    let (when, who, why) = &stalled[0];
    assert_eq!(who, "root/general-purpose/1");
    assert!(why.contains("model"), "{why}");
    let late = when.saturating_sub(NO_PROGRESS);
    assert!(
        *when >= NO_PROGRESS && late < Duration::from_secs(5),
        "{when:?}"
    );
    let told = ends(&events);
    let how: Vec<_> = told.iter().map(|end| (&*end.0, end.1)).collect();
    assert_eq!(
        how,
        [
            ("root/general-purpose/1", Outcome::TimedOut),
            ("root/general-purpose/2", Outcome::Ok)
        ]
    );
    stage.close().await;
}
