//! The Chat Completions API, encoded and decoded by hand-written bodies and chunks.
//! Refuses to trust one server's habits: each quirk that was seen somewhere is a case here.

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

#[test]
fn a_full_stream_becomes_its_message() {
    let answer = read(&full()).unwrap();
    let seal = Seal {
        vendor: VENDOR.into(),
        value: "reasoning_content".into(),
    };
    let expected = [
        Part::Reasoning {
            text: "Let me see".into(),
            seal: Some(seal),
        },
        Part::text("I look"),
        Part::Call(ToolCall::new(
            CallId::new("c1"),
            "Read",
            "{\"path\": \"a\"}",
        )),
        Part::Call(ToolCall::new(CallId::new("c2"), "LS", "{}")),
    ];
    assert_eq!(answer.message.parts, expected);
    assert_eq!(answer.usage, usage());
    assert_eq!(answer.stop, Some((Stop::Done, "tool_calls".into())));
    assert_eq!((answer.model.as_str(), answer.skipped.len()), ("gpt-x", 0));
}

#[test]
fn a_whole_body_becomes_the_same_message() {
    let body = json!({"model": "gpt-x", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
        "role": "assistant", "content": "I look", "refusal": null, "reasoning_content": "Let me see",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "Read", "arguments": "{\"path\": \"a\"}"}},
                       {"id": "c2", "type": "function", "function": {"name": "LS", "arguments": "{}"}}]}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
    .to_string();
    let answer = assemble(Decoder::new(Delivery::Whole), &[("", &body)]).unwrap();
    let streamed = read(&full()).unwrap();
    let sorted = |message: &Message| {
        let mut parts: Vec<_> = message.parts.iter().map(|p| format!("{p:?}")).collect();
        parts.sort();
        parts
    };
    assert_eq!(sorted(&answer.message), sorted(&streamed.message));
    assert_eq!((answer.usage.input, answer.usage.output), (3, 4));
    assert_eq!(answer.stop, streamed.stop);
    for (body, kind) in [
        ("{}", ErrorKind::Decode),
        ("<html>", ErrorKind::Decode),
        (
            r#"{"error":{"message":"x","code":429}}"#,
            ErrorKind::RateLimited,
        ),
    ] {
        let error = assemble(Decoder::new(Delivery::Whole), &[("", body)]).unwrap_err();
        assert_eq!(error.kind(), kind, "{body}");
    }
}

#[test]
fn calls_are_told_apart_however_they_are_numbered() {
    let read = |id: &str, path: &str| {
        (
            id.to_owned(),
            "Read".to_owned(),
            format!("{{\"p\":\"{path}\"}}"),
        )
    };
    let whole = |path: &str| format!("{{\"p\":\"{path}\"}}");
    // Always index 0, told apart by ids.
    let one = |id: &str, path: &str| json!([{"index": 0, "id": id, "function": {"name": "Read", "arguments": whole(path)}}]);
    assert_eq!(
        called(&[one("a", "1"), one("b", "2")]),
        [read("a", "1"), read("b", "2")]
    );
    // No index; two calls that look alike are both real.
    let one = |id: &str| json!([{"id": id, "function": {"name": "Read", "arguments": whole("1")}}]);
    assert_eq!(
        called(&[one("a"), one("b")]),
        [read("a", "1"), read("b", "1")]
    );
    // Always index 0 and no id at all.
    let one =
        |path: &str| json!([{"index": 0, "function": {"name": "Read", "arguments": whole(path)}}]);
    let found = called(&[one("1"), one("1")]);
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].0, found[1].0);
    // The same id twice under two numbers: the second gets one of its own.
    let twice = |index: u8| json!([{"index": index, "id": "a", "function": {"name": "Read", "arguments": whole("1")}}]);
    let found = called(&[twice(0), twice(1)]);
    assert_eq!((found.len(), found[0].0.as_str()), (2, "a"));
    assert_ne!(found[1].0, "a");
    // Both in one chunk, neither number nor id.
    let both = json!([{"function": {"name": "Read", "arguments": whole("1")}}, {"function": {"name": "Read", "arguments": whole("2")}}]);
    assert_eq!(called(&[both]).len(), 2);
    // Id and name with every piece.
    let piece = |text: &str| json!([{"index": 0, "id": "a", "function": {"name": "Read", "arguments": text}}]);
    assert_eq!(
        called(&[piece("{\"p\""), piece(":\"1\"}"), piece("")]),
        [read("a", "1")]
    );
    // Name with every piece, no id.
    let piece = |text: &str| json!([{"index": 0, "function": {"name": "Read", "arguments": text}}]);
    assert_eq!(called(&[piece("{\"p\""), piece(":\"1\"}")]).len(), 1);
    // A number only on the first piece, or only on the rest.
    let first = json!([{"index": 0, "id": "a", "function": {"name": "Read"}}]);
    let rest = json!([{"function": {"arguments": whole("1")}}]);
    assert_eq!(called(&[first, rest]), [read("a", "1")]);
    let first = json!([{"id": "a", "function": {"name": "Read"}}]);
    let rest = json!([{"index": 0, "function": {"arguments": whole("1")}}]);
    assert_eq!(called(&[first, rest]), [read("a", "1")]);
    // The name after the arguments.
    let first = json!([{"index": 0, "id": "a", "function": {"arguments": "{\"p\""}}]);
    let rest = json!([{"index": 0, "function": {"name": "Read", "arguments": ":\"1\"}"}}]);
    assert_eq!(called(&[first, rest]), [read("a", "1")]);
    // Two calls at once, their pieces interleaved.
    let piece = |index: u8, text: &str| json!([{"index": index, "function": {"arguments": text}}]);
    let begin = |index: u8, id: &str| json!([{"index": index, "id": id, "function": {"name": "Read", "arguments": ""}}]);
    let found = called(&[
        begin(0, "a"),
        begin(1, "b"),
        piece(0, "{\"p\":"),
        piece(1, "{\"p\":"),
        piece(0, "\"1\"}"),
        piece(1, "\"2\"}"),
    ]);
    assert_eq!(found, [read("a", "1"), read("b", "2")]);
}

#[test]
fn arguments_come_in_every_form() {
    let one = |arguments: Value| {
        let call =
            json!([{"index": 0, "id": "a", "function": {"name": "Read", "arguments": arguments}}]);
        called(&[call]).remove(0).2
    };
    assert_eq!(one(json!({"p": [1, {"q": "}"}]})), r#"{"p":[1,{"q":"}"}]}"#);
    assert_eq!(one(json!(null)), "{}");
    assert_eq!(one(json!("")), "{}");
    assert_eq!(one(json!("{\"p\":1}\n")), "{\"p\":1}");
    // More than one object: what the model meant is for the model to say.
    for odd in [
        "{\"p\":1}{\"p\":2}",
        "{\"p\":1}</tool_call>",
        "{\"p\":1} and so on",
    ] {
        assert_eq!(one(json!(odd)), odd);
    }
    let split = [
        json!([{"index": 0, "id": "a", "function": {"name": "Read", "arguments": "{}"}}]),
        json!([{"index": 0, "function": {"arguments": " and so on"}}]),
    ];
    assert_eq!(called(&split)[0].2, "{} and so on");
    // The old form.
    let chunks = [
        chunk(json!({"function_call": {"name": "Read", "arguments": ""}})),
        chunk(json!({"function_call": {"arguments": "{\"p\":1}"}})),
        finish("function_call"),
        DONE.into(),
    ];
    let answer = read(&chunks).unwrap();
    assert_eq!(
        answer.message.calls().next().unwrap().input.as_str(),
        "{\"p\":1}"
    );
    assert_eq!(answer.stop.unwrap().0, Stop::Done);
    // A call without a name is no call anybody could run.
    let chunks = [
        calls(json!([{"index": 0, "id": "a", "function": {"arguments": "{}"}}])),
        finish("tool_calls"),
        DONE.into(),
    ];
    let answer = read(&chunks).unwrap();
    assert_eq!(
        (answer.message.calls().count(), answer.stop.unwrap().0),
        (0, Stop::BadCall)
    );
}

#[test]
fn p16_p20_half_and_mangled_arguments_never_become_a_good_call() {
    let whole = r#"{"path": "a", "n": [1, {"x": "}"}]}"#;
    for cut in 1..whole.len() {
        let chunks = [
            calls(
                json!([{"index": 0, "id": "a", "function": {"name": "Read", "arguments": &whole[..cut / 2]}}]),
            ),
            calls(json!([{"index": 0, "function": {"arguments": &whole[cut / 2..cut]}}])),
            finish("length"),
            counted(),
            DONE.into(),
        ];
        let answer = read(&chunks).unwrap();
        assert_eq!(answer.stop, Some((Stop::Length, "length".into())));
        let call = answer.message.calls().next().unwrap();
        assert_eq!(call.malformed.as_deref(), Some(&whole[..cut]));
        // The next request is valid everywhere: raw for OpenAI, an object for strict parsers.
        let raw = body(
            Quirks::openai(),
            std::slice::from_ref(&answer.message),
            &Options::default(),
        );
        assert_eq!(
            raw["messages"][1]["tool_calls"][0]["function"]["arguments"],
            whole[..cut]
        );
        let empty = body(
            Quirks::vllm(),
            std::slice::from_ref(&answer.message),
            &Options::default(),
        );
        assert_eq!(
            empty["messages"][1]["tool_calls"][0]["function"]["arguments"],
            "{}"
        );
    }
    for mangled in [
        "{\"a\":}", "not json", "[]", "{}{}", "{'a':1}", "\"{}\"", "{]}",
    ] {
        let chunks = [
            calls(
                json!([{"index": 0, "id": "a", "function": {"name": "Read", "arguments": mangled}}]),
            ),
            finish("tool_calls"),
            DONE.into(),
        ];
        let answer = read(&chunks).unwrap();
        assert!(
            answer.message.calls().next().unwrap().malformed.is_some(),
            "{mangled}"
        );
    }
}

#[test]
fn ends_are_told_apart() {
    let stop = |tail: &[String]| {
        let mut chunks = vec![words("So")];
        chunks.extend_from_slice(tail);
        read(&chunks).map(|answer| answer.stop)
    };
    let refused = |reason: &str| Stop::Refused {
        reason: reason.into(),
    };
    for (raw, expected) in [
        ("stop", Stop::Done),
        ("tool_calls", Stop::Done),
        ("function_call", Stop::Done),
        ("length", Stop::Length),
        ("content_filter", refused("content_filter")),
        ("brand_new", Stop::Unknown),
    ] {
        let done = stop(&[finish(raw), DONE.into()]).unwrap();
        assert_eq!(done, Some((expected.clone(), raw.into())));
        assert_eq!(
            stop(&[finish(raw)]).unwrap(),
            Some((expected, raw.into())),
            "[DONE] is not needed"
        );
    }
    assert_eq!(stop(&[]).unwrap(), None, "cut off");
    assert_eq!(stop(&[counted()]).unwrap(), None, "usage is no end");
    assert_eq!(stop(&[DONE.into()]).unwrap().unwrap().0, Stop::Unknown);
    let half =
        calls(json!([{"index": 0, "id": "a", "function": {"name": "Read", "arguments": "{}"}}]));
    assert_eq!(
        stop(&[half, DONE.into()]).unwrap_err().kind(),
        ErrorKind::Disconnected
    );
    assert_eq!(
        read(&[DONE.into()]).unwrap_err().kind(),
        ErrorKind::Disconnected
    );
    for (tail, kind) in [
        (
            json!({"error": {"message": "boom", "type": "server_error"}}),
            ErrorKind::Server,
        ),
        (
            json!({"error": {"message": "x", "code": "context_length_exceeded"}}),
            ErrorKind::ContextTooLong,
        ),
        (json!({"error": "boom"}), ErrorKind::Server),
        (
            json!({"object": "error", "message": "x", "code": 400}),
            ErrorKind::BadRequest,
        ),
        (
            json!({"choices": [{"delta": {}, "finish_reason": "error", "error": {"code": 429, "message": "x"}}]}),
            ErrorKind::RateLimited,
        ),
        (
            json!({"choices": [{"delta": {}, "finish_reason": "error"}]}),
            ErrorKind::Server,
        ),
        (
            json!({"choices": [], "error": {"code": 502, "message": "x"}}),
            ErrorKind::Server,
        ),
    ] {
        let error = stop(&[tail.to_string()]).unwrap_err();
        assert_eq!(error.kind(), kind, "{tail}");
        assert!(error.is_possibly_billed());
    }
    for broken in ["{\"choices\":[{\"delta\":{\"content\":\"x", "not json"] {
        assert_eq!(
            stop(&[broken.into()]).unwrap_err().kind(),
            ErrorKind::Decode
        );
    }
}

#[test]
fn p19_a_refusal_is_shown_and_said() {
    let piece = |text: &str| chunk(json!({"content": null, "refusal": text}));
    let answer = read(&[piece("I can"), piece(" not"), finish("stop"), DONE.into()]).unwrap();
    let reason = "I can not".to_owned();
    assert_eq!(answer.stop, Some((Stop::Refused { reason }, "stop".into())));
    assert_eq!(answer.message.text(), "I can not");
}

#[test]
fn usage_is_taken_where_it_comes() {
    let with = |prompt: u64, output: u64| {
        json!({"choices": [{"index": 0, "delta": {"content": "x"}}], "usage": {"prompt_tokens": prompt, "completion_tokens": output}}).to_string()
    };
    let answer = read(&[with(9, 1), with(9, 2), finish("stop"), DONE.into()]).unwrap();
    assert_eq!(
        (answer.usage.input, answer.usage.output),
        (9, 2),
        "on every chunk: the last"
    );
    let chunks = [with(0, 0), finish("stop"), DONE.into()];
    let frames: Vec<_> = chunks.iter().map(|d| ("message", d.as_str())).collect();
    let deltas = deltas(Decoder::new(Delivery::Stream), &frames).unwrap();
    assert!(
        !deltas.iter().any(|d| matches!(d, Delta::Usage(_))),
        "zeros: nobody counted"
    );
    let hits = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}}).to_string();
    let answer = read(&[finish("stop"), hits, DONE.into()]).unwrap();
    assert_eq!((answer.usage.input, answer.usage.cache_read), (2, 8));
}

#[test]
fn p18_unknown_chunks_and_fields_anywhere_change_nothing() {
    let clean = read(&full()).unwrap();
    for odd in [
        r#"{"object":"hologram","x":1}"#,
        "[1]",
        "7",
        "\"text\"",
        "{}",
    ] {
        for at in 0..full().len() {
            let mut chunks = full();
            chunks.insert(at, odd.into());
            let answer = read(&chunks).unwrap();
            assert_eq!(
                (&answer.message, &answer.stop),
                (&clean.message, &clean.stop),
                "{odd} at {at}"
            );
            assert_eq!(answer.skipped.len(), 1, "{odd} at {at}");
        }
    }
    for quiet in [
        "",
        r#"{"choices":[],"prompt_filter_results":[{"x":1}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":null,"audio":{"id":1},"tool_calls":null},"finish_reason":null,"content_filter_results":{}}]}"#,
        r#"{"choices":[{"index":1,"delta":null}],"usage":null,"error":null}"#,
    ] {
        for at in 1..full().len() {
            let mut chunks = full();
            chunks.insert(at, quiet.into());
            assert_eq!(read(&chunks).unwrap(), clean, "{quiet} at {at}");
        }
    }
    // Content in parts, and both names of reasoning at once.
    let parts = chunk(
        json!({"content": [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": []}, {"type": "text", "text": "b"}],
        "reasoning": "r", "reasoning_content": "r"}),
    );
    let answer = read(&[parts, finish("stop"), DONE.into()]).unwrap();
    assert_eq!(answer.message.text(), "ab");
    assert!(
        answer
            .message
            .parts
            .iter()
            .any(|p| matches!(p, Part::Reasoning { text, .. } if text == "r"))
    );
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
        history,
        options,
    };
    encode::body(&request, &provider(quirks)).unwrap()
}

fn body(quirks: Quirks, messages: &[Message], options: &Options) -> Value {
    serde_json::from_slice(&bytes(quirks, &history(messages), options)).unwrap()
}

#[test]
fn a_body_has_what_was_asked() {
    let options = Options {
        max_output: Some(99),
        temperature: Some(0.5),
        effort: Some(Effort::Low),
        stop: vec!["END".into()],
        schema: Some(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        ..Options::default()
    };
    let expected = json!({
        "model": "some-model", "stream": true, "stream_options": {"include_usage": true},
        "max_completion_tokens": 99, "temperature": 0.5, "stop": ["END"], "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": false,
            "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        "tools": [{"type": "function", "function": {"name": "Read", "description": "Reads",
            "parameters": {"type": "object", "a": 2, "b": 1}}}],
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi"}],
    });
    assert_eq!(
        body(Quirks::openai(), &[Message::user("hi")], &options),
        expected
    );

    let sent = body(Quirks::openrouter(), &[Message::user("hi")], &options);
    assert_eq!(
        (&sent["max_tokens"], &sent["reasoning"]),
        (&json!(99), &json!({"effort": "low"}))
    );
    assert!(sent.get("max_completion_tokens").is_none() && sent.get("reasoning_effort").is_none());

    let mut quirks = Quirks::generic();
    quirks.usage = UsageReport::NotAsked;
    quirks.effort = EffortField::None;
    quirks.schema = SchemaField::JsonObject;
    let whole = Options {
        delivery: Delivery::Whole,
        ..options
    };
    let sent = body(quirks, &[Message::user("hi")], &whole);
    assert_eq!(
        (&sent["stream"], &sent["response_format"]),
        (&json!(false), &json!({"type": "json_object"}))
    );
    for absent in ["stream_options", "reasoning_effort", "reasoning"] {
        assert!(sent.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn the_address_chooses_the_quirks() {
    let of = |url: &str| {
        OpenAiChat::builder("m")
            .api_key("k")
            .base_url(url)
            .build()
            .unwrap()
            .quirks
    };
    assert_eq!(
        OpenAiChat::builder("m")
            .api_key("k")
            .build()
            .unwrap()
            .quirks,
        Quirks::openai()
    );
    assert_eq!(of("https://api.openai.com/v1"), Quirks::openai());
    assert_eq!(of("https://openrouter.ai/api/v1"), Quirks::openrouter());
    assert_eq!(of("http://localhost:8000"), Quirks::generic());
}

#[test]
fn every_part_finds_its_form() {
    let image = Media::bytes("image/png", b"png");
    let mut pdf = Media::bytes("application/pdf", b"pdf");
    pdf.name = Some("a.pdf".into());
    let user = Message::user_parts(vec![
        Part::text("look"),
        Part::Media(image.clone()),
        Part::Media(pdf),
        Part::Media(Media::bytes("text/plain", b"words")),
    ]);
    let one = ToolCall::new(CallId::new("c1"), "Read", "{\"p\" : 1.0}");
    let two = ToolCall::new(CallId::new("c2"), "Read", "{}");
    let assistant = Message {
        role: Role::Assistant,
        parts: vec![Part::Call(one.clone()), Part::Call(two.clone())],
    };
    let only_thoughts = Message {
        role: Role::Assistant,
        parts: vec![Part::Reasoning {
            text: "foreign".into(),
            seal: None,
        }],
    };
    let mut shown = ToolResult::text(&one, Outcome::Ok, "see");
    shown.content.push(Content::Media(image));
    let results = Message::results(vec![shown, ToolResult::text(&two, Outcome::Failed, "no")]);
    let messages = [user, only_thoughts, assistant, results];
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}});
    let expected = json!([
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [
            {"type": "text", "text": "look"},
            picture,
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm"}},
            {"type": "text", "text": "words"},
        ]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "Read", "arguments": "{\"p\" : 1.0}"}},
            {"id": "c2", "type": "function", "function": {"name": "Read", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "c1", "content": "see"},
        {"role": "tool", "tool_call_id": "c2", "content": "(outcome: failed)\nno"},
        {"role": "user", "content": [{"type": "text", "text": "(shown by the tool Read, call c1)"}, picture]},
    ]);
    assert_eq!(
        body(Quirks::openai(), &messages, &Options::default())["messages"],
        expected
    );
    let plain = body(Quirks::generic(), &messages, &Options::default());
    let words = plain["messages"][1]["content"][2]["text"].as_str().unwrap();
    assert!(words.contains("a.pdf"), "{words}");
}

#[test]
fn reasoning_goes_back_only_where_it_is_wanted() {
    let answer = read(&full()).unwrap().message;
    let foreign = Part::Reasoning {
        text: "foreign".into(),
        seal: Some(Seal {
            vendor: "anthropic".into(),
            value: "reasoning_content".into(),
        }),
    };
    let mut mixed = answer.clone();
    mixed.parts.insert(0, foreign);
    let sent = |quirks| {
        body(quirks, std::slice::from_ref(&mixed), &Options::default())["messages"][1].clone()
    };
    assert_eq!(sent(Quirks::llama_cpp())["reasoning_content"], "Let me see");
    assert!(sent(Quirks::openai()).get("reasoning_content").is_none());
    assert!(sent(Quirks::llama_cpp()).get("reasoning").is_none());
}

#[test]
fn bytes_are_stable_and_kept_for_each_spelling() {
    let broken = Message {
        role: Role::Assistant,
        parts: vec![Part::Call(ToolCall::new(CallId::new("c"), "Read", "{oops"))],
    };
    let kept = history(&[Message::user("q"), read(&full()).unwrap().message, broken]);
    let first = bytes(Quirks::openai(), &kept, &Options::default());
    // Another spelling in between neither spoils the first nor is spoilt by it.
    let other = bytes(Quirks::vllm(), &kept, &Options::default());
    assert_ne!(first, other);
    let mut longer = kept.clone();
    longer.push(Message::user("more").into());
    assert_eq!(bytes(Quirks::openai(), &kept, &Options::default()), first);
    assert!(
        bytes(Quirks::openai(), &longer, &Options::default())
            .starts_with(&first[..first.len() - 2])
    );
    // Every set of quirks that changes bytes has a name of its own.
    let mut quirks = Quirks::openai();
    quirks.malformed = Malformed::EmptyObject;
    assert!(
        String::from_utf8(bytes(quirks, &kept, &Options::default()))
            .unwrap()
            .contains(r#""arguments":"{}""#)
    );
}
