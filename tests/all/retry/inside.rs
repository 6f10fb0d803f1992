//! Row P9: an error inside an answer that began with 200 is what its status would have been.
//! Refuses other vendors than Anthropic, whose documentation warns of it; their words are beside their code.

use std::time::Duration;

use futures::future::join_all;
use offshoot::{
    Agent, AgentBuilder, ErrorKind, RetryPolicy,
    provider::Anthropic,
    testing::{ModelServer, Reply},
};
use serde_json::json;

use super::{error_of, run};
use crate::kit::{claude, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_an_error_event_inside_a_200_is_the_same_as_its_status() {
    errors_inside(Agent::builder).await;
}

pub(super) async fn errors_inside(agent: fn(Anthropic) -> AgentBuilder) {
    use Passes::{No, Yes};
    // The vendor's type; the kind; whether it is tried again.
    let table = [
        ("overloaded_error", ErrorKind::Overloaded, Yes),
        ("api_error", ErrorKind::Server, Yes),
        ("rate_limit_error", ErrorKind::RateLimited, Yes),
        ("timeout_error", ErrorKind::Timeout, Yes),
        ("invalid_request_error", ErrorKind::BadRequest, No),
        ("authentication_error", ErrorKind::Auth, No),
        ("permission_error", ErrorKind::Forbidden, No),
        ("not_found_error", ErrorKind::NotFound, No),
        ("billing_error", ErrorKind::QuotaExhausted, No),
    ];
    let start = r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-test","content":[],"stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#;
    let block =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let delta =
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hm"}}"#;
    let mut frames = vec![("message_start", start), ("content_block_start", block)];
    frames.extend([("content_block_delta", delta); 17]);
    // Each has an address of its own, and they are asked side by side: a refused one waits.
    let mut cases = Vec::new();
    for (word, kind, again) in table {
        for shown in 0..=frames.len() {
            let mut body = String::new();
            for (event, data) in &frames[..shown] {
                body += &format!("event: {event}\ndata: {data}\n\n");
            }
            let error = json!({"type": "error", "error": {"type": word, "message": "it failed"}});
            body += &format!("event: error\ndata: {error}\n\n");
            let what = format!("{word} after {shown}");
            cases.push(is_taken_for(kind, again, body, what, agent));
        }
    }
    assert_eq!(cases.len(), 9 * 20);
    join_all(cases).await;
}

/// Whether a failure passes.
#[derive(Clone, Copy, PartialEq)]
enum Passes {
    Yes,
    No,
}

/// An answer that ends in an error is told as this kind, and tried again if it passes.
async fn is_taken_for(
    kind: ErrorKind,
    passes: Passes,
    body: String,
    what: String,
    agent: fn(Anthropic) -> AgentBuilder,
) {
    let server = ModelServer::start([Reply::sse(body), Reply::answer("fine")]);
    let (outcome, recorder, _) = run(agent(claude(&server)).retry(quick())).await;
    if passes == Passes::Yes {
        assert_eq!(
            (outcome.text.as_str(), server.count()),
            ("fine", 2),
            "{what}: {outcome:?}"
        );
        assert_eq!(recorder.text(), "fine", "{what}");
    } else {
        assert_eq!(
            (error_of(&outcome).kind(), server.count()),
            (kind, 1),
            "{what}"
        );
    }
}

/// How long after a refusal of one agent the request of another comes.
async fn gap_after(refusal: Reply) -> Duration {
    let server = ModelServer::start([refusal, Reply::answer("fine")]);
    let agent = || Agent::builder(claude(&server)).retry(RetryPolicy::never());
    let (outcome, _, _) = run(agent()).await;
    assert!(!outcome.stop.is_finished(), "{:?}", outcome.stop);
    let (outcome, _, _) = run(agent()).await;
    assert_eq!(outcome.text, "fine");
    let requests = server.requests();
    requests[1].at - requests[0].at
}

fn error_inside(kind: &str) -> Reply {
    let error = json!({"type": "error", "error": {"type": kind, "message": "no"}});
    Reply::sse(format!("event: error\ndata: {error}\n\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_an_error_inside_a_200_holds_the_others_back_as_its_status_does() {
    let body = json!({"type": "error", "error": {"type": "some_error", "message": "no"}});
    let status = |status| Reply::json(&body).status(status);
    for (inside, outside) in [("overloaded_error", 529), ("rate_limit_error", 429)] {
        let (inside, outside) =
            tokio::join!(gap_after(error_inside(inside)), gap_after(status(outside)));
        for gap in [inside, outside] {
            assert!(gap >= Duration::from_millis(500), "{gap:?}");
        }
    }
}

/// The twin: what says nothing of the vendor holds nobody back, so that the wait above is no chance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_p9_an_error_that_is_the_request_s_own_holds_nobody_back() {
    let gap = gap_after(error_inside("invalid_request_error")).await;
    assert!(gap < Duration::from_millis(400), "{gap:?}");
}
