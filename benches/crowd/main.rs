//! What a crowd of idle agents costs: the memory of each, and the way from a note to its next turn.
//! Refuses connections: the model answers from memory, so that what is measured is the agents.

#[path = "../shared/memory.rs"]
mod memory;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use offshoot::{
    Agent, AgentKinds, Event, EventKind, Note, Result, Scope, Session, Tracer, Urgency, Usage,
    provider::{Delta, Deltas, Model, Provider, Request, Stop},
    subagents, tool_fn,
};
use tokio::sync::mpsc;

/// Agents that are held at once.
const HELD: usize = 100_000;
/// How many of them are woken, one after the other.
const WOKEN: usize = 100;
/// What one may hold, in KiB.
const MOST_KIB: f64 = 4.0;
/// How much more passes the gate: resident memory is what the system says it is.
const LEEWAY: f64 = 1.03;
/// How long the way from the note to the model may take, in ms.
const MOST_MS: f64 = 1.0;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    // For a profiler: so many agents, held and then dropped.
    let only = args.iter().position(|arg| arg == "only");
    let held = only.map_or(HELD, |at| args[at + 1].parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut crowd = Crowd::new();
        // What is made once belongs to nobody.
        crowd.add(10).await;
        let before = memory::rss_kib();
        crowd.add(held).await;
        let each = (memory::rss_kib() - before) / held as f64;
        if only.is_some() {
            return println!("{each:.2} KiB each");
        }
        let mut ways = Vec::new();
        for nth in 0..WOKEN {
            ways.push(crowd.wake(nth * (held / WOKEN)).await);
        }
        ways.sort();
        let ms = |way: Duration| way.as_secs_f64() * 1e3;
        let (median, worst) = (ms(ways[WOKEN / 2]), ms(ways[WOKEN - 1]));
        println!("| row | offshoot | most | target |\n|---|--:|--:|--:|");
        println!("| an idle agent without a connection, of 100,000, KiB | {each:.2} | | {MOST_KIB} |");
        println!("| from a note to the model, one of 100,000, ms | {median:.3} | {worst:.3} | {MOST_MS} |");
        if args.iter().any(|arg| arg == "--gate") && (each > MOST_KIB * LEEWAY || median > MOST_MS)
        {
            eprintln!("an idle agent is larger or slower than it may be");
            std::process::exit(1);
        }
    });
}

/// Sessions that have answered once and wait for mail, and how their owner hears of it.
struct Crowd {
    agent: Agent,
    model: Words,
    sessions: Vec<Session>,
    wakes: mpsc::Receiver<usize>,
    sender: mpsc::Sender<usize>,
}

impl Crowd {
    fn new() -> Self {
        let model = Words::default();
        let word = |_: serde_json::Value| async { "a word" };
        let agent = Agent::builder(model.clone())
            .system("You are a benchmark.")
            .tools(subagents(AgentKinds::builtin()))
            .tool(tool_fn("word", "Says a word", word));
        let (sender, wakes) = mpsc::channel(WOKEN);
        Self {
            agent: agent.build().unwrap(),
            model,
            sessions: Vec::with_capacity(HELD + WOKEN),
            wakes,
            sender,
        }
    }

    async fn add(&mut self, more: usize) {
        for _ in 0..more {
            let number = self.sessions.len();
            let sender = self.sender.clone();
            let builder = Session::builder(self.agent.clone()).tracer(Wakes { number, sender });
            let mut session = builder.open().await.unwrap();
            let mut turn = session.submit_message("Say a few words.");
            while let Some(event) = turn.next().await {
                std::hint::black_box(event);
            }
            drop(turn);
            self.sessions.push(session);
        }
    }

    /// The time from a note for this agent to its next request.
    async fn wake(&mut self, number: usize) -> Duration {
        let handle = self.sessions[number].handle();
        let note = Note {
            from: "root".into(),
            text: "One more, please.".into(),
            urgency: Urgency::NextStep,
        };
        let began = Instant::now();
        handle.push(note).unwrap();
        let woken = self.wakes.recv().await.unwrap();
        assert_eq!(woken, number);
        let mut turn = self.sessions[woken].next_turn().await.unwrap();
        while let Some(event) = turn.next().await {
            std::hint::black_box(event);
        }
        self.model.asked() - began
    }
}

/// Tells the owner of many sessions which of them has mail.
struct Wakes {
    number: usize,
    sender: mpsc::Sender<usize>,
}

impl Tracer for Wakes {
    fn hear(&self, event: &Event) {
        if matches!(event.kind, EventKind::Wake { .. }) {
            self.sender.try_send(self.number).unwrap();
        }
    }
}

/// A model that says ten words at once, and remembers when it was asked last.
#[derive(Clone, Debug)]
struct Words {
    model: Model,
    asked: Arc<Mutex<Instant>>,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            model: Model::unknown("bench", "words"),
            asked: Arc::new(Mutex::new(Instant::now())),
        }
    }
}

impl Words {
    fn asked(&self) -> Instant {
        *self.asked.lock().unwrap()
    }
}

impl Provider for Words {
    fn model(&self) -> &Model {
        &self.model
    }

    fn stream(&self, request: &Request<'_>, _: &Scope) -> Result<Deltas> {
        *self.asked.lock().unwrap() = Instant::now();
        // As a vendor's encoder does: the bytes of each message are made once and kept.
        for message in request.history.messages() {
            let text = |message: &offshoot::Message| message.text().into_bytes();
            std::hint::black_box(message.encoded("bench", text));
        }
        let word = |n| Delta::Text {
            part: 0,
            text: format!(" word{n}"),
        };
        let mut deltas: Vec<_> = (0..10).map(word).collect();
        let mut usage = Usage::default();
        (usage.input, usage.output) = (25, 15);
        deltas.push(Delta::Usage(usage));
        deltas.push(Delta::Stop {
            stop: Stop::Done,
            raw: "end".into(),
        });
        Ok(stream::iter(deltas.into_iter().map(Ok)).boxed())
    }
}
