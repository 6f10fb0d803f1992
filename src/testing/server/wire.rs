//! Reads HTTP/1.1 requests from one connection, and notices when the client is gone.
//! Refuses what is not HTTP with a status that says why, before it takes too much memory.

use std::{io, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Limits, received::find};

/// One connection and what was read from it ahead.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    buffer: BytesMut,
}

/// One whole request.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) version: Version,
    pub(super) after: After,
}

/// Which HTTP the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 1.0: no chunked encoding.
    Old,
    /// 1.1.
    Modern,
}

/// What becomes of the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The client may send another request.
    Keep,
    /// It is closed.
    Close,
}

/// Why a request cannot be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The connection is gone: nobody is there to be told.
    Gone,
    /// What came is answered with this status and these words.
    Refused(u16, &'static str),
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Header lines of one request.
const MAX_HEADERS: usize = 128;
/// A line of chunked encoding: a size, or a trailer.
const MAX_CHUNK_LINE: usize = 1024;
/// Lines of trailers.
const MAX_TRAILERS: usize = 32;
/// Bytes of following requests that are read ahead while an answer is under way.
const MAX_AHEAD: usize = 64 * 1024;
/// Room for one read.
const MIN_READ: usize = 8 * 1024;
/// Room that is made at once for a long body, however long it says it is.
const MAX_READ: usize = 1024 * 1024;
/// How long a request may take from its first byte to its last.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// How long a refused client is listened to, so that it can read why.
const LINGER_TIME: Duration = Duration::from_millis(500);
/// How much of it is thrown away meanwhile.
const LINGER_BYTES: usize = 1024 * 1024;

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
        }
    }

    /// The next request; `None` when the client closed the connection between two requests.
    pub(super) async fn request(&mut self, limits: &Limits) -> Result<Option<Incoming>, Unread> {
        // An idle connection may idle as long as the server lives. Line ends between two requests
        // are nothing: some clients send one too many.
        loop {
            let ends = self
                .buffer
                .iter()
                .take_while(|b| matches!(b, b'\r' | b'\n'));
            let ends = ends.count();
            self.buffer.advance(ends);
            if !self.buffer.is_empty() {
                break;
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
        let late = |_| Unread::Refused(408, "the request took too long");
        let whole = tokio::time::timeout(REQUEST_TIME, self.read(limits));
        whole.await.map_err(late)?.map(Some)
    }

    async fn read(&mut self, limits: &Limits) -> Result<Incoming, Unread> {
        let mut incoming = loop {
            if let Some(incoming) = self.head()? {
                break incoming;
            }
            if self.buffer.len() > limits.head_bytes {
                return Err(Unread::Refused(431, "the head of the request is too long"));
            }
            self.more().await?;
        };
        let body = Length::of(&incoming)?;
        if let Some(expected) = find(&incoming.headers, "expect") {
            if !expected.eq_ignore_ascii_case("100-continue") {
                return Err(Unread::Refused(417, "unknown expectation"));
            }
            if matches!(body, Length::Bytes(n) if n > limits.body_bytes) {
                return Err(Unread::Refused(413, "the body is too long"));
            }
            let waits = self.buffer.is_empty() && body != Length::Bytes(0);
            if waits && incoming.version == Version::Modern {
                self.stream
                    .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                    .await?;
            }
        }
        incoming.body = match body {
            Length::Bytes(n) if n > limits.body_bytes => {
                return Err(Unread::Refused(413, "the body is too long"));
            }
            Length::Bytes(n) => {
                self.at_least(n).await?;
                self.buffer.split_to(n).freeze()
            }
            Length::Chunked => self.chunks(limits.body_bytes).await?,
        };
        Ok(incoming)
    }

    /// The head, once it is there.
    fn head(&mut self) -> Result<Option<Incoming>, Unread> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let end = match request.parse(&self.buffer) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Unread::Refused(431, "too many headers"));
            }
            Err(httparse::Error::Version) => {
                return Err(Unread::Refused(505, "the HTTP version is not 1.0 or 1.1"));
            }
            Err(_) => return Err(Unread::Refused(400, "this is not an HTTP request")),
        };
        let version = match request.version {
            Some(1) => Version::Modern,
            _ => Version::Old,
        };
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
            .collect();
        if version == Version::Modern && find(&headers, "host").is_none() {
            return Err(Unread::Refused(400, "the host header is missing"));
        }
        let asks = |word: &str| {
            let connection = headers.iter().filter(|(name, _)| name == "connection");
            let mut words = connection.flat_map(|(_, value)| value.split(','));
            words.any(|own| own.trim().eq_ignore_ascii_case(word))
        };
        let after = match version {
            Version::Modern if asks("close") => After::Close,
            Version::Old if !asks("keep-alive") => After::Close,
            _ => After::Keep,
        };
        let incoming = Incoming {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            headers,
            body: Bytes::new(),
            version,
            after,
        };
        self.buffer.advance(end);
        Ok(Some(incoming))
    }

    async fn chunks(&mut self, most: usize) -> Result<Bytes, Unread> {
        let mut body = BytesMut::new();
        loop {
            let line = self.line().await?;
            let Ok(httparse::Status::Complete((_, size))) = httparse::parse_chunk_size(&line)
            else {
                return Err(Unread::Refused(400, "bad chunk size"));
            };
            if size > (most - body.len()) as u64 {
                return Err(Unread::Refused(413, "the body is too long"));
            }
            if size == 0 {
                break;
            }
            let size = size as usize; // fits: checked above
            self.at_least(size + 2).await?;
            body.extend_from_slice(&self.buffer[..size]);
            if self.buffer[size..size + 2] != *b"\r\n" {
                return Err(Unread::Refused(400, "a chunk does not end where it says"));
            }
            self.buffer.advance(size + 2);
        }
        for _ in 0..MAX_TRAILERS {
            if self.line().await? == "\r\n" {
                return Ok(body.freeze());
            }
        }
        Err(Unread::Refused(431, "too many trailers"))
    }

    /// One line, its end included.
    async fn line(&mut self) -> Result<BytesMut, Unread> {
        loop {
            if let Some(at) = self
                .buffer
                .iter()
                .take(MAX_CHUNK_LINE)
                .position(|b| *b == b'\n')
            {
                return Ok(self.buffer.split_to(at + 1));
            }
            if self.buffer.len() >= MAX_CHUNK_LINE {
                return Err(Unread::Refused(
                    400,
                    "a line of chunked encoding is too long",
                ));
            }
            self.more().await?;
        }
    }

    async fn at_least(&mut self, n: usize) -> Result<(), Unread> {
        while self.buffer.len() < n {
            self.buffer.reserve((n - self.buffer.len()).min(MAX_READ));
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<(), Unread> {
        if self.fill().await? {
            Ok(())
        } else {
            Err(Unread::Gone)
        }
    }

    /// Reads what is there; `false` at the end.
    async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(MIN_READ);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// Ends when the client closes the connection. A client that closes only its own direction
    /// counts as gone: no HTTP library does that while it waits for an answer.
    ///
    /// Cancel safety: what is read meanwhile is kept for the next request.
    pub(super) async fn gone(&mut self) {
        while self.buffer.len() < MAX_AHEAD {
            match self.fill().await {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            }
        }
        std::future::pending().await
    }

    /// Says that nothing more comes and throws away what the client still sends, for a moment:
    /// closing with unread bytes would reset the connection and take the answer with it.
    pub(super) async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            let mut drained = 0;
            while drained < LINGER_BYTES {
                self.buffer.clear();
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(n) if n > 0 => drained += n,
                    _ => return,
                }
            }
        };
        tokio::time::timeout(LINGER_TIME, drain).await.ok();
    }
}

/// How long a request's body says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(usize),
    Chunked,
}

impl Length {
    fn of(incoming: &Incoming) -> Result<Self, Unread> {
        let all = |name: &'static str| {
            let own = incoming.headers.iter().filter(move |(own, _)| own == name);
            own.map(|(_, value)| value.trim())
        };
        let mut lengths = all("content-length");
        let length = lengths.next();
        if lengths.any(|other| Some(other) != length) {
            return Err(Unread::Refused(400, "two content lengths"));
        }
        let mut codings = all("transfer-encoding");
        match (codings.next(), length) {
            (Some(_), Some(_)) => Err(Unread::Refused(400, "a length and an encoding")),
            (Some(_), None) if incoming.version == Version::Old => {
                Err(Unread::Refused(400, "HTTP/1.0 has no transfer encoding"))
            }
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => {
                match codings.next() {
                    None => Ok(Self::Chunked),
                    Some(_) => Err(Unread::Refused(400, "two transfer encodings")),
                }
            }
            (Some(_), None) => Err(Unread::Refused(501, "unknown transfer encoding")),
            (None, None) => Ok(Self::Bytes(0)),
            (None, Some(digits)) => {
                let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                match digits.parse() {
                    Ok(n) if valid => Ok(Self::Bytes(n)),
                    Err(_) if valid => Err(Unread::Refused(413, "the body is too long")),
                    _ => Err(Unread::Refused(400, "bad content length")),
                }
            }
        }
    }
}
