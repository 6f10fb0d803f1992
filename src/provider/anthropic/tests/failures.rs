//! Errors, by status and inside an answer: which kind each one is.
//! Refuses to retry; that is decided far above.

use super::*;

// Errors.

#[test]
fn errors_are_classified_by_their_type_wherever_they_come() {
    use ErrorKind as K;
    let rows = [
        (
            400,
            "invalid_request_error",
            "messages: too odd",
            K::BadRequest,
        ),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 210000 tokens > 200000",
            K::ContextTooLong,
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 1",
            K::ContextTooLong,
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low",
            K::QuotaExhausted,
        ),
        (401, "authentication_error", "invalid x-api-key", K::Auth),
        (402, "billing_error", "no", K::QuotaExhausted),
        (403, "permission_error", "no", K::Forbidden),
        (404, "not_found_error", "model: x", K::NotFound),
        (
            413,
            "request_too_large",
            "Request exceeds the maximum size",
            K::ContextTooLong,
        ),
        (429, "rate_limit_error", "slow down", K::RateLimited),
        (500, "api_error", "Internal server error", K::Server),
        (504, "timeout_error", "too slow", K::Timeout),
        (529, "overloaded_error", "Overloaded", K::Overloaded),
    ];
    let (frames, _) = everything();
    for (status, word, message, kind) in rows {
        let body = json!({"type": "error", "error": {"type": word, "message": message},
            "request_id": "req_1"});
        let text = body.to_string();
        let error = failure::of_reply(&crate::http::Reply {
            status,
            body: &text,
        });
        assert_eq!(error.kind(), kind, "{word}");
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.request_id(), Some("req_1"));
        assert!(error.to_string().contains(message));
        assert!(!error.is_possibly_billed());
        // Row P9: the same inside a stream, at every position.
        for at in 0..frames.len() {
            let mut frames = frames.clone();
            frames.insert(at, frame(body.clone()));
            let error = try_run(&frames).unwrap_err();
            assert_eq!(error.kind(), kind, "{word} at {at}");
            assert!(error.is_possibly_billed());
        }
    }
}

#[test]
fn a_spend_limit_is_no_rate_limit() {
    let kind = |details: Value| {
        let error = json!({"type": "rate_limit_error", "message": "m", "details": details});
        let body = json!({"type": "error", "error": error}).to_string();
        let status = 429;
        failure::of_reply(&crate::http::Reply {
            status,
            body: &body,
        })
        .kind()
    };
    let spent = json!({"error_code": "contract_spend_limit_reached"});
    assert_eq!(kind(spent), ErrorKind::QuotaExhausted);
    let other = json!({"error_code": "ramp_limit_exceeded"});
    for details in [other, json!(null), json!("odd"), json!({"error_code": 7})] {
        assert_eq!(kind(details), ErrorKind::RateLimited);
    }
}

#[test]
fn errors_of_others_are_classified_by_status() {
    use ErrorKind as K;
    let kind = |status, body: &str| {
        let error = failure::of_reply(&crate::http::Reply { status, body });
        (error.kind(), error.to_string())
    };
    let page = format!("<html>{}</html>", "x".repeat(5000));
    for (status, expected) in [
        (400, K::BadRequest),
        (401, K::Auth),
        (404, K::NotFound),
        (408, K::Timeout),
        (409, K::Server),
        (413, K::ContextTooLong),
        (422, K::BadRequest),
        (429, K::RateLimited),
        (502, K::Server),
        (503, K::Overloaded),
        (529, K::Overloaded),
    ] {
        let (got, text) = kind(status, &page);
        assert_eq!(got, expected, "{status}");
        assert!(text.len() < 500);
    }
    assert_eq!(
        kind(500, ""),
        (K::Server, "Anthropic failed: `status 500`".into())
    );
    let unreadable = try_run(&[("error", "not JSON".into())]).unwrap_err();
    assert_eq!(unreadable.kind(), K::Server);
}
