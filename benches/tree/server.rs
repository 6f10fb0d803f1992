//! A model in a process of its own that takes a fixed time for each answer and counts the open ones.
//! Refuses to be measured; it answers as the Anthropic Messages API does, from bytes made once.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the model takes for each answer.
pub(crate) const TAKES: Duration = Duration::from_millis(300);
/// Children that its first answer to a parent asks for.
pub(crate) const CALLS: usize = 100;
/// The word in a prompt that makes somebody a parent.
pub(crate) const CREW: &str = "crew";

fn event(out: &mut String, name: &str, data: &str) {
    write!(out, "event: {name}\ndata: {data}\n\n").unwrap();
}

fn start(out: &mut String) {
    let data = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"bench","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}"#;
    event(out, "message_start", data);
}

fn block(out: &mut String, index: usize, start: &str, deltas: &[String]) {
    let begin =
        format!(r#"{{"type":"content_block_start","index":{index},"content_block":{start}}}"#);
    event(out, "content_block_start", &begin);
    for delta in deltas {
        let data = format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#);
        event(out, "content_block_delta", &data);
    }
    let end = format!(r#"{{"type":"content_block_stop","index":{index}}}"#);
    event(out, "content_block_stop", &end);
}

fn stop(out: &mut String, reason: &str) {
    let data = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"output_tokens":15}}}}"#
    );
    event(out, "message_delta", &data);
    event(out, "message_stop", r#"{"type":"message_stop"}"#);
}

/// A short answer of words.
fn words() -> String {
    let mut out = String::new();
    start(&mut out);
    let delta = |n| format!(r#"{{"type":"text_delta","text":" word{n}"}}"#);
    let deltas: Vec<_> = (0..10).map(delta).collect();
    block(&mut out, 0, r#"{"type":"text","text":""}"#, &deltas);
    stop(&mut out, "end_turn");
    out
}

/// An answer that opens all children at once.
fn calls() -> String {
    let mut out = String::new();
    start(&mut out);
    for n in 0..CALLS {
        let begin =
            format!(r#"{{"type":"tool_use","id":"toolu_{n}","name":"Agent","input":{{}}}}"#);
        let arguments = format!(r#"{{\"description\":\"a part\",\"prompt\":\"part {n}\"}}"#);
        let delta = format!(r#"{{"type":"input_json_delta","partial_json":"{arguments}"}}"#);
        block(&mut out, n, &begin, &[delta]);
    }
    stop(&mut out, "tool_use");
    out
}

fn reply(sse: &str) -> Arc<[u8]> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ";
    format!("{head}{}\r\n\r\n{sse}", sse.len())
        .into_bytes()
        .into()
}

/// How many answers are open, and how many were at most.
#[derive(Default)]
struct Open {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Serves until the process is killed; prints its address first.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let answers = (reply(&words()), reply(&calls()));
    let open = Arc::new(Open::default());
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (answers, open) = (answers.clone(), open.clone());
        #[expect(clippy::disallowed_methods, reason = "a program of its own")]
        tokio::spawn(async move {
            connection(socket, &answers.0, &answers.1, &open).await;
        });
    }
}

async fn connection(mut socket: TcpStream, words: &[u8], calls: &[u8], open: &Open) {
    socket.set_nodelay(true).unwrap();
    let mut buffer = Vec::with_capacity(1 << 16);
    loop {
        let head = loop {
            if let Some(end) = find(&buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
        if text.starts_with("get /most") {
            // What was counted until now; from here on it is counted anew.
            let most = open.most.swap(0, SeqCst).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{most}",
                most.len()
            );
            socket.write_all(answer.as_bytes()).await.ok();
            return;
        }
        let length: usize = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
            .unwrap_or(0);
        while buffer.len() < head + length {
            if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = &buffer[head..head + length];
        let parent = find(body, CREW.as_bytes()).is_some();
        let first = find(body, b"\"tool_result\"").is_none();
        let answer = if parent && first { calls } else { words };
        buffer.drain(..head + length);
        let now = open.now.fetch_add(1, SeqCst) + 1;
        open.most.fetch_max(now, SeqCst);
        tokio::time::sleep(TAKES).await;
        open.now.fetch_sub(1, SeqCst);
        if socket.write_all(answer).await.is_err() {
            return;
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

/// The server, until it is dropped.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark is a program of its own"
    )]
    pub(crate) fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        let address = address.trim().to_owned();
        Self { child, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many answers were open at once since somebody last asked.
    pub(crate) fn most(&self) -> usize {
        let mut socket = std::net::TcpStream::connect(&self.address).unwrap();
        socket.write_all(b"GET /most HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.rsplit("\r\n").next().unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
