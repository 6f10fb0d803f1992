//! Random lives of a transcript, garbage included, against a checker of its own.
//! Refuses to trust the transcript's own words: the checker reads the messages only.

use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use super::*;
use crate::message::RawJson;

#[derive(Clone, Debug)]
enum Step {
    User(Vec<Part>),
    Assistant(Vec<Part>, Option<u64>),
    /// Results by the place of their call, in any order; a place that no call has is a stranger.
    Results(Vec<usize>),
    Close,
    Trim(usize),
    Summarise(bool),
    Repair,
    Count,
    /// Stored and loaded again.
    Reload,
}

fn ids() -> impl Strategy<Value = &'static str> {
    select(vec!["", "a", "b", "c", "call_0"])
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let texts = select(vec!["", " ", "words", "more words of somebody"]);
    let part = prop_oneof![
        3 => texts.prop_map(Part::text),
        4 => ids().prop_map(|id| Part::Call(call(id))),
        2 => "[a-z]{1,8}".prop_map(|text| reasoning(&text)),
        1 => ids().prop_map(|id| Part::Result(result(id, &"out".repeat(40)))),
        1 => Just(Part::Media(Media::bytes("image/png", b"x"))),
        1 => ids().prop_map(|id| {
            let mut call = call(id);
            call.input = RawJson::parse("3").unwrap();
            Part::Call(call)
        }),
        1 => Just(Part::Opaque { vendor: "v".into(), json: RawJson::empty_object() }),
    ];
    prop::collection::vec(part, 0..6)
}

fn message() -> impl Strategy<Value = Message> {
    let role = select(vec![
        Role::User,
        Role::Assistant,
        Role::Assistant,
        Role::Tool,
        Role::Tool,
    ]);
    let results = prop::collection::vec(ids(), 0..5).prop_map(|ids| {
        ids.into_iter()
            .map(|id| Part::Result(result(id, &"out".repeat(40))))
            .collect()
    });
    (role, parts(), results).prop_map(|(role, parts, results): (_, _, Vec<Part>)| Message {
        role,
        parts: if role == Role::Tool { results } else { parts },
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => parts().prop_map(Step::User),
        6 => (parts(), prop::option::of(0..5_000u64)).prop_map(|(p, u)| Step::Assistant(p, u)),
        5 => prop::collection::vec(0..6usize, 0..6).prop_map(Step::Results),
        1 => Just(Step::Close),
        1 => (0..4usize).prop_map(Step::Trim),
        1 => any::<bool>().prop_map(Step::Summarise),
        1 => Just(Step::Repair),
        1 => Just(Step::Count),
        1 => Just(Step::Reload),
    ]
}

/// Whether the last message may have calls without results.
#[derive(Clone, Copy, PartialEq)]
enum End {
    MayBeOpen,
    Closed,
}

/// Every rule that a vendor enforces, read from the messages alone.
fn check(messages: &[&Message], end: End) -> Result<(), String> {
    let mut seen = HashSet::new();
    for (index, message) in messages.iter().enumerate() {
        let fail = |what: &str| Err(format!("message {index}: {what}: {messages:#?}"));
        if message.parts.is_empty() {
            return fail("empty");
        }
        for part in &message.parts {
            let fits = match part {
                Part::Result(_) => message.role == Role::Tool,
                Part::Call(_) | Part::Reasoning { .. } => message.role == Role::Assistant,
                Part::Text { text, .. } => message.role != Role::Tool && !text.trim().is_empty(),
                _ => message.role != Role::Tool,
            };
            if !fits {
                return fail("a part does not fit");
            }
        }
        for call in message.calls() {
            if call.id.as_str().is_empty() || !seen.insert(&call.id) {
                return fail("an id is empty or taken");
            }
            if !call.input.as_str().starts_with('{') {
                return fail("arguments are no object");
            }
        }
        let calls: Vec<_> = message.calls().map(|call| (&call.id, &call.name)).collect();
        let next = messages.get(index + 1);
        let answers: Option<Vec<_>> = next.filter(|next| next.role == Role::Tool).map(|next| {
            next.tool_results()
                .map(|result| (&result.call, &result.name))
                .collect()
        });
        match answers {
            Some(answers) if answers != calls => return fail("results are not the calls"),
            None if !calls.is_empty() && (next.is_some() || end == End::Closed) => {
                return fail("calls have no results");
            }
            _ => {}
        }
    }
    match messages.first() {
        Some(first) if first.role == Role::Tool => Err("begins with results".to_owned()),
        _ => Ok(()),
    }
}

fn all(transcript: &Transcript) -> Vec<&Message> {
    transcript.messages().collect()
}

fn last_user(transcript: &Transcript) -> Option<Message> {
    transcript
        .messages()
        .filter(|m| m.role == Role::User)
        .last()
        .cloned()
}

/// Every reasoning part, as the bytes it was stored in.
fn reasonings<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<String> {
    let parts = messages.flat_map(|message| &message.parts);
    let parts = parts.filter(|part| matches!(part, Part::Reasoning { .. }));
    parts
        .map(|part| serde_json::to_string(part).unwrap())
        .collect()
}

fn apply(step: &Step, transcript: &mut Transcript) -> Result<(), String> {
    let counter = Counter::estimate();
    let before = (last_user(transcript), reasonings(transcript.messages()));
    let user = |t: &Transcript| {
        if last_user(t) == before.0 {
            Ok(())
        } else {
            Err("last user message")
        }
    };
    match step {
        Step::User(parts) => transcript.push_user(Message::user_parts(parts.clone())),
        Step::Assistant(parts, tokens) => {
            let message = Message {
                role: Role::User,
                parts: parts.clone(),
            };
            transcript.push_assistant(message, tokens.and_then(|tokens| usage(tokens, 5)));
        }
        Step::Results(places) => {
            let open: Vec<_> = transcript.open_calls().into_iter().cloned().collect();
            let answer = |place: &usize| match open.get(*place) {
                Some(call) => ToolResult::text(call, Outcome::Ok, "out".repeat(40)),
                None => result("stranger", "out"),
            };
            transcript.push_results(places.iter().map(answer).collect());
            if !transcript.open_calls().is_empty() {
                return Err("results leave calls open".into());
            }
        }
        Step::Close => transcript.close_open(Outcome::Interrupted, "stopped"),
        Step::Trim(keep) => {
            let settings = CompactionSettings {
                keep_results: *keep,
                ..CompactionSettings::default()
            };
            transcript.trim(&settings, &counter);
            if transcript.trim(&settings, &counter).is_some() {
                return Err("trimmed twice".into());
            }
            user(transcript)?;
            if reasonings(transcript.messages()) != before.1 {
                return Err("trimming touched reasoning".into());
            }
        }
        Step::Summarise(automatic) => {
            let open = transcript.open_calls().len();
            let had_user = before.0.is_some();
            transcript.replace_with_summary("so far", *automatic);
            if had_user {
                user(transcript)?;
            }
            if transcript.open_calls().len() != open {
                return Err("the summary lost open calls".into());
            }
            let after = reasonings(transcript.messages());
            if !before.1.ends_with(&after) {
                return Err("the summary touched reasoning".into());
            }
        }
        Step::Repair => {
            transcript.repair();
            check(&all(transcript), End::Closed)?;
        }
        Step::Count => {
            transcript.tokens(&counter);
        }
        Step::Reload => {
            let messages: Vec<Message> = transcript.messages().cloned().collect();
            let (loaded, repairs) = Transcript::load(messages);
            // What this crate made needs no repair, but the first word may have been the model's.
            if repairs.iter().any(|repair| *repair != Repair::AddedOpening) {
                return Err(format!("a sound history was changed: {repairs:?}"));
            }
            *transcript = loaded;
        }
    }
    Ok(())
}

#[test]
fn invariants_2_and_8_hold_in_every_random_life() {
    let full = std::env::var("OFFSHOOT_PROOF").is_ok_and(|size| size == "full");
    let mut runner = TestRunner::new(Config {
        cases: if full { 10_000 } else { 1_000 },
        failure_persistence: None,
        ..Config::default()
    });
    let garbage = prop::collection::vec(message(), 0..10);
    let life = (garbage, prop::collection::vec(step(), 0..30));
    let outcome = runner.run(&life, |(garbage, steps)| {
        let known = reasonings(garbage.iter());
        let (mut transcript, _) = Transcript::load(garbage);
        let fail = |why: String| TestCaseError::fail(why);
        check(&all(&transcript), End::MayBeOpen).map_err(fail)?;
        let kept = reasonings(transcript.messages());
        prop_assert!(
            kept.iter().all(|part| known.contains(part)),
            "loading edits no reasoning"
        );
        for step in &steps {
            apply(step, &mut transcript)
                .and_then(|()| check(&all(&transcript), End::MayBeOpen))
                .map_err(|why| fail(format!("after {step:?}: {why}")))?;
        }
        transcript.repair();
        check(&all(&transcript), End::Closed).map_err(fail)?;
        prop_assert!(transcript.repair().is_empty());
        let (again, repairs) = Transcript::load(transcript.messages().cloned().collect());
        prop_assert!(
            repairs.iter().all(|repair| *repair == Repair::AddedOpening),
            "{repairs:?}"
        );
        prop_assert!(again.open_calls().is_empty());
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn the_sum_of_tokens_is_what_a_fresh_count_gives() {
    let mut runner = TestRunner::new(Config {
        cases: 500,
        failure_persistence: None,
        ..Config::default()
    });
    let counter = Counter::estimate();
    let outcome = runner.run(&prop::collection::vec(step(), 0..30), |steps| {
        let mut transcript = Transcript::new();
        for step in steps {
            // Without a vendor's count the sum is a plain one, whatever happened on the way.
            let step = match step {
                Step::Assistant(parts, _) => Step::Assistant(parts, None),
                step => step,
            };
            apply(&step, &mut transcript).map_err(TestCaseError::fail)?;
            let plain: u64 = transcript
                .messages()
                .map(|message| counter.message(message))
                .sum();
            prop_assert_eq!(transcript.tokens(&counter), plain, "after {:?}", step);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// The checker has to be able to fail.
#[test]
fn the_checker_sees_each_kind_of_damage() {
    let go = || Message::user("go");
    let sound = [
        go(),
        calls(&["1"]),
        Message::results(vec![result("1", "x")]),
    ];
    let refs = |messages: &[Message]| check(&messages.iter().collect::<Vec<_>>(), End::Closed);
    assert_eq!(refs(&sound), Ok(()));
    let answer = |ids: &[&str]| Message::results(ids.iter().map(|id| result(id, "x")).collect());
    let damaged = [
        vec![go(), calls(&["1"])],
        vec![go(), calls(&["1"]), go()],
        vec![go(), calls(&["1"]), go(), answer(&["1"])],
        vec![go(), calls(&["1", "2"]), answer(&["2", "1"])],
        vec![go(), calls(&["1"]), answer(&["1", "1"])],
        vec![
            go(),
            calls(&["1"]),
            answer(&["1"]),
            calls(&["1"]),
            answer(&["1"]),
        ],
        vec![answer(&["1"])],
        vec![Message::user("")],
        vec![Message::user_parts(vec![])],
        vec![Message::user_parts(vec![reasoning("r")])],
    ];
    for messages in damaged {
        assert!(refs(&messages).is_err(), "{messages:?}");
    }
}
