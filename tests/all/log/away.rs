//! A turn whose stream is kept and not read any more, in the middle of a write to the log.
//! Refuses to let it keep its children from theirs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use offshoot::{
    Agent, AgentKinds, Event, EventKind, Message, OnChildren, Outcome, Role, Session,
    store::MemoryStore,
    subagents,
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::around::around;
use crate::kit::echo;

#[tokio::test(start_paused = true)]
async fn children_write_although_nobody_reads_the_turn_whose_write_is_under_way() {
    let appends = Arc::new(AtomicU64::new(0));
    let count = appends.clone();
    let store = around(Arc::new(MemoryStore::new()), move |_, append| {
        count.fetch_add(1, SeqCst);
        let done = append();
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            done.await
        }
        .boxed()
    });
    let model = Scripted::with(|seen| {
        let first = seen.messages.first().map(Message::text).unwrap_or_default();
        let said = seen.messages.iter().filter(|m| m.role == Role::Assistant);
        let look = Answer::empty().call("echo", json!({"text": "seen"}));
        match (first.as_str(), said.count()) {
            ("part", 0..=40) => look,
            ("part", _) => "fine".into(),
            (_, 0) => Answer::empty().call(
                "Agent",
                json!({"description": "a part", "prompt": "part", "run_in_background": true}),
            ),
            (_, 1..=90) => look,
            _ => "done".into(),
        }
    });
    let agent = Agent::builder(model)
        .tools(subagents(AgentKinds::builtin()))
        .tool(echo())
        .build()
        .unwrap();
    let mut session = Session::builder(agent)
        .store_arc(store)
        .on_children(OnChildren::Yield)
        .open()
        .await
        .unwrap();
    let handle = session.handle();
    let mut turn = session.submit_message("go");
    while turn.next().await.unwrap().parent.is_none() {}
    // Whatever is appended while the root is polled is appended by the root.
    loop {
        let before = appends.load(SeqCst);
        while futures::poll!(turn.next()).is_ready() {}
        if appends.load(SeqCst) > before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(handle.agents().len(), 2, "the child is at work");
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(handle.agents().len(), 1, "the child stands still");
    let rest: Vec<Event> = turn.collect().await;
    let ended = rest.iter().find_map(|event| match &event.kind {
        EventKind::ChildEnd { outcome, .. } => Some(*outcome),
        _ => None,
    });
    assert_eq!(ended, Some(Outcome::Ok));
    session.close().await;
}
