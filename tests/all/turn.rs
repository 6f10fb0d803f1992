//! One turn by the front door: its events, its end, its transcript.
//! Refuses vendors; a scripted provider answers.

use std::time::Duration;

use futures::StreamExt;
use offshoot::{
    Agent, Budget, Error, ErrorKind, Event, EventKind, Message, Outcome, Session, StopReason,
    ToolOutput,
    testing::{Answer, Recorder, Scripted, check_history},
    tool_fn,
};
use serde_json::json;

use crate::kit::{echo, names, sleeper};

#[tokio::test]
async fn a_plain_answer_streams_and_ends_once() {
    let model = Scripted::new([Answer::empty().text_deltas(["Hel", "lo"])]);
    let mut session = Session::new(Agent::builder(model).build().unwrap());
    let events: Vec<Event> = session.submit_message("hi").collect().await;
    assert_eq!(
        names(&events),
        [
            "run_start",
            "turn_start",
            "text_delta",
            "text_delta",
            "message_end",
            "turn_end"
        ]
    );
    let seqs: Vec<_> = events.iter().map(|e| e.seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    let Some(EventKind::TurnEnd {
        stop, text, usage, ..
    }) = events.last().map(|e| &e.kind)
    else {
        panic!("the last event is the end: {events:?}");
    };
    assert_eq!((stop, text.as_str()), (&StopReason::Finished, "Hello"));
    assert_eq!(usage.requests, 1);
    assert_eq!(
        session.history(),
        [Message::user("hi"), Message::assistant("Hello")]
    );
}

#[tokio::test]
async fn tools_run_and_results_stand_in_call_order() {
    let model = Scripted::new([
        Answer::text("Let me see.")
            .call("sleep", json!({"millis": 60, "text": "slow"}))
            .call("sleep", json!({"millis": 1, "text": "fast"}))
            .call("nothing", json!({}))
            .call("echo", json!({"text": 5})),
        Answer::text("done"),
    ]);
    let agent = Agent::builder(model)
        .tool(echo())
        .tool(sleeper())
        .build()
        .unwrap();
    let mut session = Session::new(agent);
    let events: Vec<Event> = session.submit_message("go").collect().await;
    let landed: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.kind {
            EventKind::ToolEnd {
                name,
                outcome,
                text,
                ..
            } => Some((name.as_str(), *outcome, text.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(
        landed[2],
        ("sleep", Outcome::Ok, "fast".into()),
        "{landed:?}"
    );
    assert_eq!(
        landed[3],
        ("sleep", Outcome::Ok, "slow".into()),
        "{landed:?}"
    );
    let history = session.history();
    check_history(&history).unwrap();
    let results: Vec<_> = history[2]
        .tool_results()
        .map(|r| (r.outcome, r.joined_text()))
        .collect();
    assert_eq!(results[0], (Outcome::Ok, "slow".into()));
    assert_eq!(results[1], (Outcome::Ok, "fast".into()));
    assert_eq!(results[2].0, Outcome::Failed);
    assert!(
        results[2].1.contains("there is no tool `nothing`"),
        "{}",
        results[2].1
    );
    assert!(
        results[3].1.contains("do not fit its schema"),
        "{}",
        results[3].1
    );
}

#[tokio::test]
async fn a_cancelled_turn_leaves_a_valid_history_and_the_next_message_works() {
    let model = Scripted::new([
        Answer::text("working").call("sleep", json!({"millis": 60_000, "text": "never"})),
        Answer::text("fine"),
    ]);
    let recorder = Recorder::new();
    let agent = Agent::builder(model).tool(sleeper()).build().unwrap();
    let mut session = Session::builder(agent)
        .tracer(recorder.clone())
        .open()
        .await
        .unwrap();
    let handle = session.handle();
    let mut turn = session.submit_message("go");
    let mut last = None;
    while let Some(event) = turn.next().await {
        if matches!(event.kind, EventKind::ToolUpdate { .. }) {
            let receipt = handle.cancel();
            assert_eq!(receipt.stopped.len(), 1, "{receipt:?}");
        }
        last = Some(event.kind);
    }
    drop(turn);
    assert!(
        matches!(
            &last,
            Some(EventKind::TurnEnd {
                stop: StopReason::Cancelled,
                ..
            })
        ),
        "{last:?}"
    );
    let history = session.history();
    check_history(&history).unwrap();
    let result = history[2].tool_results().next().unwrap();
    assert_eq!(result.outcome, Outcome::Interrupted);
    assert_eq!(
        session.submit_message("again").text().await.unwrap(),
        "fine"
    );
    recorder.assert_one_turn_end();
}

#[tokio::test]
async fn a_dropped_turn_is_over_at_once_and_tracers_hear_its_end() {
    let model = Scripted::new([
        Answer::text("working").call("sleep", json!({"millis": 60_000, "text": "never"})),
        Answer::text("fine"),
    ]);
    let recorder = Recorder::new();
    let agent = Agent::builder(model).tool(sleeper()).build().unwrap();
    let mut session = Session::builder(agent)
        .tracer(recorder.clone())
        .open()
        .await
        .unwrap();
    let mut turn = session.submit_message("go");
    while let Some(event) = turn.next().await {
        if matches!(event.kind, EventKind::ToolStart { .. }) {
            break;
        }
    }
    drop(turn);
    check_history(&session.history()).unwrap();
    recorder.assert_one_turn_end();
    let ends = recorder.events();
    assert!(matches!(
        &ends.last().unwrap().kind,
        EventKind::TurnEnd {
            stop: StopReason::Cancelled,
            ..
        }
    ));
    assert_eq!(
        session.submit_message("again").text().await.unwrap(),
        "fine"
    );
    tokio::time::timeout(Duration::from_millis(500), session.close())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_panicking_tool_is_a_result() {
    let boom = tool_fn("boom", "Panics", |_: crate::kit::Nothing| async move {
        if std::hint::black_box(true) {
            panic!("kaboom");
        }
        ToolOutput::ok("")
    });
    let model = Scripted::new([Answer::empty().call("boom", json!({})), Answer::text("ok")]);
    let mut session = Session::new(Agent::builder(model).tool(boom).build().unwrap());
    assert_eq!(session.submit_message("go").text().await.unwrap(), "ok");
    let history = session.history();
    let result = history[2].tool_results().next().unwrap();
    assert_eq!(result.outcome, Outcome::Failed);
    assert!(
        result.joined_text().contains("kaboom"),
        "{}",
        result.joined_text()
    );
}

#[tokio::test]
async fn budgets_refuse_before_the_request() {
    let model = Scripted::forever(Answer::empty().call("echo", json!({"text": "x"})));
    let seen = model.clone();
    let agent = Agent::builder(model).tool(echo()).build().unwrap();
    let budget = Budget::unlimited().turns(3);
    let mut session = Session::builder(agent).budget(budget).open().await.unwrap();
    let outcome = session.submit_message("go").finish().await;
    assert_eq!(
        outcome.stop,
        StopReason::BudgetSpent {
            limit: "turns".into()
        }
    );
    assert_eq!(seen.count(), 3);
    check_history(&session.history()).unwrap();
}

#[tokio::test]
async fn a_refusing_vendor_is_an_error_with_its_kind() {
    let model = Scripted::new([Answer::error(Error::new(ErrorKind::Auth, "no key"))]);
    let mut session = Session::new(Agent::builder(model).build().unwrap());
    let error = session.submit_message("go").text().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
}
