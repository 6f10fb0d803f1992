//! The five wire formats, read as their vendors document them.
//! Refuses the crate's decoders: each stream is put together here from its JSON.

use offshoot::{
    Error, ErrorKind, Usage,
    provider::{Delivery, Stop},
    testing::{Answer, ModelServer, Reply, Script},
};
use serde_json::{Value, json};

use super::{Response, SECOND, ask, events};

const GEMINI: &str = "/v1beta/models/gem:streamGenerateContent";

fn answer() -> Answer {
    let usage = Usage {
        input: 10,
        output: 20,
        cache_read: 5,
        cache_write: 2,
        cache_write_hour: 1,
        reasoning: 7,
        ..Usage::default()
    };
    Answer::empty()
        .thinking("I should look.")
        .and_text("Grüße, ✓ \"quoted\"\n")
        .call("Read", json!({"path": "a b.txt"}))
        .call_as("my_id", "Glob", json!({"pattern": "*"}))
        .usage(usage)
}

/// Path and body of a request in each format.
fn request(format: &str, delivery: Delivery) -> (String, Value) {
    let stream = delivery == Delivery::Stream;
    let messages = json!([{"role": "user", "content": "hi"}]);
    match format {
        "anthropic" => {
            let body =
                json!({"model": "m", "max_tokens": 9, "stream": stream, "messages": messages});
            ("/v1/messages".into(), body)
        }
        "responses" => (
            "/v1/responses".into(),
            json!({"model": "m", "input": "hi", "stream": stream}),
        ),
        "chat" => {
            let options = json!({"include_usage": true});
            let body = json!({"model": "m", "messages": messages, "stream": stream, "stream_options": options});
            ("/v1/chat/completions".into(), body)
        }
        "gemini" => {
            let path = if stream {
                format!("{GEMINI}?alt=sse")
            } else {
                GEMINI.replace("streamG", "g")
            };
            (
                path,
                json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            )
        }
        "ollama" => (
            "/api/chat".into(),
            json!({"model": "m", "messages": messages, "stream": stream}),
        ),
        other => panic!("{other}"),
    }
}

const FORMATS: [&str; 5] = ["anthropic", "responses", "chat", "gemini", "ollama"];

async fn once(format: &str, delivery: Delivery, reply: impl Into<Reply>) -> Response {
    let server = ModelServer::start(reply.into());
    let (path, body) = request(format, delivery);
    ask(&server, &path, &body).await
}

async fn data(format: &str, answer: Answer) -> Vec<(String, Value)> {
    let response = once(format, Delivery::Stream, answer).await;
    assert_eq!(response.status, 200);
    let events = events(response.text()).into_iter();
    events
        .map(|(name, data)| (name, serde_json::from_str(&data).unwrap_or(data.into())))
        .collect()
}

fn text<'a>(values: impl IntoIterator<Item = &'a Value>) -> String {
    values.into_iter().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn anthropic_streams_blocks() {
    let events = data("anthropic", answer()).await;
    for (name, data) in &events {
        assert_eq!(data["type"], **name, "the name stands in the data too");
    }
    let all = |name: &str| {
        let named = events.iter().filter(|(own, _)| own == name);
        named.map(|(_, data)| data.clone()).collect::<Vec<_>>()
    };
    assert_eq!(events[0].0, "message_start");
    assert_eq!(events[0].1["message"]["usage"]["input_tokens"], 10);
    assert_eq!(events[0].1["message"]["content"], json!([]));
    let starts = all("content_block_start");
    let kinds: Vec<_> = starts
        .iter()
        .map(|start| &start["content_block"]["type"])
        .collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use", "tool_use"]);
    assert_eq!(starts[2]["content_block"]["input"], json!({}));
    assert_eq!(starts[2]["content_block"]["id"], "toolu_000001_02");
    assert_eq!(starts[3]["content_block"]["id"], "my_id");
    let deltas = all("content_block_delta");
    let of = |index: u64, field: &str| {
        text(
            deltas
                .iter()
                .filter(|d| d["index"] == index)
                .map(|d| &d["delta"][field]),
        )
    };
    assert_eq!(of(0, "thinking"), "I should look.");
    assert!(!of(0, "signature").is_empty());
    assert_eq!(of(1, "text"), "Grüße, ✓ \"quoted\"\n");
    assert_eq!(of(2, "partial_json"), r#"{"path":"a b.txt"}"#);
    assert_eq!(of(3, "partial_json"), r#"{"pattern":"*"}"#);
    assert_eq!(all("content_block_stop").len(), 4);
    assert_eq!(all("ping").len(), 1);
    let (end, last) = (&events[events.len() - 2].1, &events[events.len() - 1].0);
    assert_eq!(last, "message_stop");
    assert_eq!(end["delta"]["stop_reason"], "tool_use");
    let usage = json!({
        "input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 5,
        "output_tokens": 20, "output_tokens_details": {"thinking_tokens": 7},
    });
    assert_eq!(end["usage"], usage);
}

#[tokio::test]
async fn responses_number_their_events_and_repeat_everything_at_the_end() {
    let events = data("responses", answer()).await;
    for (at, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"], **name);
        assert_eq!(data["sequence_number"], at);
    }
    let last = &events.last().expect("events").1;
    assert_eq!(last["type"], "response.completed");
    let output = last["response"]["output"].as_array().expect("a list");
    let done: Vec<_> = events
        .iter()
        .filter(|(n, _)| n == "response.output_item.done")
        .collect();
    assert_eq!(output.len(), 4);
    for (at, (_, done)) in done.iter().enumerate() {
        assert_eq!(
            (&done["item"], &done["output_index"]),
            (&output[at], &json!(at))
        );
    }
    assert_eq!(output[0]["summary"][0]["text"], "I should look.");
    assert_eq!(output[1]["content"][0]["text"], "Grüße, ✓ \"quoted\"\n");
    assert_eq!(output[2]["arguments"], r#"{"path":"a b.txt"}"#);
    assert_ne!(output[2]["id"], output[2]["call_id"]);
    assert_eq!(output[3]["call_id"], "my_id");
    for (kind, index, whole) in [
        ("response.reasoning_summary_text.delta", 0, "I should look."),
        ("response.output_text.delta", 1, "Grüße, ✓ \"quoted\"\n"),
        (
            "response.function_call_arguments.delta",
            2,
            r#"{"path":"a b.txt"}"#,
        ),
    ] {
        let own = events
            .iter()
            .filter(|(n, d)| n == kind && d["output_index"] == index);
        assert_eq!(text(own.map(|(_, d)| &d["delta"])), whole);
    }
    let usage = &last["response"]["usage"];
    assert_eq!(usage["input_tokens"], 18, "cached tokens are part of it");
    assert_eq!(usage["input_tokens_details"]["cached_tokens"], 5);
    assert_eq!(
        (&usage["output_tokens"], &usage["total_tokens"]),
        (&json!(20), &json!(38))
    );
}

#[tokio::test]
async fn responses_seal_reasoning_when_asked_and_only_the_finished_seal_counts() {
    let server = ModelServer::start(Script::repeat(Answer::empty().thinking("x").and_text("y")));
    let mut body = json!({"model": "m", "input": "hi", "stream": true});
    let plain = ask(&server, "/v1/responses", &body).await;
    assert!(!plain.text().contains("encrypted_content"));
    body["include"] = json!(["reasoning.encrypted_content"]);
    let sealed = ask(&server, "/v1/responses", &body).await;
    let items: Vec<Value> = events(sealed.text())
        .iter()
        .filter(|(name, _)| name.starts_with("response.output_item."))
        .map(|(_, data)| serde_json::from_str::<Value>(data).expect("JSON")["item"].clone())
        .filter(|item| item["type"] == "reasoning")
        .collect();
    assert_eq!(items.len(), 2);
    assert_ne!(items[0]["encrypted_content"], items[1]["encrypted_content"]);
}

#[tokio::test]
async fn chat_streams_chunks() {
    let mut events = data("chat", answer()).await;
    assert_eq!(events.pop().expect("an end").1, "[DONE]");
    let usage = events.pop().expect("usage").1;
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["prompt_tokens"], 18);
    assert_eq!(
        usage["usage"]["completion_tokens_details"]["reasoning_tokens"],
        7
    );
    let chunks: Vec<_> = events.iter().map(|(_, data)| data).collect();
    assert!(
        chunks
            .iter()
            .all(|c| c["object"] == "chat.completion.chunk" && c["usage"].is_null())
    );
    let deltas: Vec<_> = chunks.iter().map(|c| &c["choices"][0]["delta"]).collect();
    assert_eq!(
        text(deltas.iter().map(|d| &d["content"])),
        "Grüße, ✓ \"quoted\"\n"
    );
    assert_eq!(
        text(deltas.iter().map(|d| &d["reasoning_content"])),
        "I should look."
    );
    let calls: Vec<_> = deltas.iter().map(|d| &d["tool_calls"][0]).collect();
    for (index, id, name, arguments) in [
        (0, "call_000001_02", "Read", r#"{"path":"a b.txt"}"#),
        (1, "my_id", "Glob", r#"{"pattern":"*"}"#),
    ] {
        let own: Vec<_> = calls.iter().filter(|call| call["index"] == index).collect();
        assert_eq!(
            (&own[0]["id"], &own[0]["function"]["name"]),
            (&json!(id), &json!(name))
        );
        assert!(own[1..].iter().all(|call| call["id"].is_null()));
        assert_eq!(
            text(own.iter().map(|call| &call["function"]["arguments"])),
            arguments
        );
    }
    let last = chunks.last().expect("chunks");
    assert_eq!(last["choices"][0]["finish_reason"], "tool_calls");

    let server = ModelServer::start(answer());
    let body = json!({"model": "m", "messages": [], "stream": true});
    let response = ask(&server, "/openai/chat/completions", &body).await;
    assert!(
        !response.text().contains("usage"),
        "only with include_usage"
    );
}

#[tokio::test]
async fn gemini_streams_whole_responses() {
    let response = once("gemini", Delivery::Stream, answer()).await;
    assert!(response.text().ends_with("}\r\n\r\n"));
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    let chunks = data("gemini", answer()).await;
    let parts: Vec<_> = chunks
        .iter()
        .map(|(_, c)| &c["candidates"][0]["content"]["parts"][0])
        .collect();
    let thought = |part: &&&Value| part["thought"] == true;
    assert_eq!(
        text(parts.iter().filter(thought).map(|p| &p["text"])),
        "I should look."
    );
    let said = parts.iter().filter(|p| !thought(p)).map(|p| &p["text"]);
    assert_eq!(text(said), "Grüße, ✓ \"quoted\"\n");
    let calls: Vec<_> = parts
        .iter()
        .filter(|p| p["functionCall"].is_object())
        .collect();
    assert_eq!(calls[0]["functionCall"]["args"], json!({"path": "a b.txt"}));
    assert_eq!(calls[1]["functionCall"]["id"], "my_id");
    let (_, last) = chunks.last().expect("chunks");
    assert_eq!(
        last["candidates"][0]["finishReason"], "STOP",
        "even when tools are called"
    );
    assert_eq!(last["modelVersion"], "gem");
    let usage = &last["usageMetadata"];
    assert_eq!(
        (&usage["promptTokenCount"], &usage["candidatesTokenCount"]),
        (&json!(18), &json!(13))
    );
    assert_eq!(
        (&usage["thoughtsTokenCount"], &usage["totalTokenCount"]),
        (&json!(7), &json!(38))
    );

    // Without `alt=sse` the same chunks are the items of one JSON list.
    let server = ModelServer::start(answer());
    let (_, body) = request("gemini", Delivery::Stream);
    let listed = ask(&server, GEMINI, &body).await.json();
    let chunks: Vec<_> = chunks.into_iter().map(|(_, chunk)| chunk).collect();
    assert_eq!(listed, Value::from(chunks));
}

#[tokio::test]
async fn ollama_streams_lines() {
    let response = once("ollama", Delivery::Stream, answer()).await;
    assert_eq!(
        response.header("content-type"),
        Some("application/x-ndjson")
    );
    let lines: Vec<Value> = response
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let (last, rest) = lines.split_last().expect("lines");
    assert!(rest.iter().all(|line| line["done"] == false));
    assert_eq!(
        text(rest.iter().map(|l| &l["message"]["content"])),
        "Grüße, ✓ \"quoted\"\n"
    );
    assert_eq!(
        text(rest.iter().map(|l| &l["message"]["thinking"])),
        "I should look."
    );
    let calls: Vec<_> = rest
        .iter()
        .filter_map(|l| l["message"]["tool_calls"][0].as_object())
        .collect();
    assert_eq!(
        calls[0]["function"]["arguments"],
        json!({"path": "a b.txt"})
    );
    assert_eq!(calls[1]["function"]["index"], 1);
    assert_eq!(
        (&last["done"], &last["done_reason"]),
        (&json!(true), &json!("stop"))
    );
    assert_eq!(
        (&last["prompt_eval_count"], &last["eval_count"]),
        (&json!(18), &json!(20))
    );
}

#[tokio::test]
async fn answers_come_whole_when_asked_so() {
    for format in FORMATS {
        let response = once(format, Delivery::Whole, answer()).await;
        assert_eq!(response.status, 200, "{format}");
        assert!(response.header("content-length").is_some());
        let body = response.json();
        let (said, arguments, stop) = match format {
            "anthropic" => (
                &body["content"][1]["text"],
                body["content"][2]["input"].clone(),
                &body["stop_reason"],
            ),
            "responses" => (
                &body["output"][1]["content"][0]["text"],
                parse(&body["output"][2]["arguments"]),
                &body["status"],
            ),
            "chat" => {
                let choice = &body["choices"][0];
                let call = &choice["message"]["tool_calls"][0];
                let arguments = parse(&call["function"]["arguments"]);
                (
                    &choice["message"]["content"],
                    arguments,
                    &choice["finish_reason"],
                )
            }
            "gemini" => {
                let candidate = &body["candidates"][0];
                let parts = &candidate["content"]["parts"];
                (
                    &parts[1]["text"],
                    parts[2]["functionCall"]["args"].clone(),
                    &candidate["finishReason"],
                )
            }
            _ => {
                let message = &body["message"];
                let call = &message["tool_calls"][0]["function"];
                (
                    &message["content"],
                    call["arguments"].clone(),
                    &body["done_reason"],
                )
            }
        };
        assert_eq!(said, "Grüße, ✓ \"quoted\"\n", "{format}");
        assert_eq!(arguments, json!({"path": "a b.txt"}), "{format}");
        let expected = match format {
            "anthropic" => "tool_use",
            "responses" => "completed",
            "chat" => "tool_calls",
            "gemini" => "STOP",
            _ => "stop",
        };
        assert_eq!(stop, expected);
    }
}

fn parse(text: &Value) -> Value {
    serde_json::from_str(text.as_str().expect("text")).expect("JSON")
}

#[tokio::test]
async fn stops_are_spelled_by_each_vendor() {
    let refused = || Stop::Refused {
        reason: "no".into(),
    };
    for (format, stop, expected) in [
        ("anthropic", Stop::Length, r#""stop_reason":"max_tokens""#),
        ("anthropic", refused(), r#""explanation":"no""#),
        ("anthropic", Stop::Paused, r#""stop_reason":"pause_turn""#),
        (
            "responses",
            Stop::Length,
            r#""incomplete_details":{"reason":"max_output_tokens"}"#,
        ),
        ("responses", refused(), r#""type":"response.refusal.delta""#),
        ("chat", Stop::Length, r#""finish_reason":"length""#),
        ("chat", refused(), r#""refusal":"no""#),
        ("gemini", Stop::Length, r#""finishReason":"MAX_TOKENS""#),
        (
            "gemini",
            Stop::BadCall,
            r#""finishReason":"MALFORMED_FUNCTION_CALL""#,
        ),
        ("ollama", Stop::Length, r#""done_reason":"length""#),
    ] {
        let answer = Answer::text("x").stop(stop);
        let text = once(format, Delivery::Stream, answer).await;
        assert!(text.text().contains(expected), "{format}: {}", text.text());
    }
    let odd = once(
        "chat",
        Delivery::Stream,
        Answer::text("x").raw_stop("weird"),
    )
    .await;
    assert!(odd.text().contains(r#""finish_reason":"weird""#));
    let blocked = once("gemini", Delivery::Stream, Answer::empty().stop(refused())).await;
    assert!(
        blocked
            .text()
            .contains(r#"{"promptFeedback":{"blockReason":"SAFETY"}"#)
    );
}

#[tokio::test]
async fn errors_are_spelled_by_each_vendor() {
    use ErrorKind as K;
    for (format, kind, status, expected) in [
        (
            "anthropic",
            K::Overloaded,
            529,
            r#""type":"overloaded_error""#,
        ),
        (
            "anthropic",
            K::RateLimited,
            429,
            r#""type":"rate_limit_error""#,
        ),
        ("anthropic", K::ContextTooLong, 400, "prompt is too long"),
        (
            "anthropic",
            K::Auth,
            401,
            r#""type":"authentication_error""#,
        ),
        (
            "responses",
            K::QuotaExhausted,
            429,
            r#""code":"insufficient_quota""#,
        ),
        (
            "chat",
            K::ContextTooLong,
            400,
            r#""code":"context_length_exceeded""#,
        ),
        ("chat", K::Server, 500, r#""type":"server_error""#),
        (
            "gemini",
            K::RateLimited,
            429,
            r#""status":"RESOURCE_EXHAUSTED""#,
        ),
        ("gemini", K::Overloaded, 503, r#""status":"UNAVAILABLE""#),
        ("ollama", K::NotFound, 404, r#"{"error":"told so"}"#),
    ] {
        for delivery in [Delivery::Stream, Delivery::Whole] {
            let error = Error::new(kind, "told so").with_retry_after(2 * SECOND);
            let response = once(format, delivery, error).await;
            assert_eq!(response.status, status, "{format} {kind:?}");
            assert!(
                response.text().contains(expected),
                "{format}: {}",
                response.text()
            );
            assert_eq!(response.header("retry-after"), Some("2"));
            response.json();
        }
    }
}

#[tokio::test]
async fn streams_can_fail_on_the_way() {
    for (format, expected) in [
        (
            "anthropic",
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"",
        ),
        (
            "responses",
            "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":3",
        ),
        ("chat", "data: {\"error\":{"),
        ("gemini", "data: {\"error\":{\"code\":503"),
        ("ollama", "\n{\"error\":\"busy\"}\n"),
    ] {
        let error = Error::new(ErrorKind::Overloaded, "busy");
        let response = once(
            format,
            Delivery::Stream,
            Answer::text("a b c d").fail_after(3, error),
        )
        .await;
        let text = response.text();
        assert_eq!(response.status, 200);
        let at = text
            .find(expected)
            .unwrap_or_else(|| panic!("{format}: {text}"));
        let before = text[..at].lines().filter(|line| line.contains('{')).count();
        assert_eq!(before, 3, "{format}: {text}");
    }
}

#[tokio::test]
async fn what_a_vendor_would_not_read_is_refused() {
    for format in FORMATS {
        let server = ModelServer::start(Script::repeat("x"));
        let (path, _) = request(format, Delivery::Stream);
        let response = ask(&server, &path, &json!({})).await;
        assert_eq!(response.status, 400, "{format}");
        assert!(
            response.text().contains("missing field"),
            "{format}: {}",
            response.text()
        );
        let response = ask(&server, &path, &json!(3)).await;
        assert!(
            response.text().contains("not a JSON object"),
            "{format}: {}",
            response.text()
        );
    }
}

#[tokio::test]
async fn an_answer_that_has_no_form_says_so() {
    let bad = || Answer::empty().call_text("Read", "{\"pa");
    assert_eq!(once("anthropic", Delivery::Stream, bad()).await.status, 200);
    let response = once("gemini", Delivery::Stream, bad()).await;
    assert_eq!(response.status, 400);
    assert!(
        response
            .text()
            .contains("cannot send arguments that are no JSON")
    );
}

#[tokio::test]
async fn the_same_answer_is_the_same_bytes() {
    for format in FORMATS {
        let first = once(format, Delivery::Stream, answer()).await;
        let second = once(format, Delivery::Stream, answer()).await;
        assert_eq!(first.body, second.body, "{format}");
        // Later requests differ in their ids, never in length.
        let server = ModelServer::start(Script::repeat(answer()));
        let (path, body) = request(format, Delivery::Stream);
        ask(&server, &path, &body).await;
        let later = ask(&server, &path, &body).await;
        assert_eq!(later.body.len(), first.body.len(), "{format}");
    }
}
