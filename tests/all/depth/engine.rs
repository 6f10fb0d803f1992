//! What one agent's loop keeps, kept by an agent below others: streams, summaries, encoded messages.
//! Refuses what agents owe each other, which `invariants` has.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::StreamExt;
use offshoot::{
    Agent, AgentBuilder, AgentKinds, Compaction, CompactionSettings, EventKind, Ground, Kept,
    Message, Part, Scope, Session, StopReason, Summarising, Trimming, Usage,
    provider::{Delta, Deltas, Model, Provider, Request, Stop},
    subagents,
    testing::{Answer, Scripted, Seen},
};
use serde_json::{Value, json};

use super::rig::{Told, Tower, is_summary, level_in, order, parrot, run_session, small};
use crate::kit::{busy, echo, noticed, shared, work};

const DEPTHS: [usize; 3] = [0, 1, 3];

/// A provider that knows how many of its answers are open on each level.
#[derive(Clone, Debug)]
struct Watched {
    model: Scripted,
    open: Open,
    answers: Answers,
}

/// How long an answer counts as open.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answers {
    UntilDropped,
    /// For ever, as in a loop that keeps its stream: for the twin.
    Lasting,
}

type Open = Arc<Mutex<BTreeMap<usize, i64>>>;

/// One open answer.
struct Answering(Open, usize);

impl Drop for Answering {
    fn drop(&mut self) {
        *self.0.lock().unwrap().entry(self.1).or_default() -= 1;
    }
}

impl Provider for Watched {
    fn model(&self) -> &Model {
        self.model.model()
    }

    fn stream(&self, request: &Request<'_>, scope: &Scope) -> offshoot::Result<Deltas> {
        let level = level_in(request.history.iter().map(Kept::get));
        *self.open.lock().unwrap().entry(level).or_default() += 1;
        let answering = Answering(self.open.clone(), level);
        if self.answers == Answers::Lasting {
            std::mem::forget(answering);
            return self.model.stream(request, scope);
        }
        let deltas = self.model.stream(request, scope)?;
        Ok(deltas
            .inspect(move |_| {
                let _kept = &answering;
            })
            .boxed())
    }
}

/// At the bottom three tools look for an open answer of their agent; in the foreground each child
/// looks for one of its parent.
async fn streams_end_before_tools(answers: Answers) {
    for tower in Tower::at(DEPTHS) {
        let open = Open::default();
        let (looks, streams) = (Arc::new(Mutex::new(Vec::new())), open.clone());
        let seen = looks.clone();
        let look = work(shared("look"), move |ctx, _| {
            let level = ctx.agent().depth();
            let open = *streams.lock().unwrap().get(&level).unwrap();
            seen.lock().unwrap().push(open);
            async { "looked".into() }
        });
        let above = open.clone();
        let waited = tower.way == Ground::Foreground;
        let model = tower.model(move |level, nth, _| {
            if nth == 1 && level > 0 && waited {
                let open = above.lock().unwrap()[&(level - 1)];
                assert_eq!(open, 0, "the answer that opened a child");
            }
            match nth {
                1 => Answer::text("two")
                    .call("look", json!({}))
                    .call("look", json!({})),
                2 => Answer::empty().call("look", json!({})),
                _ => "done".into(),
            }
        });
        let watched = Watched {
            model: model.clone(),
            open,
            answers,
        };
        let told = run_as(watched, &model, |agent| agent.tool(look)).await;
        assert_eq!(*looks.lock().unwrap(), [0, 0, 0], "{tower}");
        let stop = told.stop(&tower.bottom());
        assert_eq!(stop, Some(&StopReason::Finished), "{tower}");
    }
}

/// As the rig runs a tower, with a provider of its own before the scripted one.
async fn run_as(
    provider: impl Provider,
    model: &Scripted,
    dress: impl FnOnce(AgentBuilder) -> AgentBuilder,
) -> Told {
    let ran = Arc::default();
    let agent = Agent::builder(provider)
        .system("base")
        .tools(subagents(AgentKinds::builtin()))
        .tool(parrot(&ran));
    let recipe = dress(agent).build().unwrap();
    run_session(model, &ran, Session::builder(recipe), |session| session).await
}

#[tokio::test(start_paused = true)]
async fn inv03_the_stream_is_gone_before_a_tool_starts_at_every_depth() {
    streams_end_before_tools(Answers::UntilDropped).await;
}

#[tokio::test(start_paused = true)]
async fn inv03_twin_streams_that_last_are_seen_at_every_depth() {
    let saw = noticed(streams_end_before_tools(Answers::Lasting)).await;
    assert!(saw.contains("[1, 1, 2]"), "{saw}");
}

/// About so many tokens of words.
fn words(tokens: usize) -> String {
    "some words ".repeat(tokens / 2)
}

/// The bottom thinks, looks and looks again until its window is full several times over; then it
/// answers. Every request is looked at by the rig: each call has its result.
async fn shortened(dress: impl Fn(Scripted) -> AgentBuilder) {
    for tower in Tower::at(DEPTHS) {
        let bottom = tower.depth;
        let look = work(shared("look"), |_, _| async { words(700).into() });
        let model = tower
            .model(|_, nth, seen| match nth {
                1..=40 => Answer::empty()
                    .thinking(format!("thought {} {}", seen.number, words(60)))
                    .signed("sealed")
                    .without_usage()
                    .call("look", json!({})),
                _ => Answer::text("done").without_usage(),
            })
            .as_model(small(12_000));
        let agent = dress(model.clone()).system("base");
        let agent = agent
            .tools(subagents(AgentKinds::builtin()))
            .tool(look)
            .max_steps(60);
        let ran = Arc::default();
        let session = Session::builder(agent.build().unwrap());
        let told = run_session(&model, &ran, session, |session| session).await;
        let stop = told.stop(&tower.bottom());
        assert_eq!(stop, Some(&StopReason::Finished), "{tower}");
        let how: Vec<_> = told
            .events
            .iter()
            .filter(|event| event.agent.as_str() == tower.bottom())
            .filter_map(|event| match event.kind {
                EventKind::Compacted { how, before, after } => {
                    assert!(after < before, "{tower}: {before} to {after}");
                    Some(how)
                }
                _ => None,
            })
            .collect();
        assert!(how.contains(&Compaction::Summarised), "{tower}: {how:?}");
        assert!(how.len() < 40, "{tower}: once a step would be a loop");
        let summaries = told.seen.iter().filter(|seen| is_summary(seen)).count();
        assert!((1..20).contains(&summaries), "{tower}: {summaries}");
        for seen in told.asked(bottom) {
            keeps_what_must_stay(tower, seen);
        }
    }
}

#[track_caller]
fn keeps_what_must_stay(tower: Tower, seen: &Seen) {
    let prompt = match tower.depth {
        0 => "go".to_owned(),
        depth => format!("level {depth}."),
    };
    let asks = |message: &Message| message.text().contains(&prompt);
    let asked = seen.messages.iter().any(asks);
    assert!(asked, "{tower}: what was asked is gone: {seen:?}");
    for part in seen.messages.iter().flat_map(|message| &message.parts) {
        if let Part::Reasoning { text, seal } = part {
            assert!(text.starts_with("thought ") && text.ends_with(&words(60)));
            assert_eq!(
                seal.as_ref().map(|seal| seal.value.as_str()),
                Some("sealed")
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn inv08_a_long_conversation_is_shortened_and_stays_whole_at_every_depth() {
    shortened(Agent::builder).await;
}

/// Makes room by leaving the oldest messages out, wherever that cuts.
#[derive(Debug)]
struct Forgetful(Scripted);

impl Provider for Forgetful {
    fn model(&self) -> &Model {
        self.0.model()
    }

    fn stream(&self, request: &Request<'_>, scope: &Scope) -> offshoot::Result<Deltas> {
        // What was asked stays, so that the rig knows who asks; of the rest an odd number does.
        let from = request.history.len().saturating_sub(7).max(1);
        let (first, rest) = (&request.history[..1], &request.history[from..]);
        let history = [first, rest].concat();
        let history = &history[..];
        self.0.stream(
            &Request {
                history: history.into(),
                ..*request
            },
            scope,
        )
    }
}

#[tokio::test(start_paused = true)]
async fn inv08_twin_leaving_out_what_is_old_is_seen_at_every_depth() {
    let forgetful = |model| {
        let mut settings = CompactionSettings::default();
        settings.summarising = Summarising::Never;
        settings.trimming = Trimming::Never;
        Agent::builder(Forgetful(model)).compaction(settings)
    };
    let saw = noticed(shortened(forgetful)).await;
    assert!(saw.contains("the turn panicked"), "{saw}");
}

/// A model without a script, which would itself cost more with each message: the bottom of a tower
/// calls so many times, and the work between its first and its last request is measured.
#[derive(Clone, Debug)]
struct Counting {
    model: Model,
    tower: Tower,
    calls: usize,
    /// How many of the newest messages are encoded at each request.
    newest: usize,
    encoding: Encoding,
    seen: Arc<Counted>,
}

/// How often a message is encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    Once,
    /// At each request, by a loop that remembers no bytes: for the twin.
    Anew,
}

#[derive(Debug, Default)]
struct Counted {
    encoded: AtomicU64,
    began: Mutex<Duration>,
    took: Mutex<Duration>,
}

impl Counting {
    fn encode(&self, message: &Kept<Message>) {
        let fresh;
        let message = if self.encoding == Encoding::Anew {
            fresh = Kept::new(message.get().clone());
            &fresh
        } else {
            message
        };
        message.encoded("counting", |_| {
            self.seen.encoded.fetch_add(1, SeqCst);
            vec![b'x'; 64]
        });
    }

    /// What the bottom says at its request with so many messages before it.
    fn play(&self, before: usize) -> Says {
        if before == 1 {
            *self.seen.began.lock().unwrap() = busy();
        }
        if before / 2 < self.calls {
            return Says::Call("echo", json!({"text": "x"}));
        }
        *self.seen.took.lock().unwrap() = busy() - *self.seen.began.lock().unwrap();
        Says::Done
    }
}

/// An answer of one part.
enum Says {
    Done,
    Call(&'static str, Value),
}

impl Provider for Counting {
    fn model(&self) -> &Model {
        &self.model
    }

    fn stream(&self, request: &Request<'_>, _: &Scope) -> offshoot::Result<Deltas> {
        let history = request.history;
        let level = level_in(history.first().map(Kept::get));
        let says = if level == self.tower.depth {
            let from = history.len().saturating_sub(self.newest);
            history[from..]
                .iter()
                .for_each(|message| self.encode(message));
            self.play(history.len())
        } else if history.len() == 1 {
            Says::Call("Agent", order(level + 1, self.tower.way))
        } else {
            Says::Done
        };
        let mut deltas = match says {
            Says::Done => vec![Delta::Text {
                part: 0,
                text: "done".into(),
            }],
            Says::Call(name, input) => vec![
                Delta::Call {
                    part: 0,
                    id: None,
                    name: name.into(),
                },
                Delta::Arguments {
                    part: 0,
                    json: input.to_string(),
                },
            ],
        };
        deltas.push(Delta::Usage(Usage {
            input: 10,
            output: 10,
            ..Usage::default()
        }));
        deltas.push(Delta::Stop {
            stop: Stop::Done,
            raw: "done".into(),
        });
        Ok(futures::stream::iter(deltas.into_iter().map(Ok)).boxed())
    }
}

/// One turn whose bottom calls so many times: how long one of its steps took, and how often a
/// message of it was encoded.
async fn steps(tower: Tower, calls: usize, newest: usize, encoding: Encoding) -> (Duration, u64) {
    let seen = Arc::<Counted>::default();
    let model = Counting {
        model: Model::unknown("counting", "counting"),
        tower,
        calls,
        newest,
        encoding,
        seen: seen.clone(),
    };
    let recipe = Agent::builder(model)
        .tools(subagents(AgentKinds::builtin()))
        .tool(echo())
        .max_steps(calls as u64 + 9)
        .build()
        .unwrap();
    let mut session = Session::new(recipe);
    let done = session.submit_message("go").text().await.unwrap();
    assert_eq!(done, "done", "{tower}");
    session.close().await;
    let took = *seen.took.lock().unwrap();
    (took / calls as u32, seen.encoded.load(SeqCst))
}

async fn encodes_each_message_once(encoding: Encoding) {
    for tower in Tower::at(DEPTHS) {
        for calls in [20, 100] {
            let (_, encoded) = steps(tower, calls, usize::MAX, encoding).await;
            // The last answer is in the history and was never sent.
            assert_eq!(encoded, 2 * calls as u64 + 1, "{tower}, {calls} calls");
        }
    }
}

/// Eight times the history, and a step of it costs not twice as much.
async fn does_not_grow(newest: usize, encoding: Encoding) {
    for tower in Tower::at(DEPTHS) {
        let (mut short, mut long) = (Duration::MAX, Duration::MAX);
        for _ in 0..5 {
            short = short.min(steps(tower, 50, newest, encoding).await.0);
            long = long.min(steps(tower, 400, newest, encoding).await.0);
        }
        let what = format!("{tower}: a step of 50: {short:?}, of 400: {long:?}");
        assert!(long < short * 2, "it grows: {what}");
    }
}

#[tokio::test]
async fn inv16_each_message_is_encoded_once_and_a_step_does_not_grow_at_every_depth() {
    encodes_each_message_once(Encoding::Once).await;
    does_not_grow(3, Encoding::Once).await;
}

#[tokio::test]
async fn inv16_twin_messages_encoded_anew_are_seen_at_every_depth() {
    let saw = noticed(encodes_each_message_once(Encoding::Anew)).await;
    assert!(saw.contains("right: 41"), "{saw}");
    let saw = noticed(does_not_grow(usize::MAX, Encoding::Anew)).await;
    assert!(saw.contains("it grows"), "{saw}");
}
