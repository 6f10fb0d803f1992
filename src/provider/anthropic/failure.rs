//! The vendor's errors as ours: bodies of failed answers, and the `error` event inside good ones.
//! Refuses to decide about retries: it only says what went wrong.

use super::wire::{Failure, FailureDetails};
use crate::{
    error::{Error, ErrorKind},
    http::{Reply, kind_of_status},
};

/// The vendor's own words, up to so many characters; they may quote what was sent.
const MAX_WORDS: usize = 300;

/// The error of an answer whose status is not a success.
pub(super) fn of_reply(reply: &Reply<'_>) -> Error {
    make(reply.body, Some(reply.status))
}

/// The error that came as an event after a good status.
pub(super) fn in_stream(data: &str) -> Error {
    // The request was taken, so that something may have been charged.
    make(data, None).possibly_billed()
}

fn make(body: &str, status: Option<u16>) -> Error {
    let failure = serde_json::from_str::<Failure<'_>>(body).ok();
    let (word, text) = match &failure {
        Some(failure) => (&*failure.error.kind, &*failure.error.message),
        None => ("", body.trim()),
    };
    let details = failure.as_ref().and_then(|failure| failure.error.details);
    let details =
        details.and_then(|raw| serde_json::from_str::<FailureDetails<'_>>(raw.get()).ok());
    let code = details
        .and_then(|details| details.error_code)
        .unwrap_or_default()
        .0;
    let kind = kind(word, &code, text, status);
    let what = match kind {
        ErrorKind::Auth => "Anthropic does not accept the key",
        ErrorKind::Forbidden => "Anthropic does not allow this with this key",
        ErrorKind::NotFound => "Anthropic does not know this model or address",
        ErrorKind::ContextTooLong => "the request does not fit the model",
        ErrorKind::RateLimited => "Anthropic wants fewer requests",
        ErrorKind::QuotaExhausted => "the Anthropic account has nothing left",
        ErrorKind::Overloaded => "Anthropic is overloaded",
        ErrorKind::Timeout => "Anthropic took too long",
        ErrorKind::BadRequest => "Anthropic refuses the request",
        _ => "Anthropic failed",
    };
    let text = match (text, word) {
        ("", "") => format!("status {}", status.unwrap_or_default()),
        ("", word) => word.to_owned(),
        (text, _) => text.chars().take(MAX_WORDS).collect(),
    };
    let mut error = Error::new(kind, format!("{what}: `{text}`"));
    if let Some(status) = status {
        error = error.with_status(status);
    }
    if let Some(id) = failure.and_then(|failure| failure.request_id) {
        error = error.with_request_id(id.0);
    }
    match kind {
        ErrorKind::Auth => error.with_hint("look at ANTHROPIC_API_KEY"),
        ErrorKind::QuotaExhausted => {
            error.with_hint("look at the plan and the limits in the console")
        }
        _ => error,
    }
}

/// `code` is the newer and finer word; the text is looked at only where both say too little.
fn kind(word: &str, code: &str, text: &str, status: Option<u16>) -> ErrorKind {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    match word {
        // Comes as a rate limit, but no wait of ours outlasts it.
        _ if code.ends_with("spend_limit_reached") => ErrorKind::QuotaExhausted,
        _ if code == "request_body_too_large_after_decoding" => ErrorKind::ContextTooLong,
        "invalid_request_error" if says(&["prompt is too long", "exceed context limit"]) => {
            ErrorKind::ContextTooLong
        }
        "invalid_request_error" if says(&["credit balance is too low", "API usage limits"]) => {
            ErrorKind::QuotaExhausted
        }
        "invalid_request_error" => ErrorKind::BadRequest,
        "authentication_error" => ErrorKind::Auth,
        "billing_error" => ErrorKind::QuotaExhausted,
        "permission_error" => ErrorKind::Forbidden,
        "not_found_error" => ErrorKind::NotFound,
        "request_too_large" => ErrorKind::ContextTooLong,
        "rate_limit_error" => ErrorKind::RateLimited,
        "timeout_error" => ErrorKind::Timeout,
        "overloaded_error" => ErrorKind::Overloaded,
        "api_error" => ErrorKind::Server,
        _ => status.map_or(ErrorKind::Server, kind_of_status),
    }
}
