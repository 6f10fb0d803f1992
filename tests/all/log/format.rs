//! The log's own format: every kind of record, byte for byte, against a golden file.
//! Refuses to change it quietly: logs of today are read by the versions of tomorrow.

use offshoot::{
    AgentPath, CallId, Content, Cost, ErrorKind, Event, EventKind, Ground, Message, Outcome, Part,
    RawJson, Role, Seal, SessionId, StopReason, ToolCall, ToolResult, TurnId, Usage,
    store::{Body, LOG_FORMAT, LoggedEffect, Record},
};

use crate::events::golden;

fn bodies() -> Vec<Body> {
    let call = || CallId::new("call_1");
    let json = |text: &str| RawJson::parse(text).unwrap();
    let usage = Usage {
        input: 10,
        output: 20,
        cache_read: 30,
        cache_write: 40,
        cache_write_hour: 50,
        reasoning: 6,
        requests: 1,
        estimated: 0,
    };
    let cost = Cost {
        micros: 1_234,
        unknown: 0,
    };
    let seal = Some(Seal {
        vendor: "anthropic".into(),
        value: "sealed".into(),
    });
    let assistant = Message {
        role: Role::Assistant,
        parts: vec![
            Part::Reasoning {
                text: "hm".into(),
                seal,
            },
            Part::text("words"),
            Part::Call(ToolCall::new(call(), "Read", "{\"path\" : \"a\"}")),
        ],
    };
    vec![
        Body::Opened {
            format: LOG_FORMAT,
            session: SessionId::new("s1"),
            model: "anthropic/claude".into(),
            version: "0.1.0".into(),
        },
        Body::Resumed {
            format: LOG_FORMAT,
            model: "anthropic/claude".into(),
            version: "0.1.0".into(),
            lost: 0,
            damage: None,
            forked: None,
        },
        Body::Resumed {
            format: LOG_FORMAT,
            model: "openai/gpt".into(),
            version: "0.1.0".into(),
            lost: 3,
            damage: Some("record 7 is not what was written".into()),
            forked: Some((SessionId::new("s0"), 6)),
        },
        Body::User {
            message: Message::user("ask \"this\""),
        },
        Body::Assistant {
            message: assistant.clone(),
            model: "claude".into(),
            stop: "tool_use".into(),
            runs: true,
            usage: Some(usage),
            charged: usage,
            cost,
        },
        Body::Assistant {
            message: Message::assistant("cut"),
            model: "claude".into(),
            stop: "cancelled".into(),
            runs: false,
            usage: None,
            charged: Usage::default(),
            cost: Cost::default(),
        },
        Body::Intent {
            call: call(),
            tool: "Read".into(),
            input: json("{\"path\":\"a\"}"),
            effect: LoggedEffect::Pure,
        },
        Body::Result {
            result: ToolResult {
                call: call(),
                name: "Read".into(),
                outcome: Outcome::Interrupted,
                content: vec![Content::Text("half".into())],
            },
            millis: 12,
        },
        Body::Note {
            from: "root/explore/1".into(),
            text: "done".into(),
            message: Message::user("<note from=\"root/explore/1\">\ndone\n</note>"),
        },
        Body::Asked {
            id: "ask_1".into(),
            call: call(),
            tool: "Bash".into(),
            input: json("{}"),
            reason: "it acts".into(),
        },
        Body::Answered {
            id: "ask_1".into(),
            call: call(),
            allowed: true,
            input: Some(json("{\"changed\":1}")),
        },
        Body::Answered {
            id: "ask_2".into(),
            call: call(),
            allowed: false,
            input: None,
        },
        Body::Trimmed {
            calls: vec![call(), CallId::new("call_2")],
        },
        Body::Summarised {
            text: "a summary".into(),
            automatic: true,
        },
        Body::Charge { usage, cost },
        Body::ChildStart {
            kind: "explore".into(),
            description: "looks".into(),
            prompt: "look".into(),
            ground: Ground::Background,
            call: Some(call()),
            is_call: true,
        },
        Body::ChildEnd {
            outcome: Outcome::Ok,
            text: "seen".into(),
            usage,
            cost,
        },
        Body::TurnEnd {
            stop: StopReason::Finished,
        },
        Body::TurnEnd {
            stop: StopReason::BudgetSpent {
                limit: "money".into(),
            },
        },
        Body::Told(Event {
            seq: 7,
            agent: AgentPath::root(),
            parent: None,
            turn: TurnId(1),
            kind: EventKind::TextDelta {
                part: 0,
                text: "words".into(),
            },
        }),
    ]
}

#[test]
fn every_record_is_spelled_as_it_was() {
    let mut text = String::new();
    for body in bodies() {
        let record = Record {
            at: 1_700_000_000_000,
            agent: AgentPath::root().nth("explore", 1),
            turn: TurnId(2),
            body,
        };
        let line = record.encode().unwrap();
        assert_eq!(Record::decode(&line).unwrap(), record);
        text.push_str(&String::from_utf8(line).unwrap());
        text.push('\n');
    }
    golden("log/format1.jsonl", &text);
}

#[test]
fn a_record_of_another_world_is_an_error_and_no_panic() {
    for wrong in ["", "{}", "null", "{\"at\":1}", "\u{0}", "[1]"] {
        let error = Record::decode(wrong.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn a_log_of_a_newer_version_is_refused_without_a_word_written() {
    use super::world::{Deeds, memory, session};
    use offshoot::store::{Batch, Card, Claiming, Row, Sum};
    let store = memory();
    let id = SessionId::new("from-the-future");
    let claim = store.claim(&id, Claiming::IfFree).await.unwrap();
    let body = Body::Opened {
        format: LOG_FORMAT + 1,
        session: id.clone(),
        model: "m".into(),
        version: "9.0.0".into(),
    };
    let root = AgentPath::root();
    let body = Record::now(root, TurnId(0), body).encode().unwrap();
    let row = Row {
        seq: 1,
        sum: Sum::START.next(1, false, &body),
        told: false,
        body: body.into(),
    };
    let rows = vec![row.clone()];
    let card = Card::new(id.clone());
    let batch = Batch {
        rows,
        sync: true,
        card,
    };
    store.append(&claim, batch).await.unwrap();
    drop(claim);
    let refused = session(&Deeds::default(), &store)
        .resume(id.clone())
        .open()
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooNew);
    assert!(refused.to_string().contains("newer version"), "{refused}");
    assert_eq!(store.read(&id, 1..9).await.unwrap(), [row]);
}
