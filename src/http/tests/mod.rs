//! Proofs of this room against raw sockets: what a test's server does is written byte by byte.
//! Refuses any HTTP library on the server's side, which would not misbehave.

mod asleep;
mod connections;
mod faults;
mod framing;
mod gates;
mod oracle;
mod policy;
#[cfg(feature = "rustls")]
mod shared;
mod storm;
mod timers;

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{
    Call, Client, Frames, Framing, Hindsight, Reply, client::Settings, gate::Pace,
    governor::Governor, secrets::excerpt, status::kind_of_status,
};
use crate::error::{Error, Result};

const KEY: &str = "sk-test-0123456789abcdef";
const SSE_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// A server whose every answer is written by hand. Ends with its drop.
struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// One connection whose request has been read.
struct Peer {
    socket: TcpStream,
    /// Which request this is, from 1.
    number: usize,
    /// The request, head and body.
    request: String,
}

impl Peer {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The client may have gone: that is its right, and what some tests are about.
        let _ = self.socket.write_all(bytes.as_ref()).await;
        let _ = self.socket.flush().await;
    }

    async fn answer(&mut self, status: &str, headers: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let size = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {size}\r\nconnection: close\r\n\r\n"
        );
        self.send(head).await;
        self.send(body).await;
    }

    /// Closes so that the client sees a reset, not an end.
    fn reset(self) {
        let _ = self.socket.set_zero_linger();
    }
}

impl Server {
    async fn start<F, W>(serve: F) -> Self
    where
        F: Fn(Peer) -> W + Clone + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut peers = JoinSet::new();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (serve, count) = (serve.clone(), Arc::clone(&count));
                peers.spawn(async move {
                    if let Some(request) = read_request(&mut socket).await {
                        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                        serve(Peer {
                            socket,
                            number,
                            request,
                        })
                        .await;
                    }
                });
                while peers.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            requests,
            _tasks: tasks,
        }
    }

    /// A server that says the same to all.
    async fn saying(text: impl Into<Vec<u8>>) -> Self {
        let text: Arc<[u8]> = text.into().into();
        Self::start(move |mut peer: Peer| {
            let text = Arc::clone(&text);
            async move { peer.send(&text).await }
        })
        .await
    }

    fn call(&self, framing: Framing) -> Call {
        call_to(self.address, framing)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn call_to(address: SocketAddr, framing: Framing) -> Call {
    Call {
        url: format!("http://{address}/v1/messages?key=query-secret-123"),
        headers: vec![("x-api-key", KEY.to_owned())],
        body: Bytes::from_static(b"{\"prompt\":\"PROMPT-TEXT\"}").into(),
        framing,
        first_byte: Duration::from_secs(30),
        idle: Duration::from_secs(30),
        classify: by_status,
        account: 7,
    }
}

fn by_status(reply: &Reply<'_>) -> Error {
    let text = format!("status {}: {}", reply.status, excerpt(reply.body));
    Error::new(kind_of_status(reply.status), text).with_status(reply.status)
}

async fn read_request(socket: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let size = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_size = name.eq_ignore_ascii_case("content-length");
                is_size.then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= size.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        if socket.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// A client with a governor of its own.
fn client() -> Client {
    Client::with_settings(Settings {
        governor: Some(Governor::new(Pace::default())),
        ..Settings::default()
    })
}

/// Shows a measured figure to whoever runs the tests with `--nocapture`.
#[expect(clippy::print_stdout, reason = "figures are what these proofs are for")]
fn figure(text: std::fmt::Arguments<'_>) {
    println!("{text}");
}

/// One frame of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    event: String,
    data: String,
}

impl Frame {
    fn of(event: &str, data: &str) -> Self {
        let (event, data) = (event.to_owned(), data.to_owned());
        Self { event, data }
    }
}

/// The frames as a stream.
fn stream<F: Frames + Unpin>(frames: F) -> impl Stream<Item = Result<Frame>> + Unpin {
    let mut frames = frames;
    futures::stream::poll_fn(move |cx| frames.poll_frame(cx, Frame::of))
}

/// Everything a call gives: the frames, and the error at the end if there is one.
async fn all(client: &Client, call: Call) -> (Vec<Frame>, Option<Error>) {
    let mut stream = stream(client.open(call, Hindsight::default()));
    let mut frames = Vec::new();
    while let Some(frame) = stream.next().await {
        match frame {
            Ok(frame) => frames.push(frame),
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error is the end");
                return (frames, Some(error));
            }
        }
    }
    (frames, None)
}

async fn failure(client: &Client, call: Call) -> Error {
    let (frames, error) = all(client, call).await;
    assert_eq!(frames, [], "no frame before this error");
    error.expect("the call fails")
}

/// The data of all frames, or the error.
async fn data(client: &Client, call: Call) -> Result<Vec<String>> {
    let (frames, error) = all(client, call).await;
    match error {
        Some(error) => Err(error),
        None => Ok(frames.into_iter().map(|frame| frame.data).collect()),
    }
}

/// Nothing that was sent as a secret stands in any form of the error.
fn assert_no_secrets(error: &Error) {
    let mut said = format!("{error} {error:?} {:?}", error.hint());
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        said += &format!("{inner} {inner:?}");
        source = inner.source();
    }
    for secret in [KEY, "query-secret-123", "PROMPT-TEXT"] {
        assert!(!said.contains(secret), "{secret} stands in: {said}");
    }
}
