//! Rows P7 and P8: a stream of words and two calls, cut anywhere, through a session.
//! Refuses to trust itself: the same proof must fail when a cut is taken for an end.

#![expect(clippy::print_stdout, reason = "figures of proofs, for people who ask")]

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use offshoot::{
    Agent, ErrorKind, Event, EventKind, Message, Outcome, RetryPolicy, Role, Scope, Session,
    StopReason, Tool,
    provider::{Delta, Deltas, Model, Provider, Request, Stop},
    testing::{Answer, Cut, Limits, ModelServer, Reply, Script, check_history},
    tool_fn,
};
use serde_json::{Value, json};

use super::vectors::{self, Vector, Vendor, full};

/// Between two cuts when the proof is not run in full.
const STRIDE: usize = 64;
/// What a tool's result says, by which the server knows that it was sent.
const WRITTEN: &str = "written to the last byte";
/// Cuts that are tried at the same time: a reset takes its time, and others can go on meanwhile.
const AT_ONCE: usize = 64;
/// What each try says, with its number, by which the server knows it.
const TRY: &str = "this is try ";

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Write {
    path: String,
    content: String,
}

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Grep {
    pattern: String,
    limit: Value,
}

/// Every run of a tool, with its arguments.
type Runs = Arc<Mutex<Vec<(&'static str, Value)>>>;

fn tools(runs: &Runs) -> [Arc<dyn Tool>; 2] {
    let (write, grep) = (runs.clone(), runs.clone());
    [
        tool_fn("Write", "Writes a file", move |args: Write| {
            write.lock().unwrap().push(("Write", json!(args)));
            async { WRITTEN }
        }),
        tool_fn("Grep", "Searches", move |args: Grep| {
            grep.lock().unwrap().push(("Grep", json!(args)));
            async { "found" }
        }),
    ]
}

/// What the model says in the whole stream.
struct Whole {
    vector: Vector,
    text: String,
    calls: Vec<(String, Value)>,
}

impl Whole {
    fn of(vendor: Vendor) -> Self {
        let vector = vectors::one(vendor, "large-40k");
        let text = vector.expected["text"][0].as_str().unwrap().to_owned();
        let calls = vector.expected["calls"].as_array().unwrap().iter();
        let calls = calls.map(|call| {
            (
                call["name"].as_str().unwrap().to_owned(),
                call["arguments"].clone(),
            )
        });
        Self {
            text,
            calls: calls.collect(),
            vector,
        }
    }

    /// Where the proof cuts.
    fn cuts(&self) -> BTreeSet<usize> {
        let (vendor, body) = (self.vector.vendor, &self.vector.body);
        if full() {
            return (0..=body.len()).collect();
        }
        let near = |at: usize| at.saturating_sub(2)..=(at + 2).min(body.len());
        let boundaries = vendor.boundaries(body).into_iter().flat_map(near);
        (0..body.len()).step_by(STRIDE).chain(boundaries).collect()
    }
}

/// With the defence, or with a provider that takes every end of a body for the end of the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Defence {
    Up,
    Down,
}

/// Takes a broken answer for a whole one: what a client does that does not ask for the end mark.
#[derive(Debug)]
struct Gullible(Arc<dyn Provider>);

impl Provider for Gullible {
    fn model(&self) -> &Model {
        self.0.model()
    }

    fn stream(&self, request: &Request<'_>, scope: &Scope) -> offshoot::Result<Deltas> {
        let deltas = self.0.stream(request, scope)?;
        let believed = deltas.map(|delta| match delta {
            Err(error) if error.kind() == ErrorKind::Disconnected => Ok(Delta::Stop {
                stop: Stop::Done,
                raw: "believed".to_owned(),
            }),
            other => other,
        });
        Ok(believed.boxed())
    }
}

/// One server and one client for all cuts of a stream: a try is known by its number.
struct Stage<'a> {
    whole: &'a Whole,
    /// What is tried, and how often the server was asked.
    tries: Tries,
    next: AtomicUsize,
    provider: Arc<dyn Provider>,
    _server: ModelServer,
}

type Tries = Arc<Mutex<HashMap<usize, (Reply, u64)>>>;

impl<'a> Stage<'a> {
    fn set(whole: &'a Whole, defence: Defence) -> Self {
        let vendor = whole.vector.vendor;
        let (tries, again) = (Tries::default(), vendor.reply(whole.vector.body.clone()));
        let plan = tries.clone();
        let script = Script::with(move |request| {
            let body = std::str::from_utf8(&request.body).expect("JSON is text");
            let number = body.split_once(TRY).expect("every try says so").1;
            let number = number
                .split('.')
                .next()
                .and_then(|number| number.parse().ok());
            let mut tries = plan.lock().unwrap();
            let (first, asked) = tries
                .get_mut(&number.expect("a number"))
                .expect("it is tried");
            *asked += 1;
            match *asked {
                _ if body.contains(WRITTEN) => Reply::answer(Answer::text("All done.")),
                1 => first.clone(),
                _ => again.clone(),
            }
        });
        // Nobody reads them again, and all of them are gigabytes.
        let mut limits = Limits::default();
        limits.kept_requests = 0;
        let server = ModelServer::start_with(script, limits);
        let provider = vendor.provider(&server.url());
        Self {
            whole,
            tries,
            next: AtomicUsize::new(1),
            provider: match defence {
                Defence::Up => provider,
                Defence::Down => Arc::new(Gullible(provider)),
            },
            _server: server,
        }
    }
}

/// Whether the proof holds at one cut; what is wrong otherwise.
async fn holds(stage: &Stage<'_>, at: usize, how: Cut) -> Result<(), String> {
    let whole = stage.whole;
    let (vendor, body) = (whole.vector.vendor, &whole.vector.body);
    let number = stage.next.fetch_add(1, Relaxed);
    let first = vendor.reply(body.clone()).cut_at(at, how);
    stage.tries.lock().unwrap().insert(number, (first, 0));
    let runs = Runs::default();
    let tiny = Duration::from_micros(100);
    let agent = Agent::builder_for(stage.provider.clone())
        .tools(tools(&runs))
        .retry(RetryPolicy {
            max_retries: 1,
            base: tiny,
            cap: tiny,
        })
        .build()
        .unwrap();
    let mut session = Session::new(agent);
    let turn = session.submit_message(format!("{TRY}{number}."));
    let events: Vec<Event> = turn.collect().await;
    let (_, asked) = stage.tries.lock().unwrap().remove(&number).unwrap();

    let check = |holds: bool, what: &str| match holds {
        true => Ok(()),
        false => Err(format!(
            "{vendor:?} cut at {at} of {} by {how:?}: {what}",
            body.len()
        )),
    };
    // The first answer counts only when nothing of it was missing.
    let first_counts = asked == 2;
    check(
        !first_counts || at == body.len(),
        "the turn went on from an answer whose end never came",
    )?;
    let wrong = format!("two or three requests, not {asked}");
    check(first_counts || asked == 3, &wrong)?;
    // Gemini has no end mark but the end of the body, which a cut connection never sends; what a
    // reset takes with it nobody knows.
    let must_count = at == body.len() && how == Cut::Close && vendor != Vendor::Gemini;
    check(
        first_counts || !must_count,
        "a whole answer was thrown away",
    )?;

    let mut shown = String::new();
    let (mut anything, mut restarts, mut retries, mut ended) = (false, 0, 0, 0);
    for event in &events {
        match &event.kind {
            EventKind::TextDelta { text, .. } => {
                check(
                    retries == 0 || !anything || restarts == 1,
                    "shown again without a word",
                )?;
                shown += text;
            }
            EventKind::Restarted { dropped, .. } => {
                check(
                    *dropped == shown,
                    "the dropped words are those that were shown",
                )?;
                check(
                    ended == 0 && retries == 0,
                    "a restart of a message that had ended",
                )?;
                shown.clear();
                restarts += 1;
            }
            EventKind::Retrying { .. } => retries += 1,
            EventKind::ToolStart { .. } => check(ended == 1, "a tool before the message's end")?,
            EventKind::MessageEnd { .. } => {
                let words = if ended == 0 { &whole.text } else { "All done." };
                check(shown == words, "the words shown are the model's, once")?;
                shown.clear();
                ended += 1;
            }
            _ => {}
        }
        anything |= retries == 0 && event.kind.is_delta();
    }
    let broken = usize::from(!first_counts);
    check(retries == broken, "one retry for the broken answer")?;
    check(
        restarts == usize::from(anything && broken == 1),
        "one restart of what was shown",
    )?;
    let Some(EventKind::TurnEnd { stop, .. }) = events.last().map(|event| &event.kind) else {
        return check(false, "no end");
    };
    check(*stop == StopReason::Finished && ended == 2, "finished")?;

    let ran = runs.lock().unwrap();
    let ran: Vec<_> = ran
        .iter()
        .map(|(name, args)| ((*name).to_owned(), args.clone()))
        .collect();
    check(ran.len() == 2, "each tool ran once")?;
    check(
        whole.calls.iter().all(|call| ran.contains(call)),
        "from whole arguments",
    )?;

    let history = session.history();
    check_history(&history).or_else(|wrong| check(false, &wrong))?;
    let roles: Vec<_> = history.iter().map(|message| message.role).collect();
    let expected = [Role::User, Role::Assistant, Role::Tool, Role::Assistant];
    check(roles == expected, "four messages")?;
    check(
        history[1].text() == whole.text,
        "the words stand there once",
    )?;
    check(history[1].calls().count() == 2, "two calls")?;
    let all_ok = |message: &Message| {
        message
            .tool_results()
            .all(|result| result.outcome == Outcome::Ok)
    };
    check(all_ok(&history[2]), "both results are good")
}

/// Tries many cuts, closed and reset in turn, and gives what did not hold.
async fn failures(
    whole: &Whole,
    cuts: impl IntoIterator<Item = usize>,
    defence: Defence,
) -> (usize, Vec<String>) {
    let hows = [Cut::Close, Cut::Reset].into_iter().cycle();
    let tries: Vec<_> = cuts.into_iter().zip(hows).collect();
    let count = tries.len();
    let stage = &Stage::set(whole, defence);
    // The pool may hold a connection that has died since, whose failure uses the one retry up: such
    // a try says nothing and is repeated.
    let tried = stream::iter(tries).map(|(at, how)| async move {
        match holds(stage, at, how).await {
            Err(_) => holds(stage, at, how).await,
            good => good,
        }
    });
    let tried: Vec<_> = tried.buffer_unordered(AT_ONCE).collect().await;
    (count, tried.into_iter().filter_map(Result::err).collect())
}

async fn cut_everywhere(vendor: Vendor) {
    let whole = Whole::of(vendor);
    assert!(whole.vector.body.len() >= 40 << 10);
    let cuts = whole.cuts();
    assert!(cuts.contains(&0) && cuts.contains(&whole.vector.body.len()));
    let began = Instant::now();
    let (count, failures) = failures(&whole, cuts, Defence::Up).await;
    println!(
        "{vendor:?}: {count} cuts in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    assert!(count > 640, "only {count} cuts");
    assert!(
        failures.is_empty(),
        "{} of {count} cuts:\n{}",
        failures.len(),
        failures[..failures.len().min(5)].join("\n")
    );
}

/// The twin: the same proof without the defence.
async fn believed_everywhere(vendor: Vendor) {
    let whole = Whole::of(vendor);
    let cuts = (0..whole.vector.body.len()).step_by(997);
    let (count, failures) = failures(&whole, cuts, Defence::Down).await;
    assert_eq!(
        failures.len(),
        count,
        "a cut taken for an end went unnoticed"
    );
    // Half an answer in words ends the turn.
    let what = "two or three requests";
    assert!(
        failures.iter().any(|failure| failure.contains(what)),
        "{failures:?}"
    );
}

#[tokio::test]
async fn p7_p8_anthropic_cut_anywhere() {
    cut_everywhere(Vendor::Anthropic).await;
}

#[tokio::test]
async fn p7_p8_openai_responses_cut_anywhere() {
    cut_everywhere(Vendor::Responses).await;
}

#[tokio::test]
async fn p7_p8_openai_chat_cut_anywhere() {
    cut_everywhere(Vendor::Chat).await;
}

#[tokio::test]
async fn p7_p8_gemini_cut_anywhere() {
    cut_everywhere(Vendor::Gemini).await;
}

#[tokio::test]
async fn p7_p8_ollama_cut_anywhere() {
    cut_everywhere(Vendor::Ollama).await;
}

#[tokio::test]
async fn twin_p7_p8_a_cut_that_is_taken_for_an_end_fails_the_proof() {
    for vendor in Vendor::ALL {
        believed_everywhere(vendor).await;
    }
}
