//! Chains of agents, each opened by the one above: no stack, and time that grows with the length.
//! Refuses figures: what it costs is compared with half of it in the same run.

use std::time::{Duration, Instant};

use offshoot::{Agent, AgentKind, AgentKinds, Budget, StopReason, subagents, testing::Answer};
use serde_json::json;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, started},
};
use crate::kit::size;

/// A chain of so many agents below the root; how long it took from the first to the last end.
async fn chain(length: u64) -> Duration {
    let model = by_prompt(|seen, first| match (first.parse::<u64>(), steps(seen)) {
        (Ok(left), 0) if left > 0 => Answer::empty().call(
            "Agent",
            json!({
                "description": "next",
                "prompt": (left - 1).to_string(),
                "subagent_type": "k",
            }),
        ),
        _ => Answer::text("ok"),
    });
    let kinds = AgentKinds::none()
        .with(AgentKind::new("k", "a link"))
        .unwrap();
    let agent = Agent::builder(model)
        .tools(subagents(kinds))
        .build()
        .unwrap();
    let limits = Budget::unlimited()
        .depth(length)
        .live(length)
        .spawns(length);
    let mut stage = Stage::new(agent, limits).await;
    let since = Instant::now();
    let outcome = stage
        .session
        .submit_message(length.to_string())
        .finish()
        .await;
    let took = since.elapsed();
    assert_eq!(outcome.stop, StopReason::Finished);
    assert_eq!(outcome.text, "ok");
    assert_eq!(outcome.usage.requests, 2 * length + 1);
    let events = stage.close().await;
    assert_eq!(started(&events) as u64, length);
    took
}

#[tokio::test]
async fn a_chain_of_agents_costs_what_its_length_says_and_no_stack() {
    let length = size(300, 10_000);
    chain(length / 2).await; // the first one also pays for what is set up once
    let mut ratios = Vec::new();
    for _ in 0..3 {
        let (half, whole) = (chain(length / 2).await, chain(length).await);
        let ratio = whole.as_secs_f64() / half.as_secs_f64();
        println!("{length} agents: {whole:?}, half of them: {half:?}, ratio {ratio:.2}");
        ratios.push(ratio);
        if ratio < 3.0 {
            return;
        }
    }
    panic!("more than linear: {ratios:?}");
}
