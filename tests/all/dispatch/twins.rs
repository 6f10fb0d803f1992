//! The proofs about running calls once more, each with its defence taken away.
//! Refuses to pass where the proof does not see the fault.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;

use super::{
    dropped_at, hung_tools_end, mix_holds, output_stays_small, panics_are_results, random_bytes,
    results_in,
};
use crate::{
    kit::{Dice, alone, noticed, noticed_now},
    naive::naive,
};

#[tokio::test]
async fn t1_twin_a_loop_that_catches_nothing_ends_with_the_first_panic() {
    let saw = noticed(panics_are_results(naive)).await;
    assert!(saw.contains("the turn panicked: some text"), "{saw}");
}

#[tokio::test(start_paused = true)]
async fn t2_twin_without_a_deadline_nothing_ends() {
    let year = Duration::from_secs(365 * 86_400);
    let hung = hung_tools_end(year);
    let within = tokio::time::timeout(Duration::from_secs(86_400), hung).await;
    assert!(within.is_err(), "it ended by itself");
}

#[test]
fn t4_twin_without_a_cap_the_output_is_in_memory() {
    if alone("dispatch::twins::t4_twin_without_a_cap_the_output_is_in_memory") {
        let saw = noticed_now(|| output_stays_small(16, 1 << 40));
        assert!(saw.contains("grew by"), "{saw}");
    }
}

/// The words put between quotes, as they are.
#[test]
fn t5_twin_an_encoder_that_escapes_nothing() {
    let mut dice = Dice(0x0ff5_4007);
    let mut broken = 0;
    for _ in 0..1_000 {
        let text = String::from_utf8_lossy(&random_bytes(&mut dice)).into_owned();
        let body = format!(
            r#"{{"messages": [{{"content": [{{"type": "tool_result", "tool_use_id": "1", "content": "{text}"}}]}}]}}"#
        );
        let read = std::panic::catch_unwind(|| results_in(body.as_bytes())["1"] == text);
        broken += usize::from(!read.unwrap_or(false));
    }
    assert!(broken > 900, "only {broken} of 1000 are seen");
}

#[tokio::test]
async fn t7_twin_a_loop_that_keeps_no_board() {
    let mut unpaired = 0;
    for millis in 1..40 {
        let dropped = dropped_at(Duration::from_millis(millis), naive);
        let dropped = AssertUnwindSafe(dropped).catch_unwind().await;
        unpaired += usize::from(dropped.is_err());
    }
    assert!(unpaired > 10, "only {unpaired} of 39 are seen");
}

/// Of a denied call nobody hears there, a failure ends the batch, and results stand as they landed.
#[tokio::test]
async fn t8_twin_a_loop_that_keeps_what_lands() {
    let mixes = 0..3_usize.pow(6);
    for mix in mixes.step_by(7) {
        noticed(mix_holds(mix, naive)).await;
    }
}
