//! Errors in OpenAI's form as ours: bodies of failed answers, and error objects inside good ones.
//! Refuses to decide about retries: it only says what went wrong.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    error::{Error, ErrorKind},
    http::{Reply, kind_of_status},
    provider::lenient::Text,
};

/// The server's own words, up to so many characters; they may quote what was sent.
const MAX_WORDS: usize = 300;

/// Words longer than this may be a key that the server quotes; in errors about keys they are cut.
const MAX_WORD: usize = 24;

/// An error object. Compatible servers leave out all but one of these, whichever it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Failure<'a> {
    #[serde(borrow)]
    pub(super) code: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) message: Text<'a>,
}

/// The shapes of a whole body: an object with an error, a bare error, a framework's `detail`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    detail: Text<'a>,
}

/// Reads `{"error": {…}}`, `{"error": "…"}` and `{"code": …, "message": …}` alike.
pub(super) fn read(json: &str) -> Option<Failure<'_>> {
    let body: Body<'_> = serde_json::from_str(json).ok()?;
    if let Some(raw) = body.error.filter(|raw| raw.get() != "null") {
        return Some(of_value(raw.get()));
    }
    let message = match body.message.is_empty() {
        true => body.detail,
        false => body.message,
    };
    let (code, kind) = (body.code, body.kind);
    Some(Failure {
        code,
        kind,
        message,
    })
}

/// Reads what stands under `error`: an object, or only a text.
pub(super) fn of_value(json: &str) -> Failure<'_> {
    serde_json::from_str(json).unwrap_or_else(|_| Failure {
        message: serde_json::from_str(json).unwrap_or_default(),
        ..Failure::default()
    })
}

/// The error of an answer whose status is not a success.
pub(super) fn of_reply(reply: &Reply<'_>) -> Error {
    match read(reply.body) {
        Some(failure) => make(&failure, Some(reply.status)),
        None => {
            let message = Text(reply.body.trim().into());
            let failure = Failure {
                message,
                ..Failure::default()
            };
            make(&failure, Some(reply.status))
        }
    }
}

/// The error that came after a good status: the request was taken, and may have been charged.
pub(super) fn in_stream(failure: &Failure<'_>) -> Error {
    make(failure, None).possibly_billed()
}

/// Whether this says that the content, not the request, was the trouble.
pub(super) fn is_refusal(failure: &Failure<'_>) -> bool {
    const WORDS: [&str; 7] = [
        "content_filter",
        "content_policy_violation",
        "image_content_policy_violation",
        "invalid_prompt",
        "bio_policy",
        "cyber_policy",
        "safety",
    ];
    WORDS.contains(&&*failure.code) || WORDS.contains(&&*failure.kind)
}

fn make(failure: &Failure<'_>, status: Option<u16>) -> Error {
    // Gateways put the upstream's status where others put a word.
    let inner = failure.code.parse().ok().filter(|c| (400..600).contains(c));
    let kind = kind(failure, status, inner);
    let what = match kind {
        ErrorKind::Auth => "the server does not accept the key",
        ErrorKind::Forbidden => "the server does not allow this with this key",
        ErrorKind::NotFound => "the server does not know this model or address",
        ErrorKind::ContextTooLong => "the request does not fit the model",
        ErrorKind::RateLimited => "the server wants fewer requests",
        ErrorKind::QuotaExhausted => "the account has nothing left",
        ErrorKind::Overloaded => "the server is overloaded",
        ErrorKind::Timeout => "the server took too long",
        ErrorKind::BadRequest => "the server refuses the request",
        _ => "the server failed",
    };
    let words = match (&*failure.message, &*failure.code, &*failure.kind) {
        ("", "", "") => format!("status {}", status.unwrap_or_default()),
        ("", "", word) | ("", word, _) => word.to_owned(),
        (text, ..) if kind == ErrorKind::Auth => shorten(text),
        (text, ..) => text.chars().take(MAX_WORDS).collect(),
    };
    let mut error = Error::new(kind, format!("{what}: `{words}`"));
    if let Some(status) = status {
        error = error.with_status(status);
    }
    if let Some(wait) = wait(&failure.message) {
        error = error.with_retry_after(wait);
    }
    match kind {
        ErrorKind::Auth => error.with_hint("look at OPENAI_API_KEY, or the builder's api_key"),
        ErrorKind::QuotaExhausted => error.with_hint("look at the plan and the billing details"),
        _ => error,
    }
}

fn kind(failure: &Failure<'_>, status: Option<u16>, inner: Option<u16>) -> ErrorKind {
    if too_long(&failure.message) {
        return ErrorKind::ContextTooLong;
    }
    let by_word = |word: &str| {
        Some(match word {
            "context_length_exceeded" | "exceed_context_size_error" | "string_above_max_length" => {
                ErrorKind::ContextTooLong
            }
            "insufficient_quota"
            | "billing_hard_limit_reached"
            | "billing_not_active"
            | "insufficient_balance"
            | "budget_exceeded" => ErrorKind::QuotaExhausted,
            "invalid_api_key" | "authentication_error" | "invalid_authentication" => {
                ErrorKind::Auth
            }
            "model_not_found" | "not_found_error" | "NotFoundError" => ErrorKind::NotFound,
            "rate_limit_exceeded" | "rate_limit_error" | "too_many_requests" | "slow_down" => {
                ErrorKind::RateLimited
            }
            "overloaded" | "overloaded_error" | "engine_overloaded" | "server_is_overloaded" => {
                ErrorKind::Overloaded
            }
            "server_error" | "internal_error" | "internal_server_error" | "api_error" => {
                ErrorKind::Server
            }
            "vector_store_timeout" => ErrorKind::Timeout,
            "permission_denied" | "permission_error" | "unsupported_country_region_territory" => {
                ErrorKind::Forbidden
            }
            "invalid_prompt" | "BadRequestError" | "content_filter" | "bio_policy"
            | "cyber_policy" => ErrorKind::BadRequest,
            word if word.starts_with("invalid_") => ErrorKind::BadRequest,
            _ => return None,
        })
    };
    // The code is more exact than the type: `invalid_request_error` is the type of nearly all.
    by_word(&failure.code)
        .or_else(|| by_word(&failure.kind).filter(|kind| *kind != ErrorKind::BadRequest))
        .or_else(|| status.or(inner).map(kind_of_status))
        .or_else(|| by_word(&failure.kind))
        .unwrap_or(ErrorKind::Server)
}

/// How servers say that a prompt does not fit, where they have no code for it.
pub(in crate::provider) fn too_long(message: &str) -> bool {
    const SAYINGS: [&str; 8] = [
        "maximum context length",
        "exceeds the context window",
        "exceeds the available context size",
        "exceed context limit",
        "prompt is too long",
        "input length and `max_tokens` exceed",
        "longer than the model's context length",
        // More tokens than the account may send in a minute: waiting does not help, compacting does.
        "Request too large for",
    ];
    SAYINGS.iter().any(|saying| message.contains(saying))
}

/// The wait in `Please try again in 1.2s` or `… in 350ms`, where an event has no headers for it.
fn wait(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("try again in ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = rest.split_at(end);
    let number: f64 = number.parse().ok()?;
    let seconds = match unit {
        unit if unit.starts_with("ms") => number / 1000.0,
        unit if unit.starts_with('s') => number,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

fn shorten(text: &str) -> String {
    // What may be a key is long, or has digits among its letters.
    let may_be_key = |word: &str| {
        word.len() > MAX_WORD
            || word.len() > MAX_WORD / 2 && word.bytes().any(|b| b.is_ascii_digit())
    };
    let words = text
        .split_whitespace()
        .map(|word| if may_be_key(word) { "…" } else { word });
    let joined = words.collect::<Vec<_>>().join(" ");
    joined.chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Error {
        of_reply(&Reply { status, body })
    }

    #[test]
    fn bodies_become_kinds() {
        use ErrorKind as K;
        for (status, body, expected) in [
            (
                400,
                r#"{"error":{"code":"context_length_exceeded","type":"invalid_request_error","message":"x"}}"#,
                K::ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens"}}"#,
                K::ContextTooLong,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"x","type":"exceed_context_size_error","n_ctx":4096}}"#,
                K::ContextTooLong,
            ),
            (
                429,
                r#"{"error":{"code":"rate_limit_exceeded","type":"tokens","message":"Request too large for gpt-5"}}"#,
                K::ContextTooLong,
            ),
            (
                429,
                r#"{"error":{"code":"insufficient_quota","type":"insufficient_quota","message":"x"}}"#,
                K::QuotaExhausted,
            ),
            (
                429,
                r#"{"error":{"code":"rate_limit_exceeded","type":"requests","message":"x"}}"#,
                K::RateLimited,
            ),
            (429, "slow down", K::RateLimited),
            (
                401,
                r#"{"error":{"code":"invalid_api_key","type":"invalid_request_error","message":"x"}}"#,
                K::Auth,
            ),
            (
                400,
                r#"{"error":{"code":"invalid_api_key","message":"x"}}"#,
                K::Auth,
            ),
            (
                404,
                r#"{"error":{"code":"model_not_found","type":"invalid_request_error"}}"#,
                K::NotFound,
            ),
            (
                404,
                r#"{"object":"error","message":"The model `x` does not exist","type":"NotFoundError","code":404}"#,
                K::NotFound,
            ),
            (
                500,
                r#"{"error":{"type":"server_error","message":"x"}}"#,
                K::Server,
            ),
            (503, "", K::Overloaded),
            (
                402,
                r#"{"error":{"code":402,"message":"credits"}}"#,
                K::QuotaExhausted,
            ),
            (
                422,
                r#"{"detail":[{"loc":["body"],"msg":"x"}]}"#,
                K::BadRequest,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","message":"x"}}"#,
                K::BadRequest,
            ),
            (400, r#"{"error":"only words"}"#, K::BadRequest),
            (418, "<html>", K::BadRequest),
            (502, "<html>", K::Server),
        ] {
            let error = reply(status, body);
            assert_eq!(error.kind(), expected, "{status} {body}");
            assert_eq!(error.status(), Some(status));
        }
    }

    #[test]
    fn errors_inside_good_answers_become_the_same_kinds() {
        for (json, expected) in [
            (
                r#"{"error":{"code":429,"message":"x"}}"#,
                ErrorKind::RateLimited,
            ),
            (r#"{"error":{"code":502,"message":"x"}}"#, ErrorKind::Server),
            (
                r#"{"error":{"code":"rate_limit_exceeded"}}"#,
                ErrorKind::RateLimited,
            ),
            (r#"{"error":"boom"}"#, ErrorKind::Server),
            (
                r#"{"type":"error","code":"server_error","message":"x","param":null}"#,
                ErrorKind::Server,
            ),
            (
                r#"{"error":{"type":"invalid_request_error","message":"x"}}"#,
                ErrorKind::BadRequest,
            ),
        ] {
            let error = in_stream(&read(json).unwrap());
            assert_eq!(error.kind(), expected, "{json}");
            assert!(error.is_possibly_billed());
        }
    }

    #[test]
    fn a_wait_in_words_is_heard() {
        let error = |text: &str| {
            let body =
                format!(r#"{{"error":{{"code":"rate_limit_exceeded","message":"{text}"}}}}"#);
            reply(429, &body).retry_after()
        };
        assert_eq!(
            error("Please try again in 11.054s. More"),
            Some(Duration::from_millis(11_054))
        );
        assert_eq!(
            error("try again in 350ms"),
            Some(Duration::from_millis(350))
        );
        assert_eq!(error("try again in a while"), None);
        assert_eq!(error("try again in 9"), None);
    }

    #[test]
    fn a_quoted_key_is_not_repeated() {
        let body = r#"{"error":{"message":"Invalid token passed. Received API Key = sk-1234567890abcdefghij, sorry"}}"#;
        let error = reply(401, body);
        assert!(!format!("{error} {error:?}").contains("sk-1234567890"));
        assert!(error.to_string().contains("Invalid token passed"));
        let long = "w".repeat(5_000);
        assert!(reply(400, &long).to_string().len() < 400);
    }
}
