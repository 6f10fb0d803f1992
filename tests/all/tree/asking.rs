//! What a model can ask of an agent: its output, now or after a wait, and another model for it.
//! Refuses rings of waits, which are next door.

use std::{sync::Arc, time::Duration};

use offshoot::{
    Agent, AgentKinds, Budget, Error, ErrorKind, Outcome, StopReason,
    provider::{Model, Provider},
    subagents,
    testing::{Answer, Scripted},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, aside, said},
};

const CHILD: &str = "root/general-purpose/1";

fn output(more: Value) -> Value {
    let mut input = json!({"task_id": CHILD});
    input
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    input
}

#[tokio::test(start_paused = true)]
async fn output_of_a_task_comes_at_once_after_a_wait_or_at_its_end() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("go", 0) => Answer::empty().call("Agent", aside("slow")),
        ("go", 1) => Answer::empty().call("TaskOutput", output(json!({"block": false}))),
        ("go", 2) => Answer::empty().call("TaskOutput", output(json!({"timeout": 2_000}))),
        ("go", 3) => Answer::empty().call("TaskOutput", output(json!({"timeout": 600_000}))),
        ("go", 4) => Answer::empty().call("TaskOutput", output(json!({"block": true}))),
        ("go", _) => Answer::text("done"),
        _ => Answer::text("one two three").pause(Duration::from_secs(20)),
    });
    let mut stage = Stage::new(agent(model, []), Budget::unlimited()).await;
    let since = Instant::now();
    let end = stage.session.submit_message("go").finish().await;
    assert_eq!(end.stop, StopReason::Finished);
    let told = said(&stage.session.history());
    let texts: Vec<_> = told.iter().map(|(_, text)| text.as_str()).collect();
    assert!(
        told.iter().all(|(outcome, _)| *outcome == Outcome::Ok),
        "{told:?}"
    );
    assert!(texts[1].contains("it still runs"), "{}", texts[1]);
    assert!(
        texts[2].contains("the wait is over and it still runs"),
        "{}",
        texts[2]
    );
    for ended in &texts[3..5] {
        assert!(ended.contains("status: completed"), "{ended}");
        assert!(ended.ends_with("one two three"), "{ended}");
    }
    let took = since.elapsed();
    assert!(
        took >= Duration::from_secs(2),
        "a wait takes its time: {took:?}"
    );
    assert!(
        took < Duration::from_secs(600),
        "and ends with what it waits for: {took:?}"
    );
    stage.close().await;
}

#[tokio::test]
async fn a_child_has_the_model_that_was_asked_for_or_none_is_opened() {
    let other = Scripted::forever(Answer::text("from another model"))
        .as_model(Model::unknown("acme", "other"));
    let kinds = AgentKinds::builtin().models(move |name| match name {
        "acme/other" => Ok(Arc::new(other.clone()) as Arc<dyn Provider>),
        _ => Err(Error::new(
            ErrorKind::Config,
            format!("unknown model: `{name}`"),
        )),
    });
    let with = |model: &str| json!({"description": "d", "prompt": "work", "model": model});
    let model = by_prompt(move |seen, first| match (first, steps(seen)) {
        ("go", 0) => Answer::empty()
            .call("Agent", with("acme/other"))
            .call("Agent", with("acme/nothing")),
        _ => Answer::text("done"),
    });
    let agent = Agent::builder(model)
        .tools(subagents(kinds))
        .build()
        .unwrap();
    let mut stage = Stage::new(agent, Budget::unlimited()).await;
    let end = stage.session.submit_message("go").finish().await;
    assert_eq!(end.stop, StopReason::Finished);
    let told = said(&stage.session.history());
    assert_eq!(told[0], (Outcome::Ok, "from another model".into()));
    assert_eq!(told[1].0, Outcome::Failed);
    assert!(told[1].1.contains("acme/nothing"), "{}", told[1].1);
    stage.close().await;
}
