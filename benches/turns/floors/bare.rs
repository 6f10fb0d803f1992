//! The bare floor: hyper alone, one request after the other, the answers' bytes dropped.
//! Refuses to change: this file is frozen, its hash stands in BENCHMARKS.md.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, header};
use hyper_util::{
    client::legacy::{Client as Pooled, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A client that keeps its connections.
pub(crate) type Client = Pooled<HttpConnector, Full<Bytes>>;

const HEAD: &str = r#"{"model":"bench","max_tokens":4096,"stream":true,"system":"You are a benchmark.","tools":[{"name":"echo","description":"Says it again","input_schema":{"type":"object","properties":{"text":{"type":"string"}}}}],"messages":["#;

/// Makes the client.
pub(crate) fn client() -> Client {
    Pooled::builder(TokioExecutor::new()).build_http()
}

/// One model call: the body is sent as it is, and what comes back is only counted.
async fn call(client: &Client, url: &str, body: Vec<u8>) -> usize {
    let request = Request::post(format!("{url}/v1/messages"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-api-key", "k")
        .header("anthropic-version", "2023-06-01")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let mut answer = client.request(request).await.unwrap().into_body();
    let mut bytes = 0;
    while let Some(frame) = answer.frame().await {
        bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
    }
    bytes
}

/// One turn. It reads no answer, so it knows beforehand how many calls there will be and what each
/// of them adds to the history. Returns the number of bytes.
pub(crate) async fn turn(client: &Client, url: &str, history: &mut Vec<u8>, prompt: &str) -> usize {
    let tools = prompt.strip_prefix("tools ");
    let tools = tools.map_or(0, |number| number.parse().unwrap());
    let words = "a result as long as tools usually have, ".repeat(10);
    if !history.is_empty() {
        history.extend(br#",{"role":"assistant","content":[{"type":"text","text":"words"}]},"#);
    }
    history.extend(format!(r#"{{"role":"user","content":"{prompt}"}}"#).into_bytes());
    let mut bytes = 0;
    for number in 0..=tools {
        let mut body = Vec::with_capacity(HEAD.len() + history.len() + 2);
        body.extend_from_slice(HEAD.as_bytes());
        body.extend_from_slice(history);
        body.extend_from_slice(b"]}");
        bytes += call(client, url, body).await;
        if number < tools {
            let pair = format!(
                r#",{{"role":"assistant","content":[{{"type":"text","text":"Let me see."}},{{"type":"tool_use","id":"toolu_{number}","name":"echo","input":{{"text":"{words}"}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_{number}","content":"echo: {words}"}}]}}"#
            );
            history.extend(pair.into_bytes());
        }
    }
    bytes
}
