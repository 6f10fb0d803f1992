//! The Responses API, encoded and decoded by hand-written bodies and events.
//! Refuses a network: what a socket can do to these bytes is tested where the sockets are.

mod answer;
mod request;

use serde_json::{Value, json};

use super::{OpenAi, Summary, VENDOR, decode::Decoder, encode};
use crate::{
    error::{Error, ErrorKind},
    id::CallId,
    kept::Kept,
    message::{Content, Media, Message, Outcome, Part, RawJson, Role, Seal, ToolCall, ToolResult},
    provider::{
        Delivery, Delta, Effort, Options, Request, Stop,
        assembled::{Assembled, assemble, deltas, history},
    },
    spec::ToolSpec,
    usage::Usage,
};

const REASONING: &str = r#"{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"First"},{"type":"summary_text","text":"Then"}],"encrypted_content":"gAAA\u002b==","status":null , "x":1.0}"#;

const SEARCH: &str = r#"{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}"#;

const CALL: &str = r#"{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1","name":"Read","arguments":"{\"path\": \"a\"}"}"#;

const WORDS: &str = r#"{"id":"msg_1","type":"message","status":"completed","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"Hello world","annotations":[]}]}"#;

fn created() -> String {
    json!({"type": "response.created", "response": {"id": "r", "model": "gpt-5-x", "status": "in_progress", "output": []}}).to_string()
}

fn text(output: u64, delta: &str) -> String {
    json!({"type": "response.output_text.delta", "output_index": output, "content_index": 0, "item_id": "m", "delta": delta, "logprobs": [], "obfuscation": "abc"}).to_string()
}

fn done(output: u64, item: &str) -> String {
    format!(r#"{{"type":"response.output_item.done","output_index":{output},"item":{item}}}"#)
}

fn added(output: u64, item: &str) -> String {
    format!(r#"{{"type":"response.output_item.added","output_index":{output},"item":{item}}}"#)
}

fn completed() -> String {
    json!({"type": "response.completed", "response": {
        "id": "r", "model": "gpt-5-x", "status": "completed", "service_tier": "flex", "output": [],
        "error": null, "incomplete_details": null,
        "usage": {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
                  "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 120},
    }}).to_string()
}

/// A stream with every kind of event that matters, reasoning, a search, words and a call.
fn full() -> Vec<String> {
    vec![
        created(),
        json!({"type": "response.in_progress", "response": {}}).to_string(),
        added(0, r#"{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"half"}"#),
        json!({"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0}).to_string(),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Fir"}).to_string(),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "st"}).to_string(),
        json!({"type": "response.reasoning_summary_text.done", "output_index": 0, "summary_index": 0, "text": "First"}).to_string(),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 1, "delta": "Then"}).to_string(),
        done(0, REASONING),
        added(1, r#"{"id":"ws_1","type":"web_search_call","status":"in_progress"}"#),
        json!({"type": "response.web_search_call.searching", "output_index": 1}).to_string(),
        done(1, SEARCH),
        added(2, r#"{"id":"msg_1","type":"message","status":"in_progress","content":[]}"#),
        json!({"type": "response.content_part.added", "output_index": 2, "part": {}}).to_string(),
        text(2, "Hello "),
        text(2, "world"),
        json!({"type": "response.output_text.done", "output_index": 2, "content_index": 0, "text": "Hello world"}).to_string(),
        done(2, WORDS),
        added(3, r#"{"id":"fc_1","type":"function_call","status":"in_progress","call_id":"call_1","name":"Read","arguments":""}"#),
        json!({"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "{\"path\":"}).to_string(),
        json!({"type": "response.function_call_arguments.delta", "output_index": 3, "delta": " \"a\"}"}).to_string(),
        json!({"type": "response.function_call_arguments.done", "output_index": 3, "name": "Read", "arguments": "{\"path\": \"a\"}"}).to_string(),
        done(3, CALL),
        completed(),
    ]
}

/// Reads events twice, with and without names in their frames; both must come to the same.
fn read(events: &[String]) -> Result<Assembled, Error> {
    let names: Vec<String> = events
        .iter()
        .map(|data| {
            let value: Value = serde_json::from_str(data).unwrap_or_default();
            value["type"].as_str().unwrap_or("message").to_owned()
        })
        .collect();
    let named: Vec<_> = names
        .iter()
        .zip(events)
        .map(|(n, d)| (n.as_str(), d.as_str()))
        .collect();
    let bare: Vec<_> = events.iter().map(|d| ("message", d.as_str())).collect();
    let named = assemble(Decoder::new(Delivery::Stream), &named);
    let bare = assemble(Decoder::new(Delivery::Stream), &bare);
    assert_eq!(named, bare);
    named
}

fn seal(value: &str) -> Option<Seal> {
    let (vendor, value) = (VENDOR.into(), value.to_owned());
    Some(Seal { vendor, value })
}

fn call(arguments: &str) -> Part {
    Part::Call(ToolCall::new(CallId::new("call_1"), "Read", arguments))
}

fn expected() -> Vec<Part> {
    vec![
        Part::Reasoning {
            text: "First\n\nThen".into(),
            seal: seal(REASONING),
        },
        Part::Opaque {
            vendor: VENDOR.into(),
            json: RawJson::parse(SEARCH).unwrap(),
        },
        Part::Text {
            text: "Hello world".into(),
            seal: seal("commentary"),
        },
        call("{\"path\": \"a\"}"),
    ]
}

// Encoding.

fn provider(model: &str) -> OpenAi {
    OpenAi::builder(model)
        .api_key("k")
        .prompt_cache_key("chat")
        .build()
        .unwrap()
}

fn bytes(provider: &OpenAi, history: &[Kept<Message>], options: &Options) -> Vec<u8> {
    let tools = Kept::new(vec![ToolSpec::new(
        "Read",
        "Reads",
        json!({"type": "object", "b": 1, "a": 2}),
    )]);
    let request = Request {
        system: "Be brief",
        tools: &tools,
        history: history.into(),
        options,
    };
    encode::body(&request, provider).unwrap().to_vec()
}

fn body_of(messages: &[Message]) -> Value {
    serde_json::from_slice(&bytes(
        &provider("gpt-5"),
        &history(messages),
        &Options::default(),
    ))
    .unwrap()
}
