//! Agents that wait for each other: a ring is broken when it closes, and nothing else is.
//! Refuses clocks, except to say that nobody waited for one.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot::{
    Agent, AgentKind, AgentKinds, Budget, EventKind, Grant, Lane, Outcome, Reached, StopReason,
    Tool, ToolOutput, subagents,
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, ends, order, said},
};
use crate::kit::{sleeper, spec, work};

fn wait_for(path: &str) -> serde_json::Value {
    json!({"task_id": path, "timeout": 20_000})
}

#[tokio::test]
async fn who_waits_for_itself_or_for_an_agent_above_is_told_at_once() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("go", 0) => Answer::empty().call("Agent", order("wait")),
        ("wait", 0) => Answer::empty()
            .call("TaskOutput", wait_for("root/general-purpose/1"))
            .call("TaskOutput", wait_for("root")),
        ("wait", _) => {
            let told = said(&seen.messages);
            assert!(told.iter().all(|(outcome, _)| *outcome == Outcome::Failed));
            Answer::text(format!("{}\n{}", told[0].1, told[1].1))
        }
        _ => Answer::text("done"),
    });
    let mut stage = Stage::new(agent(model, []), Budget::unlimited()).await;
    let since = Instant::now();
    stage.session.submit_message("go").text().await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(5));
    let events = stage.close().await;
    let told = ends(&events);
    let own = "root/general-purpose/1";
    assert!(told[0].2.contains(&format!("`{own} -> {own}`")), "{told:?}");
    assert!(
        told[0].2.contains(&format!("`{own} -> root -> {own}`")),
        "{told:?}"
    );
    assert_eq!(stalled(&events).len(), 2);
}

fn stalled(events: &[offshoot::Event]) -> Vec<Vec<String>> {
    let named = |event: &offshoot::Event| match &event.kind {
        EventKind::Stalled { agents, .. } => Some(agents.iter().map(ToString::to_string).collect()),
        _ => None,
    };
    events.iter().filter_map(named).collect()
}

/// So many siblings, each of which waits for the next, the last one for the first.
fn ring(agents: usize, tool: &'static str) -> Agent {
    let model = by_prompt(move |seen, first| match (first, steps(seen)) {
        ("go", 0) => (0..agents).fold(Answer::empty(), |answer, n| {
            let (kind, prompt) = (format!("k{n}"), n.to_string());
            let order = json!({"description": "a part", "prompt": prompt, "subagent_type": kind});
            answer.call("Agent", order)
        }),
        ("go", _) => Answer::text("done"),
        (_, 0) => Answer::empty().call("sleep", json!({"millis": 20, "text": "slept"})),
        (n, 1) => {
            let next = (n.parse::<usize>().unwrap() + 1) % agents;
            Answer::empty().call(tool, wait_for(&format!("root/k{next}/1")))
        }
        _ => Answer::text(said(&seen.messages)[1].1.clone()),
    });
    ring_of(model, agents)
}

fn ring_of(model: Scripted, agents: usize) -> Agent {
    let kinds = (0..agents).fold(AgentKinds::none(), |kinds, n| {
        kinds
            .with(AgentKind::new(format!("k{n}"), "a part"))
            .unwrap()
    });
    let tools = subagents(kinds);
    Agent::builder(model)
        .tools(tools)
        .tool(sleeper())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_ring_of_siblings_is_broken_at_the_one_that_came_last() {
    for agents in [2, 3, 8] {
        let mut stage = Stage::new(ring(agents, "TaskOutput"), Budget::unlimited()).await;
        let since = Instant::now();
        let outcome = stage.session.submit_message("go").finish().await;
        assert_eq!(outcome.stop, StopReason::Finished);
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "nobody waited for a clock"
        );
        let events = stage.close().await;
        let victim = format!("root/k{}/1", agents - 1);
        let told = stalled(&events);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0][0], victim);
        assert_eq!(told[0].iter().collect::<HashSet<_>>().len(), agents);
        for (path, outcome, text) in ends(&events) {
            assert_eq!(outcome, Outcome::Ok);
            let refused = text.starts_with("Not waited: agents wait for each other");
            assert_eq!(refused, path == victim, "{path}: {text}");
            assert!(refused || text.contains("status: completed"), "{text}");
        }
    }
}

/// Waits for an agent without saying so to anybody.
fn blind() -> Arc<dyn Tool> {
    let spec = spec("blind").lane(Lane::Free);
    work(spec, |ctx, input| async move {
        let desk = Grant::of(&ctx).unwrap().desk.clone();
        match desk.reach(input["task_id"].as_str().unwrap()) {
            Reached::Alive(contact) => ToolOutput::ok(contact.ended().await.ended.text.clone()),
            other => ToolOutput::failed(format!("{other:?}")),
        }
    })
}

/// The twin: waits that are in no graph close a ring unseen, and only a clock ends them.
#[tokio::test(start_paused = true)]
async fn twin_a_ring_of_waits_that_nobody_knows_of_stands_still() {
    let mut stage = Stage::new(ring(2, "blind"), Budget::unlimited()).await;
    let turn = stage.session.submit_message("go").finish();
    let patience = Duration::from_secs(300);
    assert!(tokio::time::timeout(patience, turn).await.is_err());
    let events = stage.close().await;
    assert_eq!(stalled(&events).len(), 0);
    assert!(
        ends(&events)
            .iter()
            .all(|end| end.1 == Outcome::Interrupted)
    );
}
