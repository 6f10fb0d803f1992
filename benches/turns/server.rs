//! A local model server that costs the measured process nothing: another process, bytes made once.
//! Refuses to be measured; it answers as the Anthropic Messages API does.

use std::{fmt::Write as _, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Deltas of the text turn.
pub(crate) const DELTAS: usize = 2_000;

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
    for piece in [r#"{\"text\": \""#, &words, r#"\"}"#] {
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

fn reply(sse: &str) -> Arc<[u8]> {
    // Chunks of 4 KiB, as proxies send them.
    let mut out =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for chunk in sse.as_bytes().chunks(4096) {
        out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out.into()
}

/// Serves until the process is killed; prints its address first.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let long = reply(&text(DELTAS));
    let short = reply(&text(10));
    let tools: Arc<Vec<_>> = Arc::new((0..1_000).map(|n| reply(&tool(n))).collect());
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (long, short, tools) = (long.clone(), short.clone(), tools.clone());
        #[expect(clippy::disallowed_methods, reason = "a program of its own")]
        tokio::spawn(async move {
            connection(socket, &long, &short, &tools).await;
        });
    }
}

/// The prompt says what is wanted: `text`, or `tools N`.
async fn connection(mut socket: TcpStream, long: &[u8], short: &[u8], tools: &[Arc<[u8]>]) {
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
        let wanted = find(body, b"tools ").and_then(|at| {
            let digits = body[at + 6..].iter().take_while(|b| b.is_ascii_digit());
            String::from_utf8(digits.copied().collect())
                .ok()?
                .parse::<usize>()
                .ok()
        });
        let bytes: &[u8] = match wanted {
            None if find(body, b"short").is_some() => short,
            None => long,
            Some(wanted) => {
                let had = count(body, b"\"tool_result\"");
                if had < wanted { &tools[had] } else { short }
            }
        };
        if socket.write_all(bytes).await.is_err() {
            return;
        }
        buffer.drain(..head + length);
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

fn count(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len()).filter(|w| *w == what).count()
}
