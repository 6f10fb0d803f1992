//! The Chat Completions API, encoded and decoded by hand-written bodies and chunks.
//! Refuses to trust one server's habits: each quirk that was seen somewhere is a case here.

mod answer;
mod request;

use serde_json::{Value, json};

use super::{
    EffortField, Malformed, OpenAiChat, Quirks, SchemaField, UsageReport, VENDOR, decode::Decoder,
    encode,
};
use crate::{
    error::{Error, ErrorKind},
    id::CallId,
    kept::Kept,
    message::{Content, Media, Message, Outcome, Part, Role, Seal, ToolCall, ToolResult},
    provider::{
        Delivery, Delta, Effort, Options, Request, Stop,
        assembled::{Assembled, assemble, deltas, history},
    },
    spec::ToolSpec,
    usage::Usage,
};

const DONE: &str = "[DONE]";

fn chunk(delta: Value) -> String {
    json!({"id": "c", "object": "chat.completion.chunk", "model": "gpt-x", "obfuscation": "zz", "usage": null,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]})
    .to_string()
}

fn words(text: &str) -> String {
    chunk(json!({"content": text}))
}

fn calls(pieces: Value) -> String {
    chunk(json!({"tool_calls": pieces}))
}

fn finish(reason: &str) -> String {
    json!({"model": "gpt-x", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        .to_string()
}

fn counted() -> String {
    json!({"model": "gpt-x", "choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 7}}})
    .to_string()
}

fn usage() -> Usage {
    Usage {
        input: 35,
        output: 20,
        cache_read: 60,
        cache_write: 5,
        reasoning: 7,
        ..Usage::default()
    }
}

fn read(chunks: &[String]) -> Result<Assembled, Error> {
    let frames: Vec<_> = chunks
        .iter()
        .map(|data| ("message", data.as_str()))
        .collect();
    assemble(Decoder::new(Delivery::Stream), &frames)
}

/// The calls of a stream of call pieces, as id, name and arguments.
fn called(pieces: &[Value]) -> Vec<(String, String, String)> {
    let mut chunks: Vec<_> = pieces.iter().cloned().map(calls).collect();
    chunks.extend([finish("tool_calls"), DONE.into()]);
    let answer = read(&chunks).unwrap();
    assert_eq!(answer.stop, Some((Stop::Done, "tool_calls".into())));
    let calls = answer.message.calls();
    calls
        .map(|call| {
            let arguments = call
                .malformed
                .clone()
                .unwrap_or(call.input.as_str().to_owned());
            (call.id.to_string(), call.name.clone(), arguments)
        })
        .collect()
}

fn full() -> Vec<String> {
    vec![
        chunk(json!({"role": "assistant", "content": "", "refusal": null})),
        chunk(json!({"reasoning_content": "Let me"})),
        chunk(json!({"reasoning_content": " see"})),
        words("I "),
        words("look"),
        calls(
            json!([{"index": 0, "id": "c1", "type": "function", "function": {"name": "Read", "arguments": ""}}]),
        ),
        calls(json!([{"index": 0, "function": {"arguments": "{\"path\":"}}])),
        calls(json!([{"index": 0, "function": {"arguments": " \"a\"}"}}])),
        calls(
            json!([{"index": 1, "id": "c2", "type": "function", "function": {"name": "LS", "arguments": "{}"}}]),
        ),
        finish("tool_calls"),
        counted(),
        DONE.into(),
    ]
}

// Encoding.

fn provider(quirks: Quirks) -> OpenAiChat {
    OpenAiChat::builder("some-model")
        .base_url("http://127.0.0.1:9")
        .quirks(quirks)
        .build()
        .unwrap()
}

fn bytes(quirks: Quirks, history: &[Kept<Message>], options: &Options) -> Vec<u8> {
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
    encode::body(&request, &provider(quirks)).unwrap().to_vec()
}

fn body(quirks: Quirks, messages: &[Message], options: &Options) -> Value {
    serde_json::from_slice(&bytes(quirks, &history(messages), options)).unwrap()
}
