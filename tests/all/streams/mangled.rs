//! Rows P16 and P20: arguments that are no JSON, and calls that the output limit cut off.
//! Refuses Gemini and Ollama: their arguments come as objects, and never as text.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use futures::StreamExt;
use offshoot::{
    Agent, ErrorKind, Outcome, RetryPolicy, Role, Scope, Session, StopReason, Tool,
    provider::{Delta, Deltas, Model, Provider, Request, Stop},
    testing::{Answer, ModelServer, Reply, Script, check_history},
    tool_fn,
};
use serde_json::Value;

use super::vectors::{Dice, Vendor};

const VENDORS: [Vendor; 3] = [Vendor::Anthropic, Vendor::Responses, Vendor::Chat];

/// Whole arguments of more than 300 bytes, with what is easily hurt.
const ARGUMENTS: &str = r#"{"path": "notes/größe.md", "content": "line one\nline \"two\" {not: json} [1, 2\n漢字 and 👍🏽, \\ and \u00e9; a comma, a colon: all of it text that goes on and on until it has enough bytes to be cut in three hundred places without being cut in the same place twice, which it has by about here, or here, or after these last words", "mode": {"append": true, "tries": [1, 2, 3]}}"#;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Write {
    path: String,
    content: String,
    mode: Value,
}

fn write(ran: &Arc<AtomicUsize>) -> Arc<dyn Tool> {
    let ran = ran.clone();
    tool_fn("Write", "Writes a file", move |args: Write| {
        ran.fetch_add(1, SeqCst);
        async move { format!("{} {} {}", args.path, args.content, args.mode) }
    })
}

fn session(vendor: Vendor, server: &ModelServer, ran: &Arc<AtomicUsize>) -> Session {
    session_with(vendor.provider(&server.url()), ran)
}

fn session_with(provider: Arc<dyn Provider>, ran: &Arc<AtomicUsize>) -> Session {
    let agent = Agent::builder_for(provider)
        .tool(write(ran))
        .retry(RetryPolicy::never());
    Session::new(agent.build().unwrap())
}

/// Whether no JSON object stands at the start of this text; small models chat on behind one, and
/// no text at all means no arguments.
fn is_wrong(text: &str) -> bool {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    !matches!(values.next(), None | Some(Ok(Value::Object(_))))
}

/// Two hundred ways to spoil the arguments: cut off, or with bytes lost, doubled and swapped.
fn mangled() -> Vec<String> {
    let mut dice = Dice(16);
    let mut all = BTreeSet::new();
    while all.len() < 100 {
        let at = 1 + dice.below(ARGUMENTS.len() - 1);
        if ARGUMENTS.is_char_boundary(at) {
            all.insert(ARGUMENTS[..at].to_owned());
        }
    }
    while all.len() < 200 {
        let mut chars: Vec<char> = ARGUMENTS.chars().collect();
        for _ in 0..=dice.below(4) {
            let at = dice.below(chars.len());
            match dice.below(4) {
                0 => drop(chars.remove(at)),
                1 => chars.insert(at, ['{', '}', '"', '\\', ',', '\n'][dice.below(6)]),
                2 => chars[at] = ['[', ']', ':', '"', '\u{0}', 'x'][dice.below(6)],
                _ => chars.truncate(at + 1),
            }
        }
        let text: String = chars.into_iter().collect();
        if is_wrong(&text) {
            all.insert(text);
        }
    }
    assert!(all.iter().all(|text| is_wrong(text)));
    all.into_iter().collect()
}

/// The calls and the results in a request, by the vendor's own ids.
fn paired(body: &Value) -> (Vec<String>, Vec<String>) {
    let (mut calls, mut results) = (Vec::new(), Vec::new());
    let mut rest = vec![body];
    while let Some(value) = rest.pop() {
        let id = |name: &str| value[name].as_str().map(str::to_owned);
        match value["type"].as_str() {
            Some("tool_use" | "function") => calls.extend(id("id")),
            Some("function_call") => calls.extend(id("call_id")),
            Some("tool_result") => results.extend(id("tool_use_id")),
            Some("function_call_output") => results.extend(id("call_id")),
            _ => results.extend(id("tool_call_id")),
        }
        match value {
            Value::Array(values) => rest.extend(values),
            Value::Object(fields) => rest.extend(fields.values()),
            _ => {}
        }
    }
    calls.sort();
    results.sort();
    (calls, results)
}

fn assert_valid_requests(server: &ModelServer, calls_in_last: usize) {
    let requests = server.requests();
    for request in &requests {
        let (calls, results) = paired(&request.json());
        assert_eq!(calls, results, "{}", String::from_utf8_lossy(&request.body));
    }
    let last = paired(&requests.last().unwrap().json());
    assert_eq!(last.0.len(), calls_in_last, "in the last request");
}

#[tokio::test]
async fn p16_arguments_that_are_no_json_never_run_and_stop_the_loop() {
    let mangled = mangled();
    assert_eq!(mangled.len(), 200);
    for vendor in VENDORS {
        for text in &mangled {
            let answer = Answer::text("Writing.").call_text("Write", text.as_str());
            let server = ModelServer::start(Script::repeat(Reply::answer(answer)));
            let ran = Arc::<AtomicUsize>::default();
            let mut session = session(vendor, &server, &ran);
            let outcome = session.submit_message("go").finish().await;
            assert_eq!(ran.load(SeqCst), 0, "{vendor:?}: {text}");
            let StopReason::Failed {
                error: Some(error), ..
            } = &outcome.stop
            else {
                panic!("{vendor:?}: {text}: {:?}", outcome.stop);
            };
            assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
            assert!(
                error.to_string().contains("wrong calls 3 times in a row"),
                "{error}"
            );
            assert_eq!(server.count(), 3);
            let history = session.history();
            check_history(&history).unwrap();
            let results: Vec<_> = history.iter().flat_map(|m| m.tool_results()).collect();
            assert_eq!(results.len(), 3);
            for result in results {
                assert_eq!(result.outcome, Outcome::Failed);
                assert!(
                    result.joined_text().contains("JSON"),
                    "{vendor:?}: {text:?}: {}",
                    result.joined_text()
                );
            }
            assert_valid_requests(&server, 2);
        }
    }
}

#[tokio::test]
async fn p16_one_right_call_starts_the_count_again() {
    for vendor in VENDORS {
        let wrong = || Answer::empty().call_text("Write", "{\"path\": ");
        let right = || Answer::empty().call_text("Write", ARGUMENTS);
        let answers = [
            wrong(),
            wrong(),
            right(),
            wrong(),
            wrong(),
            right(),
            Answer::text("ok"),
        ];
        let server = ModelServer::start(Script::replies(answers));
        let ran = Arc::<AtomicUsize>::default();
        let mut session = session(vendor, &server, &ran);
        let outcome = session.submit_message("go").finish().await;
        assert_eq!(outcome.stop, StopReason::Finished, "{vendor:?}");
        assert_eq!((ran.load(SeqCst), server.count()), (2, 7));
        assert_valid_requests(&server, 6);
    }
}

#[tokio::test]
async fn p20_a_call_cut_off_by_the_output_limit_never_runs() {
    let places = (0..).filter(|at| ARGUMENTS.is_char_boundary(*at)).take(300);
    let places: Vec<_> = places.chain([ARGUMENTS.len()]).collect();
    for vendor in VENDORS {
        for at in &places {
            let half = Answer::text("Writing.").call_text("Write", &ARGUMENTS[..*at]);
            let answers = [half.stop(Stop::Length), Answer::text("Too long, then.")];
            let server = ModelServer::start(Script::replies(answers));
            let ran = Arc::<AtomicUsize>::default();
            let mut session = session(vendor, &server, &ran);
            let outcome = session.submit_message("go").finish().await;
            assert_eq!(ran.load(SeqCst), 0, "{vendor:?} cut at {at}");
            assert_eq!(outcome.stop, StopReason::Finished, "{vendor:?} cut at {at}");
            let history = session.history();
            check_history(&history).unwrap();
            let result = history[2].tool_results().next().unwrap();
            assert_eq!(result.outcome, Outcome::NeverStarted);
            assert_eq!(history[3].role, Role::Assistant);
            assert_valid_requests(&server, 1);
        }
    }
}

#[tokio::test]
async fn p20_a_model_that_never_fits_is_stopped() {
    for vendor in VENDORS {
        let half = Answer::empty().call_text("Write", &ARGUMENTS[..60]);
        let server = ModelServer::start(Script::repeat(Reply::answer(half.stop(Stop::Length))));
        let ran = Arc::<AtomicUsize>::default();
        let mut session = session(vendor, &server, &ran);
        let outcome = session.submit_message("go").finish().await;
        assert_eq!(outcome.stop, StopReason::Truncated, "{vendor:?}");
        assert_eq!((ran.load(SeqCst), server.count()), (0, 3), "{vendor:?}");
        check_history(&session.history()).unwrap();
    }
}

/// The defence removed: spoilt arguments are mended, and an answer that was cut off counts as done.
#[derive(Debug)]
struct Mending(Arc<dyn Provider>);

impl Provider for Mending {
    fn model(&self) -> &Model {
        self.0.model()
    }

    fn stream(&self, request: &Request<'_>, scope: &Scope) -> offshoot::Result<Deltas> {
        let mended = self.0.stream(request, scope)?.map(|delta| {
            Ok(match delta? {
                Delta::Arguments { part, .. } | Delta::ArgumentsDone { part, .. } => {
                    let json = ARGUMENTS.to_owned();
                    Delta::ArgumentsDone { part, json }
                }
                Delta::Stop { raw, .. } => Delta::Stop {
                    stop: Stop::Done,
                    raw,
                },
                other => other,
            })
        });
        Ok(mended.boxed())
    }
}

#[tokio::test]
async fn twin_p16_p20_mended_arguments_run_and_the_proof_sees_it() {
    for vendor in VENDORS {
        for text in mangled().iter().step_by(20) {
            for stop in [Stop::Done, Stop::Length] {
                let call = Answer::empty().call_text("Write", text.as_str()).stop(stop);
                let server = ModelServer::start(Script::replies([call, Answer::text("ok")]));
                let ran = Arc::<AtomicUsize>::default();
                let provider = Mending(vendor.provider(&server.url()));
                let mut session = session_with(Arc::new(provider), &ran);
                let outcome = session.submit_message("go").finish().await;
                assert_eq!(outcome.stop, StopReason::Finished);
                assert_eq!(ran.load(SeqCst), 1, "{vendor:?}: {text}");
            }
        }
    }
}
