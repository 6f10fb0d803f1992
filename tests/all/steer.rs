//! What is said to an agent while it works, and when it hears that.
//! Refuses the mailbox by itself, which is tested beside its code.

use std::time::Duration;

use futures::StreamExt;
use offshoot::{
    Agent, AgentBuilder, Error, ErrorKind, EventKind, Message, Note, Outcome, Permissions, Session,
    StopReason, Unasked, Urgency,
    testing::{Answer, Recorder, Scripted, check_history},
};
use serde_json::json;

use crate::kit::{echo, hang, outcomes, sleeper};

async fn open(agent: AgentBuilder) -> (Session, Recorder) {
    let recorder = Recorder::new();
    let agent = agent.tools([echo(), hang(), sleeper()]).build().unwrap();
    let open = Session::builder(agent).tracer(recorder.clone()).open();
    (open.await.unwrap(), recorder)
}

/// Runs a turn and says these words when an event fits, once.
async fn turn_with(
    session: &mut Session,
    fits: impl Fn(&EventKind) -> bool,
    notes: Vec<Note>,
) -> StopReason {
    let handle = session.handle();
    let mut notes = Some(notes);
    let mut turn = session.submit_message("go");
    let mut end = None;
    while let Some(event) = turn.next().await {
        if fits(&event.kind) {
            for note in notes.take().into_iter().flatten() {
                handle.push(note).unwrap();
            }
        }
        if let EventKind::TurnEnd { stop, .. } = event.kind {
            end = Some(stop);
        }
    }
    assert!(notes.is_none(), "no event fitted");
    end.unwrap()
}

fn note(text: &str, urgency: Urgency) -> Note {
    Note {
        from: Note::PERSON.into(),
        text: text.into(),
        urgency,
    }
}

fn now(text: &str) -> Vec<Note> {
    vec![note(text, Urgency::NextStep)]
}

fn call() -> Answer {
    Answer::text("hm").call("sleep", json!({"millis": 10, "text": "slept"}))
}

fn said(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::text).collect()
}

#[tokio::test]
async fn words_said_while_a_tool_runs_come_before_the_next_model_call() {
    let model = Scripted::new([call(), "done".into()]);
    let (mut session, recorder) = open(Agent::builder(model.clone())).await;
    let in_tool = |kind: &EventKind| matches!(kind, EventKind::ToolUpdate { .. });
    turn_with(&mut session, in_tool, now("rather in blue")).await;
    let seen = model.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(said(&seen[1].messages), ["go", "hm", "", "rather in blue"]);
    assert_eq!(session.history()[..4], seen[1].messages[..]);
    let notes: Vec<_> = recorder
        .events()
        .into_iter()
        .filter_map(|e| match e.kind {
            EventKind::Note { from, text } => Some((from, text)),
            _ => None,
        })
        .collect();
    assert_eq!(notes, [("user".to_owned(), "rather in blue".to_owned())]);
    recorder.assert_one_turn_end();
}

#[tokio::test]
async fn words_said_while_the_model_speaks_its_last_words_keep_the_turn_going() {
    let places: [fn(&EventKind) -> bool; 2] = [
        |kind| matches!(kind, EventKind::TextDelta { .. }),
        |kind| matches!(kind, EventKind::MessageEnd { .. }),
    ];
    for place in places {
        let model = Scripted::new(["one two", "in blue"]);
        let (mut session, recorder) = open(Agent::builder(model.clone())).await;
        let stop = turn_with(&mut session, place, now("rather in blue")).await;
        assert_eq!((stop, model.count()), (StopReason::Finished, 2));
        assert_eq!(
            said(&model.seen()[1].messages),
            ["go", "one two", "rather in blue"]
        );
        recorder.assert_one_turn_end();
        check_history(&session.history()).unwrap();
    }
}

#[tokio::test]
async fn many_notes_come_in_order_and_none_is_lost() {
    let model = Scripted::new([call(), "done".into()]);
    let (mut session, _) = open(Agent::builder(model.clone())).await;
    let notes: Vec<_> = (0..50).flat_map(|n| now(&format!("note {n}"))).collect();
    let in_tool = |kind: &EventKind| matches!(kind, EventKind::ToolUpdate { .. });
    turn_with(&mut session, in_tool, notes).await;
    let all = said(&model.seen()[1].messages).join("\n");
    let mut at = 0;
    for n in 0..50 {
        let found = all[at..]
            .find(&format!("note {n}"))
            .unwrap_or_else(|| panic!("note {n}: {all}"));
        at += found + 1;
    }
    check_history(&model.seen()[1].messages).unwrap();
}

#[tokio::test]
async fn words_said_between_two_turns_wait_for_the_next() {
    let model = Scripted::forever("fine");
    let (mut session, _) = open(Agent::builder(model.clone())).await;
    session.submit_message("one").finish().await;
    session.handle().steer("by the way").unwrap();
    session.submit_message("two").finish().await;
    assert_eq!(model.count(), 2);
    assert_eq!(
        said(&model.seen()[1].messages),
        ["one", "fine", "two", "by the way"]
    );
}

#[tokio::test]
async fn what_can_wait_waits_until_there_is_nothing_else_to_do() {
    let model = Scripted::new([call(), call(), "done".into(), "and blue".into()]);
    let (mut session, _) = open(Agent::builder(model.clone())).await;
    let in_tool = |kind: &EventKind| matches!(kind, EventKind::ToolUpdate { .. });
    let stop = turn_with(
        &mut session,
        in_tool,
        vec![note("some time", Urgency::WhenIdle)],
    )
    .await;
    assert_eq!((stop, model.count()), (StopReason::Finished, 4));
    let heard: Vec<_> = model
        .seen()
        .iter()
        .map(|seen| said(&seen.messages).contains(&"some time".to_owned()))
        .collect();
    assert_eq!(heard, [false, false, false, true]);
}

#[tokio::test]
async fn what_is_urgent_breaks_off_a_tool_and_a_model() {
    let urgent = || vec![note("stop that", Urgency::Interrupt)];
    let model = Scripted::new([Answer::text("hm").call("hang", json!({})), "done".into()]);
    let (mut session, recorder) = open(Agent::builder(model.clone())).await;
    let in_tool = |kind: &EventKind| matches!(kind, EventKind::ToolUpdate { .. });
    let turn = turn_with(&mut session, in_tool, urgent());
    let stop = tokio::time::timeout(Duration::from_secs(2), turn)
        .await
        .expect("the tool ends");
    assert_eq!((stop, model.count()), (StopReason::Finished, 2));
    assert_eq!(outcomes(&session.history()), [Outcome::Interrupted]);
    assert_eq!(said(&model.seen()[1].messages).last().unwrap(), "stop that");
    recorder.assert_one_turn_end();

    let model = Scripted::new([Answer::text("one two three").stall_after(2), "done".into()]);
    let (mut session, recorder) = open(Agent::builder(model.clone())).await;
    let speaking = |kind: &EventKind| matches!(kind, EventKind::TextDelta { .. });
    let turn = turn_with(&mut session, speaking, urgent());
    let stop = tokio::time::timeout(Duration::from_secs(2), turn)
        .await
        .expect("the model ends");
    assert_eq!((stop, model.count()), (StopReason::Finished, 2));
    assert_eq!(said(&model.seen()[1].messages).last().unwrap(), "stop that");
    check_history(&model.seen()[1].messages).unwrap();
    recorder.assert_one_turn_end();
}

#[tokio::test]
async fn what_is_urgent_ends_a_retry_wait_and_a_wait_for_a_person() {
    let urgent = || vec![note("stop that", Urgency::Interrupt)];
    let busy = Error::new(ErrorKind::Overloaded, "busy").with_retry_after(Duration::from_secs(50));
    let asks = Permissions {
        unasked: Unasked::Wait,
        ..Permissions::default()
    };
    let echoes = Answer::empty().call("echo", json!({"text": "x"}));
    type Fits = fn(&EventKind) -> bool;
    let rows: [(Answer, Fits, &[Outcome]); 2] = [
        (
            busy.into(),
            |kind| matches!(kind, EventKind::Retrying { .. }),
            &[],
        ),
        (
            echoes,
            |kind| matches!(kind, EventKind::Approval { .. }),
            &[Outcome::NeverStarted],
        ),
    ];
    for (first, fits, words) in rows {
        let model = Scripted::new([first, "done".into()]);
        let agent = Agent::builder(model.clone()).permissions(asks.clone());
        let (mut session, recorder) = open(agent).await;
        let turn = turn_with(&mut session, fits, urgent());
        let stop = tokio::time::timeout(Duration::from_secs(2), turn).await;
        assert_eq!(stop.expect("the wait ends"), StopReason::Finished);
        assert_eq!(outcomes(&session.history()), words);
        assert_eq!(said(&model.seen()[1].messages).last().unwrap(), "stop that");
        check_history(&model.seen()[1].messages).unwrap();
        recorder.assert_one_turn_end();
    }
}

#[tokio::test]
async fn a_cancel_does_not_lose_what_was_not_yet_heard() {
    let model = Scripted::new([Answer::empty().call("hang", json!({})), "fine".into()]);
    let (mut session, _) = open(Agent::builder(model.clone())).await;
    let handle = session.handle();
    let mut turn = session.submit_message("go");
    while let Some(event) = turn.next().await {
        if matches!(event.kind, EventKind::ToolUpdate { .. }) {
            handle.steer("keep this").unwrap();
            handle.cancel();
        }
    }
    drop(turn);
    session.submit_message("again").finish().await;
    let heard = said(&model.seen()[1].messages);
    assert_eq!(
        heard.iter().filter(|text| *text == "keep this").count(),
        1,
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_full_box_and_an_ended_session_say_so() {
    let (session, _) = open(Agent::builder(Scripted::forever("fine"))).await;
    let handle = session.handle();
    let mut fitted = 0;
    let error = loop {
        match handle.steer("one more") {
            Ok(()) => fitted += 1,
            Err(error) => break error,
        }
        assert!(fitted < 1_000_000, "the box has a limit");
    };
    assert_eq!(error.kind(), offshoot::ErrorKind::Limit);
    assert!(fitted >= 50);
    session.close().await;
    assert!(handle.steer("too late").is_err());
}
