//! The Responses API, encoded and decoded by hand-written bodies and events.
//! Refuses a network: what a socket can do to these bytes is tested where the sockets are.

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

#[test]
fn a_full_stream_becomes_its_message() {
    let answer = read(&full()).unwrap();
    assert_eq!(answer.message.parts, expected());
    assert_eq!(answer.model, "gpt-5-x");
    assert_eq!(answer.stop, Some((Stop::Done, "completed".into())));
    assert_eq!(answer.skipped, Vec::<String>::new());
    let usage = Usage {
        input: 30,
        output: 20,
        cache_read: 60,
        cache_write: 10,
        reasoning: 5,
        ..Usage::default()
    };
    assert_eq!(answer.usage, usage);
}

#[test]
fn wholes_that_were_shown_already_are_not_told_again() {
    let events = full();
    let frames: Vec<_> = events.iter().map(|d| ("message", d.as_str())).collect();
    let deltas = deltas(Decoder::new(Delivery::Stream), &frames).unwrap();
    let again = |d: &&Delta| matches!(d, Delta::TextDone { .. } | Delta::ArgumentsDone { .. });
    assert_eq!(deltas.iter().filter(again).count(), 0);
    assert_eq!(
        deltas
            .iter()
            .filter(|d| matches!(d, Delta::Call { .. }))
            .count(),
        1
    );
}

#[test]
fn p18_unknown_events_anywhere_change_nothing() {
    let clean = read(&full()).unwrap();
    let unknown = [
        json!({"type": "response.hologram.delta", "output_index": 2, "delta": {"text": "no"}})
            .to_string(),
        json!({"type": "response.output_item.annotated", "item": 7}).to_string(),
        "[1,2]".into(),
        json!({"no": "type"}).to_string(),
    ];
    for event in unknown {
        for at in 0..full().len() {
            let mut events = full();
            events.insert(at, event.clone());
            let answer = read(&events).unwrap();
            assert_eq!(answer.message, clean.message, "{event} at {at}");
            assert_eq!(answer.stop, clean.stop);
            assert_eq!(answer.skipped.len(), 1, "{event} at {at}");
        }
    }
    // An unknown item is a part of the message, byte for byte.
    let odd = r#"{"type":"crystal_ball","id":"cb", "z":1e2}"#;
    for at in 1..full().len() {
        let mut events = full();
        events.insert(at, done(9, odd));
        let answer = read(&events).unwrap();
        let mut parts = expected();
        parts.push(Part::Opaque {
            vendor: VENDOR.into(),
            json: RawJson::parse(odd).unwrap(),
        });
        assert_eq!(answer.message.parts, parts, "at {at}");
    }
}

#[test]
fn the_end_of_an_item_is_the_truth() {
    // Pieces that lie, and wholes that correct them.
    let mut events = full();
    events[14] = text(2, "Jello ");
    events[19] = json!({"type": "response.function_call_arguments.delta", "output_index": 3, "delta": "{\"wrong\":"}).to_string();
    events[4] =
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Wur"})
            .to_string();
    assert_eq!(read(&events).unwrap().message.parts, expected());
    // No pieces at all: only items.
    let events = [
        created(),
        done(0, REASONING),
        done(1, SEARCH),
        done(2, WORDS),
        done(3, CALL),
        completed(),
    ];
    assert_eq!(read(&events).unwrap().message.parts, expected());
    // Nothing but the end.
    let items = [REASONING, SEARCH, WORDS, CALL].join(",");
    let end = format!(
        r#"{{"type":"response.completed","response":{{"status":"completed","output":[{items}]}}}}"#
    );
    assert_eq!(
        read(std::slice::from_ref(&end)).unwrap().message.parts,
        expected()
    );
    // The end repeats what came before, also under other places.
    let mut events = full();
    let items = [SEARCH, REASONING, CALL, WORDS].join(",");
    *events.last_mut().unwrap() = format!(
        r#"{{"type":"response.completed","response":{{"status":"completed","output":[{items}]}}}}"#
    );
    assert_eq!(read(&events).unwrap().message.parts, expected());
    // Interleaved items keep their places.
    let events = [
        created(),
        text(2, "Hello "),
        added(3, CALL),
        text(2, "world"),
        done(3, CALL),
        done(0, REASONING),
        done(2, WORDS),
        done(1, SEARCH),
        completed(),
    ];
    assert_eq!(read(&events).unwrap().message.parts, expected());
}

#[test]
fn a_whole_body_becomes_the_same_message() {
    let items = [REASONING, SEARCH, WORDS, CALL].join(",");
    let body = format!(
        r#"{{"id":"r","object":"response","model":"gpt-5-x","status":"completed","error":null,"output":[{items}],"usage":{{"input_tokens":1,"input_tokens_details":null,"output_tokens":2}}}}"#
    );
    let answer = assemble(Decoder::new(Delivery::Whole), &[("", &body)]).unwrap();
    assert_eq!(answer.message.parts, expected());
    assert_eq!((answer.usage.input, answer.usage.output), (1, 2));
    assert_eq!(answer.stop, Some((Stop::Done, "completed".into())));
    for not_an_answer in ["{}", r#"{"status":"queued"}"#, "<html>", "[]"] {
        let error = assemble(Decoder::new(Delivery::Whole), &[("", not_an_answer)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{not_an_answer}");
    }
    let failed = r#"{"status":"failed","error":{"code":"rate_limit_exceeded","message":"Please try again in 2s."}}"#;
    let error = assemble(Decoder::new(Delivery::Whole), &[("", failed)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
}

#[test]
fn reasoning_without_a_summary_still_carries_its_seal() {
    let bare = r#"{"id":"rs_2","type":"reasoning","summary":[],"encrypted_content":"e"}"#;
    let answer = read(&[
        created(),
        added(0, bare),
        done(0, bare),
        done(1, CALL),
        completed(),
    ])
    .unwrap();
    let reasoning = Part::Reasoning {
        text: String::new(),
        seal: seal(bare),
    };
    assert_eq!(answer.message.parts[0], reasoning);
    // One that was cut off has no seal: its id means nothing to the vendor.
    let cut = r#"{"id":"rs_3","type":"reasoning","status":"incomplete","summary":[{"text":"Hm"}]}"#;
    let answer = read(&[created(), done(0, cut), completed()]).unwrap();
    assert_eq!(
        answer.message.parts,
        [Part::Reasoning {
            text: "Hm".into(),
            seal: None
        }]
    );
}

#[test]
fn every_end_is_told_apart() {
    let end = |name: &str, response: Value| {
        let event = json!({"type": format!("response.{name}"), "response": response});
        read(&[created(), text(0, "So"), event.to_string()])
    };
    let stop = |name: &str, response: Value| end(name, response).unwrap().stop.unwrap();
    let incomplete = |reason: &str| {
        let details = json!({"status": "incomplete", "incomplete_details": {"reason": reason}});
        stop("incomplete", details)
    };
    assert_eq!(
        incomplete("max_output_tokens"),
        (Stop::Length, "max_output_tokens".into())
    );
    assert_eq!(incomplete("brand_new"), (Stop::Length, "brand_new".into()));
    assert_eq!(
        stop("incomplete", json!({})),
        (Stop::Length, "incomplete".into())
    );
    let refused = Stop::Refused {
        reason: "content_filter".into(),
    };
    assert_eq!(
        incomplete("content_filter"),
        (refused, "content_filter".into())
    );
    assert_eq!(stop("completed", json!({"status": "odd"})).0, Stop::Unknown);
    let policy = json!({"status": "failed", "error": {"code": "bio_policy", "message": "no"}});
    let refused = Stop::Refused {
        reason: "no".into(),
    };
    assert_eq!(stop("failed", policy), (refused, "bio_policy".into()));
    for (code, kind) in [
        ("server_error", ErrorKind::Server),
        ("rate_limit_exceeded", ErrorKind::RateLimited),
        ("context_length_exceeded", ErrorKind::ContextTooLong),
        ("insufficient_quota", ErrorKind::QuotaExhausted),
        ("invalid_image", ErrorKind::BadRequest),
        ("never_heard_of", ErrorKind::Server),
    ] {
        let failed = json!({"status": "failed", "error": {"code": code, "message": "m"}});
        let error = end("failed", failed).unwrap_err();
        assert_eq!(error.kind(), kind, "{code}");
        assert!(error.is_possibly_billed());
    }
    assert_eq!(
        end("failed", json!({})).unwrap_err().kind(),
        ErrorKind::Server
    );
    // The bare error event, in both forms it is seen in.
    for event in [
        json!({"type": "error", "code": "server_error", "message": "m", "param": null}),
        json!({"type": "error", "error": {"type": "server_error", "message": "m"}}),
        json!({"error": {"code": 500, "message": "m"}}),
    ] {
        let error = read(&[created(), event.to_string()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{event}");
    }
    // No end at all: `drive` calls that broken.
    let mut cut = full();
    cut.pop();
    assert_eq!(read(&cut).unwrap().stop, None);
    for end in 0..full().last().unwrap().len() - 1 {
        let mut cut = full();
        cut.last_mut().unwrap().truncate(end);
        let frames: Vec<_> = cut.iter().map(|d| ("message", d.as_str())).collect();
        let error = assemble(Decoder::new(Delivery::Stream), &frames);
        assert!(
            error.is_err_and(|e| e.kind() == ErrorKind::Decode) || end == 0,
            "{end}"
        );
    }
}

#[test]
fn p19_a_refusal_is_shown_and_said() {
    let delta = |text: &str| {
        json!({"type": "response.refusal.delta", "output_index": 0, "delta": text}).to_string()
    };
    let item = r#"{"type":"message","status":"completed","content":[{"type":"refusal","refusal":"I can not"}]}"#;
    for events in [
        vec![
            created(),
            delta("I can"),
            delta(" not"),
            done(0, item),
            completed(),
        ],
        vec![created(), done(0, item), completed()],
    ] {
        let answer = read(&events).unwrap();
        let reason = "I can not".to_owned();
        assert_eq!(
            answer.stop,
            Some((Stop::Refused { reason }, "completed".into()))
        );
        assert_eq!(answer.message.text(), "I can not");
    }
}

#[test]
fn p16_p20_half_and_mangled_arguments_never_become_a_good_call() {
    let whole = r#"{"path": "a", "n": [1, {"x": "}"}]}"#;
    for cut in 1..whole.len() {
        let piece = json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": &whole[..cut]}).to_string();
        let head = added(
            0,
            r#"{"type":"function_call","call_id":"call_1","name":"Read","arguments":""}"#,
        );
        let end = json!({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}}).to_string();
        let answer = read(&[created(), head.clone(), piece, end]).unwrap();
        assert_eq!(answer.stop.unwrap().0, Stop::Length);
        let calls: Vec<_> = answer.message.calls().collect();
        assert_eq!(calls[0].malformed.as_deref(), Some(&whole[..cut]));
        // And back they go as they came, paired with an answer.
        let body = body_of(std::slice::from_ref(&answer.message));
        assert_eq!(body["input"][0]["arguments"], whole[..cut]);
    }
    for mangled in ["{\"a\":}", "not json", "[]", "{}{}", "{'a':1}", "\u{0}"] {
        let item =
            json!({"type": "function_call", "call_id": "c", "name": "Read", "arguments": mangled})
                .to_string();
        let answer = read(&[created(), done(0, &item), completed()]).unwrap();
        let calls: Vec<_> = answer.message.calls().collect();
        assert_eq!(calls[0].malformed.as_deref(), Some(mangled));
    }
}

#[test]
fn absurd_places_are_skipped() {
    let answer = read(&[
        created(),
        text(u64::MAX, "x"),
        text(1 << 40, "x"),
        text(0, "ok"),
        completed(),
    ])
    .unwrap();
    assert_eq!(answer.message.text(), "ok");
    assert_eq!(answer.skipped.len(), 2);
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
        history,
        options,
    };
    encode::body(&request, provider).unwrap()
}

fn body_of(messages: &[Message]) -> Value {
    serde_json::from_slice(&bytes(
        &provider("gpt-5"),
        &history(messages),
        &Options::default(),
    ))
    .unwrap()
}

#[test]
fn a_body_has_what_was_asked() {
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let options = Options {
        max_output: Some(99),
        temperature: Some(0.5),
        effort: Some(Effort::High),
        schema: Some(schema),
        delivery: Delivery::Whole,
        ..Options::default()
    };
    let provider = OpenAi::builder("gpt-5")
        .api_key("k")
        .prompt_cache_key("chat")
        .reasoning_summary(Summary::Auto)
        .build()
        .unwrap();
    let body: Value = serde_json::from_slice(&bytes(
        &provider,
        &history(&[Message::user("hi")]),
        &options,
    ))
    .unwrap();
    let expected = json!({
        "model": "gpt-5", "stream": false, "store": false, "include": ["reasoning.encrypted_content"],
        "instructions": "Be brief", "max_output_tokens": 99, "prompt_cache_key": "chat",
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "answer", "strict": true, "schema":
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}}},
        "tools": [{"type": "function", "name": "Read", "description": "Reads", "strict": false,
            "parameters": {"type": "object", "a": 2, "b": 1}}],
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    });
    assert_eq!(body, expected, "no temperature: this model takes none");
    // A model that does not reason is not asked about it.
    let plain: Value = serde_json::from_slice(&bytes(
        &self::provider("gpt-4.1"),
        &history(&[Message::user("hi")]),
        &options,
    ))
    .unwrap();
    assert_eq!(plain["temperature"], 0.5);
    assert!(plain.get("include").is_none() && plain.get("reasoning").is_none());
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    let tools = Kept::new(Vec::new());
    for options in [
        Options {
            stop: vec!["X".into()],
            ..Options::default()
        },
        Options {
            temperature: Some(f64::NAN),
            ..Options::default()
        },
    ] {
        let request = Request {
            system: "",
            tools: &tools,
            history: &[],
            options: &options,
        };
        let error = encode::body(&request, &provider("gpt-4.1")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
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
        Part::Media(Media::url("application/pdf", "https://x.test/b.pdf")),
        Part::Media(Media::bytes("text/plain", "grüße".as_bytes())),
    ]);
    let read = ToolCall::new(CallId::new("c1"), "Read", "{\"p\" : 1.0}");
    let other = ToolCall::new(CallId::new("c2"), "Read", "{oops");
    let foreign = Part::Reasoning {
        text: "secret".into(),
        seal: Some(Seal {
            vendor: "anthropic".into(),
            value: "sig".into(),
        }),
    };
    let assistant = Message {
        role: Role::Assistant,
        parts: vec![
            foreign,
            Part::text("well"),
            Part::Call(read.clone()),
            Part::Call(other.clone()),
        ],
    };
    let mut shown = ToolResult::text(&read, Outcome::Ok, "see");
    shown.content.push(Content::Media(image));
    let results = Message::results(vec![
        shown,
        ToolResult::text(&other, Outcome::TimedOut, "half"),
    ]);
    let body = body_of(&[user, assistant, results]);
    let picture =
        json!({"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,cG5n"});
    let expected = json!([
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "look"},
            picture,
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm"},
            {"type": "input_file", "file_url": "https://x.test/b.pdf"},
            {"type": "input_text", "text": "grüße"},
        ]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "well"}]},
        {"type": "function_call", "call_id": "c1", "name": "Read", "arguments": "{\"p\" : 1.0}"},
        {"type": "function_call", "call_id": "c2", "name": "Read", "arguments": "{oops"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "see"}, picture]},
        {"type": "function_call_output", "call_id": "c2", "output": "(outcome: timed_out)\nhalf"},
    ]);
    assert_eq!(body["input"], expected);
}

#[test]
fn a_message_goes_back_as_it_came() {
    let answer = read(&full()).unwrap();
    let kept = history(&[Message::user("q"), answer.message]);
    let provider = provider("gpt-5");
    let first = bytes(&provider, &kept, &Options::default());
    let text = String::from_utf8(first.clone()).unwrap();
    for verbatim in [REASONING, SEARCH] {
        assert!(text.contains(verbatim), "{text}");
    }
    let body: Value = serde_json::from_slice(&first).unwrap();
    let input = body["input"].as_array().unwrap();
    let kinds: Vec<_> = input
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "message",
            "reasoning",
            "web_search_call",
            "message",
            "function_call"
        ]
    );
    assert_eq!(input[3]["phase"], "commentary");
    // The same bytes again, and a longer history begins with them.
    assert_eq!(bytes(&provider, &kept, &Options::default()), first);
    let mut longer = kept.clone();
    longer.push(Message::user("more").into());
    let longer = bytes(&provider, &longer, &Options::default());
    assert!(longer.starts_with(&first[..first.len() - 2]));
}

#[test]
fn reasoning_that_nothing_follows_stays_here() {
    let reasoning = Part::Reasoning {
        text: "hm".into(),
        seal: seal(REASONING),
    };
    let alone = Message {
        role: Role::Assistant,
        parts: vec![reasoning.clone()],
    };
    let body = body_of(&[Message::user("a"), alone, Message::user("b")]);
    assert_eq!(body["input"].as_array().unwrap().len(), 2);
    let parts = vec![reasoning.clone(), Part::text("x"), reasoning];
    let body = body_of(&[Message {
        role: Role::Assistant,
        parts,
    }]);
    let input = body["input"].as_array().unwrap();
    assert_eq!(input.len(), 2);
    assert_eq!(input[0]["type"], "reasoning");
}
