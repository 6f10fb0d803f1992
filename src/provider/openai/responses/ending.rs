//! How a response ended and what it used, from the object that its last event carries.
//! Refuses to look at items: whether one of them is a refusal is known where they are decoded.

use super::wire::{Counts, Response};
use crate::{
    error::{Error, ErrorKind, Result},
    provider::{Stop, openai::failure},
    usage::Usage,
};

/// Why it stopped, and the vendor's word for it. `status` is what the event's name says, for
/// responses that do not say it themselves.
pub(super) fn of(response: &Response<'_>, status: &str) -> Result<(Stop, String)> {
    if let Some(error) = response.error.filter(|raw| raw.get() != "null") {
        let failure = failure::of_value(error.get());
        if !failure::is_refusal(&failure) {
            return Err(failure::in_stream(&failure));
        }
        let words = match failure.message.is_empty() {
            true => &failure.code,
            false => &failure.message,
        };
        let reason = words.to_string();
        return Ok((Stop::Refused { reason }, failure.code.to_string()));
    }
    let status = match response.status.is_empty() {
        true => status,
        false => &*response.status,
    };
    let reason = response.incomplete_details.as_ref().map(|d| &*d.reason);
    let (stop, raw) = match (status, reason) {
        ("completed", _) => (Stop::Done, status),
        ("incomplete", Some(raw @ "content_filter")) => {
            let reason = raw.to_owned();
            (Stop::Refused { reason }, raw)
        }
        // Whatever cut it off, its last part may be half.
        ("incomplete", reason) => (Stop::Length, reason.unwrap_or(status)),
        ("failed" | "cancelled", _) => {
            let message = format!("the server gave the answer up: `{status}`");
            return Err(Error::new(ErrorKind::Server, message).possibly_billed());
        }
        ("" | "queued" | "in_progress", _) => {
            let message = format!("this is not a finished answer: its status is `{status}`");
            return Err(Error::new(ErrorKind::Decode, message));
        }
        _ => (Stop::Unknown, status),
    };
    Ok((stop, raw.to_owned()))
}

/// OpenAI counts cached tokens into the input, and reasoning into the output.
pub(super) fn usage(counts: &Counts) -> Usage {
    let input = counts.input_tokens_details.as_ref();
    let cache_read = input.map_or(0, |d| d.cached_tokens.or_zero());
    let cache_write = input.map_or(0, |d| d.cache_write_tokens.or_zero());
    let whole = counts.input_tokens.or_zero();
    let output = counts.output_tokens_details.as_ref();
    Usage {
        input: whole.saturating_sub(cache_read.saturating_add(cache_write)),
        output: counts.output_tokens.or_zero(),
        cache_read,
        cache_write,
        reasoning: output.map_or(0, |d| d.reasoning_tokens.or_zero()),
        ..Usage::default()
    }
}
