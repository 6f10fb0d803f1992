//! The test kit itself, seen from outside: scripted model, wire formats, faults at exact bytes.
//! Refuses the crate's own HTTP client: a plain socket reads what the server really sends.

mod faults;
mod formats;
mod http;
mod scripted;

use std::{io, time::Duration};

use offshoot::testing::ModelServer;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A socket and what was read from it ahead.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// The body's own end mark or length was reached.
    Whole,
    /// The connection was closed, and the body has no other end mark or has not reached it.
    Closed,
    /// The connection was reset.
    Reset,
}

/// A response to `HEAD` has no body, whatever its head says.
#[derive(PartialEq)]
enum Method {
    Head,
    Other,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The sizes of the chunks, under chunked encoding.
    pub(crate) chunks: Vec<usize>,
    pub(crate) end: End,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = self.headers.iter().find(|(own, _)| own == name);
        named.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

impl Client {
    pub(crate) async fn to(server: &ModelServer) -> Self {
        let stream = TcpStream::connect(server.address())
            .await
            .expect("loopback");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .await
            .expect("the server reads");
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) {
        let body = body.to_string();
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
    }

    /// One response.
    async fn read(&mut self, to: Method) -> Response {
        let head = self.until(b"\r\n\r\n").await.expect("a whole head");
        let head = String::from_utf8(head).expect("the head is text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status line");
        let status = status.parse().expect("a status");
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a header");
            (name.to_owned(), value.to_owned())
        };
        let headers: Vec<_> = lines.map(header).collect();
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
            chunks: Vec::new(),
            end: End::Whole,
        };
        if to == Method::Head || status == 100 {
            return response;
        }
        let read = if response.header("transfer-encoding") == Some("chunked") {
            self.chunks(&mut response).await
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().expect("a length");
            self.exactly(length, &mut response).await
        } else {
            self.exactly(usize::MAX, &mut response).await
        };
        match read {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                response.end = End::Closed
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                response.end = End::Reset;
            }
            Err(error) => panic!("{error}"),
        }
        response
    }

    pub(crate) async fn response(&mut self) -> Response {
        tokio::time::timeout(30 * SECOND, self.read(Method::Other))
            .await
            .expect("a response in time")
    }

    pub(crate) async fn head_response(&mut self) -> Response {
        tokio::time::timeout(30 * SECOND, self.read(Method::Head))
            .await
            .expect("a response in time")
    }

    async fn chunks(&mut self, response: &mut Response) -> io::Result<()> {
        loop {
            let line = self.until(b"\r\n").await?;
            let line = String::from_utf8(line).expect("a chunk size is text");
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk size");
            if size == 0 {
                let end = self.until(b"\r\n").await?;
                assert_eq!(end, b"\r\n", "no trailers");
                return Ok(());
            }
            response.chunks.push(size);
            self.exactly(size, response).await?;
            assert_eq!(
                self.until(b"\r\n").await?,
                b"\r\n",
                "a chunk ends where it says"
            );
        }
    }

    async fn exactly(&mut self, mut n: usize, response: &mut Response) -> io::Result<()> {
        while n > 0 {
            if self.buffer.is_empty() {
                self.more().await?;
            }
            let now = n.min(self.buffer.len());
            response.body.extend(self.buffer.drain(..now));
            n -= now;
        }
        Ok(())
    }

    async fn until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|w| w == end) {
                return Ok(self.buffer.drain(..at + end.len()).collect());
            }
            self.more().await?;
        }
    }

    pub(crate) async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(server: &ModelServer, path: &str, body: &Value) -> Response {
    let mut client = Client::to(server).await;
    client.post(path, body).await;
    client.response().await
}

/// A request that Anthropic Messages reads.
pub(crate) fn question() -> Value {
    json!({
        "model": "m", "max_tokens": 10, "stream": true,
        "messages": [{"role": "user", "content": "hi"}],
    })
}

/// The events of a server-sent stream: names and data.
pub(crate) fn events(text: &str) -> Vec<(String, String)> {
    let text = text.replace("\r\n", "\n");
    let (whole, rest) = text.rsplit_once("\n\n").expect("an event");
    assert_eq!(rest, "", "the last event is whole");
    let event = |block: &str| {
        let (mut name, mut data) = (String::new(), String::new());
        for line in block.lines() {
            match line.split_once(": ").expect("a field") {
                ("event", value) => name = value.to_owned(),
                ("data", value) => data.push_str(value),
                (other, _) => panic!("unexpected field: `{other}`"),
            }
        }
        (name, data)
    };
    whole.split("\n\n").map(event).collect()
}
