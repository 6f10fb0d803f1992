//! Calls that a death left open: in doubt, answered by a person, cut off before they could run.
//! Refuses to say of a call that may have run that it did not.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use offshoot::{
    Agent, Answer as Reply, EventKind, Lane, Message, Outcome, Permissions, Session, SessionId,
    StopReason, Tool, ToolOutput, ToolResult, ToolSpec, Unasked,
    provider::Stop,
    store::{Batch, Body, Claiming, Doubt, Record, Row, Store},
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::{
    boundaries::records,
    world::{Deeds, memory},
};
use crate::kit::work;

/// A tool that notes its deed and says it, after a while.
fn doer(name: &'static str, deeds: &Deeds, millis: u64) -> Arc<dyn Tool> {
    let spec = ToolSpec::new(name, "Does it", json!({"type": "object"})).lane(Lane::Shared);
    let deeds = deeds.clone();
    work(spec, move |_, _| {
        let deeds = deeds.clone();
        async move {
            deeds.note(name);
            tokio::time::sleep(Duration::from_millis(millis)).await;
            ToolOutput::from(format!("{name} done"))
        }
    })
}

fn acting(deeds: &Deeds, unasked: Unasked) -> Agent {
    let script = Scripted::with(|seen| match seen.messages.len() {
        1 => Answer::empty().call_as("a", "act", json!({})),
        _ => Answer::text("done"),
    });
    let permissions = Permissions {
        unasked,
        ..Permissions::unrestricted()
    };
    let agent = Agent::builder(script).tool(doer("act", deeds, 30));
    agent.permissions(permissions).build().unwrap()
}

fn result(history: &[Message], at: usize) -> ToolResult {
    history[2].tool_results().nth(at).unwrap().clone()
}

/// The name of a session whose program died while its one call ran.
async fn died_in_a_call(deeds: &Deeds, store: &Arc<dyn Store>) -> SessionId {
    let session = Session::builder(acting(deeds, Unasked::Allow)).store_arc(store.clone());
    let mut first = session.open().await.unwrap();
    let id = first.id().clone();
    let mut turn = first.submit_message("act");
    while !matches!(turn.next().await.unwrap().kind, EventKind::ToolStart { .. }) {}
    let last = store.card(&id).await.unwrap().unwrap().records;
    let dead = SessionId::new("dead");
    store.fork(&id, last, &dead).await.unwrap();
    // The tool has begun, whatever the stream does.
    while deeds.all().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let _ = futures::poll!(turn.next());
    }
    dead
}

#[tokio::test]
async fn a_call_in_doubt_is_reported_and_not_repeated() {
    let (deeds, store) = (Deeds::default(), memory());
    let dead = died_in_a_call(&deeds, &store).await;
    let before = deeds.all();
    // Where nobody can be asked, asking is reporting.
    for doubt in [Doubt::Report, Doubt::Ask] {
        for unasked in [Unasked::Allow, Unasked::Deny] {
            let session = Session::builder(acting(&deeds, unasked)).store_arc(store.clone());
            let session = session.on_doubt(doubt).fork(dead.clone(), None);
            let mut session = session.open().await.unwrap();
            assert_eq!(session.go_on().finish().await.stop, StopReason::Finished);
            assert_eq!(
                deeds.all(),
                before,
                "{doubt:?}, {unasked:?}: it is not repeated"
            );
            let result = result(&session.history(), 0);
            assert_eq!(result.outcome, Outcome::Interrupted);
            assert!(result.joined_text().contains("not known"), "{result:?}");
        }
    }
}

#[tokio::test]
async fn a_person_decides_on_a_call_in_doubt() {
    let (deeds, store) = (Deeds::default(), memory());
    let dead = died_in_a_call(&deeds, &store).await;
    let before = deeds.all();
    for (answer, again) in [(Reply::Deny("no".into()), false), (Reply::Allow, true)] {
        let session = Session::builder(acting(&deeds, Unasked::Wait)).store_arc(store.clone());
        let session = session.on_doubt(Doubt::Ask).fork(dead.clone(), None);
        let mut session = session.open().await.unwrap();
        let handle = session.handle();
        let mut turn = session.go_on();
        let mut asked = 0;
        while let Some(event) = turn.next().await {
            if let EventKind::Approval { id, reason, .. } = event.kind {
                assert!(reason.contains("nobody knows"), "{reason}");
                handle.answer(&id, answer.clone()).unwrap();
                asked += 1;
            }
        }
        drop(turn);
        assert_eq!(asked, 1);
        assert_eq!(deeds.all() != before, again, "{answer:?}");
        let outcome = if again {
            Outcome::Ok
        } else {
            Outcome::Interrupted
        };
        assert_eq!(result(&session.history(), 0).outcome, outcome);
    }
}

/// A log that ends where a record of another one is put in the place of all that followed.
async fn as_if_died(
    store: &Arc<dyn Store>,
    id: &SessionId,
    keep: impl Fn(&Record) -> bool,
    then: impl Fn(&Record) -> bool,
) -> SessionId {
    let all = records(store, id).await;
    let at = all.iter().position(keep).unwrap() as u64 + 1;
    let then = all
        .iter()
        .find(|record| then(record))
        .unwrap()
        .encode()
        .unwrap();
    let dead = SessionId::random();
    store.fork(id, at, &dead).await.unwrap();
    let claim = store.claim(&dead, Claiming::IfFree).await.unwrap();
    let row = Row {
        seq: at + 1,
        sum: claim.sum.next(at + 1, false, &then),
        told: false,
        body: then.into(),
    };
    let batch = Batch {
        rows: vec![row],
        sync: true,
        card: store.card(&dead).await.unwrap().unwrap(),
    };
    store.append(&claim, batch).await.unwrap();
    dead
}

/// Two calls of one message, of which one has its result and one waits for a person: a cancel before
/// the answer says of neither what is not true.
#[tokio::test]
async fn a_cancel_while_a_question_waits_again_forgets_no_result() {
    let (deeds, store) = (Deeds::default(), memory());
    let script = Scripted::with(|seen| match seen.messages.len() {
        1 => Answer::empty()
            .call_as("a", "ask", json!({}))
            .call_as("b", "act", json!({})),
        _ => Answer::text("done"),
    });
    let permissions = Permissions {
        allow: vec!["act".parse().unwrap()],
        unasked: Unasked::Wait,
        ..Permissions::default()
    };
    let agent = Agent::builder(script)
        .tool(doer("ask", &deeds, 0))
        .tool(doer("act", &deeds, 0))
        .permissions(permissions)
        .build()
        .unwrap();
    let open = || Session::builder(agent.clone()).store_arc(store.clone());
    let mut first = open().open().await.unwrap();
    let id = first.id().clone();
    let handle = first.handle();
    let mut turn = first.submit_message("go");
    while let Some(event) = turn.next().await {
        if let EventKind::Approval { id, .. } = event.kind {
            handle.answer(&id, Reply::Allow).unwrap();
        }
    }
    drop(turn);
    first.close().await;
    let asked = |record: &Record| matches!(record.body, Body::Asked { .. });
    let acted = |record: &Record| match &record.body {
        Body::Result { result, .. } => result.name == "act",
        _ => false,
    };
    let dead = as_if_died(&store, &id, asked, acted).await;
    for life in 0..2 {
        let mut session = open().resume(dead.clone()).open().await.unwrap();
        assert_eq!(session.is_unfinished(), life == 0);
        if life == 0 {
            let handle = session.handle();
            let mut turn = session.go_on();
            while let Some(event) = turn.next().await {
                if matches!(event.kind, EventKind::Approval { .. }) {
                    handle.cancel();
                }
            }
        }
        let history = session.history();
        assert_eq!(result(&history, 1).joined_text(), "act done", "{history:?}");
        assert_eq!(result(&history, 1).outcome, Outcome::Ok);
        assert_eq!(result(&history, 0).outcome, Outcome::NeverStarted);
        session.close().await;
    }
}

#[tokio::test]
async fn calls_of_an_answer_that_was_cut_off_do_not_run_after_a_death() {
    let (deeds, store) = (Deeds::default(), memory());
    let script = Scripted::with(|seen| match seen.messages.len() {
        1 => Answer::empty().call("act", json!({})).stop(Stop::Length),
        _ => Answer::text("done"),
    });
    let agent = Agent::builder(script)
        .tool(doer("act", &deeds, 0))
        .build()
        .unwrap();
    let open = || Session::builder(agent.clone()).store_arc(store.clone());
    let mut first = open().open().await.unwrap();
    first.submit_message("go").finish().await;
    let id = first.id().clone();
    first.close().await;
    let all = records(&store, &id).await;
    let said = |record: &Record| matches!(record.body, Body::Assistant { .. });
    let at = all.iter().position(said).unwrap() as u64 + 1;
    let mut second = open().fork(id, Some(at)).open().await.unwrap();
    assert!(second.is_unfinished());
    assert!(second.go_on().finish().await.stop.is_finished());
    assert!(deeds.all().is_empty(), "{:?}", deeds.all());
    assert_eq!(result(&second.history(), 0).outcome, Outcome::NeverStarted);
}

/// What a person put in the place of the model's arguments is what runs, also in another life.
#[tokio::test]
async fn a_persons_own_arguments_survive_a_death() {
    let (deeds, store) = (Deeds::default(), memory());
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let spec = ToolSpec::new("pay", "Pays", schema).lane(Lane::Shared);
    let spec = spec.effect(offshoot::Effect::Keyed);
    let noted = deeds.clone();
    let pay = work(spec, move |_, input| {
        let noted = noted.clone();
        async move {
            noted.note(&format!("pay {}", input["n"]));
            ToolOutput::from("paid")
        }
    });
    let script = Scripted::with(|seen| match seen.messages.len() {
        1 => Answer::empty().call_as("a", "pay", json!({"n": 1})),
        _ => Answer::text("done"),
    });
    let permissions = Permissions {
        unasked: Unasked::Wait,
        ..Permissions::default()
    };
    let agent = Agent::builder(script)
        .tool(pay)
        .permissions(permissions)
        .build()
        .unwrap();
    let open = || Session::builder(agent.clone()).store_arc(store.clone());
    let mut first = open().open().await.unwrap();
    let id = first.id().clone();
    let handle = first.handle();
    let mut turn = first.submit_message("go");
    while let Some(event) = turn.next().await {
        if let EventKind::Approval { id, .. } = event.kind {
            handle
                .answer(&id, Reply::AllowWith(json!({"n": 2})))
                .unwrap();
        }
    }
    drop(turn);
    first.close().await;
    let all = records(&store, &id).await;
    let places = all
        .iter()
        .enumerate()
        .filter(|(_, record)| matches!(record.body, Body::Answered { .. } | Body::Intent { .. }));
    for (at, record) in places {
        let mut session = open()
            .fork(id.clone(), Some(at as u64 + 1))
            .open()
            .await
            .unwrap();
        let turn: Vec<_> = session.go_on().collect().await;
        let asked = turn
            .iter()
            .any(|e| matches!(e.kind, EventKind::Approval { .. }));
        assert!(!asked, "asked twice after {:?}", record.body);
    }
    assert_eq!(
        deeds.all().keys().collect::<Vec<_>>(),
        ["pay 2"],
        "never the model's own"
    );
}
