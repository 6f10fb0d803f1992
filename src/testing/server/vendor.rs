//! Chooses the vendor's encoder, and says an answer's ending and errors the way that vendor does.
//! Refuses to know any wire form itself; each vendor has a file for it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{
    super::answer::{Answer, Ending, Piece},
    anthropic, chat, gemini, ollama,
    received::{Format, Received},
    reply::Cut,
    responses,
};
use crate::{
    error::{Error, ErrorKind},
    usage::Usage,
};

/// What a vendor says, before any fault of the reply.
pub(super) struct Spoken {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) frames: Vec<Bytes>,
    pub(super) streamed: bool,
    pub(super) pause: Option<Duration>,
    pub(super) stalls: Vec<(usize, Option<Duration>)>,
    pub(super) cut: Option<(usize, Cut)>,
}

/// An answer and what an encoder needs to know of the request.
pub(super) struct Ask<'a> {
    pub(super) answer: &'a Answer,
    /// The number of the request.
    pub(super) number: u64,
    /// The model that answers.
    pub(super) model: String,
    /// The body of the request.
    pub(super) body: Value,
    /// The query of the request.
    pub(super) query: &'a str,
    /// What was used; `None` when the vendor does not say.
    pub(super) used: Option<Usage>,
}

/// How a vendor refuses a request.
pub(super) struct Complaint<'a> {
    pub(super) status: u16,
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) request_id: &'a str,
    pub(super) retry_after: Option<Duration>,
}

/// The vendor's clock stands still, so that the same answer is the same bytes.
pub(super) const UNIX_TIME: u64 = 1_750_000_000;
/// The same moment, as Ollama writes it.
pub(super) const RFC_TIME: &str = "2025-06-15T15:06:40.000000Z";
pub(super) const SSE: &str = "text/event-stream; charset=utf-8";
const JSON: &str = "application/json";

impl Spoken {
    /// Bytes as they are.
    pub(super) fn bytes(body: Bytes) -> Self {
        Self::of(200, JSON, vec![body])
    }

    fn of(status: u16, content_type: &'static str, frames: Vec<Bytes>) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            frames,
            streamed: false,
            pause: None,
            stalls: Vec::new(),
            cut: None,
        }
    }
}

/// The answer as this request's vendor says it; a cut when it closes the connection instead.
pub(super) fn speak(answer: &Answer, request: &Received) -> Result<Spoken, Cut> {
    let format = request.format;
    let id = format!("req_{:06}", request.number);
    let body = request.json();
    if let Err(wrong) = readable(request.format, &body) {
        return complain(format, &Error::new(ErrorKind::BadRequest, wrong), &id);
    }
    if let Some(wrong) = unfit(answer, format) {
        let error = Error::new(ErrorKind::BadRequest, wrong);
        let mut spoken = complain(format, &error, &id)?;
        spoken.headers.push(("x-should-retry", "false".to_owned()));
        return Ok(spoken);
    }
    let streams = request.wants_stream_in(&body);
    match &answer.ending {
        Ending::Fail(0, error) => return complain(format, error, &id),
        Ending::Fail(_, error) if !streams => return complain(format, error, &id),
        _ => {}
    }
    let ask = Ask {
        answer,
        number: request.number,
        model: answer
            .model
            .clone()
            .unwrap_or_else(|| request.model_in(&body)),
        body,
        query: &request.query,
        used: answer.used(request.body.len()),
    };
    let mut spoken = if streams {
        stream(format, &ask)
    } else {
        whole(format, &ask)
    };
    spoken
        .headers
        .extend(id_header(format).map(|name| (name, id)));
    Ok(spoken)
}

fn stream(format: Format, ask: &Ask<'_>) -> Spoken {
    let (mut frames, content_type) = match format {
        Format::Anthropic => (anthropic::stream(ask), SSE),
        Format::Responses => (responses::stream(ask), SSE),
        Format::Chat => (chat::stream(ask), SSE),
        Format::Gemini => (gemini::stream(ask), gemini::content_type(ask.query)),
        Format::Ollama => (ollama::stream(ask), "application/x-ndjson"),
    };
    let mut stalls = Vec::new();
    match &ask.answer.ending {
        Ending::Stop => {}
        Ending::Break(n) => frames.truncate(*n),
        Ending::Stall(n) => {
            frames.truncate(*n);
            stalls.push((usize::MAX, None));
        }
        Ending::Fail(n, error) => {
            frames.truncate(*n);
            let complaint = Complaint::of(format, error, "");
            frames.push(match format {
                Format::Anthropic => anthropic::error_frame(&complaint),
                Format::Responses => responses::error_frame(&complaint, ask, *n),
                Format::Chat => chat::error_frame(&complaint),
                Format::Gemini => gemini::error_frame(&complaint, ask),
                Format::Ollama => ollama::error_frame(&complaint),
            });
        }
    }
    let frames = frames.into_iter().map(Bytes::from).collect();
    Spoken {
        streamed: true,
        pause: ask.answer.pause,
        stalls,
        ..Spoken::of(200, content_type, frames)
    }
}

fn whole(format: Format, ask: &Ask<'_>) -> Spoken {
    let body = match format {
        Format::Anthropic => anthropic::whole(ask),
        Format::Responses => responses::whole(ask),
        Format::Chat => chat::whole(ask),
        Format::Gemini => gemini::whole(ask),
        Format::Ollama => ollama::whole(ask),
    };
    let half = body.len() / 2;
    let mut spoken = Spoken::of(200, JSON, vec![body.into()]);
    match &ask.answer.ending {
        Ending::Stall(_) => spoken.stalls.push((half, None)),
        Ending::Break(_) => spoken.cut = Some((half, Cut::Close)),
        Ending::Stop | Ending::Fail(..) => {}
    }
    spoken
}

fn complain(format: Format, error: &Error, id: &str) -> Result<Spoken, Cut> {
    match error.kind() {
        ErrorKind::Connect => return Err(Cut::Reset),
        ErrorKind::Disconnected | ErrorKind::Cancelled => return Err(Cut::Close),
        _ => {}
    }
    let complaint = Complaint::of(format, error, error.request_id().unwrap_or(id));
    let body = match format {
        Format::Anthropic => anthropic::error(&complaint),
        Format::Responses | Format::Chat => chat::error(&complaint),
        Format::Gemini => gemini::error(&complaint),
        Format::Ollama => ollama::error(&complaint),
    };
    let mut spoken = Spoken::of(complaint.status, JSON, vec![body.into()]);
    let id = complaint.request_id.to_owned();
    spoken
        .headers
        .extend(id_header(format).map(|name| (name, id)));
    if let Some(wait) = complaint.retry_after {
        spoken.headers.push(if wait.subsec_nanos() == 0 {
            ("retry-after", wait.as_secs().to_string())
        } else {
            ("retry-after-ms", wait.as_millis().to_string())
        });
    }
    Ok(spoken)
}

impl<'a> Complaint<'a> {
    fn of(format: Format, error: &Error, request_id: &'a str) -> Self {
        let kind = error.kind();
        let message = match own_words(format, kind) {
            Some(words) => words.to_owned(),
            None => error.to_string(),
        };
        Self {
            status: error.status().unwrap_or_else(|| status(format, kind)),
            kind,
            message,
            request_id,
            retry_after: error.retry_after(),
        }
    }
}

/// The status with which a vendor reports a failure of this kind.
fn status(format: Format, kind: ErrorKind) -> u16 {
    use ErrorKind as K;
    match (kind, format) {
        (K::Auth, _) => 401,
        (K::Forbidden, _) => 403,
        (K::NotFound, _) => 404,
        (K::QuotaExhausted, Format::Anthropic) => 400,
        (K::QuotaExhausted | K::RateLimited, _) => 429,
        (K::Overloaded, Format::Anthropic) => 529,
        (K::Overloaded, _) => 503,
        (K::Timeout, _) => 504,
        (K::Limit, _) => 413,
        (K::Server | K::Bug | K::Io, _) => 500,
        _ => 400,
    }
}

/// The words by which clients must recognise what has no error type of its own.
fn own_words(format: Format, kind: ErrorKind) -> Option<&'static str> {
    match (kind, format) {
        (ErrorKind::ContextTooLong, Format::Anthropic) => {
            Some("prompt is too long: 208310 tokens > 200000 maximum")
        }
        (ErrorKind::ContextTooLong, Format::Responses) => Some(
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
        ),
        (ErrorKind::ContextTooLong, Format::Chat) => Some(
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens. Please reduce the length of the messages.",
        ),
        (ErrorKind::ContextTooLong, Format::Gemini) => Some(
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        (ErrorKind::ContextTooLong, Format::Ollama) => {
            Some("the input length exceeds the context length")
        }
        (ErrorKind::QuotaExhausted, Format::Anthropic) => Some(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        (ErrorKind::QuotaExhausted, Format::Responses | Format::Chat | Format::Gemini) => {
            Some("You exceeded your current quota, please check your plan and billing details.")
        }
        _ => None,
    }
}

fn id_header(format: Format) -> Option<&'static str> {
    match format {
        Format::Anthropic => Some("request-id"),
        Format::Responses | Format::Chat => Some("x-request-id"),
        Format::Gemini | Format::Ollama => None,
    }
}

/// Whether the request is one that this vendor would read at all.
fn readable(format: Format, body: &Value) -> Result<(), String> {
    if !body.is_object() {
        return Err("the body is not a JSON object".to_owned());
    }
    let (list, named) = match format {
        Format::Anthropic | Format::Chat | Format::Ollama => ("messages", true),
        Format::Responses => ("input", true),
        Format::Gemini => ("contents", false),
    };
    if body[list].is_null() {
        return Err(format!("missing field: `{list}`"));
    }
    if named && !body["model"].is_string() {
        return Err("missing field: `model`".to_owned());
    }
    if format == Format::Anthropic && !body["max_tokens"].is_u64() {
        return Err("missing field: `max_tokens`".to_owned());
    }
    Ok(())
}

/// Why an answer cannot be said on this wire.
fn unfit(answer: &Answer, format: Format) -> Option<String> {
    answer
        .pieces
        .iter()
        .find_map(|piece| match (piece, format) {
            (Piece::Raw(_), _) => Some("a raw delta has no form on a wire".to_owned()),
            (Piece::Opaque(_), Format::Chat | Format::Ollama) => {
                Some(format!("{format:?} has no blocks of its own"))
            }
            (Piece::Call(call), Format::Gemini | Format::Ollama)
                if serde_json::from_str::<Value>(&call.arguments).is_err() =>
            {
                Some(format!("{format:?} cannot send arguments that are no JSON"))
            }
            _ => None,
        })
}

/// Text as a JSON string.
pub(super) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// A JSON list of these texts.
pub(super) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}
