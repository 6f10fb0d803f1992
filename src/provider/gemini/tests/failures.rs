//! Errors, by status and inside an answer: which kind each one is, and the wait it asks for.
//! Refuses to retry; that is decided far above.

use super::*;

// Errors.

fn reply(status: u16, body: &str) -> Error {
    failure::of_reply(&crate::http::Reply { status, body })
}

#[test]
fn errors_are_classified_by_their_status_word_wherever_they_come() {
    use ErrorKind as K;
    let too_long =
        "The input token count (2845475) exceeds the maximum number of tokens allowed (1048576).";
    let info =
        |reason| json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
    let none = json!([]);
    let quota = |id| json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]}]);
    let rows = [
        (400, "INVALID_ARGUMENT", "odd", none.clone(), K::BadRequest),
        (
            400,
            "INVALID_ARGUMENT",
            too_long,
            none.clone(),
            K::ContextTooLong,
        ),
        (
            400,
            "INVALID_ARGUMENT",
            "API key not valid",
            info("API_KEY_INVALID"),
            K::Auth,
        ),
        (
            400,
            "FAILED_PRECONDITION",
            "not where you are",
            none.clone(),
            K::BadRequest,
        ),
        (401, "UNAUTHENTICATED", "no", none.clone(), K::Auth),
        (403, "PERMISSION_DENIED", "no", none.clone(), K::Forbidden),
        (
            403,
            "PERMISSION_DENIED",
            "no",
            info("API_KEY_SERVICE_BLOCKED"),
            K::Auth,
        ),
        (
            404,
            "NOT_FOUND",
            "models/x is not found",
            none.clone(),
            K::NotFound,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "slow down",
            quota("RequestsPerMinute"),
            K::RateLimited,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "come back",
            quota("GenerateRequestsPerDayPerProject"),
            K::QuotaExhausted,
        ),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "Quota exceeded, limit: 0, model: x",
            none.clone(),
            K::QuotaExhausted,
        ),
        (500, "INTERNAL", "oops", none.clone(), K::Server),
        (
            503,
            "UNAVAILABLE",
            "The model is overloaded",
            none.clone(),
            K::Overloaded,
        ),
        (
            504,
            "DEADLINE_EXCEEDED",
            "too slow",
            none.clone(),
            K::Timeout,
        ),
        (418, "BRAND_NEW", "tea", none, K::BadRequest),
    ];
    let (frames, _) = everything();
    for (status, word, message, details, kind) in rows {
        let body = json!({"error": {"code": status, "message": message, "status": word, "details": details}});
        let error = reply(status, &body.to_string());
        assert_eq!(error.kind(), kind, "{word} {message}");
        assert_eq!(error.status(), Some(status));
        assert!(error.to_string().contains(message));
        let listed = reply(status, &json!([body]).to_string());
        assert_eq!(listed.kind(), kind);
        for at in 0..=frames.len() {
            let mut frames = frames.clone();
            frames.insert(at, body.clone());
            let error = try_run(&frames).unwrap_err();
            assert_eq!(error.kind(), kind, "{word} at {at}");
            assert!(error.is_possibly_billed());
        }
    }
    assert_eq!(reply(502, "<html>").kind(), K::Server);
    assert_eq!(
        reply(429, "").to_string(),
        "Gemini wants fewer requests: `status 429`"
    );
}

#[test]
fn the_asked_wait_is_read_from_the_details() {
    let wait = |delay: &str| {
        let details = json!([{"@type": "x", "links": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]);
        let body = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": details}});
        reply(429, &body.to_string()).retry_after()
    };
    assert_eq!(wait("34s"), Some(Duration::from_secs(34)));
    assert_eq!(
        wait("34.074824224s"),
        Some(Duration::from_secs_f64(34.074824224))
    );
    for bad in ["", "s", "34", "-1s", "0s", "NaNs", "infs", "1e300s"] {
        assert_eq!(wait(bad), None, "{bad}");
    }
}
