//! Ollama's chat API, encoded and decoded by hand-written bodies and lines.
//! Refuses a model server: only the hint for a server that is not there needs a socket.

use futures::StreamExt;
use serde_json::{Value, json};

use super::{Ollama, VENDOR, address, decode::Decoder, encode, failure};
use crate::{
    error::{Error, ErrorKind},
    http::Reply,
    kept::Kept,
    message::{Content, Media, Message, Outcome, Part, Role, Seal, ToolCall, ToolResult},
    provider::{
        Delivery, Effort, Model, Options, Provider, Request, Stop,
        assembled::{Assembled, assemble, history},
    },
    scope::Scope,
    spec::ToolSpec,
    usage::Usage,
};

fn line(message: Value) -> String {
    json!({"model": "llama3.2", "created_at": "t", "message": message, "done": false}).to_string()
}

fn end(reason: &str) -> String {
    json!({"model": "llama3.2", "message": {"role": "assistant", "content": ""}, "done": true, "done_reason": reason,
        "total_duration": 5, "prompt_eval_count": 26, "eval_count": 8})
    .to_string()
}

fn read(lines: &[String]) -> Result<Assembled, Error> {
    let frames: Vec<_> = lines.iter().map(|data| ("", data.as_str())).collect();
    assemble(Decoder::default(), &frames)
}

fn full() -> Vec<String> {
    vec![
        line(json!({"role": "assistant", "content": "", "thinking": "Let me"})),
        line(json!({"role": "assistant", "content": "", "thinking": " see"})),
        line(json!({"role": "assistant", "content": "I "})),
        line(json!({"role": "assistant", "content": "look"})),
        line(json!({"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "Read", "arguments": {"path": "a"}}},
            {"id": "call_x", "function": {"index": 1, "name": "Read", "arguments": {"path": "a"}}},
        ]})),
        line(json!({"role": "assistant", "content": "ing"})),
        end("stop"),
    ]
}

#[test]
fn a_full_stream_becomes_its_message() {
    let answer = read(&full()).unwrap();
    let parts = &answer.message.parts;
    let mine = Seal {
        vendor: VENDOR.into(),
        value: String::new(),
    };
    assert_eq!(
        parts[0],
        Part::Reasoning {
            text: "Let me see".into(),
            seal: Some(mine)
        }
    );
    assert_eq!(parts[1], Part::text("I looking"));
    let calls: Vec<_> = answer.message.calls().collect();
    assert_eq!(calls.len(), 2, "two calls that look alike are two");
    assert_eq!(calls[0].input.as_str(), r#"{"path":"a"}"#);
    assert_ne!(calls[0].id, calls[1].id);
    assert_eq!(calls[1].id.as_str(), "call_x");
    assert_eq!(answer.model, "llama3.2");
    assert_eq!(answer.stop, Some((Stop::Done, "stop".into())));
    let usage = Usage {
        input: 26,
        output: 8,
        ..Usage::default()
    };
    assert_eq!(answer.usage, usage);
}

#[test]
fn a_whole_answer_is_a_stream_of_one_line() {
    let whole = json!({"model": "m", "message": {"role": "assistant", "content": "hi", "thinking": "t",
        "tool_calls": [{"function": {"name": "Read", "arguments": "{\"a\":1}"}}]}, "done": true, "done_reason": "length"});
    let answer = read(&[whole.to_string()]).unwrap();
    assert_eq!(answer.message.parts.len(), 3);
    assert_eq!(
        answer.message.calls().next().unwrap().input.as_str(),
        "{\"a\":1}"
    );
    assert_eq!(answer.stop, Some((Stop::Length, "length".into())));
    assert_eq!(
        answer.usage,
        Usage::default(),
        "nobody counted: the engine estimates"
    );
}

#[test]
fn ends_are_told_apart() {
    for (reason, stop) in [
        ("stop", Stop::Done),
        ("length", Stop::Length),
        ("load", Stop::Unknown),
        ("", Stop::Done),
    ] {
        let answer = read(&[line(json!({"content": "x"})), end(reason)]).unwrap();
        assert_eq!(answer.stop, Some((stop, reason.into())));
    }
    let mut cut = full();
    cut.pop();
    assert_eq!(
        read(&cut).unwrap().stop,
        None,
        "without `done` it is broken"
    );
    for (words, kind) in [
        (
            "model 'x' not found, try pulling it first",
            ErrorKind::NotFound,
        ),
        ("x does not support tools", ErrorKind::BadRequest),
        (
            "server busy, please try again. maximum pending requests exceeded",
            ErrorKind::Overloaded,
        ),
        (
            "the request exceeds the available context size",
            ErrorKind::ContextTooLong,
        ),
        (
            "an error was encountered while running the model",
            ErrorKind::Server,
        ),
    ] {
        let error = json!({"error": words}).to_string();
        let error = read(&[line(json!({"content": "x"})), error]).unwrap_err();
        assert_eq!(error.kind(), kind, "{words}");
        assert!(error.to_string().contains(words));
    }
    for (line, kind) in [
        ("{\"message\":{\"content\":\"x", ErrorKind::Disconnected),
        ("<html>", ErrorKind::Decode),
    ] {
        assert_eq!(read(&[line.into()]).unwrap_err().kind(), kind, "{line}");
    }
}

#[test]
fn p18_unknown_lines_anywhere_change_nothing() {
    let clean = read(&full()).unwrap();
    for odd in ["{\"status\":\"loading\"}", "[1]", "7", "{\"done\":false}"] {
        for at in 0..full().len() {
            let mut lines = full();
            lines.insert(at, odd.into());
            let answer = read(&lines).unwrap();
            assert_eq!(
                (&answer.message, &answer.stop),
                (&clean.message, &clean.stop),
                "{odd} at {at}"
            );
            assert_eq!(answer.skipped, ["line"]);
        }
    }
    let mut lines = full();
    lines.insert(
        2,
        line(json!({"content": "", "hologram": {"x": 1}, "images": null, "tool_calls": null})),
    );
    assert_eq!(read(&lines).unwrap().message, clean.message);
}

#[test]
fn p16_mangled_arguments_are_told_to_the_model() {
    let bad = line(json!({"tool_calls": [{"function": {"name": "Read", "arguments": "{\"a\":"}}]}));
    let answer = read(&[bad, end("stop")]).unwrap();
    assert_eq!(
        answer.message.calls().next().unwrap().malformed.as_deref(),
        Some("{\"a\":")
    );
    let none = line(json!({"tool_calls": [{"function": {"name": "Now", "arguments": null}}]}));
    let answer = read(&[none, end("stop")]).unwrap();
    let call = answer.message.calls().next().unwrap();
    assert_eq!((call.input.as_str(), &call.malformed), ("{}", &None));
}

fn bytes(provider: &Ollama, history: &[Kept<Message>], options: &Options) -> Vec<u8> {
    let tools = Kept::new(vec![ToolSpec::new(
        "Read",
        "Reads",
        json!({"type": "object"}),
    )]);
    let request = Request {
        system: "Be brief",
        tools: &tools,
        history: history.into(),
        options,
    };
    encode::body(&request, provider).unwrap().to_vec()
}

fn body(provider: &Ollama, messages: &[Message], options: &Options) -> Value {
    serde_json::from_slice(&bytes(provider, &history(messages), options)).unwrap()
}

#[test]
fn all_options_reach_the_body() {
    let provider = Ollama::builder("qwen3")
        .temperature(0.1)
        .num_ctx(8192)
        .num_predict(-1)
        .seed(7)
        .stop(["END"])
        .top_k(40)
        .top_p(0.9)
        .min_p(0.05)
        .format_json()
        .keep_alive("10m")
        .think()
        .build()
        .unwrap();
    assert_eq!(provider.model().window, 8192);
    let expected = json!({
        "model": "qwen3", "stream": true, "think": true, "format": "json", "keep_alive": "10m",
        "options": {"temperature": 0.1, "num_ctx": 8192, "num_predict": -1, "seed": 7, "stop": ["END"],
            "top_k": 40, "top_p": 0.9, "min_p": 0.05},
        "tools": [{"type": "function", "function": {"name": "Read", "description": "Reads", "parameters": {"type": "object"}}}],
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi"}],
    });
    assert_eq!(
        body(&provider, &[Message::user("hi")], &Options::default()),
        expected
    );
    // What a request says wins.
    let schema = json!({"type": "object", "properties": {"a": {}}});
    let options = Options {
        max_output: Some(5),
        temperature: Some(1.0),
        effort: Some(Effort::None),
        stop: vec!["X".into()],
        schema: Some(schema.clone()),
        delivery: Delivery::Whole,
        ..Options::default()
    };
    let asked = body(&provider, &[Message::user("hi")], &options);
    assert_eq!(asked["format"], schema);
    assert_eq!(
        (&asked["stream"], &asked["think"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(asked["options"]["num_predict"], 5);
    assert_eq!(asked["options"]["temperature"], 1.0);
    assert_eq!(asked["options"]["stop"], json!(["X"]));
    // Nothing set, nothing sent.
    let bare = Ollama::builder("gpt-oss:20b")
        .keep_alive("-1")
        .build()
        .unwrap();
    let options = Options {
        effort: Some(Effort::Max),
        ..Options::default()
    };
    let sent = body(&bare, &[Message::user("hi")], &options);
    assert_eq!(
        (&sent["think"], &sent["keep_alive"]),
        (&json!("high"), &json!(-1))
    );
    assert!(sent.get("format").is_none());
    let window = bare.model().window;
    assert_eq!(
        sent["options"],
        json!({"num_ctx": window}),
        "the window is asked for, nothing else"
    );
}

#[test]
fn a_card_sets_the_window() {
    let mut card = Model::unknown(VENDOR, "mine");
    card.window = 12_345;
    let provider = Ollama::builder("x").card(card).build().unwrap();
    let sent = body(&provider, &[Message::user("hi")], &Options::default());
    assert_eq!(
        (&sent["model"], &sent["options"]["num_ctx"]),
        (&json!("mine"), &json!(12_345))
    );
}

#[test]
fn every_part_finds_its_form() {
    let image = Media::bytes("image/png", b"png");
    let user = Message::user_parts(vec![
        Part::text("look"),
        Part::Media(image.clone()),
        Part::Media(Media::bytes("text/plain", b"words")),
        Part::Media(Media::url("image/png", "https://x.test/a.png")),
    ]);
    let answer = read(&full()).unwrap().message;
    let calls: Vec<ToolCall> = answer.calls().cloned().collect();
    let foreign = Message {
        role: Role::Assistant,
        parts: vec![Part::Reasoning {
            text: "not yours".into(),
            seal: None,
        }],
    };
    let mut shown = ToolResult::text(&calls[0], Outcome::Ok, "see");
    shown.content.push(Content::Media(image));
    let results = Message::results(vec![
        shown,
        ToolResult::text(&calls[1], Outcome::Denied, "no"),
    ]);
    let kept = history(&[user, foreign, answer, results]);
    let provider = Ollama::builder("m").build().unwrap();
    let first = bytes(&provider, &kept, &Options::default());
    assert_eq!(first, bytes(&provider, &kept, &Options::default()));
    let sent: Value = serde_json::from_slice(&first).unwrap();
    let expected = json!([
        {"role": "system", "content": "Be brief"},
        {"role": "user", "images": ["cG5n"],
         "content": "look\n\nwords\n\n(a file of the type `image/png` at https://x.test/a.png)"},
        {"role": "assistant", "content": "I looking", "thinking": "Let me see", "tool_calls": [
            {"id": calls[0].id.as_str(), "function": {"name": "Read", "arguments": {"path": "a"}}},
            {"id": "call_x", "function": {"name": "Read", "arguments": {"path": "a"}}},
        ]},
        {"role": "tool", "content": "see", "images": ["cG5n"], "tool_name": "Read", "tool_call_id": calls[0].id.as_str()},
        {"role": "tool", "content": "(outcome: denied)\nno", "tool_name": "Read", "tool_call_id": "call_x"},
    ]);
    assert_eq!(sent["messages"], expected);
}

#[test]
fn addresses_are_read_as_ollama_reads_them() {
    for (host, expected) in [
        ("", "http://127.0.0.1:11434"),
        ("box", "http://box:11434"),
        ("box:9", "http://box:9"),
        (":9", "http://127.0.0.1:9"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9", "http://127.0.0.1:9"),
        ("http://box", "http://box:80"),
        ("https://box/", "https://box:443"),
        ("https://box:9/path/", "https://box:9/path"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:9", "http://[::1]:9"),
        ("::1", "http://[::1]:11434"),
    ] {
        assert_eq!(address(host), expected, "{host}");
    }
    let bad = Ollama::builder("m")
        .base_url("ftp://x")
        .build()
        .unwrap_err();
    assert_eq!(bad.kind(), ErrorKind::Config);
    assert_eq!(
        Ollama::builder("").build().unwrap_err().kind(),
        ErrorKind::Config
    );
    assert_eq!(
        Ollama::builder("m")
            .top_p(f64::NAN)
            .build()
            .unwrap_err()
            .kind(),
        ErrorKind::Config
    );
}

#[test]
fn bodies_of_errors_become_kinds() {
    for (status, body, kind) in [
        (
            404,
            r#"{"error":"model \"x\" not found, try pulling it first"}"#,
            ErrorKind::NotFound,
        ),
        (
            400,
            r#"{"error":"x does not support tools"}"#,
            ErrorKind::BadRequest,
        ),
        (503, r#"{"error":"server busy"}"#, ErrorKind::Overloaded),
        (500, "", ErrorKind::Server),
        (401, r#"{"error":"unauthorized"}"#, ErrorKind::Auth),
        (
            400,
            r#"{"error":"prompt is too long"}"#,
            ErrorKind::ContextTooLong,
        ),
    ] {
        let error = failure::of_reply(&Reply { status, body });
        assert_eq!(error.kind(), kind, "{status} {body}");
        assert_eq!(error.status(), Some(status));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_gets_a_hint() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let provider = Ollama::builder("m")
        .base_url(format!("127.0.0.1:{port}"))
        .build()
        .unwrap();
    let tools = Kept::new(Vec::new());
    let (history, options) = (history(&[Message::user("hi")]), Options::default());
    let request = Request {
        system: "",
        tools: &tools,
        history: (&history).into(),
        options: &options,
    };
    let scope = Scope::root();
    let error = provider
        .stream(&request, &scope)
        .unwrap()
        .next()
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error.hint().unwrap().contains("ollama serve"),
        "{:?}",
        error.hint()
    );
}

#[test]
fn a_missing_model_gets_the_command_that_fetches_it() {
    let hint = super::Hint {
        model: "llama9".into(),
        address: String::new(),
    };
    let error = hint.add(Error::new(ErrorKind::NotFound, "x"));
    assert_eq!(error.hint(), Some("`ollama pull llama9`"));
}
