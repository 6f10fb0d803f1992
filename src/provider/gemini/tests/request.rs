//! Requests: the body, signatures and their stand-ins, what is left out, and the key.
//! Refuses answers, which have a file of their own.

use super::*;

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
            history: (&history).into(),
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
