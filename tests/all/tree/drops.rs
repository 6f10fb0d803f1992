//! Streams and sessions that are dropped while agents live.
//! Refuses good manners: the tools here never listen.

use std::time::{Duration, Instant};

use futures::StreamExt;
use offshoot::{
    Budget, OnChildren, Outcome,
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, aside, audit, ends, order, until},
};
use crate::kit::hang;

/// Three agents with two each, whose tool or model never ends.
fn deaf(open: fn(String) -> serde_json::Value) -> Scripted {
    by_prompt(move |seen, first| match (first, steps(seen)) {
        ("go", 0) => (0..3).fold(Answer::empty(), |answer, _| {
            answer.call("Agent", open("branch".into()))
        }),
        ("branch", 0) => Answer::empty()
            .call("Agent", order("deaf"))
            .call("Agent", order("mute")),
        ("deaf", 0) => Answer::empty().call("hang", json!({})),
        ("mute", _) => Answer::text("never said").stall_after(0),
        _ => Answer::text("done"),
    })
}

const AGENTS: usize = 3 + 6;

async fn stage(open: fn(String) -> serde_json::Value) -> (Stage, Scripted) {
    let model = deaf(open);
    let stage = Stage::with(agent(model.clone(), [hang()]), |session| {
        session
            .budget(Budget::unlimited())
            .parallel_tools(3)
            .on_children(OnChildren::Yield)
    })
    .await;
    (stage, model)
}

/// Polls a turn until all its agents live and the deaf ones hang.
async fn alive(stage: &mut Stage, model: &Scripted) {
    let (registry, permits) = (stage.registry.clone(), stage.permits.clone());
    let all = until("all agents", || {
        registry.len() == AGENTS + 1 && permits.available_permits() == 0 && model.open() == 3
    });
    let mut turn = stage.session.submit_message("go");
    let reading = async {
        while turn.next().await.is_some() {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = all => {}
        () = reading => {}
    }
    // Here the stream is dropped.
}

#[tokio::test]
async fn invariant_6_a_dropped_stream_frees_seats_and_permits_within_a_moment() {
    let bound = Duration::from_millis(100);
    let mut took = Vec::new();
    // What else runs on this machine may take its time from one of them.
    while took.len() < 3 && took.last().is_none_or(|last| *last >= bound) {
        took.push(dropped().await);
    }
    println!("{AGENTS} agents gone after {took:?}");
    assert!(took.last().is_some_and(|last| *last < bound), "{took:?}");
}

/// Drops the stream of all of them; how long it took until the last was gone.
async fn dropped() -> Duration {
    let (mut stage, model) = stage(order).await;
    alive(&mut stage, &model).await;
    let since = Instant::now();
    let (registry, permits) = (&stage.registry, &stage.permits);
    until("an empty tree", || {
        registry.len() == 1 && permits.available_permits() == 3
    })
    .await;
    let took = since.elapsed();
    assert_eq!(model.open(), 0);
    let told = ends(&stage.close().await);
    assert_eq!(told.len(), AGENTS);
    assert!(told.iter().all(|end| end.1 == Outcome::Interrupted));
    took
}

/// The twin: a cancel of the same turn gives tools their grace, so it is the drop that is at once.
#[tokio::test]
async fn twin_a_cancelled_stream_lets_the_deaf_have_their_grace() {
    let (mut stage, model) = stage(order).await;
    let handle = stage.session.handle();
    let (registry, permits) = (stage.registry.clone(), stage.permits.clone());
    let cancel = async {
        until("all agents", || {
            registry.len() == AGENTS + 1 && permits.available_permits() == 0 && model.open() == 3
        })
        .await;
        handle.cancel();
        Instant::now()
    };
    let turn = stage.session.submit_message("go").finish();
    let (since, _) = tokio::join!(cancel, turn);
    assert!(since.elapsed() > Duration::from_millis(100));
    stage.close().await;
}

#[tokio::test]
async fn agents_in_the_background_live_on_and_end_with_their_session() {
    for how in ["close", "drop"] {
        let (mut stage, model) = stage(aside).await;
        alive(&mut stage, &model).await;
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert_eq!(stage.registry.len(), AGENTS + 1, "they live on");
        assert_eq!(stage.permits.available_permits(), 0);
        let Stage {
            session,
            registry,
            heard,
            permits,
            ..
        } = stage;
        if how == "close" {
            let receipt = session.close().await;
            assert_eq!(receipt.agents().len(), AGENTS + 1, "{receipt}");
            assert!(registry.is_empty(), "closed is quiet");
        } else {
            drop(session);
            until("an empty registry", || registry.is_empty()).await;
        }
        assert_eq!(permits.available_permits(), 3);
        audit(&heard.events());
        assert_eq!(ends(&heard.events()).len(), AGENTS);
    }
}
