//! Requests: the body, its breakpoints, what is left out of it, and the key.
//! Refuses answers, which have a file of their own.

use super::*;

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
        history: (&history).into(),
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
