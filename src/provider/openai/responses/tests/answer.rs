//! Answers: streams and whole bodies, calls, ends, usage, and what nobody knows yet.
//! Refuses requests, which have a file of their own.

use super::*;

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
