//! A provider that plays a script and keeps every request it saw.
//! Refuses to make an answer up: when the script runs out it fails and says so.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use async_stream::try_stream;

use super::answer::{Answer, Ending, Piece};
use crate::{
    error::{Error, ErrorKind, Result},
    id::CallId,
    message::{Message, Part, Seal},
    provider::{Delta, Deltas, Model, Options, Provider, Request, Stop},
    scope::Scope,
};

/// A provider that plays a script. Cheap to clone; all clones share script and record, so a test
/// keeps one and gives the other away.
#[derive(Clone)]
pub struct Scripted {
    model: Model,
    inner: Arc<Inner>,
}

/// One request that a [`Scripted`] provider saw.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// Which request this was, from 1.
    pub number: u64,
    /// The system prompt.
    pub system: String,
    /// The names of the tools, in order.
    pub tools: Vec<String>,
    /// The conversation; give it to [`check_history`](super::check_history).
    pub messages: Vec<Message>,
    /// How the model should answer.
    pub options: Options,
}

struct Inner {
    script: Script,
    state: Mutex<State>,
    open: AtomicUsize,
}

enum Script {
    List {
        answers: Mutex<VecDeque<Answer>>,
        total: usize,
    },
    Forever(Answer),
    With(Box<dyn Fn(&Seen) -> Answer + Send + Sync>),
}

#[derive(Default)]
struct State {
    count: u64,
    seen: Vec<Seen>,
}

impl Scripted {
    /// How many requests are kept; later ones are only counted.
    pub const MAX_SEEN: usize = 10_000;

    /// Plays these answers, one for each request. One request more is an error.
    pub fn new(answers: impl IntoIterator<Item = impl Into<Answer>>) -> Self {
        let answers: VecDeque<_> = answers.into_iter().map(Into::into).collect();
        let total = answers.len();
        let answers = Mutex::new(answers);
        Self::playing(Script::List { answers, total })
    }

    /// Gives the same answer to every request.
    pub fn forever(answer: impl Into<Answer>) -> Self {
        Self::playing(Script::Forever(answer.into()))
    }

    /// Asks the test for each answer. The closure runs when the stream is first polled.
    pub fn with(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::playing(Script::With(Box::new(answer)))
    }

    fn playing(script: Script) -> Self {
        let (state, open) = (Mutex::default(), AtomicUsize::new(0));
        Self {
            model: Model::unknown("scripted", "scripted"),
            inner: Arc::new(Inner {
                script,
                state,
                open,
            }),
        }
    }

    /// As another model: limits, price, name. Clones made before keep theirs.
    #[must_use]
    pub fn as_model(mut self, model: Model) -> Self {
        self.model = model;
        self
    }

    /// Every request seen, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.state().seen.clone()
    }

    /// How many requests were seen. A request counts when its stream is first polled.
    pub fn count(&self) -> u64 {
        self.inner.state().count
    }

    /// How many answers of the list are left; `None` when there is no list.
    pub fn left(&self) -> Option<usize> {
        match &self.inner.script {
            Script::List { answers, .. } => Some(lock(answers).len()),
            _ => None,
        }
    }

    /// How many answers are being played right now.
    pub fn open(&self) -> usize {
        self.inner.open.load(SeqCst)
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("model", &self.model.full_name())
            .field("count", &self.count())
            .field("left", &self.left())
            .finish_non_exhaustive()
    }
}

impl Provider for Scripted {
    fn model(&self) -> &Model {
        &self.model
    }

    fn stream(&self, request: &Request<'_>, scope: &Scope) -> Result<Deltas> {
        let seen = Seen::of(request);
        let (inner, model, scope) = (self.inner.clone(), self.model.clone(), scope.clone());
        Ok(Box::pin(try_stream! {
            let _open = Open::of(&inner);
            let prompt = seen.bytes();
            let (number, answer) = inner.next(seen)?;
            let cancelled = || Error::new(ErrorKind::Cancelled, "the answer was cancelled");
            let mut deltas = play(&answer, &model, number, prompt).into_iter();
            let (mut given, mut ending) = (0, Some(&answer.ending));
            loop {
                match ending.take_if(|ending| ending.after() == Some(given)) {
                    Some(Ending::Break(_)) => return,
                    Some(Ending::Fail(_, error)) => Err(error.clone())?,
                    Some(Ending::Stall(_)) => {
                        scope.cancelled().await;
                        Err(cancelled())?;
                    }
                    Some(Ending::Stop) | None => {}
                }
                let Some(delta) = deltas.next() else { break };
                if given > 0 && let Some(pause) = answer.pause {
                    scope.race(tokio::time::sleep(pause)).await.ok_or_else(cancelled)?;
                }
                given += 1;
                yield delta;
            }
        }))
    }
}

impl Ending {
    fn after(&self) -> Option<usize> {
        match self {
            Self::Stop => None,
            Self::Break(n) | Self::Stall(n) | Self::Fail(n, _) => Some(*n),
        }
    }
}

impl Inner {
    /// Records the request and picks its answer.
    fn next(&self, mut seen: Seen) -> Result<(u64, Answer)> {
        let mut state = self.state();
        state.count += 1;
        seen.number = state.count;
        if state.seen.len() < Scripted::MAX_SEEN {
            state.seen.push(seen.clone());
        }
        // The answer is taken under the same lock, so that request n gets answer n.
        let taken = match &self.script {
            Script::List { answers, .. } => lock(answers).pop_front(),
            Script::Forever(answer) => Some(answer.clone()),
            Script::With(_) => None,
        };
        drop(state);
        let number = seen.number;
        match (taken, &self.script) {
            (Some(answer), _) => Ok((number, answer)),
            (None, Script::With(answer)) => Ok((number, answer(&seen))),
            (None, script) => {
                let total = match script {
                    Script::List { total, .. } => *total,
                    _ => 0,
                };
                let message =
                    format!("the script of {total} answers has none for request: `{number}`");
                Err(Error::new(ErrorKind::Config, message)
                    .with_hint("add an answer, or use `Scripted::forever` or `Scripted::with`"))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Seen {
    fn of(request: &Request<'_>) -> Self {
        Self {
            number: 0,
            system: request.system.to_owned(),
            tools: request
                .tools
                .get()
                .iter()
                .map(|tool| tool.name.to_string())
                .collect(),
            messages: request
                .history
                .iter()
                .map(|message| message.get().clone())
                .collect(),
            options: request.options.clone(),
        }
    }

    /// About how much there is to read.
    fn bytes(&self) -> usize {
        let mut bytes = self.system.len();
        for part in self.messages.iter().flat_map(|message| &message.parts) {
            bytes += match part {
                Part::Text { text, .. } | Part::Reasoning { text, .. } => text.len(),
                Part::Call(call) => call.name.len() + call.input.as_str().len(),
                Part::Result(result) => result.joined_text().len(),
                Part::Opaque { json, .. } => json.as_str().len(),
                Part::Media(_) => 0,
            };
        }
        bytes
    }
}

/// All deltas of an answer, the end included.
fn play(answer: &Answer, model: &Model, number: u64, prompt: usize) -> Vec<Delta> {
    let name = answer
        .model
        .clone()
        .unwrap_or_else(|| model.name.to_string());
    let mut out = vec![Delta::Started { model: name }];
    for (at, piece) in answer.pieces.iter().enumerate() {
        let part = at as u32;
        let seal = match piece {
            Piece::Text(words) => {
                let text = |text: &str| Delta::Text {
                    part,
                    text: text.to_owned(),
                };
                out.extend(words.deltas(answer.split).into_iter().map(text));
                &words.seal
            }
            Piece::Thinking(words) => {
                let text = |text: &str| Delta::Thinking {
                    part,
                    text: text.to_owned(),
                };
                out.extend(words.deltas(answer.split).into_iter().map(text));
                &words.seal
            }
            Piece::Call(call) => {
                let id = Some(CallId::new(call.id("call_", number, at)));
                let name = call.name.clone();
                out.push(Delta::Call { part, id, name });
                let json = |json: &str| Delta::Arguments {
                    part,
                    json: json.to_owned(),
                };
                out.extend(call.deltas(answer.split).into_iter().map(json));
                &call.seal
            }
            Piece::Opaque(json) => {
                let json = json.clone();
                out.push(Delta::Opaque {
                    part,
                    vendor: "scripted",
                    json,
                });
                &None
            }
            Piece::Raw(delta) => {
                out.push((**delta).clone());
                &None
            }
        };
        if let Some(value) = seal {
            let (vendor, value) = (model.vendor.clone(), value.clone());
            out.push(Delta::Seal {
                part,
                seal: Seal { vendor, value },
            });
        }
    }
    out.extend(answer.used(prompt).map(Delta::Usage));
    let stop = answer.stopped();
    let spelled = match &stop {
        Stop::Done if answer.has_calls() => "tool_use",
        Stop::Done => "end_turn",
        Stop::Length => "max_tokens",
        Stop::Refused { .. } => "refusal",
        Stop::Paused => "pause_turn",
        Stop::ContextFull => "context_full",
        Stop::BadCall => "bad_call",
        Stop::Unknown => "unknown",
    };
    out.push(Delta::Stop {
        raw: answer.stop_word(spelled),
        stop,
    });
    out
}

/// Counts a playing answer until it is dropped.
struct Open(Arc<Inner>);

impl Open {
    fn of(inner: &Arc<Inner>) -> Self {
        inner.open.fetch_add(1, SeqCst);
        Self(inner.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
