//! Rows P1, P2 and P4: when a call is tried again, and after how long.
//! Refuses sockets but for the count of requests.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{
    super::{
        MAX_RETRY_AFTER, RetryPolicy,
        limits::{exhausted_at, retry_after_at},
    },
    Framing, Peer, Server, client, data,
};
use crate::error::{Error, ErrorKind};

/// 2026-01-02 03:04:05 UTC.
fn noon() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_323_045)
}

type Rows = &'static [(&'static str, &'static str)];

fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
    let rows = rows.iter();
    rows.map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    })
    .collect()
}

#[test]
fn p1_every_form_of_retry_after() {
    let cases: [(Rows, Option<u64>); 22] = [
        (&[("retry-after", "2")], Some(2_000)),
        (&[("retry-after", "0.25")], Some(250)),
        (&[("retry-after", " 7 ")], Some(7_000)),
        (&[("retry-after", "1e1")], Some(10_000)),
        (&[("retry-after-ms", "1500")], Some(1_500)),
        (&[("retry-after-ms", "12.5")], Some(12)),
        (
            &[("retry-after-ms", "100"), ("retry-after", "9")],
            Some(100),
        ),
        (
            &[("retry-after-ms", "soon"), ("retry-after", "9")],
            Some(9_000),
        ),
        (
            &[("retry-after-ms", "-5"), ("retry-after", "9")],
            Some(9_000),
        ),
        (
            &[("retry-after", "Fri, 02 Jan 2026 03:04:35 GMT")],
            Some(30_000),
        ),
        (
            &[("retry-after", "Friday, 02-Jan-26 03:04:35 GMT")],
            Some(30_000),
        ),
        (&[("retry-after", "Fri Jan  2 03:04:35 2026")], Some(30_000)),
        (&[("retry-after", "3600")], Some(3_600_000)),
        (&[("retry-after", "Fri, 02 Jan 2026 03:04:00 GMT")], None),
        (&[("retry-after", "Fri, 02 Jan 2026 03:04:05 GMT")], None),
        (&[("retry-after", "-1")], None),
        (&[("retry-after", "0")], None),
        (&[("retry-after", "NaN")], None),
        (&[("retry-after", "inf")], None),
        (&[("retry-after", "-infinity")], None),
        (&[("retry-after", "tomorrow")], None),
        (&[], None),
    ];
    for (rows, wanted) in cases {
        let got = retry_after_at(&headers(rows), noon()).map(|wait| wait.as_millis() as u64);
        assert_eq!(got, wanted, "{rows:?}");
    }
    let endless = retry_after_at(&headers(&[("retry-after", "1e300")]), noon());
    assert!(
        endless.unwrap() > Duration::from_secs(1_000_000),
        "too long is not the same as none"
    );
}

#[test]
fn rate_headers_of_both_kinds() {
    let cases: [(Rows, Option<u64>); 12] = [
        (
            &[
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "1s"),
            ],
            Some(1_000),
        ),
        (
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ],
            Some(360_000),
        ),
        (
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "20ms"),
            ],
            Some(20),
        ),
        (
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "1h2m3.5s"),
            ],
            Some(3_723_500),
        ),
        (
            &[
                ("x-ratelimit-remaining-tokens", "0"),
                ("x-ratelimit-reset-tokens", "5 minutes"),
            ],
            None,
        ),
        (
            &[
                ("x-ratelimit-remaining-tokens", "1"),
                ("x-ratelimit-reset-tokens", "6m0s"),
            ],
            None,
        ),
        (&[("x-ratelimit-remaining-tokens", "0")], None),
        (
            &[
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-01-02T03:04:15Z"),
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                (
                    "anthropic-ratelimit-input-tokens-reset",
                    "2026-01-02T03:04:25.5Z",
                ),
            ],
            Some(20_500),
        ),
        (
            &[
                ("anthropic-ratelimit-tokens-remaining", "0"),
                (
                    "anthropic-ratelimit-tokens-reset",
                    "2026-01-02T05:04:06+02:00",
                ),
            ],
            Some(1_000),
        ),
        (
            &[
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2026-03-01T00:00:00Z"),
            ],
            Some(58 * 86_400_000 - 3 * 3_600_000 - 4 * 60_000 - 5_000),
        ),
        (
            &[
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2025-01-02T03:04:15Z"),
            ],
            None,
        ),
        (
            &[
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2026-13-02T99:04:15Z"),
            ],
            None,
        ),
    ];
    for (rows, wanted) in cases {
        let got = exhausted_at(&headers(rows), noon()).map(|wait| wait.as_millis() as u64);
        assert_eq!(got, wanted, "{rows:?}");
    }
}

#[test]
fn p1_a_named_wait_is_kept_and_a_little_more() {
    let policy = RetryPolicy::default();
    let wait = Duration::from_secs(10);
    let busy = Error::new(ErrorKind::RateLimited, "busy").with_retry_after(wait);
    let waits: Vec<_> = (0..1000).map(|_| policy.delay(1, &busy).unwrap()).collect();
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(
        *least >= wait && *most <= wait.mul_f64(1.15),
        "{least:?} {most:?}"
    );
    assert!(
        *most - *least > wait.mul_f64(0.1),
        "hardly any jitter: {least:?} {most:?}"
    );
}

#[test]
fn p2_a_wait_over_the_cap_is_left_to_the_run() {
    let policy = RetryPolicy::default();
    let busy = |wait| Error::new(ErrorKind::RateLimited, "busy").with_retry_after(wait);
    assert!(policy.delay(1, &busy(MAX_RETRY_AFTER)).is_some());
    assert!(
        policy
            .delay(1, &busy(MAX_RETRY_AFTER + Duration::from_millis(1)))
            .is_none()
    );
}

#[test]
fn p4_backoff_doubles_to_its_cap_with_jitter() {
    let policy = RetryPolicy {
        max_retries: 9,
        ..RetryPolicy::default()
    };
    let busy = Error::new(ErrorKind::Server, "busy");
    for (attempt, full) in [
        (1, 500),
        (2, 1_000),
        (3, 2_000),
        (4, 4_000),
        (5, 8_000),
        (9, 8_000),
    ] {
        let full = Duration::from_millis(full);
        let waits: Vec<_> = (0..1000)
            .map(|_| policy.delay(attempt, &busy).unwrap())
            .collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(
            *least >= full.mul_f64(0.75) && *most <= full,
            "{attempt}: {least:?} {most:?}"
        );
        assert!(
            *most - *least > full.mul_f64(0.2),
            "{attempt}: hardly any jitter"
        );
    }
    assert!(policy.delay(10, &busy).is_none());
    assert!(RetryPolicy::never().delay(1, &busy).is_none());
}

#[test]
fn p5_what_cannot_get_better_is_never_tried_again() {
    use ErrorKind as K;
    let policy = RetryPolicy::default();
    for kind in [
        K::Auth,
        K::Forbidden,
        K::NotFound,
        K::BadRequest,
        K::ContextTooLong,
        K::QuotaExhausted,
    ] {
        let error = Error::new(kind, "no").with_retry_after(Duration::from_secs(1));
        assert!(policy.delay(1, &error).is_none(), "{kind:?}");
        assert!(
            policy.delay(1, &error.worth_retrying()).is_none(),
            "{kind:?}, whatever it says"
        );
    }
    for kind in [
        K::RateLimited,
        K::Overloaded,
        K::Server,
        K::Connect,
        K::Disconnected,
        K::Timeout,
    ] {
        let error = Error::new(kind, "perhaps");
        assert!(policy.delay(1, &error).is_some(), "{kind:?}");
        assert!(
            policy.delay(1, &error.not_worth_retrying()).is_none(),
            "{kind:?}"
        );
    }
    let decode = Error::new(K::Decode, "odd");
    assert!(policy.delay(1, &decode).is_none());
    assert!(
        policy.delay(1, &decode.worth_retrying()).is_some(),
        "the vendor knows better"
    );
}

/// What the engine does, without the engine.
async fn with_retries(server: &Server, policy: &RetryPolicy) -> Result<Vec<String>, Error> {
    let client = client();
    let mut attempt = 0;
    loop {
        let error = match data(&client, server.call(Framing::Sse)).await {
            Ok(frames) => return Ok(frames),
            Err(error) => error,
        };
        attempt += 1;
        match policy.delay(attempt, &error) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return Err(error),
        }
    }
}

#[tokio::test]
async fn p4_each_status_fails_n_times_and_then_succeeds_or_not() {
    let millis = Duration::from_millis;
    let policy = RetryPolicy {
        max_retries: 2,
        base: millis(2),
        cap: millis(8),
    };
    for status in [408, 409, 500, 502, 504] {
        for failures in 1..=4 {
            let server = Server::start(move |mut peer: Peer| async move {
                if peer.number <= failures {
                    peer.answer(&format!("{status} No"), "", "no").await;
                } else {
                    peer.answer(
                        "200 OK",
                        "content-type: text/event-stream\r\n",
                        "data: 1\n\n",
                    )
                    .await;
                }
            })
            .await;
            let result = with_retries(&server, &policy).await;
            assert_eq!(
                result.is_ok(),
                failures <= 2,
                "{status}, {failures} failures: {result:?}"
            );
            assert_eq!(
                server.requests(),
                (failures + 1).min(3),
                "{status}, {failures} failures"
            );
        }
    }
}

#[tokio::test]
async fn the_vendor_may_say_that_a_retry_is_useless() {
    let server = Server::start(|mut peer: Peer| async move {
        peer.answer("500 No", "x-should-retry: false\r\n", "no")
            .await;
    })
    .await;
    assert!(
        with_retries(&server, &RetryPolicy::default())
            .await
            .is_err()
    );
    assert_eq!(server.requests(), 1);
}
