//! Who may run what: modes, rules, askers, approvals by event, and a cancel while somebody thinks.
//! Refuses the parsing of rules, which is tested beside its code.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use offshoot::{
    Access, Agent, Answer as Reply, Asker, EventKind, Mode, Outcome, Permissions, Question,
    Session, StopReason, Tool, Unasked,
    testing::{Answer, Recorder, Scripted, check_history},
};
use serde_json::{Value, json};

use crate::kit::{outcomes, results, shared, work};

/// Who is there to be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Nobody,
    Yes,
    No,
    Panics,
}

#[async_trait]
impl Asker for Who {
    async fn ask(&self, question: Question) -> Reply {
        assert_eq!(question.tool, "tool");
        assert_eq!(question.input, json!({"text": "x"}));
        assert!(!question.reason.is_empty() && question.agent.as_str() == "root");
        match self {
            Self::Yes => Reply::Allow,
            Self::No => Reply::Deny("not today".into()),
            _ => panic!("the asker breaks"),
        }
    }
}

fn tool(access: Access, ran: &Arc<AtomicUsize>) -> Arc<dyn Tool> {
    let ran = ran.clone();
    let mut spec = shared("tool").access(access).subject("text");
    spec.schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    work(spec, move |_, input| {
        ran.fetch_add(1, SeqCst);
        async move { format!("ran with {}", input["text"]).into() }
    })
}

fn model() -> Scripted {
    let call = Answer::empty().call("tool", json!({"text": "x"}));
    Scripted::new([call, "done".into(), "fine".into()])
}

#[tokio::test]
async fn b36_the_whole_table_of_modes_accesses_and_askers() {
    let modes = [Mode::Ask, Mode::AcceptEdits, Mode::Plan, Mode::Bypass];
    let accesses = [Access::Reads, Access::Edits, Access::Acts];
    for mode in modes {
        for access in accesses {
            for who in [Who::Nobody, Who::Yes, Who::No, Who::Panics] {
                let what = format!("{mode:?} {access:?} {who:?}");
                let asks = matches!(
                    (mode, access),
                    (Mode::Ask, Access::Edits | Access::Acts) | (Mode::AcceptEdits, Access::Acts)
                );
                let denied = match (mode, access) {
                    (Mode::Plan, Access::Edits | Access::Acts) => true,
                    _ => asks && matches!(who, Who::No | Who::Panics),
                };
                let ran = Arc::new(AtomicUsize::new(0));
                let permissions = Permissions {
                    mode,
                    ..Permissions::default()
                };
                let agent = Agent::builder(model())
                    .tool(tool(access, &ran))
                    .permissions(permissions)
                    .build()
                    .unwrap();
                let recorder = Recorder::new();
                let mut open = Session::builder(agent).tracer(recorder.clone());
                if who != Who::Nobody {
                    open = open.asker(who);
                }
                let mut session = open.open().await.unwrap();
                assert_eq!(
                    session.submit_message("go").text().await.unwrap(),
                    "done",
                    "{what}"
                );
                let row = &results(&session.history())[0];
                let expected = if denied { Outcome::Denied } else { Outcome::Ok };
                assert_eq!(row.1, expected, "{what}");
                assert_eq!(ran.load(SeqCst), usize::from(!denied), "{what}");
                if asks && who == Who::No {
                    assert!(row.2.contains("not today"), "{what}: {}", row.2);
                }
                // A question that somebody hears is an event; what is not asked is none.
                let told = recorder.kinds().contains(&"approval".to_owned());
                assert_eq!(told, asks && who != Who::Nobody, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn b36_with_nobody_there_a_question_can_be_a_no() {
    let ran = Arc::new(AtomicUsize::new(0));
    let permissions = Permissions {
        unasked: Unasked::Deny,
        ..Permissions::default()
    };
    let agent = Agent::builder(model())
        .tool(tool(Access::Acts, &ran))
        .permissions(permissions);
    let mut session = Session::new(agent.build().unwrap());
    session.submit_message("go").text().await.unwrap();
    assert_eq!(
        (outcomes(&session.history())[0], ran.load(SeqCst)),
        (Outcome::Denied, 0)
    );
}

#[tokio::test]
async fn rules_beat_modes_and_deny_beats_all() {
    let rules = |list: &[&str]| list.iter().map(|rule| rule.parse().unwrap()).collect();
    // Mode, allow, ask, deny; who is asked; whether it runs.
    type Row<'a> = (Mode, &'a [&'a str], &'a [&'a str], &'a [&'a str], Who, bool);
    let table: [Row<'_>; 7] = [
        (Mode::Ask, &["tool(x)"], &[], &[], Who::No, true),
        (Mode::Ask, &["tool(y)"], &[], &[], Who::No, false),
        (Mode::Ask, &["tool"], &["tool(x)"], &[], Who::No, false),
        (Mode::Ask, &["tool"], &[], &["tool(x)"], Who::Yes, false),
        (Mode::Bypass, &["*"], &[], &["*"], Who::Yes, false),
        (Mode::Bypass, &[], &[], &["tool(y)"], Who::No, true),
        (Mode::AcceptEdits, &[], &["*"], &[], Who::Yes, true),
    ];
    for (mode, allow, ask, deny, who, runs) in table {
        let ran = Arc::new(AtomicUsize::new(0));
        let permissions = Permissions {
            mode,
            allow: rules(allow),
            ask: rules(ask),
            deny: rules(deny),
            ..Permissions::default()
        };
        let what = format!("{permissions:?} {who:?}");
        let agent = Agent::builder(model())
            .tool(tool(Access::Acts, &ran))
            .permissions(permissions);
        let agent = agent.build().unwrap();
        let mut session = Session::builder(agent).asker(who).open().await.unwrap();
        session.submit_message("go").text().await.unwrap();
        assert_eq!(ran.load(SeqCst), usize::from(runs), "{what}");
    }
}

fn waiting_agent(ran: &Arc<AtomicUsize>) -> Agent {
    let permissions = Permissions {
        unasked: Unasked::Wait,
        deny: vec!["tool(evil)".parse().unwrap()],
        ..Permissions::default()
    };
    let agent = Agent::builder(model())
        .tool(tool(Access::Acts, ran))
        .permissions(permissions);
    agent.build().unwrap()
}

#[tokio::test]
async fn an_approval_is_an_event_and_the_handle_answers_it_once() {
    let changed = |input: Value| Reply::AllowWith(input);
    let table = [
        (Reply::Allow, Outcome::Ok, "ran with \"x\""),
        (
            changed(json!({"text": "better"})),
            Outcome::Ok,
            "ran with \"better\"",
        ),
        (changed(json!({"text": 5})), Outcome::Failed, "schema"),
        // A person's change does not beat a deny rule either.
        (
            changed(json!({"text": "evil"})),
            Outcome::Denied,
            "tool(evil)",
        ),
        (Reply::Deny("never".into()), Outcome::Denied, "never"),
    ];
    for (answer, outcome, words) in table {
        let what = format!("{answer:?}");
        let ran = Arc::new(AtomicUsize::new(0));
        let mut session = Session::new(waiting_agent(&ran));
        let handle = session.handle();
        let mut turn = session.submit_message("go");
        let mut asked = 0;
        while let Some(event) = turn.next().await {
            if let EventKind::Approval {
                id,
                name,
                input,
                reason,
                call,
            } = event.kind
            {
                asked += 1;
                assert_eq!((name.as_str(), input), ("tool", json!({"text": "x"})));
                assert!(!reason.is_empty() && !call.as_str().is_empty());
                assert_eq!(ran.load(SeqCst), 0, "nothing runs before the answer");
                assert!(handle.answer("no such id", Reply::Allow).is_err());
                handle.answer(&id, answer.clone()).unwrap();
                assert!(handle.answer(&id, Reply::Allow).is_err(), "once");
            }
        }
        drop(turn);
        assert_eq!(asked, 1);
        let row = &results(&session.history())[0];
        assert_eq!(row.1, outcome, "{what}: {}", row.2);
        assert!(row.2.contains(words), "{what}: {}", row.2);
        assert_eq!(
            ran.load(SeqCst),
            usize::from(outcome == Outcome::Ok),
            "{what}"
        );
        assert!(session.handle().answer("no such id", Reply::Allow).is_err());
    }
}

#[tokio::test]
async fn several_approvals_can_be_answered_in_any_order() {
    let ran = Arc::new(AtomicUsize::new(0));
    let permissions = Permissions {
        unasked: Unasked::Wait,
        ..Permissions::default()
    };
    let calls = (0..3).fold(Answer::empty(), |a, n| {
        a.call_as(format!("c{n}"), "tool", json!({"text": n.to_string()}))
    });
    let agent = Agent::builder(Scripted::new([calls, "done".into()]))
        .tool(tool(Access::Acts, &ran))
        .permissions(permissions)
        .build()
        .unwrap();
    let mut session = Session::new(agent);
    let handle = session.handle();
    let mut turn = session.submit_message("go");
    let mut ids = Vec::new();
    while let Some(event) = turn.next().await {
        if let EventKind::Approval { id, call, .. } = event.kind {
            assert!(!ids.contains(&id), "ids are unique");
            let answer = match call.as_str() {
                "c1" => Reply::Deny("no".into()),
                _ => Reply::Allow,
            };
            handle.answer(&id, answer).unwrap();
            ids.push(id);
        }
    }
    drop(turn);
    assert_eq!(ids.len(), 3);
    let words = outcomes(&session.history());
    assert_eq!(words, [Outcome::Ok, Outcome::Denied, Outcome::Ok]);
}

#[tokio::test]
async fn inv11_a_cancel_ends_the_wait_for_an_approval_and_kills_its_id() {
    let ran = Arc::new(AtomicUsize::new(0));
    let mut session = Session::new(waiting_agent(&ran));
    let handle = session.handle();
    let mut turn = session.submit_message("go");
    let mut asked = None;
    let read = async {
        while let Some(event) = turn.next().await {
            if let EventKind::Approval { id, .. } = event.kind {
                asked = Some(id);
                let receipt = handle.cancel();
                let waits: Vec<_> = receipt
                    .stopped
                    .iter()
                    .map(|s| s.phase.to_string())
                    .collect();
                assert!(waits.len() <= 1, "{waits:?}");
            } else if let EventKind::TurnEnd { stop, .. } = event.kind {
                assert_eq!(stop, StopReason::Cancelled);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(2), read)
        .await
        .expect("the wait ends");
    drop(turn);
    let id = asked.expect("somebody was asked");
    assert!(
        handle.answer(&id, Reply::Allow).is_err(),
        "nobody waits any more"
    );
    check_history(&session.history()).unwrap();
    let words = outcomes(&session.history());
    assert_eq!(
        (words.as_slice(), ran.load(SeqCst)),
        ([Outcome::NeverStarted].as_slice(), 0)
    );
    assert_eq!(
        session.submit_message("again").text().await.unwrap(),
        "done"
    );
}

/// Takes its time.
struct Slow;

#[async_trait]
impl Asker for Slow {
    async fn ask(&self, _: Question) -> Reply {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        Reply::Deny("too late".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_may_take_an_hour_and_the_tools_deadline_does_not_run_meanwhile() {
    let ran = Arc::new(AtomicUsize::new(0));
    let agent = Agent::builder(model())
        .tool(tool(Access::Acts, &ran))
        .tool_deadline(Duration::from_secs(5))
        .build()
        .unwrap();
    let mut session = Session::builder(agent).asker(Slow).open().await.unwrap();
    session.submit_message("go").text().await.unwrap();
    let row = &results(&session.history())[0];
    assert_eq!(row.1, Outcome::Denied);
    assert!(row.2.contains("too late"), "{}", row.2);
}

#[tokio::test]
async fn the_handle_may_answer_before_the_asker_does() {
    let ran = Arc::new(AtomicUsize::new(0));
    let agent = Agent::builder(model())
        .tool(tool(Access::Acts, &ran))
        .build()
        .unwrap();
    let mut session = Session::builder(agent).asker(Slow).open().await.unwrap();
    let handle = session.handle();
    let mut turn = session.submit_message("go");
    let read = async {
        while let Some(event) = turn.next().await {
            if let EventKind::Approval { id, .. } = event.kind {
                handle.answer(&id, Reply::Allow).unwrap();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(2), read)
        .await
        .expect("the handle answers");
    drop(turn);
    assert_eq!(
        (outcomes(&session.history())[0], ran.load(SeqCst)),
        (Outcome::Ok, 1)
    );
}
