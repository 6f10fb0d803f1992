//! Chains of agents, each opened by the one above: no stack, and time that grows with the length.
//! Refuses figures: what it costs is compared with half of it in the same run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use offshoot::{
    Agent, AgentBuilder, AgentKind, AgentKinds, Budget, Hook, HookContext, StopReason, ToolCall,
    Verdict, subagents, testing::Answer,
};
use serde_json::{Value, json};

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, started},
};
use crate::kit::{busy, noticed, shared, size, status_kib, work};

/// What a chain has cost: time of this thread, on which all of it runs, and memory when all live.
struct Cost {
    time: Duration,
    kib: u64,
}

/// A chain of so many agents below the root; the last one calls a tool when all of them live.
async fn chain(length: u64, dress: impl FnOnce(AgentBuilder) -> AgentBuilder) -> Cost {
    let model = by_prompt(|seen, first| match (first.parse::<u64>(), steps(seen)) {
        (Ok(left @ 1..), 0) => Answer::empty().call(
            "Agent",
            json!({
                "description": "next",
                "prompt": (left - 1).to_string(),
                "subagent_type": "k",
            }),
        ),
        (Ok(0), 0) => Answer::empty().call("weigh", json!({})),
        _ => Answer::text("ok"),
    });
    let kinds = AgentKinds::none()
        .with(AgentKind::new("k", "a link"))
        .unwrap();
    let weight = Arc::new(AtomicU64::new(0));
    let scales = weight.clone();
    let weigh = work(shared("weigh"), move |_, _| {
        scales.store(status_kib("VmRSS:"), SeqCst);
        async { "weighed".into() }
    });
    let agent = Agent::builder(model).tools(subagents(kinds)).tool(weigh);
    let limits = Budget::unlimited()
        .depth(length)
        .live(length)
        .spawns(length);
    let mut stage = Stage::new(dress(agent).build().unwrap(), limits).await;
    let (since, before) = (busy(), status_kib("VmRSS:"));
    let turn = stage.session.submit_message(length.to_string());
    let outcome = turn.finish().await;
    let time = busy() - since;
    assert_eq!(outcome.stop, StopReason::Finished);
    assert_eq!(outcome.text, "ok");
    assert_eq!(outcome.usage.requests, 2 * (length + 1));
    let events = stage.close().await;
    assert_eq!(started(&events) as u64, length);
    let kib = weight.load(SeqCst).saturating_sub(before);
    Cost { time, kib }
}

/// Twice the length costs twice the time, give or take; the square of it would be four times.
///
/// The least of three of each is compared: what else runs here makes a run dearer, never cheaper.
async fn grows_with_its_length(length: u64, dress: fn(AgentBuilder) -> AgentBuilder) {
    // The first one also pays for what is set up once.
    chain(length / 4, dress).await;
    let (mut half, mut whole) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        half = half.min(chain(length / 2, dress).await.time);
        let cost = chain(length, dress).await;
        whole = whole.min(cost.time);
        println!("{length} agents: {:?} of CPU, {} KiB", cost.time, cost.kib);
    }
    let ratio = whole.as_secs_f64() / half.as_secs_f64();
    println!("least {whole:?}, of half of them {half:?}, ratio {ratio:.2}");
    assert!(ratio < 2.8, "more than linear: {ratio:.2}");
}

#[tokio::test]
async fn a_chain_of_agents_costs_what_its_length_says_and_no_stack() {
    grows_with_its_length(size(300, 10_000), |agent| agent).await;
}

/// Puts the whole way down to the agent together at each of its calls.
struct Eager;

#[async_trait]
impl Hook for Eager {
    async fn before_tool(&self, at: &HookContext, call: &ToolCall, _: &Value) -> Verdict<Value> {
        for _ in 0..500 {
            std::hint::black_box(format!("{}/{}/{}", at.agent.step(), way(at), call.id));
        }
        Verdict::Keep
    }
}

fn way(at: &HookContext) -> String {
    let mut way = String::new();
    let mut next = Some(at.agent.clone());
    while let Some(place) = next {
        way.push_str(place.step());
        next = place.parent();
    }
    way
}

#[tokio::test]
async fn twin_a_key_put_together_for_each_call_costs_the_square() {
    let saw = noticed(grows_with_its_length(600, |agent| agent.hook(Eager))).await;
    assert!(saw.contains("more than linear"), "{saw}");
}
