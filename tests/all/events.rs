//! The published formats: every event and every kind of message, byte for byte, against golden files.
//! Refuses to change them quietly: `OFFSHOOT_BLESS=1` rewrites the files, and the diff is reviewed.

use std::{collections::BTreeSet, path::PathBuf};

use futures::StreamExt;
use offshoot::{
    Agent, AgentPath, CallId, Compaction, Content, Cost, Event, EventKind, FORMAT, Ground, Media,
    Message, Outcome, Part, RawJson, Role, Seal, Session, SessionId, Spending, StopReason,
    ToolCall, ToolResult, TurnId, Usage,
    testing::{Answer, Scripted},
};
use serde_json::{Value, json};

use crate::kit::{echo, names};

/// Compares a text with a golden file, whole.
#[expect(
    clippy::disallowed_methods,
    reason = "a blessed golden file is written by the test"
)]
pub(crate) fn golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("OFFSHOOT_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "the published format changed: tests/golden/{name}\n--- kept\n{kept}\n--- now\n{text}\n\
         If that is meant, run the test with OFFSHOOT_BLESS=1 and review the difference."
    );
}

fn usage() -> Usage {
    Usage {
        input: 10,
        output: 20,
        cache_read: 30,
        cache_write: 40,
        cache_write_hour: 50,
        reasoning: 6,
        requests: 2,
        estimated: 1,
    }
}

/// One of every kind, and every stop reason.
fn kinds() -> Vec<EventKind> {
    let call = || CallId::new("call_1");
    let cost = Cost {
        micros: 1_234,
        unknown: 1,
    };
    let end = |stop| EventKind::TurnEnd {
        stop,
        text: "Done.".into(),
        usage: usage(),
        cost,
        children: Vec::new(),
        spent_by: Vec::new(),
    };
    let child = AgentPath::root().nth("explore", 2);
    let part = |text: &str| (1, text.to_owned());
    let ((p1, t1), (p2, t2)) = (part("Hel"), part("hm"));
    let input = json!({"path": "a.txt"});
    let mut kinds = vec![
        EventKind::RunStart {
            format: FORMAT,
            session: SessionId::new("s1"),
            model: "acme/large".into(),
            version: "0.1.0".into(),
        },
        EventKind::TurnStart {
            text: "Hello \"you\"\n".into(),
        },
        EventKind::Note {
            from: "user".into(),
            text: "rather in blue".into(),
        },
        EventKind::TextDelta { part: p1, text: t1 },
        EventKind::ThinkingDelta { part: p2, text: t2 },
        EventKind::CallDelta {
            part: 2,
            name: Some("Read".into()),
            arguments: "{\"pa".into(),
        },
        EventKind::CallDelta {
            part: 2,
            name: None,
            arguments: "th\"".into(),
        },
        EventKind::MessageEnd {
            model: "large-1".into(),
            stop: "end_turn".into(),
            usage: usage(),
            cost,
        },
        EventKind::ToolStart {
            call: call(),
            name: "Read".into(),
            input: input.clone(),
        },
        EventKind::ToolUpdate {
            call: call(),
            text: "half of it".into(),
        },
    ];
    let outcomes = [
        Outcome::Ok,
        Outcome::Failed,
        Outcome::Denied,
        Outcome::NeverStarted,
        Outcome::Interrupted,
        Outcome::TimedOut,
    ];
    kinds.extend(outcomes.map(|outcome| EventKind::ToolEnd {
        call: call(),
        name: "Read".into(),
        outcome,
        text: "hello".into(),
        millis: 12,
    }));
    kinds.extend([
        EventKind::Approval {
            id: "ap_1".into(),
            call: call(),
            name: "Read".into(),
            input,
            reason: "`Read` acts".into(),
        },
        EventKind::Retrying {
            attempt: 1,
            wait_millis: 500,
            error: "busy".into(),
        },
        EventKind::Restarted {
            dropped: "Hel".into(),
            model: "acme/small".into(),
            error: "the answer broke off".into(),
        },
        EventKind::Compacted {
            how: Compaction::Trimmed,
            before: 9_000,
            after: 5_000,
        },
        EventKind::Compacted {
            how: Compaction::Summarised,
            before: 9_000,
            after: 500,
        },
        EventKind::PrefixChanged {
            segment: "tools".into(),
            tokens: 4_000,
        },
        EventKind::Lagged { dropped: 3 },
        EventKind::Skipped {
            what: "strange_event".into(),
            count: 2,
        },
        EventKind::ChildStart {
            kind: "explore".into(),
            description: "look around".into(),
            ground: Ground::Background,
            call: Some(CallId::new("call_1")),
        },
        EventKind::ChildEnd {
            outcome: Outcome::Ok,
            text: "found it".into(),
            usage: usage(),
            cost,
        },
        EventKind::Stalled {
            agents: vec![child.clone(), AgentPath::root()],
            reason: "a ring".into(),
        },
        EventKind::Wake { notes: 2 },
        EventKind::Abandoned {
            agents: vec![child.clone()],
        },
        EventKind::TurnEnd {
            stop: StopReason::Finished,
            text: "Done.".into(),
            usage: usage(),
            cost,
            children: vec![child.clone()],
            spent_by: vec![Spending::new(child, Some("Agent".into()), usage(), cost)],
        },
        end(StopReason::Finished),
        end(StopReason::Truncated),
        end(StopReason::Cancelled),
        end(StopReason::BudgetSpent {
            limit: "turns".into(),
        }),
        end(StopReason::ContextFull),
        end(StopReason::Refused {
            reason: "policy".into(),
        }),
        end(StopReason::Failed {
            message: "no key".into(),
            hint: Some("set one".into()),
            error: None,
        }),
        end(StopReason::Failed {
            message: "no key".into(),
            hint: None,
            error: None,
        }),
    ]);
    kinds
}

fn events() -> Vec<Event> {
    let event = |(n, kind)| {
        let child = n % 7 == 6;
        let root = AgentPath::root();
        Event {
            seq: n as u64 + 1,
            agent: if child {
                root.child("explore")
            } else {
                root.clone()
            },
            parent: child.then_some(root),
            turn: TurnId(1),
            kind,
        }
    };
    kinds().into_iter().enumerate().map(event).collect()
}

#[test]
fn every_event_is_one_flat_line_of_the_published_format() {
    let mut text = String::new();
    for event in events() {
        let line = serde_json::to_string(&event).unwrap();
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        for key in ["seq", "agent", "turn", "type"] {
            assert!(!value[key].is_null(), "`{key}` is missing: {line}");
        }
        assert_eq!(
            value.get("parent").is_some(),
            event.parent.is_some(),
            "{line}"
        );
        let word = value["type"].as_str().unwrap();
        assert!(
            word.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{word}"
        );
        let back: Event = serde_json::from_str(&line).unwrap();
        assert_eq!(back, event, "{line}");
        text += &line;
        text.push('\n');
    }
    golden("events.jsonl", &text);
}

#[test]
fn no_published_type_is_missing_from_the_golden_file() {
    // A new type has to be added here and to the golden file.
    let published = [
        "run_start",
        "turn_start",
        "note",
        "text_delta",
        "thinking_delta",
        "call_delta",
        "message_end",
        "tool_start",
        "tool_update",
        "tool_end",
        "approval",
        "retrying",
        "restarted",
        "compacted",
        "prefix_changed",
        "lagged",
        "skipped",
        "child_start",
        "child_end",
        "stalled",
        "wake",
        "abandoned",
        "turn_end",
    ];
    let made: BTreeSet<_> = names(&events()).into_iter().collect();
    assert_eq!(made, published.map(str::to_owned).into());
    // The source says how many there are: one more there is one more here.
    let source = include_str!("../../src/event.rs");
    let body = source.split("pub enum EventKind {").nth(1).unwrap();
    let body = body.split("\n}\n").next().unwrap();
    let variants = body
        .lines()
        .filter(|line| line.starts_with("    ") && line.trim_end().ends_with('{'))
        .filter(|line| {
            line.trim_start()
                .starts_with(|c: char| c.is_ascii_uppercase())
        })
        .count();
    assert_eq!(variants, published.len());
}

#[test]
fn an_error_in_the_process_does_not_change_what_is_published() {
    let error = offshoot::Error::new(offshoot::ErrorKind::Auth, "no key").with_hint("set one");
    let published = serde_json::to_value(StopReason::failed(error)).unwrap();
    assert_eq!(
        published,
        json!({"why": "failed", "message": "no key", "hint": "set one"})
    );
}

#[test]
fn every_part_of_a_message_keeps_its_published_form() {
    let seal = |value: &str| {
        Some(Seal {
            vendor: "acme".into(),
            value: value.into(),
        })
    };
    let call = |id: &str, arguments: &str| ToolCall::new(CallId::new(id), "Read", arguments);
    let mut sealed = call("call_3", "{}");
    sealed.seal = seal("c2VhbA==");
    let result = |call: &ToolCall, outcome: Outcome| ToolResult::text(call, outcome, "hello");
    let mut pictured = result(&call("call_2", "{}"), Outcome::Ok);
    pictured.content.push(Content::Media(Media::url(
        "image/png",
        "https://example.com/a.png",
    )));
    let messages = vec![
        Message::user("Hello \"you\"\n✓"),
        Message::user_parts(vec![
            Part::text("What is this?"),
            Part::Media(Media::bytes("image/png", b"not a picture")),
            Part::Media(Media {
                name: Some("a.pdf".into()),
                ..Media::url("application/pdf", "https://example.com/a.pdf")
            }),
        ]),
        Message {
            role: Role::Assistant,
            parts: vec![
                Part::Reasoning {
                    text: "hm".into(),
                    seal: seal("c2lnbmVk"),
                },
                Part::Reasoning {
                    text: String::new(),
                    seal: None,
                },
                Part::Text {
                    text: "Let me look.".into(),
                    seal: seal("dGV4dA=="),
                },
                Part::Call(call("call_1", "{\"path\" : \"a.txt\", \"n\":1.0}")),
                Part::Call(call("call_2", "{\"path\":")),
                Part::Call(sealed.clone()),
                Part::Opaque {
                    vendor: "acme".into(),
                    json: RawJson::parse("{\"z\": 1e2}").unwrap(),
                },
            ],
        },
        Message::results(vec![
            result(&call("call_1", "{}"), Outcome::Ok),
            pictured,
            result(&sealed, Outcome::NeverStarted),
        ]),
        Message::assistant("It says hello."),
    ];
    let mut text = String::from("[\n");
    for (n, message) in messages.iter().enumerate() {
        let line = serde_json::to_string(message).unwrap();
        assert_eq!(
            &serde_json::from_str::<Message>(&line).unwrap(),
            message,
            "{line}"
        );
        text += &line;
        text += if n + 1 < messages.len() {
            ",\n"
        } else {
            "\n]\n"
        };
    }
    assert_eq!(
        serde_json::from_str::<Vec<Message>>(&text).unwrap(),
        messages
    );
    golden("messages.json", &text);
}

#[tokio::test]
async fn a_real_run_begins_with_run_start_and_reads_back_as_it_was() {
    let model = Scripted::new([
        Answer::empty()
            .thinking("hm")
            .and_text("let me")
            .call("echo", json!({"text": "x"})),
        "done".into(),
    ]);
    let mut session = Session::new(Agent::builder(model).tool(echo()).build().unwrap());
    let mut all: Vec<Event> = session.submit_message("go").collect().await;
    let Some(EventKind::RunStart {
        format,
        session: id,
        model,
        version,
    }) = all.first().map(|e| &e.kind)
    else {
        panic!("the first line is `run_start`: {all:?}");
    };
    assert_eq!(
        (*format, id, model.as_str()),
        (1, session.id(), "scripted/scripted")
    );
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    all.extend(session.submit_message("more").collect::<Vec<_>>().await);
    assert_eq!(
        names(&all)
            .iter()
            .filter(|name| *name == "run_start")
            .count(),
        1,
        "once a session"
    );
    for (n, event) in all.iter().enumerate() {
        assert_eq!(event.seq, n as u64 + 1, "gapless, across turns");
        let line = serde_json::to_string(event).unwrap();
        let back: Event = serde_json::from_str(&line).unwrap();
        let same = match (&back.kind, &event.kind) {
            // The error itself stays in the process.
            (
                EventKind::TurnEnd {
                    stop: StopReason::Failed { .. },
                    ..
                },
                EventKind::TurnEnd { .. },
            ) => true,
            (left, right) => left == right,
        };
        assert!(same, "{line}");
    }
}
