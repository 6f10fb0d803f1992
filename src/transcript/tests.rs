//! The rules of the transcript against random histories, and each promise by itself.
//! Refuses a checker that shares code with what it checks.

mod counting;
mod random;
mod shortening;
mod summaries;

use super::*;
use crate::message::{Media, Part, Seal};

fn call(id: &str) -> ToolCall {
    ToolCall::new(CallId::new(id), "Read", "{}")
}

fn calls(ids: &[&str]) -> Message {
    Message {
        role: Role::Assistant,
        parts: ids.iter().map(|id| Part::Call(call(id))).collect(),
    }
}

fn result(id: &str, text: &str) -> ToolResult {
    ToolResult::text(&call(id), Outcome::Ok, text)
}

fn reasoning(text: &str) -> Part {
    let seal = Seal {
        vendor: "v".into(),
        value: format!("seal of {text}"),
    };
    Part::Reasoning {
        text: text.into(),
        seal: Some(seal),
    }
}

fn usage(input: u64, output: u64) -> Option<Usage> {
    Some(Usage {
        input,
        output,
        requests: 1,
        ..Usage::default()
    })
}

/// One line for each message: `u`, `a`, or `t` and what it holds.
fn sketch(transcript: &Transcript) -> Vec<String> {
    let line = |message: &Message| {
        let mut line = match message.role {
            Role::User => format!("u {}", message.text()),
            Role::Assistant => format!("a {}", message.text()),
            Role::Tool => "t".to_owned(),
        };
        for call in message.calls() {
            line.push_str(&format!(" {}?", call.id));
        }
        for result in message.tool_results() {
            let (id, outcome) = (&result.call, result.outcome.as_str());
            line.push_str(&format!(" {id}={outcome}"));
        }
        line
    };
    transcript.messages().map(line).collect()
}

fn asked(ids: &[&str]) -> Transcript {
    let mut transcript = Transcript::new();
    transcript.push_user("go".into());
    transcript.push_assistant(calls(ids), None);
    transcript
}

#[test]
fn invariant_2_results_come_in_call_order_and_none_is_missing() {
    let mut transcript = asked(&["1", "2", "3"]);
    let mut other_name = result("3", "three");
    other_name.name = "Other".into();
    let twice = result("3", "again");
    transcript.push_results(vec![
        other_name,
        result("9", "nobody"),
        result("1", "one"),
        twice,
    ]);
    assert_eq!(
        sketch(&transcript),
        ["u go", "a  1? 2? 3?", "t 1=ok 2=never_started 3=ok"]
    );
    let last: Vec<_> = transcript
        .messages()
        .last()
        .unwrap()
        .tool_results()
        .collect();
    assert_eq!(
        (last[2].joined_text(), &*last[2].name),
        ("three".into(), "Read")
    );
    assert!(transcript.open_calls().is_empty());
    transcript.push_results(vec![result("1", "late")]);
    assert_eq!(
        transcript.len(),
        3,
        "an answered call is not answered again"
    );
}

#[test]
fn invariant_2_whatever_comes_next_closes_open_calls() {
    let mut transcript = asked(&["1"]);
    transcript.push_user("hello?".into());
    transcript.push_assistant(calls(&["2"]), None);
    transcript.push_assistant(Message::assistant("done"), None);
    transcript.push_assistant(calls(&["3", "4"]), None);
    transcript.close_open(Outcome::Interrupted, "stopped");
    assert_eq!(
        sketch(&transcript),
        [
            "u go",
            "a  1?",
            "t 1=never_started",
            "u hello?",
            "a  2?",
            "t 2=never_started",
            "a done 3? 4?",
            "t 3=interrupted 4=interrupted"
        ]
    );
    assert_eq!(transcript.last_text(), "done");
    assert!(transcript.repair().is_empty());
}

#[test]
fn ids_are_unique_in_the_whole_conversation() {
    let mut transcript = asked(&["call_0", "call_0", ""]);
    let ids = |t: &Transcript| {
        t.open_calls()
            .iter()
            .map(|c| c.id.to_string())
            .collect::<Vec<_>>()
    };
    let first = ids(&transcript);
    assert_eq!(first[0], "call_0");
    transcript.push_results(first.iter().map(|id| result(id, id)).collect());
    transcript.push_assistant(calls(&["call_0"]), None);
    let all: HashSet<_> = first.into_iter().chain(ids(&transcript)).collect();
    assert_eq!(all.len(), 4);
    assert!(!all.contains(""));

    // The same conversation gets the same names, so that its bytes stay the same.
    let messages = vec![
        Message::user("go"),
        calls(&["x", "x"]),
        Message::results(vec![result("x", "1"), result("x", "2")]),
    ];
    let (one, repairs) = Transcript::load(messages.clone());
    let (two, _) = Transcript::load(messages);
    assert_eq!(sketch(&one), sketch(&two));
    assert!(
        matches!(repairs[..], [Repair::RenamedDuplicate { .. }]),
        "{repairs:?}"
    );
    let texts: Vec<_> = one
        .messages()
        .last()
        .unwrap()
        .tool_results()
        .map(ToolResult::joined_text)
        .collect();
    assert_eq!(texts, ["1", "2"], "two real calls keep their own results");
}

#[test]
fn what_says_nothing_is_not_added() {
    let mut transcript = Transcript::new();
    transcript.push_user(Message::user(" \n"));
    transcript.push_user(Message::user_parts(Vec::new()));
    assert!(transcript.is_empty());
    transcript.push_user("hi".into());
    let silent = Message {
        role: Role::Assistant,
        parts: vec![reasoning("hm"), Part::text("")],
    };
    transcript.push_assistant(silent, usage(100, 50));
    assert_eq!(transcript.len(), 1);
    assert_eq!(
        transcript.tokens(&Counter::estimate()),
        100,
        "its prompt was counted"
    );
    let sealed = Part::Text {
        text: String::new(),
        seal: Some(Seal {
            vendor: "v".into(),
            value: "x".into(),
        }),
    };
    let message = Message {
        role: Role::Assistant,
        parts: vec![sealed],
    };
    transcript.push_assistant(message, None);
    assert_eq!(
        transcript.len(),
        2,
        "an empty text that carries a seal has to go back"
    );
}

#[test]
fn a_sound_conversation_is_loaded_as_it_is() {
    let picture = Part::Media(Media::bytes("image/png", b"x"));
    let messages = vec![
        Message::user_parts(vec![Part::text("look"), picture]),
        Message {
            role: Role::Assistant,
            parts: vec![reasoning("r"), Part::Call(call("1")), Part::Call(call("2"))],
        },
        Message::results(vec![result("1", ""), result("2", "b")]),
        Message::assistant("done"),
    ];
    let (transcript, repairs) = Transcript::load(messages.clone());
    assert_eq!(repairs, []);
    assert!(transcript.messages().eq(&messages));
}

#[test]
fn every_kind_of_damage_is_mended_and_named() {
    let mut named_wrong = result("4", "d");
    named_wrong.name = "Glob".into();
    let list = RawList::call("5");
    let (transcript, repairs) = Transcript::load(vec![
        Message::results(vec![result("0", "before any call")]),
        calls(&["1", "2"]),
        Message::user("too soon"),
        Message::results(vec![
            result("2", "b"),
            result("1", "a"),
            result("1", "again"),
        ]),
        calls(&["3"]),
        Message::assistant(""),
        calls(&["4"]),
        Message::results(vec![named_wrong]),
        Message {
            role: Role::Assistant,
            parts: vec![Part::Call(list)],
        },
        Message {
            role: Role::User,
            parts: vec![
                Part::Call(call("7")),
                Part::text("end"),
                Part::Result(result("5", "e")),
            ],
        },
    ]);
    assert_eq!(
        sketch(&transcript),
        [
            "u (The conversation begins here.)",
            "a  1? 2?",
            "t 1=ok 2=ok",
            "u too soon",
            "a  3?",
            "t 3=interrupted",
            "a  4?",
            "t 4=ok",
            "a  5?",
            "t 5=ok",
            "u end",
        ]
    );
    let id = CallId::new;
    let expected = [
        Repair::DroppedResult { call: id("0") },
        Repair::MergedDuplicate { call: id("1") },
        Repair::DroppedStray {
            role: Role::Assistant,
            part: "blank text",
        },
        Repair::DroppedEmpty {
            role: Role::Assistant,
        },
        Repair::CorrectedInput { call: id("5") },
        Repair::DroppedStray {
            role: Role::User,
            part: "a call",
        },
        Repair::AddedOpening,
        Repair::ReorderedResults { message: 1 },
        Repair::AddedResult { call: id("3") },
        Repair::CorrectedName { call: id("4") },
        Repair::ReorderedResults { message: 8 },
    ];
    assert_eq!(repairs, expected);
    for repair in repairs {
        let text = repair.to_string();
        assert!(!text.ends_with('.') && text.len() > 20, "{text}");
    }
}

#[test]
fn results_out_of_order_or_in_two_messages_are_brought_together() {
    let go = || Message::user("go");
    let (one, two) = (|| result("1", "a"), || result("2", "b"));
    for results in [
        vec![Message::results(vec![two(), one()])],
        vec![Message::results(vec![one()]), Message::results(vec![two()])],
        vec![Message::user_parts(vec![
            Part::Result(one()),
            Part::Result(two()),
        ])],
    ] {
        let mut messages = vec![go(), calls(&["1", "2"])];
        messages.extend(results);
        let (transcript, repairs) = Transcript::load(messages);
        assert_eq!(repairs, [Repair::ReorderedResults { message: 1 }]);
        assert_eq!(sketch(&transcript)[2..], ["t 1=ok 2=ok"]);
    }
}

struct RawList;

impl RawList {
    fn call(id: &str) -> ToolCall {
        let mut call = call(id);
        call.input = crate::message::RawJson::parse("[1]").unwrap();
        call
    }
}

#[test]
fn a_late_result_goes_to_the_newest_call_that_waits_for_it() {
    let (transcript, _) = Transcript::load(vec![
        Message::user("go"),
        calls(&["x"]),
        Message::user("again"),
        calls(&["x"]),
        Message::results(vec![result("x", "second")]),
    ]);
    assert_eq!(
        sketch(&transcript),
        [
            "u go",
            "a  x?",
            "t x=interrupted",
            "u again",
            "a  x_4_0?",
            "t x_4_0=ok"
        ]
    );
}

#[test]
fn calls_that_were_loaded_open_may_have_run() {
    let load = || Transcript::load(vec![Message::user("go"), calls(&["1", "2"])]).0;
    let mut transcript = load();
    assert_eq!(
        transcript.open_calls().len(),
        2,
        "whoever resumes may know how they ended"
    );
    let repairs = transcript.repair();
    assert_eq!(repairs.len(), 2);
    assert_eq!(sketch(&transcript)[2], "t 1=interrupted 2=interrupted");
    assert!(transcript.repair().is_empty());

    let mut transcript = load();
    transcript.push_user("and?".into());
    assert_eq!(sketch(&transcript)[2], "t 1=interrupted 2=interrupted");

    let mut transcript = asked(&["1"]);
    assert_eq!(
        transcript.repair(),
        [Repair::AddedResult {
            call: CallId::new("1")
        }]
    );
    assert_eq!(
        sketch(&transcript)[2],
        "t 1=never_started",
        "pushed here, so never run"
    );
}
