//! A tower of agents, each opened by the one above, with one scene played on its lowest floor.
//! Refuses to judge what happened; it hands over everything that was heard and asked.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use offshoot::{
    Agent, AgentBuilder, AgentKinds, AgentRegistry, Backend, Budget, Capabilities, Conversation,
    Event, EventKind, Grant, Ground, Message, Outcome, Role, Session, SessionBuilder, Shape,
    StopReason, Tool,
    provider::Model,
    subagents,
    testing::{Answer, Recorder, Scripted, Seen, check_history},
};
use serde_json::{Value, json};

use crate::kit::{results, shared, work};

/// What the agent at the bottom of the tower does in its first step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scene {
    /// Calls an ordinary tool.
    Native,
    /// Opens a child and waits for it.
    Child,
    /// Opens a child in the background.
    Background,
}

impl Scene {
    pub(super) const ALL: [Self; 3] = [Self::Native, Self::Child, Self::Background];
}

/// Where a scene is played, and how the agents above it wait for each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tower {
    pub(super) depth: usize,
    pub(super) way: Ground,
}

impl Tower {
    /// Every depth from the root to three levels below it, on both grounds.
    pub(super) fn all() -> Vec<Self> {
        Self::at([0, 1, 2, 3])
    }

    /// These depths; at the root there is no ground to choose.
    pub(super) fn at<const N: usize>(depths: [usize; N]) -> Vec<Self> {
        let both = |depth| {
            let ways = [Ground::Foreground, Ground::Background];
            ways.into_iter()
                .filter(move |way| depth > 0 || *way == Ground::Foreground)
                .map(move |way| Self { depth, way })
        };
        depths.into_iter().flat_map(both).collect()
    }

    /// The place of the agent at the bottom.
    pub(super) fn bottom(self) -> String {
        place(self.depth)
    }

    /// A model for the whole tower: agents above the bottom open the next one and then say `done`;
    /// the bottom and whoever is below it are played by the test, which is told the level and the
    /// how-manieth request of that level it is.
    pub(super) fn model(
        self,
        play: impl Fn(usize, usize, &Seen) -> Answer + Send + Sync + 'static,
    ) -> Scripted {
        let counts: Mutex<BTreeMap<usize, usize>> = Mutex::default();
        Scripted::with(move |seen| {
            check_history(&seen.messages).unwrap_or_else(|e| panic!("{}: {e}", seen.number));
            if is_summary(seen) {
                return Answer::text("<summary>SUMMED</summary>");
            }
            let level = level(seen);
            let nth = {
                let mut counts = counts.lock().unwrap();
                let count = counts.entry(level).or_default();
                *count += 1;
                *count
            };
            if level >= self.depth {
                return play(level, nth, seen);
            }
            match nth {
                1 => open(level + 1, self.way),
                _ => "done".into(),
            }
        })
    }
}

impl fmt::Display for Tower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "depth {} {:?}", self.depth, self.way)
    }
}

/// The place of the agent on a level of a tower.
pub(super) fn place(level: usize) -> String {
    format!("root{}", "/general-purpose/1".repeat(level))
}

/// A call that opens the agent of this level.
pub(super) fn open(level: usize, ground: Ground) -> Answer {
    Answer::text("").call("Agent", order(level, ground))
}

/// What such a call says.
pub(super) fn order(level: usize, ground: Ground) -> Value {
    json!({
        "description": "one below",
        "prompt": format!("level {level}."),
        "run_in_background": ground == Ground::Background,
    })
}

/// Whether this is the engine asking for a summary: then no tool is offered.
pub(super) fn is_summary(seen: &Seen) -> bool {
    seen.tools.is_empty()
}

/// Which level asks: every prompt says it, and the root's is without a number.
pub(super) fn level(seen: &Seen) -> usize {
    level_in(&seen.messages)
}

/// The same, of the messages of a request.
pub(super) fn level_in<'a>(messages: impl IntoIterator<Item = &'a Message>) -> usize {
    let said = messages.into_iter().filter(|m| m.role == Role::User);
    let number = |message: &Message| {
        let text = message.text();
        let (_, rest) = text.split_once("level ")?;
        rest.split_once('.')?.0.parse().ok()
    };
    said.into_iter().find_map(number).unwrap_or(0)
}

/// A tool that says what it was given, and counts.
pub(super) fn parrot(ran: &Arc<AtomicUsize>) -> Arc<dyn Tool> {
    let ran = ran.clone();
    let mut spec = shared("parrot").subject("text");
    spec.schema =
        json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    work(spec, move |_, input| {
        ran.fetch_add(1, SeqCst);
        async move { input["text"].as_str().unwrap().into() }
    })
}

/// A model with room for so many tokens.
pub(super) fn small(window: u64) -> Model {
    let mut card = Model::unknown("scripted", "small");
    card.window = window;
    card
}

/// What a run has shown.
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    pub(super) seen: Vec<Seen>,
    pub(super) ran: usize,
}

/// An agent with the tools of the tower.
pub(super) fn agent(model: &Scripted, ran: &Arc<AtomicUsize>) -> AgentBuilder {
    Agent::builder(model.clone())
        .system("base")
        .tools(subagents(AgentKinds::builtin()))
        .tool(parrot(ran))
}

/// Runs one turn, `go`, and closes the session.
pub(super) async fn run(
    model: &Scripted,
    dress: impl FnOnce(AgentBuilder) -> AgentBuilder,
    fit: impl FnOnce(SessionBuilder) -> SessionBuilder,
) -> Told {
    let ran = Arc::new(AtomicUsize::new(0));
    let recipe = dress(agent(model, &ran)).build().unwrap();
    run_session(model, &ran, Session::builder(recipe), fit).await
}

/// As [`run`], with a session that was begun by the test.
pub(super) async fn run_session(
    model: &Scripted,
    ran: &Arc<AtomicUsize>,
    builder: SessionBuilder,
    fit: impl FnOnce(SessionBuilder) -> SessionBuilder,
) -> Told {
    let (recorder, registry) = (Recorder::new(), AgentRegistry::new());
    let builder = builder
        .budget(Budget::unlimited().depth(8))
        .registry(registry.clone())
        .tracer(recorder.clone());
    let mut session = fit(builder).open().await.unwrap();
    let events: Vec<Event> = session.submit_message("go").collect().await;
    check_history(&session.history()).unwrap();
    session.close().await;
    assert!(registry.is_empty(), "{:?}", registry.list());
    recorder.assert_one_turn_end();
    Told {
        events,
        seen: model.seen(),
        ran: ran.load(SeqCst),
    }
}

impl Told {
    /// The requests of one level, summaries apart.
    pub(super) fn asked(&self, at: usize) -> Vec<&Seen> {
        let own = |seen: &&Seen| !is_summary(seen) && level(seen) == at;
        self.seen.iter().filter(own).collect()
    }

    /// All that the model was shown in the last request of a level: words and results.
    pub(super) fn read(&self, level: usize) -> String {
        let asked = self.asked(level);
        let messages = asked.last().map(|s| s.messages.as_slice()).unwrap_or(&[]);
        let words = messages.iter().map(Message::text);
        let results = results(messages).into_iter().map(|row| row.2);
        words.chain(results).collect::<Vec<_>>().join("\n")
    }

    /// How the calls of a level ended, as the model was told.
    pub(super) fn outcomes(&self, level: usize) -> Vec<Outcome> {
        let asked = self.asked(level);
        let messages = asked.last().map(|s| s.messages.as_slice()).unwrap_or(&[]);
        results(messages).into_iter().map(|row| row.1).collect()
    }

    /// Why the only turn of an agent ended.
    pub(super) fn stop(&self, agent: &str) -> Option<&StopReason> {
        self.events.iter().find_map(|event| match &event.kind {
            EventKind::TurnEnd { stop, .. } if event.agent.as_str() == agent => Some(stop),
            _ => None,
        })
    }

    /// How many events of an agent are of this published name.
    pub(super) fn count(&self, agent: &str, name: &str) -> usize {
        let own = self.events.iter().filter(|e| e.agent.as_str() == agent);
        own.filter(|e| kind_name(e) == name).count()
    }

    /// How many children an agent had.
    pub(super) fn children(&self, agent: &str) -> usize {
        let below = |e: &&Event| e.parent.as_ref().is_some_and(|p| p.as_str() == agent);
        let below = self.events.iter().filter(below);
        below.filter(|e| kind_name(e) == "child_start").count()
    }
}

/// The published name of an event.
pub(super) fn kind_name(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap();
    value["type"].as_str().unwrap().to_owned()
}

/// An agent whose children are opened without something that stands above them: a fault that the
/// proofs must see.
#[derive(Clone)]
pub(super) struct Forgetful {
    inner: Arc<dyn Backend>,
    forgets: fn(&mut Grant),
}

impl Forgetful {
    pub(super) fn agent(inner: Agent, forgets: fn(&mut Grant)) -> Self {
        let inner = Arc::new(inner);
        Self { inner, forgets }
    }
}

impl fmt::Debug for Forgetful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forgetful")
    }
}

impl Backend for Forgetful {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn open(
        self: Arc<Self>,
        mut grant: Grant,
    ) -> BoxFuture<'static, offshoot::Result<Box<dyn Conversation>>> {
        if grant.scope.depth() > 0 {
            (self.forgets)(&mut grant);
        }
        self.inner.clone().open(grant).boxed()
    }

    fn derive(&self, shape: &Arc<Shape>) -> Option<Arc<dyn Backend>> {
        let inner = self.inner.derive(shape)?;
        Some(Arc::new(Self {
            inner,
            ..self.clone()
        }))
    }
}
