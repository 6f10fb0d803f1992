//! A turn whose stream is kept and not read any more: what others stop ends without it.
//! Refuses a stream that is dropped, which cancels its turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::StreamExt;
use offshoot::{
    AgentPath, CANCEL_GRACE, Event, EventKind, OnChildren, Outcome, SINK_CAPACITY, StopReason,
    testing::Answer,
};
use serde_json::json;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, aside, ends, said, until},
};
use crate::kit::{shared, work};

/// Sets a flag when it is dropped.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_is_stopped_although_nobody_reads_its_turn() {
    let ended = Arc::<AtomicBool>::default();
    let deaf = {
        let ended = ended.clone();
        work(shared("deaf"), move |ctx, _| {
            let ends = Ends(ended.clone());
            async move {
                let _ends = ends;
                ctx.update("it works");
                tokio::time::sleep(Duration::from_secs(500)).await;
                "done".into()
            }
        })
    };
    let model = by_prompt(|_, _| Answer::empty().call("deaf", json!({})));
    let mut stage = Stage::with(agent(model, [deaf]), |session| session).await;
    let handle = stage.session.handle();
    let mut turn = stage.session.submit_message("go");
    while !matches!(
        turn.next().await.unwrap().kind,
        EventKind::ToolUpdate { .. }
    ) {}
    handle.cancel();
    tokio::time::sleep(CANCEL_GRACE * 2).await;
    assert!(ended.load(SeqCst), "it works on");
    let rest: Vec<Event> = turn.collect().await;
    let stop = rest.iter().find_map(|event| match &event.kind {
        EventKind::TurnEnd { stop, .. } => Some(stop),
        _ => None,
    });
    assert_eq!(stop, Some(&StopReason::Cancelled));
    let said = said(&stage.session.history());
    assert_eq!(said[0].0, Outcome::Interrupted, "{said:?}");
    stage.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_stopped_ends_although_nobody_reads_what_it_said() {
    let model = by_prompt(|seen, first| match (first, steps(seen)) {
        ("part", _) => Answer::text("word ".repeat(SINK_CAPACITY * 3)),
        (_, 0) => Answer::empty().call("Agent", aside("part")),
        _ => Answer::text("done").pause(Duration::from_secs(1)),
    });
    let set = |session: offshoot::SessionBuilder| session.on_children(OnChildren::Yield);
    let mut stage = Stage::with(agent(model, []), set).await;
    let handle = stage.session.handle();
    let mut turn = stage.session.submit_message("go");
    while turn.next().await.unwrap().parent.is_none() {}
    // Now it says more than there is room for.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let path = AgentPath::root().nth("general-purpose", 1);
    handle.stop(&path).unwrap();
    let began = tokio::time::Instant::now();
    let registry = stage.registry.clone();
    until("the child's end", || registry.len() == 1).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    let rest: Vec<Event> = turn.collect().await;
    assert_eq!(ends(&rest)[0].1, Outcome::Interrupted, "its end is told");
    let told = rest.iter().filter(|event| event.parent.is_some()).count();
    assert!(told > SINK_CAPACITY, "and what it said before: {told}");
    stage.close().await;
}
