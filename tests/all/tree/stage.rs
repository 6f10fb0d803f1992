//! What the proofs of the tree share: a session whose insides can be counted, and what must hold at its end.
//! Refuses to prove anything by itself.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::BoxFuture;
use offshoot::{
    Agent, AgentKinds, AgentPath, AgentRegistry, Backend, Budget, Capabilities, Conversation,
    Event, EventKind, Grant, Message, Meter, Outcome, Result, Session, SessionBuilder, Shape, Tool,
    TurnId, subagents,
    testing::{Recorder, Scripted},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// A session, where its agents are listed, and everything that was told.
pub(super) struct Stage {
    pub(super) session: Session,
    pub(super) registry: AgentRegistry,
    pub(super) heard: Recorder,
    pub(super) permits: Arc<Semaphore>,
    pub(super) meter: Meter,
}

/// A root that tells what it was given.
#[derive(Debug)]
struct Open {
    agent: Arc<dyn Backend>,
    given: Arc<OnceLock<(Arc<Semaphore>, Meter)>>,
}

impl Backend for Open {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    fn open(self: Arc<Self>, grant: Grant) -> BoxFuture<'static, Result<Box<dyn Conversation>>> {
        let given = (grant.permits.clone(), grant.meter.clone());
        self.given.set(given).ok();
        self.agent.clone().open(grant)
    }

    fn derive(&self, shape: &Arc<Shape>) -> Option<Arc<dyn Backend>> {
        self.agent.derive(shape)
    }
}

impl Stage {
    pub(super) async fn new(agent: Agent, budget: Budget) -> Self {
        Self::with(agent, |session| session.budget(budget)).await
    }

    pub(super) async fn with(
        agent: Agent,
        set: impl FnOnce(SessionBuilder) -> SessionBuilder,
    ) -> Self {
        let given = Arc::new(OnceLock::new());
        let root = Open {
            agent: Arc::new(agent),
            given: given.clone(),
        };
        let (registry, heard) = (AgentRegistry::new(), Recorder::new());
        let builder = Session::builder(root)
            .registry(registry.clone())
            .tracer(heard.clone());
        let session = set(builder).open().await.unwrap();
        let (permits, meter) = given.get().cloned().unwrap();
        Self {
            session,
            registry,
            heard,
            permits,
            meter,
        }
    }

    /// Closes the session; then nobody is left, nothing is held, and everything was told once.
    pub(super) async fn close(self) -> Vec<Event> {
        self.session.close().await;
        assert!(self.registry.is_empty(), "{:?}", self.registry.list());
        audit(&self.heard.events());
        self.heard.events()
    }
}

/// An agent with the tools of the tree and these.
pub(super) fn agent(model: Scripted, tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Agent {
    let tree = subagents(AgentKinds::builtin());
    Agent::builder(model)
        .tools(tree.into_iter().chain(tools))
        .build()
        .unwrap()
}

/// The arguments that open an agent.
pub(super) fn order(prompt: impl Into<String>) -> Value {
    json!({"description": "a part", "prompt": prompt.into()})
}

/// The same, in the background.
pub(super) fn aside(prompt: impl Into<String>) -> Value {
    json!({"description": "a part", "prompt": prompt.into(), "run_in_background": true})
}

/// What the results in a conversation say, in order.
pub(super) fn said(history: &[Message]) -> Vec<(Outcome, String)> {
    let results = crate::kit::results(history).into_iter();
    results.map(|(_, outcome, text)| (outcome, text)).collect()
}

/// How each agent ended, in the order of the ends.
pub(super) fn ends(events: &[Event]) -> Vec<(String, Outcome, String)> {
    let end = |event: &Event| match &event.kind {
        EventKind::ChildEnd { outcome, text, .. } => {
            Some((event.agent.to_string(), *outcome, text.clone()))
        }
        _ => None,
    };
    events.iter().filter_map(end).collect()
}

pub(super) fn started(events: &[Event]) -> usize {
    let start = |event: &&Event| matches!(event.kind, EventKind::ChildStart { .. });
    events.iter().filter(start).count()
}

/// Numbers without a gap; for each agent and each turn one beginning and one end; nothing from an
/// agent after its end.
#[track_caller]
pub(super) fn audit(events: &[Event]) {
    if let Err(why) = flaw(events) {
        panic!("{why}: {:?}", crate::kit::names(events));
    }
}

/// What is wrong with these events, if anything is.
pub(super) fn flaw(events: &[Event]) -> Result<(), String> {
    let mut agents: HashMap<&AgentPath, (u32, u32)> = HashMap::new();
    let mut turns: HashMap<(&AgentPath, TurnId), (u32, u32)> = HashMap::new();
    for (event, seq) in events.iter().zip(1..) {
        let agent = &event.agent;
        if event.seq != seq {
            return Err(format!("number {} where {seq} should be", event.seq));
        }
        if agents.get(agent).is_some_and(|(_, ends)| *ends > 0) {
            return Err(format!("`{agent}` says something after its end"));
        }
        match &event.kind {
            EventKind::ChildStart { .. } => agents.entry(agent).or_default().0 += 1,
            EventKind::ChildEnd { .. } => agents.entry(agent).or_default().1 += 1,
            EventKind::TurnStart { .. } => turns.entry((agent, event.turn)).or_default().0 += 1,
            EventKind::TurnEnd { .. } => turns.entry((agent, event.turn)).or_default().1 += 1,
            _ => {}
        }
    }
    let agent = agents.iter().find(|(_, count)| **count != (1, 1));
    let turn = turns.iter().find(|(_, count)| **count != (1, 1));
    match (agent, turn) {
        (Some(agent), _) => Err(format!("starts and ends of an agent: {agent:?}")),
        (_, Some(turn)) => Err(format!("starts and ends of a turn: {turn:?}")),
        _ => Ok(()),
    }
}

/// Waits until this holds; a proof that waits in vain says for what.
#[track_caller]
pub(super) fn until(what: &'static str, holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..20_000 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("waited in vain for {what}, at {caller}");
    }
}
