//! What the Gemini API sends and gets, by hand-written frames and bodies.
//! Refuses the network: framing and cuts are tested where frames are made.

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
        history,
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

#[test]
fn a_body_is_what_the_api_documents() {
    let [one, two] = [call("f1", sealed("gemini", "UzE=")), call("f2", None)];
    let messages = [
        Message::user("Look"),
        assistant(vec![
            Part::Reasoning {
                text: "a summary".into(),
                seal: None,
            },
            Part::Call(one.clone()),
            Part::Call(two.clone()),
        ]),
        Message::results(vec![
            ToolResult::text(&one, Outcome::Ok, "text"),
            ToolResult::text(&two, Outcome::Denied, "no"),
        ]),
    ];
    let options = Options {
        max_output: Some(1000),
        temperature: Some(0.5),
        stop: vec!["END".into()],
        effort: Some(Effort::Medium),
        schema: Some(json!({"$schema": "x", "type": "object"})),
        ..Options::default()
    };
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be brief"}]},
        "generationConfig": {
            "maxOutputTokens": 1000,
            "temperature": 0.5,
            "stopSequences": ["END"],
            "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "MEDIUM"},
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
        },
        "tools": [{"functionDeclarations": [{
            "name": "Read", "description": "Reads",
            "parametersJsonSchema": {
                "type": "object", "additionalProperties": false,
                "properties": {
                    "mode": {"enum": ["r"]},
                    "to": {"anyOf": [{"$ref": "#/$defs/P"}], "description": "where"},
                },
                "$defs": {"P": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
            },
        }]}],
        "contents": [
            {"role": "user", "parts": [{"text": "Look"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "f1", "name": "Read", "args": {"path": 1}}, "thoughtSignature": "UzE="},
                {"functionCall": {"id": "f2", "name": "Read", "args": {"path": 1}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "f1", "name": "Read", "response": {"output": "text"}}},
                {"functionResponse": {"id": "f2", "name": "Read", "response": {"error": "no"}}},
            ]},
        ],
    });
    assert_eq!(body(NEW, &messages, &options), expected);
}

#[test]
fn a_message_is_encoded_once_for_each_spelling() {
    let messages = [
        Message::user("Look"),
        assistant(vec![Part::Call(call("toolu_1", None))]),
    ];
    let mut kept = history(&messages);
    let (new, old) = (provider(NEW), provider(OLD));
    let options = Options::default();
    let first = bytes(&new, &kept, &options);
    assert_eq!(
        first,
        bytes(&new, &kept, &options),
        "same input, same bytes"
    );
    assert_ne!(
        first,
        bytes(&old, &kept, &options),
        "a dummy signature for one"
    );
    kept.push(Kept::new(Message::user("and?")));
    let again = bytes(&new, &kept, &options);
    let same = &first[..first.len() - 2]; // without the closing brackets
    assert!(again.starts_with(same), "what was sent is only added to");
    bytes(&old, &kept, &options);
    for message in &kept {
        for dialect in ["gemini", "gemini-3"] {
            message.encoded(dialect, |_| panic!("encoded twice"));
        }
    }
}

#[test]
fn only_foreign_calls_get_the_dummy() {
    let dummy = "skip_thought_signature_validator";
    let signatures = |model, parts: Vec<Part>| -> Vec<Option<String>> {
        let parts = encoded(model, assistant(parts));
        let signature = |part: &Value| part["thoughtSignature"].as_str().map(str::to_owned);
        parts.as_array().unwrap().iter().map(signature).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    let plain = |id| Part::Call(call(id, None));
    let foreign = vec![
        Part::Reasoning {
            text: "theirs".into(),
            seal: sealed("anthropic", "x"),
        },
        Part::Text {
            text: "theirs".into(),
            seal: sealed("anthropic", "[]"),
        },
        Part::Call(call("toolu_1", sealed("anthropic", "{}"))),
        plain("toolu_2"),
    ];
    assert_eq!(signatures(NEW, foreign.clone()), [None, some(dummy), None]);
    assert_eq!(signatures(OLD, foreign), [None, None, None]);
    let own = vec![Part::Call(call("f1", sealed("gemini", "S"))), plain("f2")];
    assert_eq!(signatures(NEW, own), [some("S"), None]);
    let elsewhere = vec![
        Part::Text {
            text: String::new(),
            seal: sealed("gemini", "T"),
        },
        plain("f1"),
    ];
    assert_eq!(signatures(NEW, elsewhere), [some("T"), None]);
    assert_eq!(signatures(NEW, vec![Part::text("no calls")]), [None]);
}

#[test]
fn ids_made_here_stay_here() {
    let made = CallId::random();
    let call = ToolCall::new(made, "Read", "{}");
    let sent = encoded(OLD, assistant(vec![Part::Call(call.clone())]));
    assert_eq!(
        sent,
        json!([{"functionCall": {"name": "Read", "args": {}}}])
    );
    let result = ToolResult::text(&call, Outcome::Ok, "");
    let sent = encoded(OLD, Message::results(vec![result]));
    let expected = json!([{"functionResponse": {"name": "Read", "response": {"output": ""}}}]);
    assert_eq!(sent, expected);
}

#[test]
fn what_the_api_would_refuse_is_left_out() {
    let nothing = json!([{"text": "(empty)"}]);
    let foreign = assistant(vec![
        Part::text(" "),
        Part::Opaque {
            vendor: "anthropic".into(),
            json: RawJson::parse("{}").unwrap(),
        },
    ]);
    assert_eq!(encoded(NEW, foreign), nothing);
    let mangled = ToolCall::new(CallId::new("f"), "Read", "{\"path\":");
    let sent = encoded(OLD, assistant(vec![Part::Call(mangled)]));
    assert_eq!(sent[0]["functionCall"]["args"], json!({}));
}

#[test]
fn media_stand_where_the_model_looks_for_them() {
    let blob = json!({"inlineData": {"mimeType": "image/png", "data": "cG5n"}});
    let file = json!({"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/a"}});
    let picture = Media::bytes("image/png", b"png");
    let paper = Media::url("application/pdf", "https://x/a");
    let parts = vec![Part::Media(picture.clone()), Part::Media(paper.clone())];
    assert_eq!(
        encoded(NEW, Message::user_parts(parts)),
        json!([blob, file])
    );

    let mut shown = ToolResult::text(&call("f1", None), Outcome::Ok, "see");
    shown.content.push(Content::Media(picture));
    shown.content.push(Content::Media(paper));
    let other = ToolResult::text(&call("f2", None), Outcome::Ok, "x");
    let results = Message::results(vec![shown, other]);
    let response = |id, text| json!({"id": id, "name": "Read", "response": {"output": text}});
    let second = json!({"functionResponse": response("f2", "x")});
    let mut first = response("f1", "see");
    let expected = json!([{"functionResponse": first}, second, blob, file]);
    assert_eq!(encoded(OLD, results.clone()), expected);
    first["parts"] = json!([blob]);
    let expected = json!([{"functionResponse": first}, second, file]);
    assert_eq!(encoded(NEW, results), expected);
}

#[test]
fn effort_is_asked_for_in_the_words_of_the_family() {
    let ask = |model, effort| {
        let options = Options {
            effort,
            ..Options::default()
        };
        let body = body(model, &[Message::user("a")], &options);
        body["generationConfig"]["thinkingConfig"].clone()
    };
    let budget = |n| json!({"includeThoughts": true, "thinkingBudget": n});
    let level = |word| json!({"includeThoughts": true, "thinkingLevel": word});
    let shown = json!({"includeThoughts": true});
    let rows = [
        (OLD, None, shown.clone()),
        (OLD, Some(Effort::None), json!({"thinkingBudget": 0})),
        ("gemini-2.5-pro", Some(Effort::None), budget(128)),
        ("gemini-2.5-pro", Some(Effort::Max), budget(32_768)),
        (OLD, Some(Effort::Max), budget(24_576)),
        (NEW, None, shown),
        (NEW, Some(Effort::None), level("MINIMAL")),
        ("gemini-3-pro-preview", Some(Effort::None), level("LOW")),
        ("gemini-3-pro-preview", Some(Effort::Medium), level("HIGH")),
        (
            "models/gemini-3.1-pro",
            Some(Effort::Medium),
            level("MEDIUM"),
        ),
        ("gemini-flash-latest", Some(Effort::Low), level("LOW")),
        ("gemini-2.0-flash", Some(Effort::High), Value::Null),
        ("gemini-2.5-flash-image", None, Value::Null),
        ("gemma-3-27b-it", Some(Effort::High), Value::Null),
    ];
    for (model, effort, expected) in rows {
        assert_eq!(ask(model, effort), expected, "{model} {effort:?}");
    }
}

#[test]
fn older_models_are_told_the_schema_in_words_beside_tools() {
    let options = Options {
        schema: Some(json!({"type": "object"})),
        ..Options::default()
    };
    let body = body(OLD, &[Message::user("a")], &options);
    assert!(body["generationConfig"].get("responseJsonSchema").is_none());
    let parts = &body["systemInstruction"]["parts"];
    assert_eq!(parts[0]["text"], "Be brief");
    assert!(
        parts[1]["text"]
            .as_str()
            .unwrap()
            .contains("{\"type\":\"object\"}")
    );
}

#[test]
fn the_key_never_stands_in_the_address() {
    let tools = tools();
    let history = history(&[Message::user("a")]);
    let url = |provider: &Gemini, delivery| {
        let options = Options {
            delivery,
            ..Options::default()
        };
        let request = Request {
            system: "",
            tools: &tools,
            history: &history,
            options: &options,
        };
        let call = provider.call(&request).unwrap();
        assert_eq!(call.headers[0], ("x-goog-api-key", "AIza-test".to_owned()));
        (call.url, call.framing)
    };
    let base = "https://generativelanguage.googleapis.com/v1beta";
    let streamed = format!("{base}/models/{OLD}:streamGenerateContent?alt=sse");
    assert_eq!(
        url(&provider(OLD), Delivery::Stream),
        (streamed, Framing::Sse)
    );
    let tuned = provider("tunedModels/mine");
    let whole = format!("{base}/tunedModels/mine:generateContent");
    assert_eq!(url(&tuned, Delivery::Whole), (whole, Framing::Whole));
    let shown = format!("{:?}", provider(OLD));
    assert!(!shown.contains("AIza"), "{shown}");
    for bad in ["", "a b", "../x", "a?key=b", "a#b"] {
        let error = Gemini::builder(bad).api_key("k").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{bad}");
    }
    let error = Gemini::builder(OLD).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("GEMINI_API_KEY or GOOGLE_API_KEY")
    );
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

// Errors.

fn reply(status: u16, body: &str) -> Error {
    failure::of_reply(&crate::http::Reply { status, body })
}

#[test]
fn errors_are_classified_by_their_status_word_wherever_they_come() {
    use ErrorKind as K;
    let too_long =
        "The input token count (2845475) exceeds the maximum number of tokens allowed (1048576).";
    let info =
        |reason| json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
    let none = json!([]);
    let quota = |id| json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]}]);
    let rows = [
        (400, "INVALID_ARGUMENT", "odd", none.clone(), K::BadRequest),
        (
            400,
            "INVALID_ARGUMENT",
            too_long,
            none.clone(),
            K::ContextTooLong,
        ),
        (
            400,
            "INVALID_ARGUMENT",
            "API key not valid",
            info("API_KEY_INVALID"),
            K::Auth,
        ),
        (
            400,
            "FAILED_PRECONDITION",
            "not where you are",
            none.clone(),
            K::BadRequest,
        ),
        (401, "UNAUTHENTICATED", "no", none.clone(), K::Auth),
        (403, "PERMISSION_DENIED", "no", none.clone(), K::Forbidden),
        (
            403,
            "PERMISSION_DENIED",
            "no",
            info("API_KEY_SERVICE_BLOCKED"),
            K::Auth,
        ),
        (
            404,
            "NOT_FOUND",
            "models/x is not found",
            none.clone(),
            K::NotFound,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "slow down",
            quota("RequestsPerMinute"),
            K::RateLimited,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "come back",
            quota("GenerateRequestsPerDayPerProject"),
            K::QuotaExhausted,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "Quota exceeded, limit: 0, model: x",
            none.clone(),
            K::QuotaExhausted,
        ),
        (500, "INTERNAL", "oops", none.clone(), K::Server),
        (
            503,
            "UNAVAILABLE",
            "The model is overloaded",
            none.clone(),
            K::Overloaded,
        ),
        (
            504,
            "DEADLINE_EXCEEDED",
            "too slow",
            none.clone(),
            K::Timeout,
        ),
        (418, "BRAND_NEW", "tea", none, K::BadRequest),
    ];
    let (frames, _) = everything();
    for (status, word, message, details, kind) in rows {
        let body = json!({"error": {"code": status, "message": message, "status": word, "details": details}});
        let error = reply(status, &body.to_string());
        assert_eq!(error.kind(), kind, "{word} {message}");
        assert_eq!(error.status(), Some(status));
        assert!(error.to_string().contains(message));
        let listed = reply(status, &json!([body]).to_string());
        assert_eq!(listed.kind(), kind);
        for at in 0..=frames.len() {
            let mut frames = frames.clone();
            frames.insert(at, body.clone());
            let error = try_run(&frames).unwrap_err();
            assert_eq!(error.kind(), kind, "{word} at {at}");
            assert!(error.is_possibly_billed());
        }
    }
    assert_eq!(reply(502, "<html>").kind(), K::Server);
    assert_eq!(
        reply(429, "").to_string(),
        "Gemini wants fewer requests: `status 429`"
    );
}

#[test]
fn the_asked_wait_is_read_from_the_details() {
    let wait = |delay: &str| {
        let details = json!([{"@type": "x", "links": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]);
        let body = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": details}});
        reply(429, &body.to_string()).retry_after()
    };
    assert_eq!(wait("34s"), Some(Duration::from_secs(34)));
    assert_eq!(
        wait("34.074824224s"),
        Some(Duration::from_secs_f64(34.074824224))
    );
    for bad in ["", "s", "34", "-1s", "0s", "NaNs", "infs", "1e300s"] {
        assert_eq!(wait(bad), None, "{bad}");
    }
}
