//! Answers: every kind of block, its way back, ends, usage, and what is mangled.
//! Refuses requests, which have a file of their own.

use super::*;

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
