//! Requests: what was asked for, every part of a message, and bytes that do not change.
//! Refuses answers, which have a file of their own.

use super::*;

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
            history: (&[]).into(),
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
