//! Models that do nothing but open agents: they end by themselves, at limits that they are told.
//! Refuses models that disobey; a bomb here does exactly what it may.

use futures::StreamExt;
use offshoot::{
    Budget, Event, EventKind, Outcome, StopReason,
    testing::{Answer, Scripted, Seen},
};

use super::{
    basics::steps,
    stage::{Stage, agent, order, said, started},
};
use crate::kit::size;

const FAN: usize = 10;

/// Every agent opens ten others with each message, until it is told that no more may be started.
fn bomb() -> Scripted {
    let more = |_: &Seen| (0..FAN).fold(Answer::empty(), |a, _| a.call("Agent", order("boom")));
    Scripted::with(move |seen| {
        let refused = said(&seen.messages);
        let last = |limit: &str| refused.iter().any(|(_, text)| text.contains(limit));
        let may = seen.tools.iter().any(|tool| tool == "Agent");
        if !may || last("`spawns`") || (steps(seen) > 0 && last("`depth`")) {
            return Answer::text("spent");
        }
        more(seen)
    })
}

/// How many agents lived at once, as a watcher counts them.
fn most_alive(events: &[Event]) -> usize {
    let (mut alive, mut most) = (0_usize, 0);
    for event in events {
        match event.kind {
            EventKind::ChildStart { .. } => alive += 1,
            EventKind::ChildEnd { .. } => alive -= 1,
            _ => {}
        }
        most = most.max(alive);
    }
    most
}

/// Runs the bomb and says how many agents were started and the most that lived at once.
async fn explode(limits: Budget) -> (usize, usize) {
    let model = bomb();
    let mut stage = Stage::new(agent(model.clone(), []), limits).await;
    let events: Vec<_> = stage.session.submit_message("go").collect().await;
    let Some(EventKind::TurnEnd {
        stop,
        usage,
        cost,
        spent_by,
        ..
    }) = events.last().map(|event| &event.kind)
    else {
        panic!("no end");
    };
    assert_eq!(*stop, StopReason::Finished);
    let bound = (started(&events) as u64 + 1) * offshoot::Agent::DEFAULT_MAX_STEPS;
    assert!(usage.requests <= bound, "{} model calls", usage.requests);
    assert_eq!(
        usage.requests,
        model.count(),
        "every model call is in the bill"
    );
    let (mut sum, mut money) = (0, 0);
    let mut requests = 0;
    for row in spent_by {
        sum += row.usage.total();
        money += row.cost.micros;
        requests += row.usage.requests;
    }
    assert_eq!(sum, usage.total(), "the rows make the sum");
    assert_eq!(money, cost.micros);
    assert_eq!(requests, usage.requests);
    let refusals: Vec<_> = events.iter().filter_map(refusal).collect();
    let told = |limit: &str| refusals.iter().any(|text| text.contains(limit));
    assert!(told("`spawns`"), "{refusals:?}");
    println!(
        "{} agents, {} alive at once, {} model calls, {} refusals",
        started(&events),
        most_alive(&events),
        usage.requests,
        refusals.len()
    );
    let heard = stage.close().await;
    (started(&heard), most_alive(&heard))
}

fn refusal(event: &Event) -> Option<&String> {
    match &event.kind {
        EventKind::ToolEnd {
            outcome: Outcome::Failed,
            text,
            ..
        } => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn invariant_7_a_bomb_ends_at_the_limits_of_the_tree() {
    let (started, alive) = explode(Budget::unlimited()).await;
    assert_eq!(started as u64, Budget::DEFAULT_SPAWNS);
    assert_eq!(alive as u64, Budget::DEFAULT_LIVE);
}

/// The twin: with higher limits the same model starts more, so it is the limits that hold it.
#[tokio::test]
async fn twin_a_bomb_with_higher_limits_goes_further() {
    let agents = size(260, 2_000);
    let (started, alive) = explode(Budget::unlimited().live(agents).spawns(agents)).await;
    assert_eq!(started as u64, agents);
    assert!(alive as u64 > Budget::DEFAULT_LIVE, "{alive}");
}

#[tokio::test]
async fn each_limit_of_the_tree_is_a_result_that_names_it() {
    for (limits, name) in [
        (Budget::unlimited().depth(0), "`depth`"),
        (Budget::unlimited().live(0), "`live_children`"),
        (Budget::unlimited().spawns(0), "`spawns`"),
    ] {
        let model = Scripted::with(|seen| match steps(seen) {
            0 => Answer::empty().call("Agent", order("boom")),
            _ => Answer::text(said(&seen.messages)[0].1.clone()),
        });
        let mut stage = Stage::new(agent(model, []), limits).await;
        let text = stage.session.submit_message("go").text().await.unwrap();
        assert!(
            text.starts_with("No agent was started: the limit of 0"),
            "{text}"
        );
        assert!(text.contains(name), "{text}");
        assert_eq!(started(&stage.close().await), 0);
    }
}
