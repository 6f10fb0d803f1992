//! Children whose end their parent has not read when the program stops.
//! Refuses a note that is lost, and one that is told twice.

use std::sync::Arc;

use futures::StreamExt;
use offshoot::{
    Agent, AgentKinds, EventKind, Lane, OnChildren, Session, SessionId, ToolOutput, ToolSpec,
    subagents,
    testing::{Answer, Scripted},
};
use serde_json::json;
use tokio::sync::Notify;

use super::world::memory;
use crate::kit::work;

/// A model whose root opens a child in the background and is done; the child waits for a gate.
fn yielding(gate: Arc<Notify>) -> Agent {
    let script = Scripted::with(|seen| {
        let first = seen.messages[0].text();
        match (first.starts_with("child"), seen.messages.len()) {
            (true, 1) => Answer::empty().call("wait", json!({})),
            (true, _) => Answer::text("the child says 42"),
            (false, 1) => Answer::empty().call(
                "Agent",
                json!({"description": "d", "prompt": "child", "run_in_background": true}),
            ),
            _ => Answer::text("fine"),
        }
    });
    let spec = ToolSpec::new("wait", "Waits", json!({"type": "object"})).lane(Lane::Shared);
    let wait = work(spec, move |_, _| {
        let gate = gate.clone();
        async move {
            gate.notified().await;
            ToolOutput::from("waited")
        }
    });
    let mut agent = Agent::builder(script).tool(wait);
    for tool in subagents(AgentKinds::builtin()) {
        agent = agent.tool(tool);
    }
    agent.build().unwrap()
}

#[tokio::test]
async fn a_parent_hears_of_a_child_in_the_background_also_in_another_life() {
    for ends in [true, false] {
        let store = memory();
        let gate = Arc::new(Notify::new());
        let open = || {
            let session = Session::builder(yielding(gate.clone())).store_arc(store.clone());
            session.on_children(OnChildren::Yield)
        };
        let mut first = open().open().await.unwrap();
        let id = first.id().clone();
        let mut watch = first.handle().watch();
        assert!(first.submit_message("go").finish().await.stop.is_finished());
        if ends {
            gate.notify_one();
            while !matches!(watch.next().await.unwrap().kind, EventKind::Wake { .. }) {}
        }
        // Nobody reads the note in this life.
        let dead = SessionId::new("after");
        if ends {
            first.close().await;
        }
        let last = store.card(&id).await.unwrap().unwrap().records;
        store.fork(&id, last, &dead).await.unwrap();
        // A life in which nothing happens changes nothing.
        open()
            .resume(dead.clone())
            .open()
            .await
            .unwrap()
            .close()
            .await;
        let mut second = open().resume(dead.clone()).open().await.unwrap();
        assert!(second.is_unfinished(), "mail waits");
        let events: Vec<_> = second.go_on().collect().await;
        let note = |kind: &EventKind| match kind {
            EventKind::Note { from, text } => Some((from.clone(), text.clone())),
            _ => None,
        };
        let notes: Vec<_> = events
            .iter()
            .filter_map(|event| note(&event.kind))
            .collect();
        assert_eq!(notes.len(), 1, "{events:#?}");
        assert_eq!(notes[0].0, "root/general-purpose/1");
        let told = if ends {
            "the child says 42"
        } else {
            "not started again"
        };
        assert!(notes[0].1.contains(told), "{}", notes[0].1);
        second.close().await;
        let third = open().resume(dead).open().await.unwrap();
        assert!(!third.is_unfinished(), "it is told once");
    }
}
