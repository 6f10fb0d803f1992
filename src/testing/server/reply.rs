//! One reply of the model server: what is said, and what goes wrong while it is said.
//! Refuses to touch a socket; `plan` orders the steps and `connection` takes them.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::super::Answer;
use crate::error::Error;

/// One reply: an [`Answer`] in the wire form of whoever asks, or bytes, and its faults.
///
/// Bytes are counted in the body, from 0, before chunked transfer encoding. A place past the end
/// counts as the end. Faults can be combined: a dripping reply can be cut.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) body: Body,
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content_type: Option<String>,
    pub(super) framing: Option<Framing>,
    pub(super) faults: Faults,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Answer(Box<Answer>),
    Bytes(Bytes),
    /// Sent in place of head and body.
    Raw(Bytes),
    HangUp(Cut),
}

/// How a client learns where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Chunked,
    Length,
    Close,
}

/// How a connection ends too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Closed as if all had been said, but without the body's end mark.
    Close,
    /// Reset, as when a machine dies. What the client has not taken in yet may be lost with it.
    Reset,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) delay: Option<Duration>,
    pub(super) corrupt: Vec<(usize, Damage)>,
    pub(super) pieces: Pieces,
    pub(super) stalls: Vec<(usize, Option<Duration>)>,
    pub(super) holds: Vec<(Place, usize)>,
    pub(super) cut: Option<(usize, Cut)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    Invert,
    Overwrite(u8),
}

/// Where a hold is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Middle,
    Byte(usize),
}

/// How the body is cut into writes, each a chunk of its own under chunked encoding.
#[derive(Clone, Debug, Default)]
pub(super) enum Pieces {
    /// As the vendor does: one for each event.
    #[default]
    Natural,
    Every(usize),
    At(Vec<usize>),
    Drip(usize, Duration),
}

impl Reply {
    /// An answer, spelled as the vendor spells it whose API is asked, streaming or not as asked.
    pub fn answer(answer: impl Into<Answer>) -> Self {
        Self::of(Body::Answer(Box::new(answer.into())))
    }

    /// An error with the status, headers and body that the vendor sends for it.
    pub fn error(error: Error) -> Self {
        Self::answer(Answer::error(error))
    }

    /// These bytes, with status 200 and a length. They are sent in as few writes as possible.
    pub fn bytes(content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::of(Body::Bytes(body.into())).content_type(content_type)
    }

    /// Server-sent events as they are, in chunked encoding.
    pub fn sse(body: impl Into<Bytes>) -> Self {
        Self::bytes("text/event-stream; charset=utf-8", body).chunked()
    }

    /// A JSON body.
    pub fn json(body: &Value) -> Self {
        Self::bytes("application/json", body.to_string())
    }

    /// These bytes in place of a whole HTTP response, then the connection is closed.
    pub fn raw(response: impl Into<Bytes>) -> Self {
        Self::of(Body::Raw(response.into()))
    }

    /// No response at all: the connection ends when the request has been read.
    pub fn hang_up(how: Cut) -> Self {
        Self::of(Body::HangUp(how))
    }

    fn of(body: Body) -> Self {
        Self {
            body,
            status: None,
            headers: Vec::new(),
            content_type: None,
            framing: None,
            faults: Faults::default(),
        }
    }

    /// Another status.
    ///
    /// # Panics
    /// When it is not between 200 and 999.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        assert!((200..1000).contains(&status), "no final status: `{status}`");
        self.status = Some(status);
        self
    }

    /// One more header. A `content-length` or `transfer-encoding` given here is sent as it is, and
    /// the body follows without encoding, so a server can lie.
    ///
    /// # Panics
    /// When name or value would break the line.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let fits = |text: &str| !text.contains(['\r', '\n', '\0']);
        assert!(
            fits(&name) && fits(&value) && !name.is_empty() && !name.contains([':', ' ']),
            "no header: `{name}: {value}`"
        );
        self.headers.push((name, value));
        self
    }

    /// Another content type.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// In chunked transfer encoding. The default for streaming answers.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.framing = Some(Framing::Chunked);
        self
    }

    /// Without length or encoding: the end of the connection is the end of the body.
    #[must_use]
    pub fn close_delimited(mut self) -> Self {
        self.framing = Some(Framing::Close);
        self
    }

    /// Waits before the first byte of the head.
    #[must_use]
    pub fn delay(mut self, wait: Duration) -> Self {
        self.faults.delay = Some(wait);
        self
    }

    /// Says nothing more from this byte on, until the client gives up.
    #[must_use]
    pub fn stall_at(mut self, byte: usize) -> Self {
        self.faults.stalls.push((byte, None));
        self
    }

    /// Pauses before this byte.
    #[must_use]
    pub fn stall_for(mut self, byte: usize, wait: Duration) -> Self {
        self.faults.stalls.push((byte, Some(wait)));
        self
    }

    /// Sends so many bytes at a time, with a wait in between.
    #[must_use]
    pub fn drip(mut self, bytes: usize, interval: Duration) -> Self {
        self.faults.pieces = Pieces::Drip(bytes.max(1), interval);
        self
    }

    /// Sends so many bytes at a time, each a write and a chunk of its own.
    #[must_use]
    pub fn chunks_of(mut self, bytes: usize) -> Self {
        self.faults.pieces = Pieces::Every(bytes.max(1));
        self
    }

    /// Splits the body before these bytes and nowhere else.
    #[must_use]
    pub fn split_at(mut self, bytes: impl IntoIterator<Item = usize>) -> Self {
        let mut bytes: Vec<_> = bytes.into_iter().collect();
        bytes.sort_unstable();
        self.faults.pieces = Pieces::At(bytes);
        self
    }

    /// Ends the connection before this byte: exactly so many bytes of the body are sent.
    #[must_use]
    pub fn cut_at(mut self, byte: usize, how: Cut) -> Self {
        self.faults.cut = Some((byte, how));
        self
    }

    /// Inverts every bit of this byte.
    #[must_use]
    pub fn corrupt(mut self, byte: usize) -> Self {
        self.faults.corrupt.push((byte, Damage::Invert));
        self
    }

    /// Puts another byte in the place of this one.
    #[must_use]
    pub fn overwrite(mut self, byte: usize, with: u8) -> Self {
        self.faults.corrupt.push((byte, Damage::Overwrite(with)));
        self
    }

    /// Waits in the middle of the body until so many streams wait there at the same time: a proof
    /// that they were all open at once. Each further such number of streams waits for itself.
    #[must_use]
    pub fn hold_until(mut self, streams: usize) -> Self {
        self.faults.holds.push((Place::Middle, streams));
        self
    }

    /// As [`hold_until`](Self::hold_until), before this byte.
    #[must_use]
    pub fn hold_at(mut self, byte: usize, streams: usize) -> Self {
        self.faults.holds.push((Place::Byte(byte), streams));
        self
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::answer(answer)
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self::answer(text)
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Self {
        Self::error(error)
    }
}
