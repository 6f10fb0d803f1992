//! The only door to the network for model calls: pooled clients, framed answers, timers, pace.
//! Refuses to retry and to know vendors; above it nobody can tell which HTTP library is used.

mod body;
mod client;
mod cut;
mod departures;
mod fault;
mod framed;
mod gate;
mod governor;
mod lanes;
mod limits;
mod lines;
mod payload;
mod probe;
#[cfg(test)]
mod replay;
mod retry;
mod secrets;
#[cfg(feature = "rustls")]
mod single;
mod sse;
mod status;
#[cfg(test)]
mod tests;
#[cfg_attr(not(feature = "rustls"), path = "no_tls.rs")]
mod tls;
mod watch;
mod whole;

use std::{
    task::{Context, Poll},
    time::Duration,
};

pub(crate) use self::{
    client::Client, governor::Hindsight, payload::Payload, probe::probe, status::kind_of_status,
};

#[cfg(test)]
pub(crate) use self::replay::{Chained, replay};
pub use self::{limits::MAX_RETRY_AFTER, retry::RetryPolicy};
use crate::error::{Error, Result};

/// One POST request whose answer is read frame by frame.
pub(crate) struct Call {
    /// The whole address.
    pub(crate) url: String,
    /// Headers beside `content-type: application/json`.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub(crate) body: Payload,
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

/// What comes frame by frame: an answer, or in tests a recording.
pub(crate) trait Frames {
    /// Shows the next frame to `take` where it lies: its SSE event name (`message` where there is
    /// none, empty for the other framings) and its payload. After an error there are no more.
    fn poll_frame<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&str, &str) -> T,
    ) -> Poll<Option<Result<T>>>;
}

/// An answer that is an error: its status is not a success, or its body says so.
///
/// Status, request id, `retry-after` and `x-should-retry` are put on the vendor's error by this
/// room, so that no vendor has to read headers.
pub(crate) struct Reply<'a> {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The start of the body, as text; the keys that were sent are not in it.
    pub(crate) body: &'a str,
}

/// Defaults of the timers.
pub(crate) const FIRST_BYTE: Duration = Duration::from_secs(120);
pub(crate) const IDLE: Duration = Duration::from_secs(300);
/// How long an answer may consist of nothing but pings and comments.
pub(crate) const NO_PROGRESS: Duration = Duration::from_secs(600);
/// How long a connection may take to be made, TLS included.
pub(crate) const CONNECT: Duration = Duration::from_secs(20);
/// The largest event or line of a streamed answer.
pub(crate) const MAX_EVENT: usize = 16 << 20;
/// The largest answer that is read as one frame.
pub(crate) const MAX_WHOLE: usize = 64 << 20;
