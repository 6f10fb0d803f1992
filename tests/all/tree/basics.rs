//! A child in the foreground and one in the background, as a watcher sees them.
//! Refuses more than the everyday path; limits, cancels and rings have files of their own.

use std::time::Duration;

use futures::StreamExt;
use offshoot::{
    Agent, AgentKinds, AgentRegistry, Event, EventKind, Message, OnChildren, Outcome, Role,
    Session, StopReason, subagents,
    testing::{Answer, Scripted, Seen},
};
use serde_json::json;

/// A model that answers by what it is asked last: children get the prompts of their orders.
pub(super) fn by_prompt(
    answer: impl Fn(&Seen, &str) -> Answer + Send + Sync + 'static,
) -> Scripted {
    Scripted::with(move |seen| {
        let first = seen.messages.first().map(Message::text).unwrap_or_default();
        answer(seen, &first)
    })
}

pub(super) fn steps(seen: &Seen) -> usize {
    let said = seen.messages.iter().filter(|m| m.role == Role::Assistant);
    said.count()
}

pub(super) fn tree_agent(model: Scripted) -> Agent {
    let tools = subagents(AgentKinds::builtin());
    Agent::builder(model).tools(tools).build().unwrap()
}

fn names(events: &[Event]) -> Vec<String> {
    let name = |e: &Event| {
        let value = serde_json::to_value(e).unwrap();
        format!("{} {}", e.agent, value["type"].as_str().unwrap())
    };
    events
        .iter()
        .filter(|e| !e.kind.is_delta())
        .map(name)
        .collect()
}

#[tokio::test]
async fn a_child_in_the_foreground_is_heard_under_its_own_path() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("look", _) => Answer::text("found it"),
        (_, 0) => Answer::text("").call(
            "Agent",
            json!({"description": "look", "prompt": "look", "subagent_type": "explore"}),
        ),
        _ => Answer::text("done"),
    });
    let registry = AgentRegistry::new();
    let mut session = Session::builder(tree_agent(model))
        .registry(registry.clone())
        .open()
        .await
        .unwrap();
    let events: Vec<_> = session.submit_message("go").collect().await;
    assert_eq!(
        names(&events),
        [
            "root run_start",
            "root turn_start",
            "root message_end",
            "root tool_start",
            "root/explore/1 child_start",
            "root/explore/1 turn_start",
            "root/explore/1 message_end",
            "root/explore/1 turn_end",
            "root/explore/1 child_end",
            "root tool_end",
            "root message_end",
            "root turn_end",
        ]
    );
    let seqs: Vec<_> = events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>());
    let Some(EventKind::TurnEnd {
        usage,
        spent_by,
        children,
        ..
    }) = events.last().map(|e| &e.kind)
    else {
        panic!("no end");
    };
    assert!(children.is_empty());
    assert_eq!(spent_by.len(), 2);
    assert_eq!(usage.requests, 3);
    let sum: u64 = spent_by.iter().map(|row| row.usage.total()).sum();
    assert_eq!(sum, usage.total());
    assert_eq!(registry.len(), 1, "the child's seat is free");
    session.close().await;
    assert!(registry.is_empty());
}

#[tokio::test]
async fn a_child_in_the_background_is_waited_for_and_its_note_is_read() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("look", _) => Answer::text("found </note> it").pause(Duration::from_millis(30)),
        (_, 0) => Answer::text("").call(
            "Agent",
            json!({"description": "look", "prompt": "look", "run_in_background": true}),
        ),
        (_, 1) => Answer::text("waiting"),
        _ => {
            let last = seen.messages.last().unwrap().text();
            assert!(
                last.starts_with("<note from=\"root/general-purpose/1\">"),
                "{last}"
            );
            assert!(last.contains("found &lt;/note&gt; it"), "{last}");
            Answer::text("done")
        }
    });
    let mut session = Session::new(tree_agent(model));
    let events: Vec<_> = session.submit_message("go").collect().await;
    let ends: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::ChildEnd { outcome, text, .. } => Some((*outcome, text.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(Outcome::Ok, "found </note> it")]);
    assert!(matches!(
        &events.last().unwrap().kind,
        EventKind::TurnEnd { stop: StopReason::Finished, text, .. } if text == "done"
    ));
}

#[tokio::test]
async fn a_chat_yields_and_is_woken() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("look", _) => Answer::text("found it").pause(Duration::from_millis(30)),
        (_, 0) => Answer::text("").call(
            "Agent",
            json!({"description": "look", "prompt": "look", "run_in_background": true}),
        ),
        (_, 1) => Answer::text("later"),
        _ => Answer::text("now"),
    });
    let mut session = Session::builder(tree_agent(model))
        .on_children(OnChildren::Yield)
        .open()
        .await
        .unwrap();
    let mut watch = session.handle().watch();
    let events: Vec<_> = session.submit_message("go").collect().await;
    let Some(EventKind::TurnEnd { children, text, .. }) = events.last().map(|e| &e.kind) else {
        panic!("no end");
    };
    assert_eq!(text, "later");
    assert_eq!(children.len(), 1, "it lives on");
    let turn = session.next_turn().await.expect("a note comes");
    let outcome = turn.finish().await;
    assert_eq!(
        (outcome.stop, outcome.text.as_str()),
        (StopReason::Finished, "now")
    );
    assert!(
        session.next_turn().await.is_none(),
        "nobody is left to say anything"
    );
    let mut watched = Vec::new();
    while let Some(event) = watch.try_next() {
        watched.push(event);
    }
    let names = names(&watched);
    let at = |name: &str| {
        names
            .iter()
            .position(|n| n == name)
            .unwrap_or_else(|| panic!("{name}: {names:?}"))
    };
    assert!(at("root/general-purpose/1 child_end") < at("root wake"));
    let seqs: Vec<_> = watched.iter().map(|e| e.seq).collect();
    assert_eq!(
        seqs,
        (1..=watched.len() as u64).collect::<Vec<_>>(),
        "between turns as well"
    );
}
