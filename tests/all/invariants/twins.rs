//! The invariants once more, each with what keeps it taken away.
//! Refuses to pass where the proof does not see the fault.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures::StreamExt;
use offshoot::{
    Agent, AgentRegistry, Backend, Budget, Error, ErrorKind, Event, Grant, Meter, Scope, SessionId,
    Sink, Task,
    provider::{Delta, Model, Stop},
    testing::Answer,
};
use serde_json::json;

use super::{
    Counting, Farewell, Rude, Scripted, break_at_every_delta, cancel_while,
    charges_before_it_tells, encoded_once, ends_its_work, frames_hold, is_answered, is_gapless,
    limits_hold, long_story, one_end, parts_with_a_stream, parts_with_a_turn, recorded,
    refusals_are_ends, steps, strange_calls, stream_before_tools, the_clock_runs_out,
};
use crate::{
    kit::{hang, noticed, quick, shared, stop_of, through, work},
    naive::{naive, ours},
};

/// The session is what gives an end to a turn that panicked.
#[tokio::test]
async fn inv01_twin_without_a_session_a_panic_leaves_no_end() {
    let rude = Rude(Model::unknown("rude", "rude"), AtomicBool::new(false));
    let agent = Arc::new(Agent::builder(rude).build().unwrap());
    let scope = Scope::root();
    let seat = AgentRegistry::new().root(SessionId::random(), &scope);
    let meter = Meter::new(Budget::unlimited());
    let grant = Grant::root(seat.desk(), meter, Sink::nowhere(), agent.clone());
    let mut talk = agent.open(grant).await.unwrap();
    let mut events: Vec<Event> = Vec::new();
    let mut turn = talk.turn(Task::new("go"), scope.part());
    let reading = async {
        while let Some(event) = turn.next().await {
            events.push(event);
        }
    };
    let saw = noticed(reading).await;
    assert!(saw.contains("the provider breaks"), "{saw}");
    let saw = noticed(async { stop_of(&events).clone() }).await;
    assert!(saw.contains("the last event is no end"), "{saw}");
}

#[tokio::test]
async fn inv01_twin_a_loop_that_catches_nothing_leaves_a_call_without_result() {
    let boom = work(shared("boom"), |_, _| async { panic!("the tool breaks") });
    let model = Scripted::new([Answer::empty().call("boom", json!({})), "fine".into()]);
    let saw = noticed(one_end("tool", naive(model, vec![boom]))).await;
    assert!(saw.contains("call without result"), "{saw}");
}

#[tokio::test]
async fn inv02_twin_a_loop_that_takes_a_break_for_an_end() {
    let saw = noticed(break_at_every_delta(naive)).await;
    assert!(saw.contains("no parts"), "{saw}");
}

#[tokio::test]
async fn inv03_twin_a_loop_that_keeps_its_stream() {
    let saw = noticed(stream_before_tools(naive)).await;
    assert!(saw.contains("left: [1, 1, 1]"), "{saw}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv06_twin_a_turn_that_is_forgotten_goes_on_living() {
    let saw = noticed(parts_with_a_turn(|turn| std::mem::forget(turn))).await;
    assert!(saw.contains("a tool and its task: 2 alive"), "{saw}");
    let saw = noticed(parts_with_a_stream(|turn| std::mem::forget(turn))).await;
    assert!(saw.contains("a stream: 1 alive"), "{saw}");
}

#[tokio::test]
async fn inv06_twin_a_session_that_is_only_dropped_waits_for_nothing() {
    let saw = noticed(ends_its_work(Farewell::Drop)).await;
    assert!(saw.contains("before the task had ended"), "{saw}");
}

#[tokio::test(start_paused = true)]
async fn inv07_twin_a_loop_that_asks_no_meter() {
    let saw = noticed(limits_hold(naive)).await;
    assert!(saw.contains("Finished, 60"), "{saw}");
}

#[tokio::test(start_paused = true)]
async fn inv07_p11_twin_without_a_limit_a_drip_goes_on() {
    let dripping = the_clock_runs_out(Budget::unlimited());
    let within = tokio::time::timeout(Duration::from_secs(7), dripping).await;
    assert!(within.is_err(), "it ended by itself");
}

#[tokio::test]
async fn inv09_twin_a_loop_that_books_later() {
    let saw = noticed(charges_before_it_tells(naive)).await;
    assert!(saw.contains("told 1, left 1000"), "{saw}");
}

#[tokio::test]
async fn inv11_twin_a_loop_that_looks_between_its_steps_does_not_hear_a_cancel() {
    let call = Answer::text("hm").call("hang", json!({}));
    let agent = naive(Scripted::new([call, "fine".into()]), vec![hang()]);
    let cancelled = cancel_while("tool", agent, 10, None);
    let within = tokio::time::timeout(Duration::from_secs(2), cancelled).await;
    assert!(within.is_err(), "it heard the cancel");
}

#[tokio::test]
async fn inv14_twin_a_loop_that_escapes_nothing() {
    let saw = noticed(frames_hold(naive)).await;
    assert!(saw.contains("left: 3"), "{saw}");
}

#[tokio::test]
async fn inv16_twin_a_loop_that_encodes_anew() {
    let open = |model: Counting, tools, _| naive(model, tools);
    let counted = steps(open, 50, usize::MAX).await;
    let saw = noticed(async { encoded_once(counted, 50) }).await;
    assert!(saw.contains("right: (101, 102)"), "{saw}");
}

/// Something in between that drops what does not fit, as most channels of events do.
#[tokio::test]
async fn inv18_twin_a_queue_that_drops_what_does_not_fit() {
    let (mut session, _) = recorded(long_story()).await;
    let (send, mut receive) = tokio::sync::mpsc::channel(16);
    let mut turn = session.submit_message("go");
    let forward = async move {
        while let Some(event) = turn.next().await {
            let _ = send.try_send(event);
        }
    };
    let watched = async_stream::stream! {
        while let Some(event) = receive.recv().await {
            yield event;
        }
    };
    let watch = async {
        tokio::task::yield_now().await;
        is_gapless(Box::pin(watched)).await;
    };
    let saw = noticed(async { tokio::join!(forward, watch) }).await;
    assert!(saw.contains("right: 5000"), "{saw}");
}

#[tokio::test]
async fn twin_p17_a_loop_that_answers_what_it_knows() {
    for (what, answer, calls) in strange_calls() {
        let loose = is_answered(naive, what, answer, calls);
        match what {
            // Beside our loop the tools themselves answer these two.
            "wrong schema" | "500 calls" => loose.await,
            _ => {
                let saw = noticed(loose).await;
                assert!(saw.contains(what), "{saw}");
            }
        }
    }
}

#[tokio::test]
async fn twin_p19_a_refusal_that_is_taken_for_a_failure_is_asked_again() {
    let refusals = refusals_are_ends(|model, tools| {
        let failing = through(model, |delta| match delta? {
            Delta::Stop {
                stop: Stop::Refused { reason },
                ..
            } => Err(Error::new(ErrorKind::Server, reason)),
            other => Ok(other),
        });
        ours(failing, tools).retry(quick())
    });
    let saw = noticed(refusals).await;
    assert!(saw.contains("empty: Finished"), "{saw}");
}
