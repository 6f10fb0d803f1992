//! Few permits and many agents: who waits for an agent holds none, so everybody comes to an end.
//! Refuses to count permits; that they come back is looked at wherever a session is closed.

use std::{sync::Arc, time::Duration};

use offshoot::{
    Agent, AgentKinds, AgentTool, Budget, Lane, StopReason, Tool,
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, order, started},
};
use crate::kit::{sleeper, work};

/// Each agent of a level above 0 opens `fan` of the level below; every child then uses the tool.
fn levels(fan: usize) -> Scripted {
    by_prompt(move |seen, first| {
        let level: u32 = first.parse().unwrap_or_default();
        let nap = json!({"millis": 0, "text": "slept"});
        match (level, steps(seen)) {
            (0, 0) | (1.., 1) => Answer::empty().call("sleep", nap),
            (1.., 0) => (0..fan).fold(Answer::empty(), |answer, _| {
                answer.call("Agent", order((level - 1).to_string()))
            }),
            _ => Answer::text("done"),
        }
    })
}

async fn run(agent: Agent, depth: u32, permits: usize) -> Option<(StopReason, usize)> {
    let mut stage = Stage::with(agent, |session| {
        let limits = Budget::unlimited().live(200).spawns(500);
        session.budget(limits).parallel_tools(permits)
    })
    .await;
    let turn = stage.session.submit_message(depth.to_string()).finish();
    let outcome = tokio::time::timeout(Duration::from_secs(20), turn)
        .await
        .ok();
    assert!(outcome.is_none() || stage.permits.available_permits() == permits);
    let events = stage.close().await;
    outcome.map(|outcome| (outcome.stop, started(&events)))
}

#[tokio::test]
async fn invariant_4_a_hundred_agents_share_one_permit() {
    let ended = run(agent(levels(100), [sleeper()]), 1, 1).await;
    assert_eq!(ended, Some((StopReason::Finished, 100)));
}

#[tokio::test]
async fn invariant_4_a_tree_of_any_depth_ends_with_any_number_of_permits() {
    for permits in 1..=8 {
        let ended = run(agent(levels(3), [sleeper()]), 3, permits).await;
        assert_eq!(
            ended,
            Some((StopReason::Finished, 3 + 9 + 27)),
            "{permits} permits"
        );
    }
}

/// The twin: a call that waits for an agent under a permit waits for ever when the agent needs one.
#[tokio::test(start_paused = true)]
async fn twin_a_permit_held_for_an_agent_is_a_deadlock_and_the_clock_sees_it() {
    let inner = Arc::new(AgentTool::new(AgentKinds::builtin()));
    let greedy = inner.spec().clone().lane(Lane::Shared);
    let greedy = work(greedy, move |ctx, input| {
        let inner = inner.clone();
        async move { inner.call(ctx, input).await }
    });
    let agent = Agent::builder(levels(1))
        .tools([greedy, sleeper()])
        .build()
        .unwrap();
    assert_eq!(run(agent.clone(), 1, 1).await, None);
    let enough = run(agent, 1, 2).await;
    assert_eq!(
        enough,
        Some((StopReason::Finished, 1)),
        "one permit more is enough"
    );
}
