//! Cancels that come at any moment: while agents open others, write, end and panic.
//! Refuses to know how a trial comes out; what must hold afterwards holds for all of them.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::StreamExt;
use offshoot::{
    AgentPath, Budget, Event, EventKind, Ground, OnChildren, Outcome, Receipt, ToolOutput,
    testing::{Answer, Scripted},
};
use serde_json::json;

use super::{
    basics::{by_prompt, steps},
    stage::{Stage, agent, aside, flaw, order},
};
use crate::kit::{Dice, shared, size, sleeper, work};

/// A model whose agents do one random thing after another: open others in the foreground and in the
/// background, write to the root, use a tool under the one permit, panic, say nothing, end.
fn restless(seed: u64, how: How) -> Scripted {
    let dice = Arc::new(Mutex::new(Dice(seed)));
    by_prompt(move |seen, first| {
        // A panic below leaves it as it was.
        let mut dice = dice.lock().unwrap_or_else(PoisonError::into_inner);
        let step = steps(seen);
        if step == 0 && first == "go" {
            let orders = 2 + dice.below(3);
            return (0..orders).fold(Answer::empty(), |answer, n| match dice.below(4) {
                0 => answer.call("Agent", aside(format!("part {n}"))),
                _ => answer.call("Agent", order(format!("part {n}"))),
            });
        }
        if step > 3 {
            return Answer::text("enough");
        }
        match dice.below(9) {
            0 if seen.tools.iter().any(|tool| tool == "Agent") => Answer::empty()
                .call("Agent", order("deeper"))
                .call("Agent", aside("deeper aside")),
            // Where receipts are compared, nothing else may stop an agent.
            1 if how != How::Cancel => Answer::empty().call(
                "SendMessage",
                json!({"to": "root", "message": "a word", "urgency": "interrupt"}),
            ),
            2 => Answer::empty().call("SendMessage", json!({"to": "root", "message": "a word"})),
            3 => Answer::empty().call("bang", json!({})),
            4 => panic!("on purpose"),
            5 => Answer::text("never said").stall_after(0),
            6 => Answer::empty().call("sleep", json!({"millis": dice.below(3), "text": "slept"})),
            7 => Answer::text("half a word").pause(Duration::from_micros(300)),
            _ => Answer::text("done"),
        }
    })
}

fn bang() -> Arc<dyn offshoot::Tool> {
    work(shared("bang"), |_, _| async {
        if true {
            panic!("on purpose");
        }
        ToolOutput::ok("")
    })
}

fn is_aside(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::ChildStart { ground, .. } if ground == Ground::Background
    )
}

fn is_stopped(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::ChildEnd { outcome, .. } if outcome == Outcome::Interrupted
    )
}

/// How a trial is stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Cancel,
    Drop,
    Close,
}

async fn trial(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let how = [How::Cancel, How::Drop, How::Close][dice.below(3) as usize];
    let yields = match how {
        How::Close => OnChildren::Yield,
        _ => [OnChildren::Wait, OnChildren::Yield][dice.below(2) as usize],
    };
    let delay = Duration::from_micros(dice.below(6_000));
    let mut stage = Stage::with(
        agent(restless(dice.roll(), how), [bang(), sleeper()]),
        |session| {
            session
                .parallel_tools(1)
                .on_children(yields)
                .budget(Budget::unlimited().turns(200))
        },
    )
    .await;
    let registry = stage.registry.clone();
    let handle = stage.session.handle();
    let session = stage.session.id().clone();
    let mut turn = stage.session.submit_message("go");
    let patience = tokio::time::timeout(delay, async { while turn.next().await.is_some() {} });
    let over = patience.await.is_ok();
    let gone: HashSet<_> = registry
        .ended(&session)
        .iter()
        .map(|stone| stone.path.clone())
        .collect();
    // Who is born while the cancel runs is born cancelled, and not on its list.
    let before: HashSet<_> = registry.list().into_iter().map(|row| row.path).collect();
    let receipt = match how {
        How::Cancel => handle.cancel(),
        How::Drop | How::Close => Receipt::default(),
    };
    if how == How::Cancel {
        while turn.next().await.is_some() {}
    }
    let told = stage.heard.events();
    if how == How::Cancel && !over {
        // Who was stopped lived at the cancel and is named, unless it or an agent above it runs for
        // itself in the background; who had ended before is not named.
        let named: HashSet<_> = receipt.agents().into_iter().collect();
        let aside: Vec<_> = told.iter().filter(|event| is_aside(event)).collect();
        let below = |path: &AgentPath| {
            let mut aside = aside.iter();
            aside.any(|event| event.agent == *path || event.agent.is_above(path))
        };
        for event in told
            .iter()
            .filter(|event| is_stopped(event) && before.contains(&event.agent))
        {
            let path = &event.agent;
            let fine = named.contains(path) || below(path);
            assert!(fine, "seed {seed}: `{path}` was stopped: {receipt}");
        }
        let dead: Vec<_> = named.intersection(&gone).collect();
        assert!(dead.is_empty(), "seed {seed}: had ended: {dead:?}");
    }
    drop(turn);
    let gone: HashSet<_> = registry
        .ended(&session)
        .iter()
        .map(|stone| stone.path.clone())
        .collect();
    let Stage {
        session,
        heard,
        permits,
        ..
    } = stage;
    let closing = tokio::time::timeout(Duration::from_secs(20), session.close());
    let receipt = closing.await.unwrap_or_else(|_| {
        panic!("seed {seed}: not quiet: {:?}", registry.list());
    });
    let named: HashSet<_> = receipt.agents().into_iter().collect();
    let dead: Vec<_> = named.intersection(&gone).collect();
    assert!(dead.is_empty(), "seed {seed}: had ended: {dead:?}");
    assert!(registry.is_empty(), "seed {seed}: {:?}", registry.list());
    assert_eq!(permits.available_permits(), 1, "seed {seed}");
    if let Err(why) = flaw(&heard.events()) {
        panic!("seed {seed}, {how:?}: {why}");
    }
    named.len()
}

#[test]
fn invariant_1_whenever_a_cancel_comes_every_beginning_has_one_end() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let quiet = std::panic::take_hook();
    let loud = Arc::new(quiet);
    let told = loud.clone();
    // Panics on purpose are not worth a thousand lines.
    std::panic::set_hook(Box::new(move |panic| {
        let words = panic.payload().downcast_ref::<&str>();
        if words != Some(&"on purpose") {
            told(panic);
        }
    }));
    let living = AtomicU64::new(0);
    let trials = size(100, 1_000);
    for seed in 1..=trials {
        let left = runtime.block_on(trial(seed * 0x9E37_79B9));
        living.fetch_add(left as u64, SeqCst);
    }
    println!(
        "{trials} trials, {} agents alive at their stops",
        living.load(SeqCst)
    );
}
