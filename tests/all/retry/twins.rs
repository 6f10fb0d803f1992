//! The proofs about failed model calls once more, each with its defence taken away.
//! Refuses to pass where the proof does not see the fault.

use std::time::Duration;

use offshoot::{
    Agent, AgentBuilder, Error, ErrorKind, Options, RetryPolicy,
    provider::{Anthropic, Delta, Stop},
};

use super::{hung_up_on, inside::errors_inside, is_asked, is_kept, odd_events, parks, retry_after};
use crate::kit::{noticed, quick, through};

/// A client that does not read what the vendor says about waiting.
fn deaf(provider: Anthropic) -> AgentBuilder {
    Agent::builder(through(provider, |delta| {
        delta.map_err(|error| Error::new(error.kind(), error.to_string()))
    }))
}

/// A client that takes every failure for one that passes.
fn hopeful(provider: Anthropic) -> AgentBuilder {
    Agent::builder(through(provider, |delta| {
        delta.map_err(|error| {
            let hopeful = Error::new(ErrorKind::Server, error.to_string());
            hopeful.with_status(error.status().unwrap_or(0))
        })
    }))
}

/// A client that knows errors only by their status, and takes what comes after a 200 for an end.
fn trusting(provider: Anthropic) -> AgentBuilder {
    Agent::builder(through(provider, |delta| {
        delta.or_else(|_| {
            let (stop, raw) = (Stop::Done, "it was a 200".to_owned());
            Ok(Delta::Stop { stop, raw })
        })
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_p1_a_client_that_does_not_hear_the_wait() {
    let wait = retry_after("retry-after-ms", "300".into(), deaf).await;
    let saw = noticed(async { is_kept(wait, 300, 345) }).await;
    assert!(saw.contains("not 300 to 345"), "{saw}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_p2_a_client_that_does_not_hear_how_long() {
    let saw = noticed(parks(|provider| deaf(provider).retry(quick()))).await;
    assert!(saw.contains("left: None"), "{saw}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_p5_a_client_that_hopes_asks_again_what_cannot_get_better() {
    for status in [400, 401, 403, 404] {
        let saw = noticed(is_asked(1, status, hopeful)).await;
        assert!(saw.contains(&format!("requests for {status}")), "{saw}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_p6_without_retries_a_server_that_hangs_up_ends_the_turn() {
    let saw = noticed(hung_up_on(RetryPolicy::never())).await;
    assert!(saw.contains("(\"\", 1)"), "{saw}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_p9_an_error_after_a_200_that_is_taken_for_an_end() {
    let saw = noticed(errors_inside(trusting)).await;
    assert!(saw.contains("_error after"), "{saw}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twin_p10_without_short_timers_a_stall_goes_on() {
    // The defaults are minutes.
    let stalled = super::stalls_are_noticed(Options::default());
    let within = tokio::time::timeout(Duration::from_secs(3), stalled).await;
    assert!(within.is_err(), "the stall ended by itself");
}

#[tokio::test]
async fn twin_p18_a_client_that_knows_every_event_fails_at_a_new_one() {
    let saw = noticed(odd_events(|model| {
        Agent::builder(through(model, |delta| match delta? {
            Delta::Skipped { what } => Err(Error::new(ErrorKind::Decode, what)),
            known => Ok(known),
        }))
    }))
    .await;
    assert!(saw.contains("strange_event"), "{saw}");
}
