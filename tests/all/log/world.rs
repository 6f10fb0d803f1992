//! A small world for sessions that die: a model that answers by what it reads, tools that count.
//! Refuses to forget: what tools did is counted outside the log.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use offshoot::{
    Agent, AgentKinds, Effect, Event, Lane, Message, OnChildren, Outcome, Part, Role, Session,
    SessionBuilder, SessionId, StopReason, Tool, ToolOutput, ToolSpec,
    store::{MemoryStore, Store},
    subagents,
    testing::{Answer, Scripted, Seen, check_history},
};
use serde_json::{Value, json};

use crate::kit::work;

/// How many steps the root makes before it has finished.
pub(super) const STEPS: usize = 20;

/// What tools did: by name and number, how often.
#[derive(Clone, Default)]
pub(super) struct Deeds {
    done: Arc<Mutex<BTreeMap<String, usize>>>,
    file: Option<Arc<Mutex<std::fs::File>>>,
}

impl Deeds {
    /// Deeds that outlive the process: a line in a file for each.
    #[cfg(feature = "sqlite")]
    pub(super) fn in_file(path: &std::path::Path) -> Self {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path);
        Self {
            file: Some(Arc::new(Mutex::new(file.unwrap()))),
            ..Self::default()
        }
    }

    fn add(&self, deed: String) {
        if let Some(file) = &self.file {
            use std::io::Write;
            file.lock()
                .unwrap()
                .write_all(format!("{deed}\n").as_bytes())
                .unwrap();
        }
        *self.done.lock().unwrap().entry(deed).or_default() += 1;
    }

    pub(super) fn note(&self, deed: &str) {
        self.add(deed.to_owned());
    }

    pub(super) fn all(&self) -> BTreeMap<String, usize> {
        self.done.lock().unwrap().clone()
    }
}

fn tool(name: &'static str, effect: Effect, lane: Lane, deeds: &Deeds) -> Arc<dyn Tool> {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let spec = ToolSpec::new(name, "Does it", schema)
        .effect(effect)
        .lane(lane);
    let deeds = deeds.clone();
    work(spec, move |ctx, input: Value| {
        let deeds = deeds.clone();
        async move {
            let n = input["n"].clone();
            // A keyed service does a thing once for each key.
            match effect {
                Effect::Keyed => deeds.add(format!("{name}({n}) key {}", ctx.key())),
                _ => deeds.add(format!("{name}({n}) {}", ctx.agent())),
            }
            ToolOutput::from(format!("{name} {n} done"))
        }
    })
}

/// The tools of the world, each effect class with one.
pub(super) fn tools(deeds: &Deeds) -> Vec<Arc<dyn Tool>> {
    vec![
        tool("look", Effect::Pure, Lane::Shared, deeds),
        tool("put", Effect::Idempotent, Lane::Shared, deeds),
        tool("pay", Effect::Keyed, Lane::Shared, deeds),
        tool("act", Effect::Once, Lane::Shared, deeds),
    ]
}

/// What the model says next, from what it reads and nothing else.
pub(super) fn speak(seen: &Seen) -> Answer {
    check_history(&seen.messages).unwrap();
    let said = seen
        .messages
        .iter()
        .filter(|m| m.role == Role::Assistant)
        .count();
    let first = seen.messages.first().map(Message::text).unwrap_or_default();
    if let Some(n) = first.strip_prefix("child ") {
        let n: u64 = n.parse().unwrap_or(9);
        return match said {
            0 => Answer::empty()
                .call_as(format!("look-{n}"), "look", json!({"n": n}))
                // The id of the call that opened it, as vendors do that count in each conversation.
                .call_as("kid-1", "act", json!({"n": n})),
            _ => Answer::text(format!("child {n} is done")),
        };
    }
    let id = |what: &str| format!("{what}-{said}");
    match said {
        STEPS.. => Answer::text("all done"),
        1 => Answer::empty()
            .call_as("kid-1", "Agent", child(101))
            .call_as("kid-2", "Agent", child(102)),
        n if n % 4 == 0 => Answer::empty()
            .thinking("hm")
            .call_as(id("look"), "look", json!({"n": n}))
            .call_as(id("act"), "act", json!({"n": n}))
            .call_as(id("pay"), "pay", json!({"n": n})),
        n if n % 4 == 1 => Answer::text("on it").call_as(id("put"), "put", json!({"n": n})),
        n if n % 4 == 2 => Answer::empty()
            .call_as(id("act"), "act", json!({"n": n}))
            .call_as(id("act-b"), "act", json!({"n": n + 1000})),
        n => Answer::empty().call_as(id("pay"), "pay", json!({"n": n})),
    }
}

fn child(n: u64) -> Value {
    json!({"description": "a child", "prompt": format!("child {n}")})
}

/// The agent of the world.
pub(super) fn agent(deeds: &Deeds) -> Agent {
    let mut builder = Agent::builder(Scripted::with(speak));
    for tool in tools(deeds) {
        builder = builder.tool(tool);
    }
    for tool in subagents(AgentKinds::builtin()) {
        builder = builder.tool(tool);
    }
    builder.max_steps(100).build().unwrap()
}

/// A session of the world that keeps its log in `store`.
pub(super) fn session(deeds: &Deeds, store: &Arc<dyn Store>) -> SessionBuilder {
    Session::builder(agent(deeds))
        .store_arc(store.clone())
        .on_children(OnChildren::Wait)
}

pub(super) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// Runs the whole story in one life; gives its name, its history and its events.
pub(super) async fn whole(
    deeds: &Deeds,
    store: &Arc<dyn Store>,
) -> (SessionId, Vec<Message>, Vec<Event>) {
    let mut session = session(deeds, store).open().await.unwrap();
    let id = session.id().clone();
    let events: Vec<_> = session.submit_message("do the work").collect().await;
    assert_finished(&events);
    let history = session.history();
    session.close().await;
    (id, history, events)
}

pub(super) fn assert_finished(events: &[Event]) {
    match &events.last().unwrap().kind {
        offshoot::EventKind::TurnEnd { stop, text, .. } => {
            assert_eq!(*stop, StopReason::Finished);
            assert_eq!(text, "all done");
        }
        other => panic!("the last event is no end: {other:?}"),
    }
}

/// Two histories that are the same, but for results that say that a call was interrupted.
pub(super) fn assert_same_but_interrupted(one: &[Message], other: &[Message]) {
    assert_eq!(one.len(), other.len(), "{one:#?}\n{other:#?}");
    for (a, b) in one.iter().zip(other) {
        assert_eq!(a.role, b.role);
        assert_eq!(a.parts.len(), b.parts.len());
        for (a, b) in a.parts.iter().zip(&b.parts) {
            match (a, b) {
                (Part::Result(a), Part::Result(b)) => {
                    assert_eq!(a.call, b.call);
                    if a.outcome != Outcome::Interrupted && b.outcome != Outcome::Interrupted {
                        assert_eq!(a, b);
                    }
                }
                (a, b) => assert_eq!(a, b),
            }
        }
    }
}
