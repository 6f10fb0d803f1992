//! Random lives: turns, tools, notes, cancels, summaries and trims, then deaths one after another.
//! Refuses a history after a resume that differs from the one before it by a single byte.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use offshoot::{
    Agent, CompactionSettings, Event, EventKind, Lane, Message, Session, SessionBuilder, SessionId,
    ToolOutput, ToolSpec,
    provider::{Model, Stop},
    store::{Store, joined, replay},
    testing::{Answer, Recorder, Scripted, Seen, check_history},
};
use serde_json::json;

use super::{
    boundaries::records,
    world::{self, Deeds, assert_finished, memory},
};
use crate::kit::work;

/// A small generator, so that a seed names a life.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn answer(seen: &Seen, seed: u64) -> Answer {
    check_history(&seen.messages).unwrap();
    if seen.tools.is_empty() {
        return Answer::text("<summary>what was said</summary>");
    }
    let mut dice = Dice(seed.wrapping_mul(31).wrapping_add(seen.number * 7919) | 1);
    for _ in 0..3 {
        dice.roll(2);
    }
    let mut answer = match dice.roll(3) {
        0 => Answer::empty().thinking("let me see").signed("sealed"),
        1 => Answer::text("a few words"),
        _ => Answer::empty(),
    };
    match dice.roll(10) {
        0..=5 => {
            for _ in 0..=dice.roll(3) {
                // The same name again and again, as some vendors do.
                let size = dice.roll(3) * 400;
                answer = answer.call_as("call_0", "say", json!({"size": size}));
            }
            answer
        }
        6 => answer.and_text("cut").stop(Stop::Length),
        7 => answer.call_text("say", "{\"size\": "),
        8 => answer.and_text("half").break_after(1),
        _ => answer.and_text("done"),
    }
}

fn agent(seed: u64) -> Agent {
    let mut card = Model::unknown("scripted", "small");
    card.window = 3_000;
    card.max_output = 300;
    let schema = json!({"type": "object", "properties": {"size": {"type": "integer"}}});
    let spec = ToolSpec::new("say", "Says much", schema).lane(Lane::Shared);
    let say = work(spec, |_, input| async move {
        let size = input["size"].as_u64().unwrap_or(0) as usize;
        ToolOutput::from("word ".repeat(size / 5 + 1))
    });
    let model = Scripted::with(move |seen| answer(seen, seed)).as_model(card);
    let retry = offshoot::RetryPolicy {
        base: Duration::from_millis(1),
        ..offshoot::RetryPolicy::default()
    };
    Agent::builder(model)
        .tool(say)
        .retry(retry)
        .max_steps(12)
        .compaction(CompactionSettings::default())
        .build()
        .unwrap()
}

fn open(seed: u64, store: &Arc<dyn Store>) -> SessionBuilder {
    Session::builder(agent(seed)).store_arc(store.clone())
}

/// One life; gives what its log must come to, and what was told.
async fn live(seed: u64, store: &Arc<dyn Store>) -> (SessionId, Vec<Message>, Recorder) {
    let mut dice = Dice(seed * 2 + 1);
    let recorder = Recorder::new();
    let session = open(seed, store).tracer(recorder.clone());
    let mut session = session.open().await.unwrap();
    for turn in 0..1 + dice.roll(4) {
        let handle = session.handle();
        if dice.roll(4) == 0 {
            handle.steer("it <rings>").unwrap();
        }
        let cancel_at = (dice.roll(4) == 0).then(|| dice.roll(20));
        let drop_at = (dice.roll(6) == 0).then(|| dice.roll(20));
        let mut events = session
            .submit_message(format!("message {turn}"))
            .enumerate();
        while let Some((at, _)) = events.next().await {
            if cancel_at == Some(at as u64) {
                handle.cancel();
            }
            if drop_at == Some(at as u64) {
                break;
            }
        }
    }
    let (id, history) = (session.id().clone(), session.history());
    session.close().await;
    (id, history, recorder)
}

fn full(ci: u64, full: u64) -> u64 {
    match std::env::var("OFFSHOOT_PROOF").as_deref() {
        Ok("full") => full,
        _ => ci,
    }
}

#[tokio::test]
async fn a_resumed_history_is_the_one_that_was_appended() {
    let mut compacted = 0;
    for seed in 1..=full(300, 10_000) {
        let store = memory();
        let (id, history, recorder) = live(seed, &store).await;
        let again = open(seed, &store).resume(id.clone()).open().await.unwrap();
        assert_eq!(again.history(), history, "seed {seed}");
        drop(again);
        let told = replay(&store, &id).await.unwrap();
        assert_eq!(recorder.lost(), 0);
        // As they are published: an error itself is for whoever watches in the same process.
        let published = |events: &[Event]| serde_json::to_string(events).unwrap();
        let heard = joined(&recorder.events());
        assert!(
            published(&told) == published(&heard),
            "seed {seed}: {told:#?}"
        );
        // A fork shares every record until then.
        let all = records(&store, &id).await;
        let at = 1 + Dice(seed * 3 + 1).roll(all.len() as u64);
        let fork = SessionId::new("fork");
        store.fork(&id, at, &fork).await.unwrap();
        assert_eq!(
            records(&store, &fork).await,
            all[..at as usize],
            "seed {seed}"
        );
        compacted += told
            .iter()
            .filter(|event| matches!(event.kind, EventKind::Compacted { .. }))
            .count();
    }
    assert!(
        compacted > 10,
        "only {compacted} compactions: the lives are too short"
    );
}

#[tokio::test]
async fn deaths_one_after_another_come_to_the_same_end() {
    for seed in 1..=full(60, 1_000) {
        let store = memory();
        let (mut id, history, _) = world::whole(&Deeds::default(), &store).await;
        let mut dice = Dice(seed * 2 + 1);
        for _ in 0..1 + dice.roll(5) {
            let last = store.card(&id).await.unwrap().unwrap().records;
            let at = 1 + dice.roll(last);
            let deeds = Deeds::default();
            let session = world::session(&deeds, &store).fork(id.clone(), Some(at));
            let mut session = session.open().await.unwrap();
            let intended = super::boundaries::intended(&records(&store, &id).await[..at as usize]);
            let events: Vec<_> = if session.is_unfinished() {
                session.go_on().collect().await
            } else if session.history().is_empty() {
                session.submit_message("do the work").collect().await
            } else {
                break;
            };
            assert_finished(&events);
            world::assert_same_but_interrupted(&history, &session.history());
            for (deed, count) in deeds.all() {
                if deed.starts_with("act") {
                    assert_eq!(count, 1, "seed {seed}: {deed}");
                    assert!(!intended.contains(&deed), "seed {seed}: {deed} repeated");
                }
            }
            id = session.id().clone();
            session.close().await;
        }
    }
}
