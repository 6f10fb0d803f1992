//! The vendor's errors as ours: bodies of failed answers, and errors inside good ones.
//! Refuses to decide about retries: it only says what went wrong.

use std::time::Duration;

use super::wire::{Detail, Failure, FailureWords};
use crate::{
    error::{Error, ErrorKind},
    http::{Reply, kind_of_status},
};

/// The vendor's own words, up to so many characters; they may quote what was sent.
const MAX_WORDS: usize = 300;
/// A longer wait than this is not believed.
const MAX_WAIT: f64 = 7.0 * 86_400.0;

/// The error of an answer whose status is not a success.
pub(super) fn of_reply(reply: &Reply<'_>) -> Error {
    make(reply.body, Some(reply.status))
}

/// The error that came in a frame after a good status.
pub(super) fn in_stream(data: &str) -> Error {
    // The request was taken, so that something may have been charged.
    make(data, None).possibly_billed()
}

fn make(body: &str, status: Option<u16>) -> Error {
    let body = body.trim();
    // Without `alt=sse` everything comes as a list, errors too.
    let failure: Option<Failure<'_>> = match body.starts_with('[') {
        true => serde_json::from_str::<Vec<_>>(body)
            .ok()
            .and_then(|list| list.into_iter().next()),
        false => serde_json::from_str(body).ok(),
    };
    let Some(FailureWords {
        code,
        message,
        status: word,
        details,
    }) = failure.map(|failure| failure.error)
    else {
        return finish(by_status(status), body, status);
    };
    let message = message.unwrap_or_default().0;
    let word = word.unwrap_or_default().0;
    let details: Vec<Detail> = details
        .unwrap_or_default()
        .iter()
        .filter_map(|raw| serde_json::from_str(raw.get()).ok())
        .collect();
    let kind = kind(&word, &message, &details).unwrap_or_else(|| by_status(status.or(code)));
    let text = if message.is_empty() { &word } else { &message };
    let error = finish(kind, text, status);
    match details.iter().find_map(wait) {
        Some(wait) if kind != ErrorKind::QuotaExhausted => error.with_retry_after(wait),
        _ => error,
    }
}

fn finish(kind: ErrorKind, text: &str, status: Option<u16>) -> Error {
    let what = match kind {
        ErrorKind::Auth => "Gemini does not accept the key",
        ErrorKind::Forbidden => "Gemini does not allow this with this key",
        ErrorKind::NotFound => "Gemini does not know this model or address",
        ErrorKind::ContextTooLong => "the request does not fit the model",
        ErrorKind::RateLimited => "Gemini wants fewer requests",
        ErrorKind::QuotaExhausted => "the Gemini account has nothing left",
        ErrorKind::Overloaded => "Gemini is overloaded",
        ErrorKind::Timeout => "Gemini took too long",
        ErrorKind::BadRequest => "Gemini refuses the request",
        _ => "Gemini failed",
    };
    let text: String = match text {
        "" => format!("status {}", status.unwrap_or_default()),
        text => text.chars().take(MAX_WORDS).collect(),
    };
    let mut error = Error::new(kind, format!("{what}: `{text}`"));
    if let Some(status) = status {
        error = error.with_status(status);
    }
    match kind {
        ErrorKind::Auth => error.with_hint("look at GEMINI_API_KEY or GOOGLE_API_KEY"),
        ErrorKind::QuotaExhausted => {
            error.with_hint("look at the plan and the limits in AI Studio")
        }
        _ => error,
    }
}

fn kind(word: &str, message: &str, details: &[Detail]) -> Option<ErrorKind> {
    let text = message.to_ascii_lowercase();
    let too_long = (text.contains("token count") && text.contains("exceed"))
        || text.contains("context is too long")
        || text.contains("payload size exceeds");
    let because = |word: &str| {
        let mut reasons = details.iter().filter_map(|detail| detail.reason.as_deref());
        reasons.any(|reason| reason.starts_with(word))
    };
    let kind = match word {
        _ if too_long => ErrorKind::ContextTooLong,
        "UNAUTHENTICATED" => ErrorKind::Auth,
        "INVALID_ARGUMENT" | "PERMISSION_DENIED" if because("API_KEY_") => ErrorKind::Auth,
        "PERMISSION_DENIED" => ErrorKind::Forbidden,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => ErrorKind::BadRequest,
        "NOT_FOUND" => ErrorKind::NotFound,
        "RESOURCE_EXHAUSTED" if is_spent(&text, details) => ErrorKind::QuotaExhausted,
        "RESOURCE_EXHAUSTED" => ErrorKind::RateLimited,
        "UNAVAILABLE" => ErrorKind::Overloaded,
        "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        "INTERNAL" | "UNKNOWN" | "ABORTED" | "CANCELLED" => ErrorKind::Server,
        _ => return None,
    };
    Some(kind)
}

/// Whether waiting a little cannot help: the quota of a day, or one of nothing at all.
fn is_spent(text: &str, details: &[Detail]) -> bool {
    let mut quotas = details
        .iter()
        .flat_map(|detail| detail.violations.as_deref().unwrap_or_default())
        .filter_map(|violation| violation.quota_id.as_deref());
    quotas.any(|quota| quota.contains("PerDay"))
        || text
            .lines()
            .any(|line| line.trim_end().ends_with("limit: 0"))
        || text.contains("limit: 0,")
}

/// `RetryInfo.retryDelay`: seconds with a fraction and an `s`.
fn wait(detail: &Detail) -> Option<Duration> {
    let seconds: f64 = detail
        .retry_delay
        .as_deref()?
        .strip_suffix('s')?
        .parse()
        .ok()?;
    let believed = seconds > 0.0 && seconds <= MAX_WAIT; // false for NaN
    believed.then(|| Duration::from_secs_f64(seconds))
}

fn by_status(status: Option<u16>) -> ErrorKind {
    status.map_or(ErrorKind::Server, kind_of_status)
}
