//! What the Messages API sends and gets, by hand-written frames and bodies.
//! Refuses the network: framing and cuts are tested where frames are made.

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
        history,
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

#[test]
fn a_body_is_what_the_api_documents() {
    let provider = provider("claude-sonnet-4-5").build().unwrap();
    let options = Options {
        max_output: Some(1000),
        temperature: Some(0.5),
        stop: vec!["END".into()],
        ..Options::default()
    };
    let ephemeral = json!({"type": "ephemeral"});
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    let expected = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 1000,
        "stream": true,
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "system": [{"type": "text", "text": "Be brief", "cache_control": ephemeral}],
        "tools": [
            {"name": "Read", "description": "Reads", "input_schema": schema},
            {"name": "Glob", "description": "Finds", "input_schema": schema, "cache_control": ephemeral},
        ],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "Look", "cache_control": ephemeral},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Let me see", "signature": "EqQB/+="},
                {"type": "text", "text": "I look"},
                {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a"}},
                {"type": "tool_use", "id": "t2", "name": "Read", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "text"}]},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": [
                    {"type": "text", "text": "no such file"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
                ], "cache_control": ephemeral},
            ]},
        ],
    });
    assert_eq!(
        body(&provider, &history(&conversation()), &options),
        expected
    );
}

#[test]
fn a_message_is_encoded_once_and_its_bytes_never_change() {
    let provider = provider("claude-sonnet-4-5").build().unwrap();
    let options = Options::default();
    let mut kept = Vec::new();
    let mut earlier: Vec<Vec<u8>> = Vec::new();
    for round in 0..6 {
        kept.extend(history(&conversation()));
        kept.push(Kept::new(Message::assistant(format!("done {round}"))));
        kept.push(Kept::new(Message::user("go on")));
        let body = bytes(&provider, &kept, &options);
        assert_eq!(
            body,
            bytes(&provider, &kept, &options),
            "same input, same bytes"
        );
        let text = String::from_utf8(body).unwrap();
        assert_eq!(text.matches("cache_control").count(), 4);
        let messages: Vec<Vec<u8>> = kept
            .iter()
            .map(|message| {
                let again = |_: &Message| panic!("encoded twice");
                message.encoded("anthropic", again).to_vec()
            })
            .collect();
        assert!(messages.starts_with(&earlier));
        let joined = messages
            .iter()
            .map(|bytes| String::from_utf8(bytes.clone()).unwrap())
            .collect::<Vec<_>>()
            .join(",");
        let unmarked = text.replace(",\"cache_control\":{\"type\":\"ephemeral\"}", "");
        assert!(unmarked.ends_with(&format!("\"messages\":[{joined}]}}")));
        earlier = messages;
    }
}

#[test]
fn breakpoints_follow_the_policy() {
    let marks = |policy, history: &[Message]| {
        let provider = provider("claude-sonnet-4-5").cache(policy).build().unwrap();
        let body = body(&provider, &self::history(history), &Options::default());
        let mut marked = Vec::new();
        for (at, message) in body["messages"].as_array().unwrap().iter().enumerate() {
            let last = message["content"].as_array().unwrap().last().unwrap();
            if let Some(control) = last.get("cache_control").filter(|c| c.is_object()) {
                marked.push((at, control["ttl"].as_str().unwrap_or("5m").to_owned()));
            }
        }
        let tool = body["tools"][1].get("cache_control").is_some();
        let system = body["system"][0].get("cache_control").is_some();
        (marked, tool && system)
    };
    let conversation = conversation();
    assert_eq!(marks(CachePolicy::Off, &conversation), (vec![], false));
    let hour = |at| (at, "1h".to_owned());
    let expected = (vec![hour(0), hour(2)], true);
    assert_eq!(marks(CachePolicy::OneHour, &conversation), expected);
    // A paused turn ends with the model's own message, which may end in a block that cannot be
    // marked; two messages of the user in a row need one mark.
    let user = Message::user("a");
    let paused = [user.clone(), user.clone(), Message::assistant("b")];
    let five = |at| (at, "5m".to_owned());
    assert_eq!(
        marks(CachePolicy::FiveMinutes, &paused),
        (vec![five(1)], true)
    );
    let opaque = Message::user_parts(vec![Part::Opaque {
        vendor: "anthropic".into(),
        json: RawJson::parse("{\"type\":\"text\",\"cache_control\":null}").unwrap(),
    }]);
    assert_eq!(
        marks(
            CachePolicy::FiveMinutes,
            &[user, Message::assistant("b"), opaque]
        ),
        (vec![five(0)], true)
    );
}

#[test]
fn what_the_api_would_refuse_is_left_out() {
    let assistant = |parts| Message {
        role: Role::Assistant,
        parts,
    };
    let foreign = assistant(vec![
        Part::Reasoning {
            text: "theirs".into(),
            seal: sealed("openai", "x"),
        },
        Part::Reasoning {
            text: "cut off before its signature".into(),
            seal: None,
        },
        Part::Opaque {
            vendor: "gemini".into(),
            json: RawJson::parse("{}").unwrap(),
        },
        Part::text(" \n"),
    ]);
    let nothing = json!({"role": "assistant", "content": [{"type": "text", "text": "(empty)"}]});
    assert_eq!(encoded(foreign), nothing);
    assert_eq!(encoded(assistant(vec![])), nothing);

    let mangled = encoded(assistant(vec![Part::Call(call("t", "{\"path\":"))]));
    assert_eq!(mangled["content"][0]["input"], json!({}));

    let silent = ToolResult::text(&call("t", ""), Outcome::TimedOut, "");
    let silent = encoded(Message::results(vec![silent]));
    let expected = json!([{"type": "tool_result", "tool_use_id": "t", "is_error": true}]);
    assert_eq!(silent["content"], expected);
}

#[test]
fn media_become_the_blocks_that_fit() {
    let mut report = Media::bytes("text/markdown", "# grün".as_bytes());
    report.name = Some("r.md".into());
    let rows = [
        (
            Media::url("image/png", "https://x/a.png"),
            json!({"type": "image", "source": {"type": "url", "url": "https://x/a.png"}}),
        ),
        (
            Media::bytes("application/pdf", b"%PDF"),
            json!({"type": "document", "source":
                {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}),
        ),
        (
            Media::url("application/pdf", "https://x/a.pdf"),
            json!({"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}),
        ),
        (
            report,
            json!({"type": "document", "title": "r.md", "source":
                {"type": "text", "media_type": "text/plain", "data": "# grün"}}),
        ),
        (
            Media::bytes("audio/mpeg", b"mp3"),
            json!({"type": "text", "text": "(a file of the type `audio/mpeg`, not readable here)"}),
        ),
    ];
    for (media, expected) in rows {
        let message = encoded(Message::user_parts(vec![Part::Media(media)]));
        assert_eq!(message["content"], json!([expected]));
    }
}

#[test]
fn effort_is_asked_for_in_the_words_of_the_family() {
    let ask = |model: &str, thinking, effort, max_output| {
        let provider = provider(model).thinking(thinking).build().unwrap();
        let options = Options {
            effort,
            max_output: Some(max_output),
            temperature: Some(0.0),
            ..Options::default()
        };
        let body = body(&provider, &history(&[Message::user("a")]), &options);
        let thinks = body["thinking"].is_object() && body["thinking"]["type"] != "disabled";
        assert_eq!(body.get("temperature").is_none(), thinks, "{model}");
        (body["thinking"].clone(), body["output_config"].clone())
    };
    let adaptive = json!({"type": "adaptive"});
    let disabled = json!({"type": "disabled"});
    let budget = |n| json!({"type": "enabled", "budget_tokens": n});
    let word = |word| json!({"effort": word});
    let by = Thinking::ByEffort;
    let rows = [
        ("claude-opus-4-8", by, None, Value::Null, Value::Null),
        (
            "claude-opus-4-8",
            by,
            Some(Effort::Max),
            adaptive.clone(),
            word("max"),
        ),
        (
            "claude-sonnet-5",
            by,
            Some(Effort::Low),
            adaptive.clone(),
            word("low"),
        ),
        (
            "claude-opus-4-5-20251101",
            by,
            Some(Effort::Medium),
            Value::Null,
            word("medium"),
        ),
        (
            "claude-sonnet-4-5",
            by,
            Some(Effort::High),
            budget(16_384),
            Value::Null,
        ),
        (
            "claude-sonnet-4-20250514",
            by,
            Some(Effort::Low),
            budget(2_048),
            Value::Null,
        ),
        (
            "claude-3-5-haiku-latest",
            by,
            Some(Effort::High),
            Value::Null,
            Value::Null,
        ),
        (
            "somebody/else",
            by,
            Some(Effort::High),
            Value::Null,
            word("high"),
        ),
        (
            "claude-opus-4-8",
            by,
            Some(Effort::None),
            disabled.clone(),
            Value::Null,
        ),
        (
            "claude-sonnet-4-5",
            by,
            Some(Effort::None),
            disabled.clone(),
            Value::Null,
        ),
        (
            "claude-sonnet-4-5",
            Thinking::Budget(90_000),
            None,
            budget(50_000),
            Value::Null,
        ),
        (
            "claude-opus-4-8",
            Thinking::Off,
            Some(Effort::Low),
            disabled,
            word("low"),
        ),
        (
            "claude-opus-4-8",
            Thinking::Adaptive,
            None,
            adaptive,
            Value::Null,
        ),
    ];
    for (model, thinking, effort, thinking_sent, config) in rows {
        let got = ask(model, thinking, effort, 100_000);
        assert_eq!(
            got,
            (thinking_sent, config),
            "{model} {thinking:?} {effort:?}"
        );
    }
    let tight = |max| ask("claude-sonnet-4-5", by, Some(Effort::High), max).0;
    assert_eq!(tight(1024), Value::Null, "no room to think");
    assert_eq!(tight(1500), budget(1024));
    assert_eq!(tight(8000), budget(4000));
}

#[test]
fn a_schema_is_closed_and_what_is_not_known_becomes_words() {
    let provider = provider("claude-sonnet-4-5").build().unwrap();
    let options = Options {
        schema: Some(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Answer",
            "type": "object",
            "properties": {
                "count": {"type": "integer", "minimum": 1, "description": "How many"},
                "kind": {"oneOf": [{"const": "a"}, {"$ref": "#/$defs/K", "description": "x"}]},
                "when": {"type": "string", "format": "date"},
                "size": {"type": "integer", "format": "uint32"},
            },
            "required": ["count"],
            "$defs": {"K": {"type": "object", "properties": {}}},
        })),
        delivery: Delivery::Whole,
        ..Options::default()
    };
    let body = body(&provider, &history(&[Message::user("a")]), &options);
    assert_eq!(body["stream"], false);
    let expected = json!({"type": "json_schema", "schema": {
        "title": "Answer",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "count": {"type": "integer", "description": "How many\n\n{minimum: 1}"},
            "kind": {"anyOf": [{"enum": ["a"]}, {"$ref": "#/$defs/K"}]},
            "when": {"type": "string", "format": "date"},
            "size": {"type": "integer", "description": "{format: \"uint32\"}"},
        },
        "required": ["count"],
        "$defs": {"K": {"type": "object", "properties": {}, "additionalProperties": false}},
    }});
    assert_eq!(body["output_config"]["format"], expected);
}

#[test]
fn the_key_stands_in_a_header_only() {
    let provider = provider("claude-sonnet-4-5")
        .base_url("http://127.0.0.1:9/v1/")
        .beta("one")
        .beta("two")
        .extra_header("authorization", "Bearer hush")
        .build()
        .unwrap();
    let tools = tools();
    let (history, options) = (history(&[Message::user("a")]), Options::default());
    let request = Request {
        system: "",
        tools: &tools,
        history: &history,
        options: &options,
    };
    let call = provider.call(&request).unwrap();
    assert_eq!(call.url, "http://127.0.0.1:9/v1/messages");
    let expected = [
        ("anthropic-version", "2023-06-01"),
        ("x-api-key", "sk-test"),
        ("anthropic-beta", "one,two"),
        ("authorization", "Bearer hush"),
    ];
    assert_eq!(
        call.headers,
        expected.map(|(name, value)| (name, value.to_owned()))
    );
    let shown = format!("{provider:?}");
    assert!(
        !shown.contains("sk-test") && !shown.contains("hush"),
        "{shown}"
    );
    let error = Anthropic::builder("claude-x").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(error.hint().unwrap().contains("ANTHROPIC_API_KEY"));
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

#[test]
fn every_kind_of_block_is_understood_or_kept_and_goes_back_as_it_came() {
    let (frames, blocks) = everything();
    let got = run(&frames);
    assert_eq!(got.model, "claude-x");
    assert_eq!(got.stop, Some((Stop::Done, "tool_use".into())));
    assert_eq!(got.skipped, Vec::<String>::new());
    assert_eq!(got.message.text(), "I will look 🦀");
    let calls: Vec<_> = got.message.calls().map(|c| c.input.as_str()).collect();
    assert_eq!(calls, ["{\"path\": \"a\", \"n\": 1.0}", "{}"]);
    // What was streamed in pieces keeps its bytes, white space included.
    let kept: Vec<_> = got
        .message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Opaque { json, .. } => Some(json.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(kept.len(), 5);
    assert!(
        kept[1].contains("\"input\":{\"query\": \"rust\"}"),
        "{}",
        kept[1]
    );
    assert_eq!(encoded(got.message)["content"], Value::Array(blocks));
}

#[test]
fn bytes_of_reasoning_and_unread_blocks_survive_the_way_back() {
    // Odd spelling that any re-encoding would mend.
    let block = r#"{ "type" : "future_block", "n":1.50, "s":"\u00e9\/", "z":{"b":1,"a":[ ]} }"#;
    let frames = [
        begin(),
        (
            "content_block_start",
            format!(r#"{{"index":0,"type":"content_block_start","content_block":{block}}}"#),
        ),
        stop(0),
        start(
            1,
            json!({"type": "thinking", "thinking": "a\tb", "signature": "first"}),
        ),
        delta(1, json!({"type": "signature_delta", "signature": "Eu/+=="})),
        stop(1),
    ];
    let frames: Vec<_> = frames.into_iter().chain(end("end_turn")).collect();
    let message = Kept::new(run(&frames).message);
    let provider = provider("claude-sonnet-4-5").build().unwrap();
    let body = bytes(&provider, &[message], &Options::default());
    let body = String::from_utf8(body).unwrap();
    let thinking = r#"{"type":"thinking","thinking":"a\tb","signature":"Eu/+=="}"#;
    let expected = format!(r#"{{"role":"assistant","content":[{block},{thinking}]}}"#);
    assert!(body.contains(&expected), "{body}");
}

#[test]
fn a_whole_answer_comes_to_the_same_message() {
    let (frames, blocks) = everything();
    let whole = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": blocks, "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {
            "input_tokens": 10, "output_tokens": 50, "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 20,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens_details": {"thinking_tokens": 30},
        },
    });
    let (mut one, mut other) = (run(&frames), run(&[("", whole.to_string())]));
    // The same JSON; the white space is that of what was sent.
    for got in [&mut one, &mut other] {
        for part in &mut got.message.parts {
            let tidy = |raw: &RawJson| {
                let value: Value = serde_json::from_str(raw.as_str()).unwrap();
                RawJson::of(&value).unwrap()
            };
            match part {
                Part::Call(call) => call.input = tidy(&call.input),
                Part::Opaque { json, .. } => *json = tidy(json),
                _ => {}
            }
        }
    }
    assert_eq!(one, other);
}

#[test]
fn usage_is_overwritten_and_split_by_lifetime() {
    let (frames, _) = everything();
    let usage = run(&frames).usage;
    let expected = crate::usage::Usage {
        input: 10,
        output: 50,
        cache_read: 20,
        cache_write: 100,
        cache_write_hour: 200,
        reasoning: 30,
        ..Default::default()
    };
    assert_eq!(usage, expected);

    let counts =
        |usage: Value| frame(json!({"type": "message_delta", "delta": {}, "usage": usage}));
    let frames = [
        begin(),
        counts(
            json!({"output_tokens": 7, "cache_creation_input_tokens": 900, "input_tokens": null}),
        ),
        counts(json!("nonsense")),
        counts(json!(null)),
    ];
    let got = run(&frames);
    assert_eq!((got.usage.input, got.usage.output), (10, 7));
    assert_eq!(
        (got.usage.cache_write, got.usage.cache_write_hour),
        (700, 200)
    );
    assert_eq!(got.skipped, ["usage"]);
    assert_eq!(got.stop, None, "no stop without message_stop");
}

#[test]
fn every_stop_reason_is_mapped_and_its_word_kept() {
    let rows = [
        ("end_turn", Stop::Done),
        ("stop_sequence", Stop::Done),
        ("tool_use", Stop::Done),
        ("max_tokens", Stop::Length),
        ("pause_turn", Stop::Paused),
        ("model_context_window_exceeded", Stop::ContextFull),
        ("compaction", Stop::Unknown),
        ("eos_token", Stop::Unknown),
    ];
    for (raw, stop) in rows {
        let frames: Vec<_> = [begin()].into_iter().chain(end(raw)).collect();
        assert_eq!(run(&frames).stop, Some((stop, raw.to_owned())));
    }
    let refuse = |details: Value| {
        let delta = json!({"stop_reason": "refusal", "stop_details": details});
        let frames = [
            begin(),
            frame(json!({"type": "message_delta", "delta": delta})),
            frame(json!({"type": "message_stop"})),
        ];
        match run(&frames).stop {
            Some((Stop::Refused { reason }, raw)) if raw == "refusal" => reason,
            other => panic!("{other:?}"),
        }
    };
    let both = json!({"type": "refusal", "category": "cyber", "explanation": "No"});
    assert_eq!(refuse(both), "cyber: No");
    assert_eq!(refuse(json!({"category": null, "explanation": "No"})), "No");
    assert_eq!(refuse(json!(null)), "");
    assert_eq!(refuse(json!(7)), "");
}

/// Row P18 of the fault table.
#[test]
fn unknown_items_at_every_position_change_nothing() {
    let (frames, _) = everything();
    let plain = run(&frames);
    let strange = [
        frame(json!({"type": "future_event", "text": {"a": 1}})),
        ("future_event", "not even JSON".to_owned()),
        ("message", json!({"type": "future_event"}).to_string()),
        delta(
            2,
            json!({"type": "future_delta", "text": {"not": "a string"}}),
        ),
        delta(7, json!({"type": "future_delta", "partial_json": 7})),
        delta(0, json!({"type": "future_delta", "text": "x"})),
        delta(
            4,
            json!({"type": "text_delta", "text": "for a block that has no text"}),
        ),
        delta(
            99,
            json!({"type": "signature_delta", "signature": "nowhere"}),
        ),
        stop(99),
        ("ping", "{}".to_owned()),
        ("message", "[DONE]".to_owned()),
    ];
    for at in 1..frames.len() {
        for (which, item) in strange.iter().enumerate() {
            if which == 6 && !block_is_open(&frames[..at], 4) {
                continue; // without a block of that number, words would be words
            }
            let mut frames = frames.clone();
            frames.insert(at, item.clone());
            let mut got = run(&frames);
            let silent = matches!(item.0, "ping" | "content_block_stop") || item.1 == "[DONE]";
            assert_eq!(got.skipped.len(), usize::from(!silent), "{item:?} at {at}");
            got.skipped.clear();
            assert_eq!(got, plain, "{item:?} at {at}");
        }
    }
    // Unknown blocks are kept; without them nothing has changed.
    for at in 1..frames.len() - 2 {
        let block = json!({"type": "future_block", "deep": [{"x": null}]});
        let text = block.to_string();
        let mut frames = frames.clone();
        frames.splice(at..at, [start(50, block), stop(50)]);
        let mut got = run(&frames);
        got.message
            .parts
            .retain(|part| !matches!(part, Part::Opaque { json, .. } if json.as_str() == text));
        assert_eq!(got, plain, "block at {at}");
    }
}

fn block_is_open(frames: &[Frame], index: u32) -> bool {
    let says = |event: &str| {
        frames.iter().any(|(name, data)| {
            let data: Value = serde_json::from_str(data).unwrap();
            *name == event && data["index"] == index
        })
    };
    says("content_block_start") && !says("content_block_stop")
}

/// Rows P16 and P20: whatever becomes of the arguments, the call stays, and is never half of one.
#[test]
fn arguments_cut_anywhere_are_malformed_and_never_run() {
    let whole = r#"{"path": "é\n/🦀", "deep": {"list": [1, {"a": null}]}}"#;
    let cuts = (0..=whole.len()).filter(|at| whole.is_char_boundary(*at));
    for at in cuts {
        let mut frames = vec![
            begin(),
            start(
                0,
                json!({"type": "tool_use", "id": "t", "name": "Read", "input": {}}),
            ),
        ];
        for piece in whole[..at].split_inclusive(' ') {
            frames.push(delta(
                0,
                json!({"type": "input_json_delta", "partial_json": piece}),
            ));
        }
        for closed in [true, false] {
            let closing = closed.then(|| stop(0));
            let frames: Vec<_> = frames.iter().cloned().chain(closing).collect();
            let frames: Vec<_> = frames.into_iter().chain(end("max_tokens")).collect();
            let got = run(&frames);
            assert_eq!(got.stop, Some((Stop::Length, "max_tokens".into())));
            let call = got.message.calls().next().unwrap();
            let expected = (at > 0 && at < whole.len()).then(|| whole[..at].to_owned());
            assert_eq!(call.malformed, expected);
            let back = encoded(got.message.clone());
            assert!(back["content"][0]["input"].is_object());
        }
    }
}

#[test]
fn half_an_input_of_a_server_tool_never_goes_back() {
    let frames = [
        begin(),
        start(0, json!({"type": "text", "text": "so"})),
        stop(0),
        start(
            1,
            json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
        ),
        delta(
            1,
            json!({"type": "input_json_delta", "partial_json": "{\"query\":"}),
        ),
    ];
    let frames: Vec<_> = frames.into_iter().chain(end("max_tokens")).collect();
    let got = run(&frames);
    assert_eq!(got.message, Message::assistant("so"));
    assert_eq!(got.skipped, ["unfinished block"]);
}

#[test]
fn habits_of_gateways_do_no_harm() {
    let read =
        |id, input: Value| json!({"type": "tool_use", "id": id, "name": "Read", "input": input});
    let frames = [
        // No event names, the same index for everything, the whole input at once, no stops.
        ("message", begin().1),
        ("", start(0, json!({"type": "text", "text": "a"})).1),
        ("", delta(0, json!({"type": "text_delta", "text": "b"})).1),
        ("", start(0, read("t1", json!({"path": "x"}))).1),
        ("", start(0, read("t2", json!({}))).1),
        (
            "",
            delta(
                0,
                json!({"type": "input_json_delta", "partial_json": "{\"path\":\"y\"}"}),
            )
            .1,
        ),
        ("", end("end_turn")[0].1.clone()),
        ("", "[DONE]".to_owned()),
        ("", end("")[1].1.clone()),
    ];
    let got = run(&frames);
    assert_eq!(got.message.text(), "ab");
    let calls: Vec<_> = got
        .message
        .calls()
        .map(|call| call.input.as_str())
        .collect();
    assert_eq!(calls, [r#"{"path":"x"}"#, r#"{"path":"y"}"#]);
    // Words without a start are still words, and a stop without a reason is still a stop.
    let bare = [
        delta(3, json!({"type": "text_delta", "text": "hi"})),
        frame(json!({"type": "message_stop"})),
    ];
    let got = run(&bare);
    assert_eq!(got.message, Message::assistant("hi"));
    assert_eq!(got.stop, Some((Stop::Unknown, String::new())));
}

#[test]
fn text_deltas_come_out_one_for_one() {
    let frames = [
        start(0, json!({"type": "text", "text": ""})),
        delta(0, json!({"type": "text_delta", "text": "a"})),
        delta(0, json!({"type": "text_delta", "text": "\"\\\u{1F980}"})),
    ];
    let frames: Vec<_> = frames.iter().map(|(e, d)| (*e, d.as_str())).collect();
    let text = |text: &str| Delta::Text {
        part: 0,
        text: text.into(),
    };
    let got = deltas(Decoder::default(), &frames).unwrap();
    assert_eq!(got, [text("a"), text("\"\\🦀")]);
    assert_eq!(fold(got).message.text(), "a\"\\🦀");
}

#[test]
fn mangled_frames_are_decode_errors_that_say_where() {
    let error =
        try_run(&[("content_block_delta", "{\"index\":0,\n\"delta\":}".into())]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().contains("byte 21"), "{error}");
    assert!(
        error.to_string().contains("`content_block_delta`"),
        "{error}"
    );
    let (frames, _) = everything();
    for (event, data) in &frames {
        for at in (0..data.len()).filter(|at| data.is_char_boundary(*at)) {
            let got = try_run(&[begin(), (event, data[..at].to_owned())]);
            match (*event, got) {
                ("message_stop" | "ping", _) => {}
                (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::Decode, "{event} {at}"),
                (_, Ok(got)) => panic!("{event} cut at {at} was taken: {got:?}"),
            }
        }
    }
}

#[test]
fn an_answer_has_a_limit_of_parts() {
    let frame = start(0, json!({"type": "text", "text": ""}));
    let frames = vec![frame; 10_001];
    assert_eq!(try_run(&frames).unwrap_err().kind(), ErrorKind::Limit);
    assert!(try_run(&frames[..10_000]).is_ok());
}

// Errors.

#[test]
fn errors_are_classified_by_their_type_wherever_they_come() {
    use ErrorKind as K;
    let rows = [
        (
            400,
            "invalid_request_error",
            "messages: too odd",
            K::BadRequest,
        ),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000",
            K::ContextTooLong,
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1",
            K::ContextTooLong,
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low",
            K::QuotaExhausted,
        ),
        (401, "authentication_error", "invalid x-api-key", K::Auth),
        (402, "billing_error", "no", K::QuotaExhausted),
        (403, "permission_error", "no", K::Forbidden),
        (404, "not_found_error", "model: x", K::NotFound),
        (
            413,
            "request_too_large",
            "Request exceeds the maximum size",
            K::ContextTooLong,
        ),
        (429, "rate_limit_error", "slow down", K::RateLimited),
        (500, "api_error", "Internal server error", K::Server),
        (504, "timeout_error", "too slow", K::Timeout),
        (529, "overloaded_error", "Overloaded", K::Overloaded),
    ];
    let (frames, _) = everything();
    for (status, word, message, kind) in rows {
        let body = json!({"type": "error", "error": {"type": word, "message": message},
            "request_id": "req_1"});
        let text = body.to_string();
        let error = failure::of_reply(&crate::http::Reply {
            status,
            body: &text,
        });
        assert_eq!(error.kind(), kind, "{word}");
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.request_id(), Some("req_1"));
        assert!(error.to_string().contains(message));
        assert!(!error.is_possibly_billed());
        // Row P9: the same inside a stream, at every position.
        for at in 0..frames.len() {
            let mut frames = frames.clone();
            frames.insert(at, frame(body.clone()));
            let error = try_run(&frames).unwrap_err();
            assert_eq!(error.kind(), kind, "{word} at {at}");
            assert!(error.is_possibly_billed());
        }
    }
}

#[test]
fn a_spend_limit_is_no_rate_limit() {
    let kind = |details: Value| {
        let error = json!({"type": "rate_limit_error", "message": "m", "details": details});
        let body = json!({"type": "error", "error": error}).to_string();
        let status = 429;
        failure::of_reply(&crate::http::Reply {
            status,
            body: &body,
        })
        .kind()
    };
    let spent = json!({"error_code": "contract_spend_limit_reached"});
    assert_eq!(kind(spent), ErrorKind::QuotaExhausted);
    let other = json!({"error_code": "ramp_limit_exceeded"});
    for details in [other, json!(null), json!("odd"), json!({"error_code": 7})] {
        assert_eq!(kind(details), ErrorKind::RateLimited);
    }
}

#[test]
fn errors_of_others_are_classified_by_status() {
    use ErrorKind as K;
    let kind = |status, body: &str| {
        let error = failure::of_reply(&crate::http::Reply { status, body });
        (error.kind(), error.to_string())
    };
    let page = format!("<html>{}</html>", "x".repeat(5000));
    for (status, expected) in [
        (400, K::BadRequest),
        (401, K::Auth),
        (404, K::NotFound),
        (408, K::Timeout),
        (409, K::Server),
        (413, K::ContextTooLong),
        (422, K::BadRequest),
        (429, K::RateLimited),
        (502, K::Server),
        (503, K::Overloaded),
        (529, K::Overloaded),
    ] {
        let (got, text) = kind(status, &page);
        assert_eq!(got, expected, "{status}");
        assert!(text.len() < 500);
    }
    assert_eq!(
        kind(500, ""),
        (K::Server, "Anthropic failed: `status 500`".into())
    );
    let unreadable = try_run(&[("error", "not JSON".into())]).unwrap_err();
    assert_eq!(unreadable.kind(), K::Server);
}
