//! Who stands first at a gate and is not polled any more: all others pass, at the gate's own pace.
//! Refuses gates at which everybody comes when it may, which have a file of their own.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use reqwest::header::HeaderMap;
use tokio::time::{Instant, advance};

use super::{
    super::{
        gate::Pace,
        governor::{Governor, Ticket},
    },
    gates::{HERE, admitted, may_go, refusal},
};
use crate::error::ErrorKind;

/// A gate that is shut for five seconds, and who stands first behind it and is not polled.
async fn one_asleep(pace: Pace) -> (Arc<Governor>, impl Future<Output = crate::Result<Ticket>>) {
    let governor = Governor::new(pace);
    let error = refusal(ErrorKind::Overloaded).with_retry_after(Duration::from_secs(5));
    admitted(&governor, 1).await.failed(&error, None);
    let mut asleep = Box::pin({
        let governor = governor.clone();
        async move { governor.admit(HERE, 1).await }
    });
    assert!((&mut asleep).now_or_never().is_none());
    (governor, asleep)
}

/// So many who are answered after this time.
async fn crowd(governor: &Arc<Governor>, many: usize, answer: Duration) -> Vec<Duration> {
    let began = Instant::now();
    let all = (0..many).map(async |_| {
        let ticket = admitted(governor, 1).await;
        let went = began.elapsed();
        tokio::time::sleep(answer).await;
        ticket.answered(&HeaderMap::new());
        went
    });
    let mut went = futures::future::join_all(all).await;
    went.sort();
    went
}

#[tokio::test(start_paused = true)]
async fn a_crowd_passes_whoever_is_first_and_asleep_at_the_pace_of_the_gate() {
    let (governor, _asleep) = one_asleep(Pace::default()).await;
    let went = crowd(&governor, 1_000, Duration::from_millis(300)).await;
    let (second, last) = (went[1] - went[0], went[999]);
    assert!(second < Duration::from_secs(2), "{second:?}");
    assert!(last < Duration::from_secs(60), "{last:?}");
}

/// What the gate told in an earlier storm is no reason to keep quiet in the next.
#[tokio::test(start_paused = true)]
async fn a_second_storm_with_one_asleep_is_passed_as_quickly() {
    let (governor, asleep) = one_asleep(Pace::default()).await;
    crowd(&governor, 20, Duration::from_millis(300)).await;
    asleep.await.unwrap().answered(&HeaderMap::new());
    advance(Duration::from_secs(60)).await;
    let error = refusal(ErrorKind::Overloaded).with_retry_after(Duration::from_secs(5));
    admitted(&governor, 1).await.failed(&error, None);
    let mut asleep = Box::pin(governor.admit(HERE, 1));
    assert!((&mut asleep).now_or_never().is_none());
    let went = crowd(&governor, 20, Duration::from_millis(300)).await;
    let second = went[1] - went[0];
    assert!(second < Duration::from_secs(2), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn an_open_gate_with_traffic_forgets_nobody_behind_one_asleep() {
    let (governor, _asleep) = one_asleep(Pace::default()).await;
    let traffic = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            admitted(&governor, 1).await.answered(&HeaderMap::new());
        }
    };
    let went = tokio::select! {
        went = crowd(&governor, 60, Duration::from_secs(1)) => went,
        () = traffic => unreachable!("it goes on"),
    };
    assert!(went[59] < Duration::from_secs(60), "{:?}", went[59]);
}

#[tokio::test(start_paused = true)]
async fn who_was_passed_and_comes_is_first_again() {
    let (governor, asleep) = one_asleep(Pace::default()).await;
    let went = crowd(&governor, 3, Duration::from_millis(300)).await;
    assert!(went[2] < Duration::from_secs(10), "{went:?}");
    asleep.await.unwrap().answered(&HeaderMap::new());
    assert!(may_go(&governor, 1).is_some());
}

/// How long ten take to get through a gate that was shut for five seconds, behind one that stands
/// first in the queue and is not polled.
async fn ten_behind_one_asleep(pace: Pace) -> Duration {
    let (governor, _asleep) = one_asleep(pace).await;
    let began = Instant::now();
    let others = (0..10).map(async |_| {
        admitted(&governor, 1).await.answered(&HeaderMap::new());
    });
    let all = futures::future::join_all(others);
    tokio::time::timeout(Duration::from_secs(300), all)
        .await
        .ok();
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn whoever_is_first_and_asleep_is_passed() {
    let took = ten_behind_one_asleep(Pace::default()).await;
    assert!(took < Duration::from_secs(40), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn twin_whoever_is_first_and_asleep_and_not_passed_holds_up_all() {
    let asleep = Duration::from_secs(3600);
    let pace = Pace {
        asleep,
        ..Pace::default()
    };
    let took = ten_behind_one_asleep(pace).await;
    assert!(took >= Duration::from_secs(300), "{took:?}");
}
