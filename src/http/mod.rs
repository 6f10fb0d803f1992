//! The only door to the network for model calls: one pooled client, framed answers, timers, pace.
//! Refuses to retry and to know vendors; above it nobody can tell which HTTP library is used.

mod probe;
mod retry;

use std::{fmt, time::Duration};

use async_stream::try_stream;
use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures::{Stream, StreamExt, stream};

pub(crate) use self::probe::probe;
pub use self::retry::RetryPolicy;
use crate::error::{Error, ErrorKind, Result};

/// One POST request whose answer is read frame by frame.
pub(crate) struct Call {
    /// The whole address.
    pub(crate) url: String,
    /// Headers beside `content-type: application/json`.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub(crate) body: Bytes,
    /// How the answer is cut into frames.
    pub(crate) framing: Framing,
    /// How long the vendor may take to begin its answer.
    pub(crate) first_byte: Duration,
    /// How long the answer may pause.
    pub(crate) idle: Duration,
    /// Makes an error of an answer whose status is not a success: the vendor knows its own words.
    pub(crate) classify: fn(&Reply<'_>) -> Error,
    /// Whose limits these requests count against; made from the key, never the key itself.
    pub(crate) account: u64,
}

/// How an answer is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON text a line.
    Lines,
    /// The whole body is one frame.
    Whole,
}

/// One frame of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The SSE event name; `message` where there is none, empty for the other framings.
    pub(crate) event: String,
    /// The payload.
    pub(crate) data: String,
}

/// An answer whose status is not a success.
pub(crate) struct Reply<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The start of the body, as text.
    pub(crate) body: &'a str,
}

/// Defaults of the timers.
pub(crate) const FIRST_BYTE: Duration = Duration::from_secs(120);
pub(crate) const IDLE: Duration = Duration::from_secs(300);

/// The pooled client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    inner: reqwest::Client,
}

impl Client {
    /// The client that all providers of this process share.
    pub(crate) fn shared() -> Self {
        Self {
            inner: reqwest::Client::new(),
        }
    }

    /// Sends the call when first polled; dropping the stream closes the connection.
    pub(crate) fn open(&self, call: Call) -> impl Stream<Item = Result<Frame>> + Send + 'static {
        let client = self.inner.clone();
        try_stream! {
            let mut request = client.post(&call.url).header("content-type", "application/json");
            for (name, value) in &call.headers {
                request = request.header(*name, value);
            }
            let lost = |kind, error: reqwest::Error| Error::new(kind, "HTTP").with_source(error);
            let response = request
                .body(call.body)
                .send()
                .await
                .map_err(|error| lost(ErrorKind::Connect, error))?;
            let status = response.status();
            if !status.is_success() {
                let body = response.text().await.unwrap_or_default();
                Err((call.classify)(&Reply { status: status.as_u16(), body: &body }))?;
                return;
            }
            let bytes = stream::unfold(response, |mut response| async {
                Some((response.chunk().await.transpose()?, response))
            });
            let mut frames = Box::pin(bytes.eventsource());
            while let Some(frame) = frames.next().await {
                let frame = frame.map_err(|e| Error::new(ErrorKind::Disconnected, e.to_string()))?;
                yield Frame { event: frame.event, data: frame.data };
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
