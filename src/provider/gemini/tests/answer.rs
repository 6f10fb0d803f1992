//! Answers: every kind of part, its way back, ends, usage, and what is mangled.
//! Refuses requests, which have a file of their own.

use super::*;

#[test]
fn every_kind_of_part_goes_back_as_it_came() {
    let (frames, back) = everything();
    let got = run(&frames);
    assert_eq!(got.model, "gemini-x");
    assert_eq!(got.stop, Some((Stop::Done, "STOP".into())));
    assert_eq!(got.skipped, Vec::<String>::new());
    let summary = Part::Reasoning {
        text: "Let me see".into(),
        seal: None,
    };
    assert_eq!(got.message.parts[0], summary);
    for model in [OLD, NEW] {
        assert_eq!(encoded(model, got.message.clone()), back, "{model}");
    }
}

#[test]
fn bytes_of_signatures_and_unread_parts_survive_the_way_back() {
    let part = r#"{ "futureThing" : {"n":1.50,"s":"\u00e9\/"}, "thoughtSignature":"x" }"#;
    let args = r#"{"path" : "\u00e9", "n": 1.0}"#;
    let data = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{part},{{"functionCall":{{"name":"Read","args":{args}}},"thoughtSignature":"Cg/+=="}}]}},"finishReason":"STOP"}}]}}"#
    );
    let got = assemble(Decoder::default(), &[("", &data)]).unwrap();
    let sent = bytes(
        &provider(NEW),
        &[Kept::new(got.message)],
        &Options::default(),
    );
    let sent = String::from_utf8(sent).unwrap();
    let expected = format!(
        r#"[{part},{{"functionCall":{{"name":"Read","args":{args}}},"thoughtSignature":"Cg/+=="}}]"#
    );
    assert!(sent.contains(&expected), "{sent}");
}

#[test]
fn a_whole_answer_comes_to_the_same_message() {
    let (frames, _) = everything();
    let parts: Vec<Value> = frames
        .iter()
        .flat_map(|frame| {
            frame["candidates"][0]["content"]["parts"]
                .as_array()
                .unwrap()
        })
        .cloned()
        .collect();
    let mut whole = finish("STOP");
    whole["candidates"][0]["content"]["parts"] = parts.into();
    whole["modelVersion"] = "gemini-x".into();
    let data = whole.to_string();
    assert_eq!(
        assemble(Decoder::default(), &[("", &data)]).unwrap(),
        run(&frames)
    );
}

#[test]
fn a_list_of_chunks_is_as_good_as_one_by_one() {
    let (frames, _) = everything();
    assert_eq!(run(&[Value::Array(frames.clone())]), run(&frames));
    let done = assemble(Decoder::default(), &[("message", "[DONE]")]).unwrap();
    assert_eq!(done.stop, None);
}

#[test]
fn usage_is_a_running_total_in_disjoint_fields() {
    let (frames, _) = everything();
    let expected = crate::usage::Usage {
        input: 45,
        output: 37,
        cache_read: 60,
        reasoning: 30,
        ..Default::default()
    };
    assert_eq!(run(&frames).usage, expected);
    let count = |counts| json!({"usageMetadata": counts});
    let frames = [
        count(json!({"promptTokenCount": 10, "totalTokenCount": 10})),
        count(json!({"promptTokenCount": 10, "thoughtsTokenCount": 4})),
        count(
            json!({"promptTokenCount": 10, "candidatesTokenCount": 2, "cachedContentTokenCount": 50}),
        ),
        count(json!({"promptTokenCount": "many"})),
    ];
    let got = run(&frames);
    assert_eq!((got.usage.input, got.usage.output), (0, 6));
    assert_eq!(got.skipped, ["usageMetadata"]);
}

#[test]
fn every_finish_reason_is_mapped_and_its_word_kept() {
    let refused = |reason: &str| Stop::Refused {
        reason: reason.into(),
    };
    let mut rows = vec![
        ("STOP", Stop::Done),
        ("MAX_TOKENS", Stop::Length),
        ("MALFORMED_FUNCTION_CALL", Stop::BadCall),
        ("MALFORMED_RESPONSE", Stop::BadCall),
        ("UNEXPECTED_TOOL_CALL", Stop::BadCall),
        ("TOO_MANY_TOOL_CALLS", Stop::BadCall),
        ("CONTINUATION", Stop::Length),
        ("MISSING_THOUGHT_SIGNATURE", Stop::Unknown),
        ("OTHER", Stop::Unknown),
        ("NO_IMAGE", Stop::Unknown),
        ("BRAND_NEW", Stop::Unknown),
    ];
    for word in [
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "MODEL_ARMOR",
    ] {
        rows.push((word, refused(word)));
    }
    for (raw, stop) in rows {
        let got = run(&[chunk(json!([{"text": "a"}])), finish(raw)]);
        assert_eq!(got.stop, Some((stop, raw.to_owned())));
        assert_eq!(got.message, Message::assistant("a"));
    }
    let said = json!({"candidates": [{"finishReason": "SAFETY", "finishMessage": "no"}]});
    assert_eq!(run(&[said]).stop.unwrap().0, refused("SAFETY: no"));
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}});
    let got = run(&[blocked]);
    let expected = (
        refused("PROHIBITED_CONTENT"),
        "PROHIBITED_CONTENT".to_owned(),
    );
    assert_eq!(got.stop, Some(expected));
}

#[test]
fn a_body_that_ends_without_a_reason_is_no_turn() {
    let (frames, _) = everything();
    for cut in 0..frames.len() {
        assert_eq!(run(&frames[..cut]).stop, None, "cut after {cut}");
    }
}

/// Row P18 of the fault table.
#[test]
fn unknown_items_at_every_position_change_nothing() {
    let (frames, _) = everything();
    let plain = run(&frames);
    let strange = [
        json!({"futureField": {"deep": [1]}, "modelVersion": "gemini-x"}),
        json!({"candidates": [], "modelVersion": "gemini-x"}),
        json!({"candidates": null, "usageMetadata": null, "modelVersion": "gemini-x"}),
        json!({"candidates": [{"index": 1, "content": {"parts": [{"text": "other"}]}, "finishReason": "STOP"}],
            "modelVersion": "gemini-x"}),
        json!({"candidates": [{"futureField": 1, "content": {"role": "model"}}], "modelVersion": "gemini-x"}),
        json!({"promptFeedback": {"safetyRatings": []}, "modelVersion": "gemini-x"}),
        chunk(
            json!([{"functionCall": {"partialArgs": [{"jsonPath": "$.a"}], "willContinue": true}}]),
        ),
        chunk(json!([7])),
    ];
    for at in 0..=frames.len() {
        for item in &strange {
            let mut frames = frames.clone();
            frames.insert(at, item.clone());
            let mut got = run(&frames);
            got.skipped.clear();
            assert_eq!(got, plain, "{item} at {at}");
        }
    }
    // Unknown fields within known parts change nothing either.
    let mut dressed = frames.clone();
    for frame in &mut dressed {
        for part in frame["candidates"][0]["content"]["parts"]
            .as_array_mut()
            .unwrap()
        {
            if part.get("text").is_some() || part.get("functionCall").is_some() {
                part["futureField"] = json!({"text": [1]});
            }
        }
    }
    assert_eq!(run(&dressed), plain);
    // Unknown parts are kept; without them the same is said.
    let said = |got: &Assembled| {
        let mut parts: Vec<Part> = Vec::new();
        for part in &got.message.parts {
            match (parts.last_mut(), part) {
                (_, Part::Opaque { json, .. }) if json.as_str().contains("futureThing") => {}
                (
                    Some(Part::Text { text, seal: None }),
                    Part::Text {
                        text: more,
                        seal: None,
                    },
                )
                | (
                    Some(Part::Reasoning { text, seal: None }),
                    Part::Reasoning {
                        text: more,
                        seal: None,
                    },
                ) => text.push_str(more),
                _ => parts.push(part.clone()),
            }
        }
        parts
    };
    let unknown = [
        json!({"futureThing": {"x": null}}),
        json!({"futureThing": 1, "text": {"no": "string"}}),
    ];
    for at in 0..frames.len() {
        for part in &unknown {
            let mut frames = frames.clone();
            frames.insert(at, chunk(json!([part])));
            let got = run(&frames);
            assert_eq!(said(&got), said(&plain), "at {at}");
            let sent = encoded(NEW, got.message);
            assert!(sent.as_array().unwrap().contains(part));
        }
    }
}

/// Row P16: what is no object stays a call, marked and never run.
#[test]
fn arguments_that_are_no_object_are_malformed() {
    for args in [json!([1]), json!("text"), json!(7)] {
        let call = json!({"functionCall": {"name": "Read", "args": args}});
        let got = run(&[chunk(json!([call])), finish("STOP")]);
        let call = got.message.calls().next().unwrap();
        assert_eq!(call.malformed, Some(args.to_string()));
        assert_eq!(call.input, RawJson::empty_object());
    }
    for args in [json!(null), json!({})] {
        let call = json!({"functionCall": {"name": "Read", "args": args}});
        let got = run(&[chunk(json!([call])), finish("STOP")]);
        assert_eq!(got.message.calls().next().unwrap().malformed, None);
    }
}

#[test]
fn mangled_frames_are_decode_errors_that_say_where() {
    let (frames, _) = everything();
    for frame in &frames {
        let data = frame.to_string();
        for at in (0..data.len()).filter(|at| data.is_char_boundary(*at)) {
            let error = assemble(Decoder::default(), &[("message", &data[..at])]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode);
            assert!(error.to_string().contains(&format!("byte {at}")), "{error}");
        }
    }
}

#[test]
fn an_answer_has_a_limit_of_parts() {
    let call = json!({"functionCall": {"name": "Read", "args": {}}});
    let many = |count| try_run(&[chunk(Value::Array(vec![call.clone(); count]))]);
    assert!(many(10_000).is_ok());
    assert_eq!(many(10_001).unwrap_err().kind(), ErrorKind::Limit);
}
