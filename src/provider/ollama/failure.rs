//! Ollama's errors as ours: bodies of failed answers, and the `error` line inside good ones.
//! Refuses to decide about retries: it only says what went wrong.

use serde::Deserialize;

use crate::{
    error::{Error, ErrorKind},
    http::{Reply, kind_of_status},
    provider::lenient::Text,
};

/// The server's own words, up to so many characters.
const MAX_WORDS: usize = 300;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    error: Text<'a>,
}

/// The error of an answer whose status is not a success.
pub(super) fn of_reply(reply: &Reply<'_>) -> Error {
    let words = match serde_json::from_str::<Body<'_>>(reply.body) {
        Ok(body) if !body.error.is_empty() => body.error.0,
        _ => reply.body.trim().into(),
    };
    make(&words, Some(reply.status)).with_status(reply.status)
}

/// The error that came after a good status.
pub(super) fn in_stream(words: &str) -> Error {
    make(words, None).possibly_billed()
}

fn make(words: &str, status: Option<u16>) -> Error {
    let kind = kind(words, status);
    let what = match kind {
        ErrorKind::NotFound => "Ollama does not have this model",
        ErrorKind::ContextTooLong => "the request does not fit the model",
        ErrorKind::Overloaded => "Ollama is overloaded",
        ErrorKind::BadRequest => "Ollama refuses the request",
        ErrorKind::Auth => "Ollama does not accept the key",
        _ => "Ollama failed",
    };
    let words: String = match (words, status) {
        ("", Some(status)) => format!("status {status}"),
        (words, _) => words.chars().take(MAX_WORDS).collect(),
    };
    Error::new(kind, format!("{what}: `{words}`"))
}

/// Ollama has no codes; inside a stream its words are all there is.
fn kind(words: &str, status: Option<u16>) -> ErrorKind {
    let says = |sayings: &[&str]| sayings.iter().any(|saying| words.contains(saying));
    if says(&[
        "exceeds the available context size",
        "exceeds maximum context length",
        "input length exceeds",
        "prompt too long",
        "prompt is too long",
    ]) {
        return ErrorKind::ContextTooLong;
    }
    match status {
        Some(status) => kind_of_status(status),
        None if says(&["not found, try pulling", "model not found"]) => ErrorKind::NotFound,
        None if says(&["does not support", "invalid "]) => ErrorKind::BadRequest,
        None if says(&["server busy", "pending requests exceeded"]) => ErrorKind::Overloaded,
        None => ErrorKind::Server,
    }
}
