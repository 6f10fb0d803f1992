//! Answers: streams and whole bodies, calls, ends, usage, and what nobody knows yet.
//! Refuses requests, which have a file of their own.

use super::*;

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
