//! Stopping agents on purpose: by name, and because a group has what it needs.
//! Refuses accidents; cancels and limits are next door.

use std::time::Duration;

use offshoot::{
    AgentGroup, AgentKinds, Budget, Grant, GroupPolicy, Order, Outcome, StopReason, ToolOutput,
    provider::Stop,
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, aside, ends, order, said},
};
use crate::kit::{sleeper, spec, work};

/// What a member of a group does is said by its prompt.
fn member(prompt: &str) -> Option<Answer> {
    let slowly = |text: &str, millis| {
        let pause = Duration::from_millis(millis);
        Answer::text(text).pause(pause)
    };
    Some(match prompt {
        "fail" => Answer::text("no").stop(Stop::Refused {
            reason: "on purpose".into(),
        }),
        "good" => slowly("good", 10),
        "slow" => slowly("slow and good", 20),
        "mute" => Answer::text("never said").stall_after(0),
        _ => return None,
    })
}

fn group(policy: serde_json::Value, members: &'static [&'static str]) -> Scripted {
    by_prompt(move |seen, first| match (member(first), steps(seen)) {
        (Some(answer), _) => answer,
        (None, 0) => members.iter().fold(Answer::empty(), |answer, prompt| {
            let mut order = order(*prompt);
            order["group"] = json!("g");
            for (name, value) in policy.as_object().unwrap() {
                order[name] = value.clone();
            }
            answer.call("Agent", order)
        }),
        _ => Answer::text("done"),
    })
}

#[tokio::test(start_paused = true)]
async fn a_group_keeps_what_is_finished_and_stops_the_rest() {
    use Outcome::{Failed, Interrupted, Ok};
    type Row = (
        serde_json::Value,
        &'static [&'static str],
        &'static [Outcome],
    );
    let rows: [Row; 5] = [
        (
            json!({"policy": "all"}),
            &["fail", "good", "slow"],
            &[Failed, Ok, Ok],
        ),
        (json!({}), &["slow", "fail"], &[Ok, Failed]),
        (
            json!({"policy": "any"}),
            &["slow", "fail", "mute"],
            &[Interrupted, Failed, Interrupted],
        ),
        (
            json!({"policy": "first_good"}),
            &["mute", "fail", "good", "slow"],
            &[Interrupted, Failed, Ok, Interrupted],
        ),
        (
            json!({"policy": "quorum", "quorum": 2}),
            &["good", "mute", "slow", "fail"],
            &[Ok, Interrupted, Ok, Failed],
        ),
    ];
    for (policy, members, expected) in rows {
        let model = group(policy.clone(), members);
        let mut stage = Stage::new(agent(model, []), Budget::unlimited()).await;
        let outcome = stage.session.submit_message("go").finish().await;
        assert_eq!(outcome.stop, StopReason::Finished);
        let told = said(&stage.session.history());
        let outcomes: Vec<_> = told.iter().map(|row| row.0).collect();
        assert_eq!(outcomes, expected, "{policy}: {told:?}");
        for (outcome, text) in &told {
            match outcome {
                Ok => assert!(text.ends_with("good"), "{text}"),
                Failed => assert!(text.contains("on purpose"), "{text}"),
                _ => assert!(text.contains("the group `g` had what it needed"), "{text}"),
            }
        }
        assert_eq!(stage.registry.len(), 1);
        stage.close().await;
    }
}

/// The twin: the same agents without a group are all waited for, the mute one until it is overdue.
#[tokio::test(start_paused = true)]
async fn twin_without_a_group_everybody_is_waited_for() {
    let model = by_prompt(|seen, first| match (member(first), steps(seen)) {
        (Some(answer), _) => answer,
        (None, 0) => Answer::empty()
            .call("Agent", order("good"))
            .call("Agent", order("mute")),
        _ => Answer::text("done"),
    });
    let mut stage = Stage::new(agent(model, []), Budget::unlimited()).await;
    stage.session.submit_message("go").text().await.unwrap();
    let told = said(&stage.session.history());
    assert_eq!(told[1].0, Outcome::TimedOut);
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_program_runs_a_group_from_a_tool_of_its_own() {
    let model = by_prompt(|seen, first| match (member(first), steps(seen)) {
        (Some(answer), _) => answer,
        (None, 0) => Answer::empty().call("team", json!({})),
        _ => Answer::text(said(&seen.messages)[0].1.clone()),
    });
    let team = work(
        spec("team").lane(offshoot::Lane::Free),
        |ctx, _| async move {
            let grant = Grant::of(&ctx).unwrap();
            let prompts = ["mute", "fail", "good"];
            let orders = prompts.map(|prompt| Order::new("explore", prompt));
            let group = orders
                .into_iter()
                .fold(AgentGroup::new(GroupPolicy::FirstGood), AgentGroup::with);
            let ended = group.run(grant, &AgentKinds::builtin()).await;
            let how: Vec<_> = ended
                .into_iter()
                .map(|e| e.unwrap().outcome.as_str())
                .collect();
            ToolOutput::ok(how.join(" "))
        },
    );
    let mut stage = Stage::new(agent(model, [team]), Budget::unlimited()).await;
    let text = stage.session.submit_message("go").text().await.unwrap();
    assert_eq!(text, "interrupted failed ok");
    stage.close().await;
}

#[tokio::test]
async fn an_agent_is_stopped_with_everything_below_it_and_nobody_stops_who_is_above() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("go", 0) => Answer::empty().call("Agent", aside("branch")),
        ("go", 1) => Answer::empty().call("sleep", json!({"millis": 60, "text": "slept"})),
        ("go", 2) => Answer::empty().call("TaskStop", json!({"task_id": "root/general-purpose/1"})),
        ("go", 3) => Answer::empty().call("TaskStop", json!({"task_id": "root/general-purpose/1"})),
        ("branch", 0) => Answer::empty()
            .call("TaskStop", json!({"task_id": "root"}))
            .call("TaskStop", json!({"task_id": "root/general-purpose/1"})),
        ("branch", 1) => {
            let told = said(&seen.messages);
            let denied = |row: &(Outcome, String)| row.0 == Outcome::Denied;
            assert!(told.iter().all(denied), "{told:?}");
            let text = "is you or stands above you";
            assert!(told.iter().all(|row| row.1.contains(text)), "{told:?}");
            Answer::text("half a word")
                .call("Agent", order("mute"))
                .call("Agent", order("mute"))
        }
        ("mute", _) => Answer::text("never said").stall_after(0),
        _ => Answer::text("done"),
    });
    let mut stage = Stage::new(agent(model.clone(), [sleeper()]), Budget::unlimited()).await;
    let outcome = stage.session.submit_message("go").finish().await;
    assert_eq!(outcome.stop, StopReason::Finished);
    assert_eq!(model.open(), 0);
    let told = said(&stage.session.history());
    let stopped = &told[2].1;
    assert!(
        stopped.starts_with("Stopped `root/general-purpose/1`: stopped 3 agents: "),
        "{stopped}"
    );
    for n in 1..=2 {
        let path = format!("root/general-purpose/1/general-purpose/{n} (model");
        assert!(stopped.contains(&path), "{stopped}");
    }
    assert!(
        stopped.contains("half a word"),
        "its words are kept: {stopped}"
    );
    assert!(
        told[3].1.contains("has ended already: it was stopped"),
        "{}",
        told[3].1
    );
    let ends = ends(&stage.close().await);
    assert_eq!(ends.len(), 3);
    assert!(
        ends.iter().all(|end| end.1 == Outcome::Interrupted),
        "{ends:?}"
    );
}
