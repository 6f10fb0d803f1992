//! Structured answers: right at once, corrected, wrong for good, fenced, refused, cancelled.
//! Refuses the vendors' own spelling of a schema; their folders test that.

use std::time::Duration;

use offshoot::{
    Agent, ErrorKind, Message, Session,
    provider::{Model, Stop},
    testing::{Answer, Scripted, check_history},
};
use serde_json::json;

use crate::kit::echo;

/// A town.
#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Town {
    name: String,
    /// How many live there.
    people: u32,
}

const RIGHT: &str = r#"{"name": "Ulm", "people": 129942}"#;

fn ulm() -> Town {
    Town {
        name: "Ulm".into(),
        people: 129_942,
    }
}

fn session(model: &Scripted) -> Session {
    Session::new(Agent::builder(model.clone()).tool(echo()).build().unwrap())
}

#[tokio::test]
async fn right_answers_in_every_dress_are_taken_at_once() {
    let table = [
        RIGHT.to_owned(),
        format!("\n  {RIGHT}\n"),
        format!("```json\n{RIGHT}\n```"),
        format!("```\n{RIGHT}\n```\n"),
        format!("Here it is:\n\n```json\n{RIGHT}\n```\n\nAnything else?"),
    ];
    for text in table {
        let model = Scripted::new([Answer::text(&text)]);
        let mut session = session(&model);
        let town: Town = session.ask("Which town?").await.unwrap();
        assert_eq!((town, model.count()), (ulm(), 1), "{text}");
        check_history(&session.history()).unwrap();
    }
}

#[tokio::test]
async fn the_model_is_told_the_schema_however_it_takes_it() {
    for native in [true, false] {
        let mut card = Model::unknown("scripted", "scripted");
        card.native_schema = native;
        let model = Scripted::new([RIGHT]).as_model(card);
        session(&model).ask::<Town>("Which town?").await.unwrap();
        let seen = &model.seen()[0];
        let schema = seen
            .options
            .schema
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let words: String = seen.messages.iter().map(Message::text).collect();
        let told = format!("{schema}{words}{}", seen.system);
        assert!(
            told.contains("people") && told.contains("How many live there"),
            "{native}: {told}"
        );
    }
}

#[tokio::test]
async fn a_wrong_answer_is_sent_back_with_what_is_wrong() {
    let model = Scripted::new(["It is Ulm.", r#"{"name": "Ulm", "people": "many"}"#, RIGHT]);
    let mut session = session(&model);
    let town: Town = session.ask("Which town?").await.unwrap();
    assert_eq!((town, model.count()), (ulm(), 3));
    let last = |n: usize| model.seen()[n].messages.last().unwrap().text();
    assert!(last(1).to_lowercase().contains("json"), "{}", last(1));
    assert!(
        last(2).contains("people"),
        "the place is named: {}",
        last(2)
    );
    check_history(&session.history()).unwrap();
}

#[tokio::test]
async fn five_corrections_and_then_an_error_and_the_session_goes_on() {
    let model = Scripted::with(|seen| match seen.number {
        1..=6 => "It is Ulm.".into(),
        _ => RIGHT.into(),
    });
    let mut session = session(&model);
    let error = session.ask::<Town>("Which town?").await.unwrap_err();
    assert_eq!((error.kind(), model.count()), (ErrorKind::Answer, 6));
    let town: Town = session.ask("Once more: which town?").await.unwrap();
    assert_eq!((town, model.count()), (ulm(), 7));
    check_history(&session.history()).unwrap();
}

#[tokio::test]
async fn the_fifth_correction_may_still_be_right() {
    let model = Scripted::with(|seen| match seen.number {
        1..=5 => "[]".into(),
        _ => RIGHT.into(),
    });
    let town: Town = session(&model).ask("Which town?").await.unwrap();
    assert_eq!((town, model.count()), (ulm(), 6));
}

#[tokio::test]
async fn tools_may_run_before_the_answer() {
    let model = Scripted::new([
        Answer::text("hm").call("echo", json!({"text": "x"})),
        RIGHT.into(),
    ]);
    let town: Town = session(&model).ask("Which town?").await.unwrap();
    assert_eq!((town, model.count()), (ulm(), 2));
}

#[tokio::test]
async fn a_refusal_is_an_error_and_not_corrected() {
    let refuses = Answer::text("no").stop(Stop::Refused {
        reason: "policy".into(),
    });
    let model = Scripted::new([refuses, RIGHT.into()]);
    let mut session = session(&model);
    let error = session.ask::<Town>("Which town?").await.unwrap_err();
    assert_eq!((error.kind(), model.count()), (ErrorKind::Forbidden, 1));
    assert_eq!(session.ask::<Town>("Which town?").await.unwrap(), ulm());
}

#[tokio::test]
async fn an_answer_cut_off_at_the_limit_is_never_taken_for_whole() {
    let cut = Answer::text(RIGHT).stop(Stop::Length);
    let model = Scripted::forever(cut);
    let answer = session(&model).ask::<Town>("Which town?").await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test]
async fn a_cancel_ends_it_and_the_next_question_works() {
    let model = Scripted::new([
        Answer::text(RIGHT).stall_after(1),
        RIGHT.into(),
        RIGHT.into(),
    ]);
    let mut session = session(&model);
    let handle = session.handle();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        handle.cancel();
    };
    let (answer, ()) = tokio::join!(session.ask::<Town>("Which town?"), cancel);
    assert!(answer.unwrap_err().is_cancelled());
    assert_eq!(session.ask::<Town>("Which town?").await.unwrap(), ulm());
    // Dropping the question is a cancel too.
    let model = Scripted::new([Answer::text(RIGHT).stall_after(1), RIGHT.into()]);
    let mut session = Session::new(Agent::builder(model.clone()).build().unwrap());
    let asked = session.ask::<Town>("Which town?");
    assert!(
        tokio::time::timeout(Duration::from_millis(60), asked)
            .await
            .is_err()
    );
    assert_eq!(session.ask::<Town>("Which town?").await.unwrap(), ulm());
    check_history(&session.history()).unwrap();
}

#[tokio::test]
async fn a_schema_that_is_none_is_refused_before_the_model_is_asked() {
    let model = Scripted::new([RIGHT]);
    let mut session = session(&model);
    let error = session
        .ask_value("Which town?", json!({"type": 5}))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), model.count()), (ErrorKind::Config, 0));
    let schema = json!({"type": "object", "required": ["people"]});
    let value = session.ask_value("Which town?", schema).await.unwrap();
    assert_eq!(value["people"], 129_942);
}
