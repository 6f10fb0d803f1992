//! A local model server that costs the measured process nothing: another process, bytes made once.
//! Refuses to be measured; it answers as the Anthropic Messages API does.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt::Write as _,
    rc::Rc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::Barrier,
    task::LocalSet,
};

/// Deltas of the text turn.
pub(crate) const DELTAS: usize = 2_000;
/// Deltas of the short answer.
pub(crate) const SHORT: usize = 10;
/// Letters of a tool's arguments in each of their deltas, and how many deltas an answer has then
/// that calls a tool: one of text, the words, what opens and what closes them.
const WORDS: usize = 25;
pub(crate) const CALLING: usize = 1 + 400 / WORDS + 2;

fn event(out: &mut String, name: &str, data: &str) {
    write!(out, "event: {name}\ndata: {data}\n\n").unwrap();
}

fn start(out: &mut String) {
    let data = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"bench","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}"#;
    event(out, "message_start", data);
}

fn stop(out: &mut String, reason: &str) {
    let data = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},"usage":{{"output_tokens":15}}}}"#
    );
    event(out, "message_delta", &data);
    event(out, "message_stop", r#"{"type":"message_stop"}"#);
}

fn text(deltas: usize) -> String {
    let mut out = String::new();
    start(&mut out);
    event(
        &mut out,
        "content_block_start",
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    );
    for i in 0..deltas {
        let data = format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":" word{i}"}}}}"#
        );
        event(&mut out, "content_block_delta", &data);
    }
    event(
        &mut out,
        "content_block_stop",
        r#"{"type":"content_block_stop","index":0}"#,
    );
    stop(&mut out, "end_turn");
    out
}

fn tool(number: usize) -> String {
    let mut out = String::new();
    start(&mut out);
    event(
        &mut out,
        "content_block_start",
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    );
    event(
        &mut out,
        "content_block_delta",
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Let me see."}}"#,
    );
    event(
        &mut out,
        "content_block_stop",
        r#"{"type":"content_block_stop","index":0}"#,
    );
    let data = format!(
        r#"{{"type":"content_block_start","index":1,"content_block":{{"type":"tool_use","id":"toolu_{number}","name":"echo","input":{{}}}}}}"#
    );
    event(&mut out, "content_block_start", &data);
    let words = "a result as long as tools usually have, ".repeat(10);
    let words = words.as_bytes().chunks(WORDS).map(str::from_utf8);
    let pieces = [r#"{\"text\": \""#]
        .into_iter()
        .chain(words.map(Result::unwrap));
    for piece in pieces.chain([r#"\"}"#]) {
        let data = format!(
            r#"{{"type":"content_block_delta","index":1,"delta":{{"type":"input_json_delta","partial_json":"{piece}"}}}}"#
        );
        event(&mut out, "content_block_delta", &data);
    }
    event(
        &mut out,
        "content_block_stop",
        r#"{"type":"content_block_stop","index":1}"#,
    );
    stop(&mut out, "tool_use");
    out
}

/// The bytes of one answer, of which the head is enough to know that the stream is open.
struct Reply {
    bytes: Vec<u8>,
    head: usize,
}

impl Reply {
    fn new(sse: &str) -> Self {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let mut head = 0;
        let mut events = sse.split_inclusive("\n\n").peekable();
        // One event and two in turn, as vendors flush them: mostly each alone, often a few at once.
        for many in [1, 2].into_iter().cycle() {
            if events.peek().is_none() {
                break;
            }
            let event: String = events.by_ref().take(many).collect();
            bytes.extend(format!("{:x}\r\n", event.len()).into_bytes());
            bytes.extend(event.as_bytes());
            bytes.extend(b"\r\n");
            if head == 0 {
                head = bytes.len();
            }
        }
        bytes.extend(b"0\r\n\r\n");
        Self { bytes, head }
    }
}

/// All answers, made once.
struct Replies {
    long: Reply,
    short: Reply,
    tools: Vec<Reply>,
}

/// Streams that are held open until all of a crowd are there.
#[derive(Default)]
struct Crowds {
    gates: RefCell<HashMap<usize, Rc<Barrier>>>,
    open: Cell<usize>,
    /// The most that were open at once.
    peak: Cell<usize>,
    /// Answers of crowds that were sent whole.
    served: Cell<usize>,
}

/// Serves until the process is killed; prints its address first.
pub(crate) async fn serve() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16_384).unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let replies = Rc::new(Replies {
        long: Reply::new(&text(DELTAS)),
        short: Reply::new(&text(SHORT)),
        tools: (0..1_000).map(|n| Reply::new(&tool(n))).collect(),
    });
    let crowds = Rc::new(Crowds::default());
    let accept = async {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (replies, crowds) = (replies.clone(), crowds.clone());
            tokio::task::spawn_local(async move {
                connection(socket, &replies, &crowds).await;
            });
        }
    };
    LocalSet::new().run_until(accept).await
}

/// The prompt says what is wanted: `text`, `short`, `tools N`, or `crowd N`.
async fn connection(mut socket: TcpStream, replies: &Replies, crowds: &Crowds) {
    socket.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
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
        let sent = if let Some(many) = number(body, b"crowd ") {
            crowd(&mut socket, &replies.short, crowds, many).await
        } else if body == b"peak" {
            let said = format!("{} {}", crowds.peak.take(), crowds.served.take());
            let length = said.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{said}");
            socket.write_all(answer.as_bytes()).await
        } else {
            let reply = match number(body, b"tools ") {
                None if find(body, b"short").is_some() => &replies.short,
                None => &replies.long,
                Some(wanted) => {
                    let had = count(body, b"\"tool_result\"");
                    if had < wanted {
                        &replies.tools[had]
                    } else {
                        &replies.short
                    }
                }
            };
            socket.write_all(&reply.bytes).await
        };
        if sent.is_err() {
            return;
        }
        buffer.drain(..head + length);
    }
}

/// Opens the stream, and holds it until all of the crowd have theirs open.
async fn crowd(
    socket: &mut TcpStream,
    reply: &Reply,
    crowds: &Crowds,
    many: usize,
) -> std::io::Result<()> {
    socket.write_all(&reply.bytes[..reply.head]).await?;
    let gate = crowds
        .gates
        .borrow_mut()
        .entry(many)
        .or_insert_with(|| Rc::new(Barrier::new(many)))
        .clone();
    crowds.open.set(crowds.open.get() + 1);
    crowds.peak.set(crowds.peak.get().max(crowds.open.get()));
    gate.wait().await;
    let sent = socket.write_all(&reply.bytes[reply.head..]).await;
    crowds.open.set(crowds.open.get() - 1);
    crowds.served.set(crowds.served.get() + 1);
    sent
}

/// The number that stands after a word.
fn number(text: &[u8], word: &[u8]) -> Option<usize> {
    let at = find(text, word)? + word.len();
    let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
    String::from_utf8(digits.copied().collect())
        .ok()?
        .parse()
        .ok()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, what)
}

fn count(text: &[u8], what: &[u8]) -> usize {
    memchr::memmem::find_iter(text, what).count()
}
