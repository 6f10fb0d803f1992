//! What the Messages API sends and gets, by hand-written frames and bodies.
//! Refuses the network: framing and cuts are tested where frames are made.

mod answer;
mod failures;
mod request;

use serde_json::{Value, json};

use super::{decode::Decoder, *};
use crate::{
    id::CallId,
    kept::Kept,
    message::{Content, Media, Message, Outcome, Part, RawJson, Role, Seal, ToolCall, ToolResult},
    provider::{
        Delta, Effort, Options, Stop,
        assembled::{Assembled, assemble, deltas, fold, history},
    },
    spec::ToolSpec,
};

type Frame = (&'static str, String);

fn provider(model: &str) -> AnthropicBuilder {
    Anthropic::builder(model).api_key("sk-test")
}

fn tools() -> Kept<Vec<ToolSpec>> {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    Kept::new(vec![
        ToolSpec::new("Read", "Reads", schema.clone()),
        ToolSpec::new("Glob", "Finds", schema),
    ])
}

fn body(provider: &Anthropic, history: &[Kept<Message>], options: &Options) -> Value {
    serde_json::from_slice(&bytes(provider, history, options)).unwrap()
}

fn bytes(provider: &Anthropic, history: &[Kept<Message>], options: &Options) -> Vec<u8> {
    let tools = tools();
    let request = Request {
        system: "Be brief",
        tools: &tools,
        history: history.into(),
        options,
    };
    provider.call(&request).unwrap().body.to_vec()
}

/// The message as it stands in a body, without breakpoints.
fn encoded(message: Message) -> Value {
    let provider = provider("claude-sonnet-4-5").cache(CachePolicy::Off);
    let body = body(
        &provider.build().unwrap(),
        &history(&[message]),
        &Options::default(),
    );
    body["messages"][0].clone()
}

fn sealed(vendor: &str, value: &str) -> Option<Seal> {
    Some(Seal {
        vendor: vendor.into(),
        value: value.into(),
    })
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall::new(CallId::new(id), "Read", arguments)
}

/// Two steps of a conversation with tools.
fn conversation() -> Vec<Message> {
    let [one, two] = [call("t1", "{\"path\": \"a\"}"), call("t2", "{}")];
    let mut shown = ToolResult::text(&two, Outcome::Failed, "no such file");
    shown
        .content
        .push(Content::Media(Media::bytes("image/png", b"png")));
    vec![
        Message::user("Look"),
        Message {
            role: Role::Assistant,
            parts: vec![
                Part::Reasoning {
                    text: "Let me see".into(),
                    seal: sealed("anthropic", "EqQB/+="),
                },
                Part::text("I look"),
                Part::Call(one.clone()),
                Part::Call(two),
            ],
        },
        Message::results(vec![ToolResult::text(&one, Outcome::Ok, "text"), shown]),
    ]
}

// Decoding.

fn frame(value: Value) -> Frame {
    let event = match value["type"].as_str().unwrap() {
        "message_start" => "message_start",
        "content_block_start" => "content_block_start",
        "content_block_delta" => "content_block_delta",
        "content_block_stop" => "content_block_stop",
        "message_delta" => "message_delta",
        "message_stop" => "message_stop",
        "ping" => "ping",
        "error" => "error",
        _ => "future_event",
    };
    (event, value.to_string())
}

fn start(index: u32, block: Value) -> Frame {
    frame(json!({"type": "content_block_start", "index": index, "content_block": block}))
}

fn delta(index: u32, delta: Value) -> Frame {
    frame(json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn stop(index: u32) -> Frame {
    frame(json!({"type": "content_block_stop", "index": index}))
}

fn begin() -> Frame {
    frame(json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
        "stop_reason": null, "usage": {
            "input_tokens": 10, "output_tokens": 1, "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 20,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
        },
    }}))
}

fn end(reason: &str) -> [Frame; 2] {
    [
        frame(
            json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
            "usage": {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}}}),
        ),
        frame(json!({"type": "message_stop"})),
    ]
}

/// Every kind of block and delta that is documented, and the blocks that a whole answer would hold.
fn everything() -> (Vec<Frame>, Vec<Value>) {
    let citation = json!({"type": "char_location", "cited_text": "é", "document_index": 0});
    let search = json!({"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [
        {"type": "web_search_result", "url": "https://x", "encrypted_content": "Eq=="}]});
    let caller = json!({"type": "code_execution_20250825", "tool_id": "srv_2"});
    let mut frames = vec![
        begin(),
        frame(json!({"type": "ping"})),
        start(
            0,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
        ),
        delta(0, json!({"type": "thinking_delta", "thinking": "Let me "})),
        delta(
            0,
            json!({"type": "thinking_delta", "thinking": "see\n\"é\""}),
        ),
        delta(0, json!({"type": "signature_delta", "signature": "wrong"})),
        delta(0, json!({"type": "signature_delta", "signature": "Eq/+=="})),
        stop(0),
        start(1, json!({"type": "redacted_thinking", "data": "Em/+=="})),
        stop(1),
        start(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "I will "})),
        delta(2, json!({"type": "text_delta", "text": "look 🦀"})),
        delta(2, json!({"type": "citations_delta", "citation": citation})),
        stop(2),
        start(
            3,
            json!({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}}),
        ),
        delta(
            3,
            json!({"type": "input_json_delta", "partial_json": "{\"query\": "}),
        ),
        delta(
            3,
            json!({"type": "input_json_delta", "partial_json": "\"rust\"}"}),
        ),
        stop(3),
        start(4, search.clone()),
        stop(4),
        start(5, json!({"type": "compaction", "content": null})),
        delta(
            5,
            json!({"type": "compaction_delta", "content": "so far", "encrypted_content": "e"}),
        ),
        stop(5),
        start(6, json!({"type": "container_upload", "file_id": "file_1"})),
        stop(6),
    ];
    // Two calls whose pieces are interleaved, one of them without any piece.
    frames.extend([
        start(
            7,
            json!({"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}, "caller": {"type": "direct"}}),
        ),
        start(
            8,
            json!({"type": "tool_use", "id": "toolu_2", "name": "Glob", "input": {}, "caller": caller}),
        ),
        delta(7, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(7, json!({"type": "input_json_delta", "partial_json": "{\"path\": \"a"})),
        delta(8, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(7, json!({"type": "input_json_delta", "partial_json": "\", \"n\": 1.0}"})),
        stop(8),
        stop(7),
    ]);
    frames.extend(end("tool_use"));
    let blocks = vec![
        json!({"type": "thinking", "thinking": "Let me see\n\"é\"", "signature": "Eq/+=="}),
        json!({"type": "redacted_thinking", "data": "Em/+=="}),
        json!({"type": "text", "text": "I will look 🦀", "citations": [citation]}),
        json!({"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "rust"}}),
        search,
        json!({"type": "compaction", "content": "so far", "encrypted_content": "e"}),
        json!({"type": "container_upload", "file_id": "file_1"}),
        json!({"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a", "n": 1.0}}),
        json!({"type": "tool_use", "id": "toolu_2", "name": "Glob", "input": {}, "caller": caller}),
    ];
    (frames, blocks)
}

fn run(frames: &[Frame]) -> Assembled {
    try_run(frames).unwrap()
}

fn try_run(frames: &[Frame]) -> Result<Assembled> {
    let frames: Vec<_> = frames
        .iter()
        .map(|(event, data)| (*event, data.as_str()))
        .collect();
    assemble(Decoder::default(), &frames)
}
