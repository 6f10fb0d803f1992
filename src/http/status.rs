//! Judges an answer by its head: what a status means, whether the content can be this API's.
//! Refuses to know a vendor's words; those are asked first.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION},
};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    Call, Framing, Reply,
    body::Body,
    limits,
    secrets::{Secrets, excerpt},
};
use crate::error::{Error, ErrorKind, Result};

/// So much of an answer that is an error is read.
const ERROR_BODY: usize = 64 << 10;
/// So long is waited for the rest of it.
const ERROR_WAIT: Duration = Duration::from_secs(5);
/// Where vendors put their name for a request.
const REQUEST_IDS: [&str; 3] = ["x-request-id", "request-id", "x-goog-request-id"];

/// What a status means where the vendor's own words say nothing.
pub(crate) fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Auth,
        402 => ErrorKind::QuotaExhausted,
        403 => ErrorKind::Forbidden,
        404 | 405 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        413 => ErrorKind::ContextTooLong,
        429 => ErrorKind::RateLimited,
        503 | 529 => ErrorKind::Overloaded,
        // 409 and 499 say that the vendor did not manage, not that the request is wrong.
        409 | 499 => ErrorKind::Server,
        400..=498 => ErrorKind::BadRequest,
        _ => ErrorKind::Server,
    }
}

/// An answer's head, kept while its body is read.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// What the first bytes of a good answer are.
enum Look {
    Answer,
    /// An error object, perhaps.
    Json,
    Foreign,
}

impl Head {
    /// Takes it off an answer.
    pub(super) fn of(response: &mut Response) -> Self {
        Self {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
        }
    }

    /// Whether the answer looks good before a byte of its body came.
    pub(super) fn is_promising(&self, framing: Framing) -> bool {
        self.status.is_success() && matches!(self.look(None, framing), Look::Answer)
    }

    /// Whether the answer is one; else the error that it is.
    ///
    /// Cancel safety: the body is lost with the future.
    pub(super) async fn check(
        &self,
        body: &mut Body,
        call: &Call,
        url: &reqwest::Url,
    ) -> Result<()> {
        // Only for an error: most answers are none.
        let secrets = || Secrets::of(call, url);
        if !self.status.is_success() {
            let start = read_start(body).await;
            return Err(self.classify(&start, call, &secrets()));
        }
        let first = body.peek().await?;
        match self.look(first.as_ref(), call.framing) {
            Look::Answer => Ok(()),
            Look::Json => {
                let start = read_start(body).await;
                if has_error(&start) {
                    Err(self.classify(&start, call, &secrets()).possibly_billed())
                } else {
                    Err(self.foreign(&start, &secrets()))
                }
            }
            Look::Foreign => {
                let start = read_start(body).await;
                Err(self.foreign(&start, &secrets()))
            }
        }
    }

    fn classify(&self, body: &[u8], call: &Call, secrets: &Secrets) -> Error {
        let status = self.status.as_u16();
        let error = if self.status.is_redirection() {
            self.redirect()
        } else {
            let text = secrets.out_of(&String::from_utf8_lossy(body));
            (call.classify)(&Reply {
                status,
                body: &text,
            })
        };
        self.complete(error)
    }

    /// Puts on the vendor's error what stands in the headers.
    fn complete(&self, mut error: Error) -> Error {
        if error.status().is_none() {
            error = error.with_status(self.status.as_u16());
        }
        let header = |name| self.headers.get(name)?.to_str().ok();
        if error.request_id().is_none()
            && let Some(id) = REQUEST_IDS.into_iter().find_map(header)
        {
            error = error.with_request_id(id);
        }
        if error.retry_after().is_none()
            && let Some(wait) = limits::retry_after(&self.headers)
        {
            error = error.with_retry_after(wait);
        }
        match limits::should_retry(&self.headers) {
            Some(true) => error.worth_retrying(),
            Some(false) => error.not_worth_retrying(),
            None => error,
        }
    }

    fn redirect(&self) -> Error {
        let to = self.headers.get(LOCATION).and_then(|to| to.to_str().ok());
        let host = to.and_then(|to| reqwest::Url::parse(to).ok()?.host_str().map(str::to_owned));
        let text = format!(
            "the address leads elsewhere: `status {}, {}`",
            self.status.as_u16(),
            host.as_deref().unwrap_or("another path"),
        );
        Error::new(ErrorKind::Config, text)
            .with_hint("use the final address as base URL: keys are not sent on to another place")
    }

    fn look(&self, first: Option<&Bytes>, framing: Framing) -> Look {
        let encoding = self.headers.get(CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            return Look::Foreign;
        }
        // The first chunk may end anywhere, but never before its first byte.
        let start = first.map_or(&b""[..], |chunk| chunk);
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let start = start.trim_ascii_start().first();
        match (framing, start) {
            (_, Some(b'<' | 0x1f)) => Look::Foreign,
            (Framing::Sse, Some(b'{' | b'[')) => Look::Json,
            (Framing::Sse, _) if self.is_type(&["text/event-stream"]) => Look::Answer,
            (Framing::Lines | Framing::Whole, Some(b'{' | b'[') | None) if self.is_json() => {
                Look::Answer
            }
            _ => Look::Foreign,
        }
    }

    fn is_json(&self) -> bool {
        let (essence, suffix) = (self.essence().as_bytes(), b"+json");
        let end = &essence[essence.len().saturating_sub(suffix.len())..];
        end.eq_ignore_ascii_case(suffix)
            || self.is_type(&[
                "application/json",
                "application/x-ndjson",
                "application/ndjson",
                "application/jsonl",
                "application/x-json-stream",
                "text/json",
            ])
    }

    fn is_type(&self, wanted: &[&str]) -> bool {
        let essence = self.essence();
        // Some servers say nothing; what they send decides then.
        essence.is_empty() || wanted.iter().any(|name| name.eq_ignore_ascii_case(essence))
    }

    /// The content type without its parameters.
    fn essence(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE);
        let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = value.split(';').next().unwrap_or("");
        essence.trim()
    }

    fn foreign(&self, start: &[u8], secrets: &Secrets) -> Error {
        let mut essence = self.essence().to_ascii_lowercase();
        if essence.is_empty() {
            essence.push_str("not named");
        }
        if let Some(encoding) = self.headers.get(CONTENT_ENCODING) {
            essence += ", encoded as ";
            essence += encoding.to_str().unwrap_or("?");
        }
        let words = excerpt(&secrets.out_of(&String::from_utf8_lossy(start)));
        let text = format!("this is not an answer of the API, content type {essence}: `{words}`");
        let error = Error::new(ErrorKind::Decode, text)
            .with_hint("this is not the API: check the base URL");
        self.complete(error)
    }
}

/// The start of the body, as far as it comes soon.
async fn read_start(body: &mut Body) -> Vec<u8> {
    let mut start = Vec::new();
    let read = async {
        while start.len() < ERROR_BODY {
            // An error body that breaks off still says something.
            let Ok(Some(chunk)) = body.chunk().await else {
                break;
            };
            let room = ERROR_BODY - start.len();
            start.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    };
    let _ = tokio::time::timeout(ERROR_WAIT, read).await;
    start
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "error")]
    _error: IgnoredAny,
}

/// Whether the body is an object with an `error`, or a list of such, as Gemini sends it.
fn has_error(body: &[u8]) -> bool {
    serde_json::from_slice::<Failure>(body).is_ok()
        || serde_json::from_slice::<Vec<Failure>>(body).is_ok_and(|list| !list.is_empty())
}
