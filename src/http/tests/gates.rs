//! The governor's rules one by one: who may go when, what closes a gate, what opens it.
//! Refuses the storm itself, which has a file of its own.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, advance};

use super::{
    super::{
        departures::Rush,
        gate::Pace,
        governor::{Governor, Hindsight, Ticket},
    },
    Client, Framing, Peer, Server, Settings, client, data, failure,
};
use crate::error::{Error, ErrorKind};

pub(super) const HERE: &str = "http://here";

fn governor() -> Arc<Governor> {
    Governor::new(Pace::default())
}

pub(super) fn refusal(kind: ErrorKind) -> Error {
    Error::new(kind, "no")
}

fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
    let rows = rows.iter();
    rows.map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    })
    .collect()
}

pub(super) async fn admitted(governor: &Arc<Governor>, account: u64) -> Ticket {
    governor.admit(HERE, account).await.unwrap()
}

pub(super) fn may_go(governor: &Arc<Governor>, account: u64) -> Option<Ticket> {
    governor
        .admit(HERE, account)
        .now_or_never()
        .map(Result::unwrap)
}

#[tokio::test(start_paused = true)]
async fn an_open_gate_lets_everybody_through_at_once() {
    let governor = governor();
    let tickets: Vec<_> = (0..1000).map(|_| may_go(&governor, 1).unwrap()).collect();
    for ticket in tickets {
        ticket.answered(&HeaderMap::new());
    }
    assert!(may_go(&governor, 1).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_one_account_s_and_a_load_is_everybody_s() {
    for (kind, concerned) in [
        (ErrorKind::RateLimited, false),
        (ErrorKind::Overloaded, true),
    ] {
        let governor = governor();
        for account in [1, 2] {
            admitted(&governor, account)
                .await
                .answered(&HeaderMap::new());
        }
        let elsewhere = governor.admit("http://elsewhere", 1).await.unwrap();
        elsewhere.answered(&HeaderMap::new());
        admitted(&governor, 1).await.failed(&refusal(kind), None);
        assert!(may_go(&governor, 1).is_none());
        assert_eq!(may_go(&governor, 2).is_none(), concerned, "{kind:?}");
        assert!(
            governor
                .admit("http://elsewhere", 1)
                .now_or_never()
                .is_some()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_named_wait_is_kept_and_then_one_probe_goes() {
    let governor = governor();
    let error = refusal(ErrorKind::RateLimited).with_retry_after(Duration::from_secs(20));
    admitted(&governor, 1).await.failed(&error, None);
    let began = Instant::now();
    let probe = admitted(&governor, 1).await;
    let waited = began.elapsed().as_secs_f64();
    assert!((20.0..23.0).contains(&waited), "{waited}");
    assert!(may_go(&governor, 1).is_none(), "one probe at a time");
    drop(probe);
    let probe = may_go(&governor, 1).expect("a probe that was given up makes room for the next");
    probe.answered(&HeaderMap::new());
    assert!(
        may_go(&governor, 1).is_some(),
        "nobody waits and nobody is owed: open"
    );
}

#[tokio::test(start_paused = true)]
async fn backoff_doubles_while_probes_fail_up_to_its_cap() {
    let governor = governor();
    admitted(&governor, 1)
        .await
        .failed(&refusal(ErrorKind::Overloaded), None);
    for wanted in [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0] {
        let began = Instant::now();
        let probe = admitted(&governor, 1).await;
        let waited = began.elapsed().as_secs_f64();
        assert!(
            waited >= wanted && waited <= wanted * 1.1 + 0.01,
            "{waited}, not {wanted}"
        );
        // A vendor that does not answer is not well either.
        probe.failed(&refusal(ErrorKind::Connect), None);
    }
}

/// As it does when each probe is refused at once: the answer begins well and is an error all the same.
#[tokio::test(start_paused = true)]
async fn p9_backoff_doubles_while_answers_turn_out_bad() {
    for crowd in [0, 3] {
        let governor = governor();
        let busy = refusal(ErrorKind::Overloaded);
        // All were sent before the gate was shut, and will be back.
        let sent: Vec<_> = (0..=crowd).map(|_| may_go(&governor, 1).unwrap()).collect();
        sent.into_iter()
            .for_each(|ticket| ticket.failed(&busy, None));
        for wanted in [0.5, 1.0, 2.0, 4.0, 8.0, 8.0] {
            let began = Instant::now();
            let probe = admitted(&governor, 1).await;
            let waited = began.elapsed().as_secs_f64();
            assert!(
                waited >= wanted && waited <= wanted * 1.1 + 0.01,
                "{waited}, not {wanted}, of a crowd of {crowd}"
            );
            let hindsight = Hindsight::default();
            hindsight.allow(probe.answered(&HeaderMap::new()));
            hindsight.failed(&busy);
            assert!(may_go(&governor, 1).is_none(), "shut again");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p9_only_what_a_vendor_says_of_itself_counts_in_hindsight() {
    for kind in [ErrorKind::BadRequest, ErrorKind::Decode, ErrorKind::Server] {
        let governor = governor();
        let hindsight = Hindsight::default();
        hindsight.failed(&refusal(kind));
        hindsight.allow(admitted(&governor, 1).await.answered(&HeaderMap::new()));
        hindsight.failed(&refusal(kind));
        assert!(may_go(&governor, 1).is_some(), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_over_the_cap_is_told_at_once_and_nothing_is_sent() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.answer("429 Slow", "retry-after: 3600\r\n", "slow")
            .await;
    })
    .await;
    tokio::time::resume();
    let client = client();
    for request in 0..50 {
        let began = std::time::Instant::now();
        let error = failure(&client, server.call(Framing::Sse)).await;
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        let wait = error.retry_after().unwrap();
        assert!(
            wait > Duration::from_secs(3500),
            "request {request}: {wait:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(1));
        assert!(
            super::super::RetryPolicy::default()
                .delay(1, &error)
                .is_none()
        );
    }
    assert_eq!(server.requests(), 1, "p2: parked, not spinning");
}

#[tokio::test]
async fn what_is_used_up_closes_the_gate_until_the_reset() {
    for rows in [
        "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 400ms\r\n",
        "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 0m0.4s\r\n",
    ] {
        let server = Server::start(move |mut peer: Peer| async move {
            let rows = if peer.number == 1 { rows } else { "" };
            let head = format!("content-type: text/event-stream\r\n{rows}");
            peer.answer("200 OK", &head, "data: 1\n\n").await;
        })
        .await;
        let client = client();
        data(&client, server.call(Framing::Sse)).await.unwrap();
        let mut other = server.call(Framing::Sse);
        other.account = 8;
        let began = std::time::Instant::now();
        data(&client, other).await.unwrap();
        assert!(
            began.elapsed() < Duration::from_millis(300),
            "another account"
        );
        data(&client, server.call(Framing::Sse)).await.unwrap();
        assert!(
            began.elapsed() > Duration::from_millis(350),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn late_news_from_before_the_closing_changes_nothing() {
    let governor = governor();
    let old: Vec<_> = (0..100).map(|_| may_go(&governor, 1).unwrap()).collect();
    let began = Instant::now();
    for (at, ticket) in old.into_iter().enumerate() {
        // A hundred refusals of one wave are one refusal, and a success of that wave opens nothing.
        if at % 10 == 9 {
            ticket.answered(&HeaderMap::new());
            assert!(may_go(&governor, 1).is_none());
        } else {
            ticket.failed(&refusal(ErrorKind::Overloaded), None);
        }
    }
    drop(admitted(&governor, 1).await);
    let waited = began.elapsed().as_secs_f64();
    assert!((0.5..0.56).contains(&waited), "not escalated: {waited}");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_can_leave_and_the_order_is_kept() {
    let governor = governor();
    let error = refusal(ErrorKind::Overloaded).with_retry_after(Duration::from_secs(5));
    admitted(&governor, 1).await.failed(&error, None);
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(governor.admit(HERE, 1))).collect();
    for waiter in &mut waiting {
        assert!(waiter.now_or_never().is_none());
    }
    waiting.drain(..9);
    advance(Duration::from_secs(6)).await;
    let last = waiting.pop().unwrap().await.unwrap();
    last.answered(&HeaderMap::new());
    advance(Duration::from_secs(60)).await;
    assert!(may_go(&governor, 1).is_some());
    assert!(
        may_go(&governor, 1).is_some(),
        "open again: nothing is left of those who went away"
    );
}

#[tokio::test(start_paused = true)]
async fn who_never_comes_back_does_not_keep_the_gate_narrow() {
    let governor = governor();
    let old: Vec<_> = (0..100).map(|_| may_go(&governor, 1).unwrap()).collect();
    for ticket in old {
        ticket.failed(&refusal(ErrorKind::Overloaded), None);
    }
    admitted(&governor, 1).await.answered(&HeaderMap::new());
    advance(Duration::from_secs(31)).await;
    let tickets: Vec<_> = (0..100).filter_map(|_| may_go(&governor, 1)).collect();
    assert_eq!(tickets.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_nobody_came_to_is_open_again() {
    let governor = governor();
    admitted(&governor, 1)
        .await
        .failed(&refusal(ErrorKind::RateLimited), None);
    advance(Duration::from_secs(31)).await;
    let tickets: Vec<_> = (0..100).filter_map(|_| may_go(&governor, 1)).collect();
    assert_eq!(tickets.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let governor = governor();
    admitted(&governor, 1)
        .await
        .failed(&refusal(ErrorKind::Overloaded), None);
    let keep_shut = async {
        loop {
            admitted(&governor, 1)
                .await
                .failed(&refusal(ErrorKind::Overloaded), None);
        }
    };
    let stuck = async {
        let mut ends = Vec::new();
        for _ in 0..3 {
            ends.push(Box::pin(governor.admit(HERE, 1)));
        }
        futures::future::join_all(ends).await
    };
    let began = Instant::now();
    tokio::select! {
        _ = keep_shut => unreachable!("it never ends"),
        ends = stuck => assert_eq!(ends.len(), 3),
    }
    assert!(began.elapsed() <= Duration::from_secs(601));
}

#[tokio::test(start_paused = true)]
async fn the_map_is_bounded_and_forgets_only_idle_gates() {
    let governor = governor();
    admitted(&governor, 0)
        .await
        .failed(&refusal(ErrorKind::RateLimited), None);
    let held = admitted(&governor, 1).await;
    for account in 2..5_000 {
        admitted(&governor, account)
            .await
            .answered(&HeaderMap::new());
        assert!(governor.len() <= 1024);
    }
    assert!(
        may_go(&governor, 0).is_none(),
        "a shut gate is not forgotten"
    );
    held.failed(&refusal(ErrorKind::RateLimited), None);
    assert!(
        may_go(&governor, 1).is_none(),
        "nor one with a request under way"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wrong_request_or_a_spent_account_holds_nobody_up() {
    let governor = governor();
    for kind in [
        ErrorKind::BadRequest,
        ErrorKind::Auth,
        ErrorKind::QuotaExhausted,
        ErrorKind::Server,
    ] {
        let none = headers(&[]);
        admitted(&governor, 1)
            .await
            .failed(&refusal(kind), Some(&none));
        assert!(may_go(&governor, 1).is_some(), "{kind:?}");
    }
}

#[tokio::test]
async fn clients_of_their_own_share_no_pace() {
    let server = Server::start(|mut peer: Peer| async move {
        if peer.number == 1 {
            peer.answer("529 Busy", "retry-after: 30\r\n", "busy").await;
        } else {
            let head = "content-type: text/event-stream\r\n";
            peer.answer("200 OK", head, "data: 1\n\n").await;
        }
    })
    .await;
    failure(&client(), server.call(Framing::Sse)).await;
    let free = Client::with_settings(Settings {
        governor: None,
        ..Settings::default()
    });
    assert!(data(&free, server.call(Framing::Sse)).await.is_ok());
    assert!(data(&client(), server.call(Framing::Sse)).await.is_ok());
}

#[tokio::test]
async fn who_waited_for_its_turn_while_the_gate_was_shut_asks_again() {
    let server = Server::start(|mut peer: Peer| async move {
        let head = "content-type: text/event-stream\r\n";
        peer.answer("200 OK", head, "data: 1\n\n").await;
    })
    .await;
    let governor = governor();
    let client = Client::with_settings(Settings {
        governor: Some(governor.clone()),
        rush: Rush {
            at_once: 1,
            hold: Duration::from_secs(3600),
            ..Rush::default()
        },
        ..Settings::default()
    });
    let call = server.call(Framing::Sse);
    let target = client.target(&call.url).unwrap();
    let (before, account) = (target.departures.now(), call.account);
    let admitted = governor.admit(target.origin.clone(), account).await;
    let mut late = std::pin::pin!(data(&client, call));
    assert!(futures::poll!(&mut late).is_pending());
    let wait = Duration::from_millis(500);
    let refusal = refusal(ErrorKind::Overloaded).with_retry_after(wait);
    admitted.unwrap().failed(&refusal, None);
    let shut = Instant::now();
    drop(before);
    assert!(late.await.is_ok());
    assert!(shut.elapsed() >= wait, "{:?}", shut.elapsed());
}
