//! Requests: what was asked for, every part of a message, and bytes that do not change.
//! Refuses answers, which have a file of their own.

use super::*;

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
