//! What programs do with the tree by themselves: kinds, orders, groups, watches; and bad input.
//! Refuses the models' side of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use offshoot::{
    Agent, AgentGroup, AgentKind, AgentKinds, AgentTool, Answered, Grant, GroupPolicy, NO_PROGRESS,
    Order, Outcome, Refusal, Session, ToolContext, ToolOutput,
    testing::{Answer, Scripted},
};
use serde_json::json;

use crate::kit::{spec, work};

#[test]
fn names_that_no_place_can_have_are_refused() {
    let long = "x".repeat(65);
    for bad in ["", "a/b", "a b", "ä", "a\n", "<note>", &long] {
        let refused = AgentKinds::none().with(AgentKind::new(bad, "Bad"));
        assert!(refused.is_err(), "`{bad}`");
    }
    for good in ["a", "code-reviewer", "v1.2_x", &"x".repeat(64)] {
        let kinds = AgentKinds::none().with(AgentKind::new(good, "Good"));
        assert!(kinds.unwrap().get(good).is_some(), "`{good}`");
    }
    let replaced = AgentKinds::builtin()
        .with(AgentKind::new("explore", "Mine"))
        .unwrap();
    let names: Vec<_> = replaced.names().collect();
    let expected = ["explore", "general-purpose", "plan", "security-review"];
    assert_eq!(names, expected);
}

#[test]
fn an_order_says_what_it_was_told() {
    let minute = Duration::from_secs(60);
    let order = Order::new("explore", "look")
        .describe("a look")
        .in_background()
        .model("acme/one")
        .deadline(minute)
        .no_progress(minute / 2);
    assert_eq!(
        (order.kind.as_str(), order.prompt.as_str()),
        ("explore", "look")
    );
    assert_eq!(order.description, "a look");
    assert_eq!(order.ground, offshoot::Ground::Background);
    assert_eq!(order.model.as_deref(), Some("acme/one"));
    assert_eq!(order.deadline, Some(minute));
    assert_eq!(order.no_progress, minute / 2);
    let plain = Order::new("explore", "look");
    assert_eq!(plain.ground, offshoot::Ground::Foreground);
    assert_eq!((plain.deadline, plain.no_progress), (None, NO_PROGRESS));
}

#[tokio::test]
async fn a_tool_called_by_hand_opens_nobody_and_says_so() {
    let tool = AgentTool::new(AgentKinds::builtin());
    let ctx = ToolContext::detached("c");
    let refusal = tool.open(&ctx, Order::new("explore", "look")).await;
    let refusal = refusal.expect_err("nobody stands behind it");
    let text = refusal.to_string();
    assert!(text.starts_with("No agent was started: "), "{text}");
    assert!(text.contains("called by hand"), "{text}");
    assert_eq!((refusal.limit, refusal.outcome), (None, Outcome::Failed));
}

type Ends = Vec<Result<Answered, Refusal>>;

/// Runs a group from inside a tool of the root and says how each agent ended.
async fn grouped(group: AgentGroup) -> Ends {
    let model = Scripted::with(|seen| match seen.messages[0].text().as_str() {
        "good" => Answer::text("good"),
        "slow" => Answer::text("so slow").pause(Duration::from_secs(600)),
        "bad" => Answer::error(offshoot::Error::new(offshoot::ErrorKind::BadRequest, "no")),
        _ if seen.messages.len() == 1 => Answer::empty().call("crew", json!({})),
        _ => "done".into(),
    });
    let ends: Arc<Mutex<Option<Ends>>> = Arc::default();
    let kept = ends.clone();
    let crew = work(spec("crew"), move |ctx, _| {
        let (group, kept) = (group.clone(), kept.clone());
        async move {
            let grant = Grant::of(&ctx).expect("an agent calls");
            let ended = group.run(grant, &AgentKinds::builtin()).await;
            *kept.lock().unwrap() = Some(ended);
            ToolOutput::from("run")
        }
    });
    let mut session = Session::new(Agent::builder(model).tool(crew).build().unwrap());
    assert_eq!(session.submit_message("go").text().await.unwrap(), "done");
    assert!(session.handle().agents().len() == 1, "nobody is left");
    let ended = ends.lock().unwrap().take();
    ended.expect("the group ran")
}

fn group(policy: GroupPolicy, prompts: &[&str]) -> AgentGroup {
    let kind = |prompt: &str| {
        if prompt == "odd" {
            "nobody"
        } else {
            "general-purpose"
        }
    };
    let group = AgentGroup::new(policy);
    let with = |group: AgentGroup, prompt: &&str| group.with(Order::new(kind(prompt), *prompt));
    prompts.iter().fold(group, with)
}

#[tokio::test(start_paused = true)]
async fn a_group_has_what_it_needs_and_keeps_what_is_finished() {
    use GroupPolicy as P;
    let (good, bad, cut) = ("ok", "failed", "interrupted");
    let table: [(P, &[&str], &[&str]); 7] = [
        (P::All, &["good", "slow", "bad"], &[good, good, bad]),
        (P::Any, &["bad", "slow"], &[bad, cut]),
        (P::FirstGood, &["bad", "good", "slow"], &[bad, good, cut]),
        (P::FirstGood, &["bad", "bad"], &[bad, bad]),
        (
            P::Quorum(2),
            &["good", "bad", "good", "slow"],
            &[good, bad, good, cut],
        ),
        (P::Quorum(9), &["good", "good"], &[good, good]),
        (P::All, &[], &[]),
    ];
    for (policy, prompts, expected) in table {
        let ended = grouped(group(policy, prompts)).await;
        let words: Vec<_> = ended
            .iter()
            .map(|end| end.as_ref().unwrap().outcome.as_str())
            .collect();
        assert_eq!(words, expected, "{policy:?} {prompts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_says_who_was_refused() {
    let ended = grouped(group(GroupPolicy::All, &["good", "odd"])).await;
    assert_eq!(ended[0].as_ref().unwrap().text, "good");
    let refusal = ended[1].as_ref().unwrap_err().to_string();
    assert!(refusal.starts_with("No agent was started: "), "{refusal}");
    assert!(
        refusal.contains("nobody") && refusal.contains("explore"),
        "{refusal}"
    );
    assert!(refusal.ends_with(['.', '!', '?']), "{refusal}");
}

#[tokio::test]
async fn a_watch_ends_with_its_session_and_what_was_told_is_kept() {
    let agent = Agent::builder(Scripted::forever("fine")).build().unwrap();
    let mut session = Session::new(agent);
    let watch = session.handle().watch();
    let told: Vec<_> = session.submit_message("go").collect().await;
    let handle = session.handle();
    session.close().await;
    drop(handle);
    let watched = tokio::time::timeout(Duration::from_secs(5), watch.collect::<Vec<_>>());
    assert_eq!(watched.await.expect("it ends"), told);
}
