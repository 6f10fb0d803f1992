//! What the Gemini API sends and gets, by hand-written frames and bodies.
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
        Effort, Options, Stop,
        assembled::{Assembled, assemble, history},
    },
    spec::ToolSpec,
};

const NEW: &str = "gemini-3-flash-preview";

const OLD: &str = "gemini-2.5-flash";

fn provider(model: &str) -> Gemini {
    Gemini::builder(model).api_key("AIza-test").build().unwrap()
}

fn tools() -> Kept<Vec<ToolSpec>> {
    let schema = json!({"$schema": "x", "type": "object", "additionalProperties": false,
        "properties": {"mode": {"const": "r"}, "to": {"$ref": "#/$defs/P", "description": "where"}},
        "$defs": {"P": {"oneOf": [{"type": "string"}, {"type": "null"}]}}});
    Kept::new(vec![ToolSpec::new("Read", "Reads", schema)])
}

fn bytes(provider: &Gemini, history: &[Kept<Message>], options: &Options) -> Vec<u8> {
    let tools = tools();
    let request = Request {
        system: "Be brief",
        tools: &tools,
        history: history.into(),
        options,
    };
    provider.call(&request).unwrap().body.to_vec()
}

fn body(model: &str, history: &[Message], options: &Options) -> Value {
    let history = self::history(history);
    serde_json::from_slice(&bytes(&provider(model), &history, options)).unwrap()
}

/// The parts of a message as they stand in a body.
fn encoded(model: &str, message: Message) -> Value {
    let body = body(model, &[message], &Options::default());
    body["contents"][0]["parts"].clone()
}

fn sealed(vendor: &str, value: &str) -> Option<Seal> {
    Some(Seal {
        vendor: vendor.into(),
        value: value.into(),
    })
}

fn call(id: &str, seal: Option<Seal>) -> ToolCall {
    let mut call = ToolCall::new(CallId::new(id), "Read", "{\"path\": 1}");
    call.seal = seal;
    call
}

fn assistant(parts: Vec<Part>) -> Message {
    let role = Role::Assistant;
    Message { role, parts }
}

// Decoding.

fn run(frames: &[Value]) -> Assembled {
    try_run(frames).unwrap()
}

fn try_run(frames: &[Value]) -> Result<Assembled> {
    let frames: Vec<_> = frames.iter().map(Value::to_string).collect();
    let frames: Vec<_> = frames
        .iter()
        .map(|data| ("message", data.as_str()))
        .collect();
    assemble(Decoder::default(), &frames)
}

fn chunk(parts: Value) -> Value {
    json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "index": 0}],
        "modelVersion": "gemini-x", "responseId": "r"})
}

fn finish(reason: &str) -> Value {
    json!({"candidates": [{"finishReason": reason, "content": {"parts": [{"text": ""}]}}],
        "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 7,
            "thoughtsTokenCount": 30, "cachedContentTokenCount": 60, "toolUsePromptTokenCount": 5,
            "totalTokenCount": 142}})
}

/// Every kind of part that is documented, and how the parts go back.
fn everything() -> (Vec<Value>, Value) {
    let code =
        json!({"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "Qw=="});
    let result = json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}});
    let image = json!({"inlineData": {"mimeType": "image/png", "data": "cG5n"}});
    let frames = vec![
        chunk(json!([{"text": "Let me ", "thought": true}])),
        chunk(json!([{"text": "see", "thought": true}, {"text": "I will "}])),
        chunk(
            json!([{"text": "look 🦀\n\"é\""}, {"text": " and sign", "thoughtSignature": "VDE="}]),
        ),
        chunk(json!([{"text": "more"}])),
        chunk(json!([{"text": "deep", "thought": true, "thoughtSignature": "VDI="}])),
        chunk(json!([code, result])),
        chunk(json!([image])),
        chunk(json!([
            {"functionCall": {"id": "f1", "name": "Read", "args": {"path": "a", "n": 1.0}}, "thoughtSignature": "RjE="},
            {"functionCall": {"name": "Glob"}},
        ])),
        chunk(json!([{"text": "", "thoughtSignature": "RQ=="}])),
        finish("STOP"),
    ];
    let back = json!([
        {"text": "I will look 🦀\n\"é\""},
        {"text": " and sign", "thoughtSignature": "VDE="},
        {"text": "more"},
        {"text": "deep", "thought": true, "thoughtSignature": "VDI="},
        code, result, image,
        {"functionCall": {"id": "f1", "name": "Read", "args": {"path": "a", "n": 1.0}}, "thoughtSignature": "RjE="},
        {"functionCall": {"name": "Glob", "args": {}}},
        {"text": "", "thoughtSignature": "RQ=="},
    ]);
    (frames, back)
}
