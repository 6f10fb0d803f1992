//! The careful floor: what somebody who knows where time goes writes without this crate.
//! Refuses to change: this file is frozen, its hash stands in BENCHMARKS.md.

use std::{borrow::Cow, future::Future, pin::Pin, task::Poll, time::Duration};

use async_stream::stream;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, Sleep, sleep};

/// How long an answer may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);

const HEAD: &[u8] = br#"{"model":"bench","max_tokens":4096,"stream":true,"system":"You are a benchmark.","tools":[{"name":"echo","description":"Says it again","input_schema":{"type":"object","properties":{"text":{"type":"string"}}}}],"messages":["#;

/// What is told, owned by whoever hears it.
#[expect(dead_code, reason = "the benchmark drops what it hears")]
pub(crate) enum Event {
    Text { part: usize, text: String },
    Arguments { part: usize, json: String },
    Tool { name: String, result: String },
    End { stop: String, output: u64 },
}

/// What comes from the wire, borrowed from its line: one flat shape for all frames, because a tagged
/// enum would be buffered before its tag is known.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: &'a str,
    #[serde(default)]
    index: usize,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    partial_json: Cow<'a, str>,
    #[serde(borrow, default)]
    stop_reason: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: &'a str,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Usage {
    output_tokens: u64,
}

#[derive(Deserialize)]
struct Echo<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// A part of the message as it grows.
enum Part {
    Text(String),
    Call {
        id: String,
        name: String,
        json: String,
    },
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a [Content<'a>],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Content<'a> {
    Text {
        text: &'a str,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a serde_json::value::RawValue,
    },
    ToolResult {
        tool_use_id: &'a str,
        content: &'a str,
    },
}

/// A conversation: each message as the bytes it was serialised to, once.
#[derive(Default)]
pub(crate) struct History(Vec<Bytes>);

impl History {
    fn push(&mut self, role: &str, content: &[Content<'_>]) {
        let message = serde_json::to_vec(&Message { role, content }).unwrap();
        self.0.push(message.into());
    }

    fn body(&self) -> Vec<u8> {
        let size: usize = self.0.iter().map(|message| message.len() + 1).sum();
        let mut body = Vec::with_capacity(HEAD.len() + size + 1);
        body.extend_from_slice(HEAD);
        for (at, message) in self.0.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(message);
        }
        body.extend_from_slice(b"]}");
        body
    }
}

/// The answer's chunks, with one timer for all of them. Only a read that would wait looks at the
/// timer, and only a timer that fires looks at the clock.
struct Watched {
    response: reqwest::Response,
    sleep: Pin<Box<Sleep>>,
    heard: bool,
}

impl Watched {
    async fn chunk(&mut self) -> Option<Bytes> {
        let Self {
            response,
            sleep,
            heard,
        } = self;
        let mut chunk = std::pin::pin!(response.chunk());
        std::future::poll_fn(|cx| {
            if let Poll::Ready(chunk) = chunk.as_mut().poll(cx) {
                *heard = true;
                return Poll::Ready(chunk.unwrap());
            }
            while sleep.as_mut().poll(cx).is_ready() {
                assert!(*heard, "the answer stalled");
                *heard = false;
                sleep.as_mut().reset(Instant::now() + PATIENCE);
            }
            Poll::Pending
        })
        .await
    }
}

/// Bytes that are not a whole line yet.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    at: usize,
}

impl Lines {
    fn add(&mut self, chunk: &[u8]) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..self.at);
        }
        self.at = 0;
        self.bytes.extend_from_slice(chunk);
    }

    fn next(&mut self) -> Option<&[u8]> {
        let rest = &self.bytes[self.at..];
        let end = memchr::memchr(b'\n', rest)?;
        self.at += end + 1;
        Some(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
    }
}

/// One model call: what the model says, as owned events, and the message in `parts`.
fn call<'a>(
    client: &'a reqwest::Client,
    url: &'a str,
    body: Vec<u8>,
    parts: &'a mut Vec<Part>,
) -> impl Stream<Item = Event> + 'a {
    stream! {
        let response = client
            .post(format!("{url}/v1/messages"))
            .header("content-type", "application/json")
            .header("x-api-key", "k")
            .header("anthropic-version", "2023-06-01")
            .body(body)
            .send()
            .await
            .unwrap();
        let sleep = Box::pin(sleep(PATIENCE));
        let mut watched = Watched { response, sleep, heard: false };
        let mut lines = Lines::default();
        'answer: while let Some(chunk) = watched.chunk().await {
            lines.add(&chunk);
            while let Some(line) = lines.next() {
                let Some(data) = line.strip_prefix(b"data: ") else { continue };
                let Frame { kind, index: part, delta, content_block, usage } =
                    serde_json::from_slice(data).unwrap();
                match kind {
                    "content_block_delta" => {
                        let delta = delta.unwrap();
                        yield match &mut parts[part] {
                            Part::Text(so_far) => {
                                so_far.push_str(&delta.text);
                                let text = delta.text.into_owned();
                                Event::Text { part, text }
                            }
                            Part::Call { json, .. } => {
                                json.push_str(&delta.partial_json);
                                let json = delta.partial_json.into_owned();
                                Event::Arguments { part, json }
                            }
                        };
                    }
                    "content_block_start" => {
                        let Block { kind, id, name } = content_block.unwrap();
                        parts.push(match kind {
                            "text" => Part::Text(String::new()),
                            _ => Part::Call {
                                id: id.into_owned(),
                                name: name.into_owned(),
                                json: String::new(),
                            },
                        });
                    }
                    "message_delta" => {
                        let stop = delta.unwrap().stop_reason.into_owned();
                        let output = usage.unwrap().output_tokens;
                        yield Event::End { stop, output };
                    }
                    "message_stop" => break 'answer,
                    _ => {}
                }
            }
        }
    }
}

/// One turn: calls the model until it asks for no more tools, and tells everything.
pub(crate) fn turn<'a>(
    client: &'a reqwest::Client,
    url: &'a str,
    history: &'a mut History,
    prompt: &'a str,
) -> impl Stream<Item = Event> + 'a {
    stream! {
        history.push("user", &[Content::Text { text: prompt }]);
        loop {
            let mut parts = Vec::new();
            {
                let mut events = std::pin::pin!(call(client, url, history.body(), &mut parts));
                while let Some(event) = events.next().await {
                    yield event;
                }
            }
            let mut results = Vec::new();
            let mut content = Vec::new();
            for part in &parts {
                content.push(match part {
                    Part::Text(text) => Content::Text { text },
                    Part::Call { id, name, json } => {
                        let echo: Echo = serde_json::from_str(json).unwrap();
                        results.push((id, name, format!("echo: {}", echo.text)));
                        let input = serde_json::from_str(json).unwrap();
                        Content::ToolUse { id, name, input }
                    }
                });
            }
            history.push("assistant", &content);
            if results.is_empty() {
                return;
            }
            let content: Vec<_> = results
                .iter()
                .map(|(tool_use_id, _, content)| Content::ToolResult { tool_use_id, content })
                .collect();
            history.push("user", &content);
            for (_, name, result) in results {
                yield Event::Tool { name: name.clone(), result };
            }
        }
    }
}
