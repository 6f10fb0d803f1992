//! The floor: what a careful afternoon gives without this crate, on the same bytes.
//! Refuses to change: this file is frozen, its hash stands in BENCHMARKS.md.

use eventsource_stream::Eventsource;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

/// One model call: the whole history is serialised, each delta is a `Value`.
async fn call(client: &reqwest::Client, url: &str, history: &[Value]) -> (Value, usize) {
    let body = json!({
        "model": "bench", "max_tokens": 4096, "stream": true,
        "system": "You are a benchmark.",
        "tools": [{"name": "echo", "description": "Says it again",
            "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}}}],
        "messages": history,
    });
    let response = client
        .post(format!("{url}/v1/messages"))
        .header("content-type", "application/json")
        .header("x-api-key", "k")
        .header("anthropic-version", "2023-06-01")
        .body(serde_json::to_vec(&body).unwrap())
        .send()
        .await
        .unwrap();
    let bytes = stream::unfold(response, |mut response| async {
        Some((response.chunk().await.transpose()?, response))
    });
    let mut events = Box::pin(bytes.eventsource());
    let mut blocks: Vec<Value> = Vec::new();
    let mut arguments: Vec<String> = Vec::new();
    let mut deltas = 0;
    while let Some(event) = events.next().await {
        let event = event.unwrap();
        let data: Value = serde_json::from_str(&event.data).unwrap();
        match data["type"].as_str().unwrap_or("") {
            "content_block_start" => {
                blocks.push(data["content_block"].clone());
                arguments.push(String::new());
            }
            "content_block_delta" => {
                deltas += 1;
                let index = data["index"].as_u64().unwrap() as usize;
                let delta = &data["delta"];
                if let Some(text) = delta["text"].as_str() {
                    if let Value::String(so_far) = &mut blocks[index]["text"] {
                        so_far.push_str(text);
                    }
                } else if let Some(json) = delta["partial_json"].as_str() {
                    arguments[index].push_str(json);
                }
            }
            "message_stop" => break,
            _ => {}
        }
    }
    for (block, arguments) in blocks.iter_mut().zip(arguments) {
        if block["type"] == "tool_use" {
            block["input"] = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({}));
        }
    }
    (json!({"role": "assistant", "content": blocks}), deltas)
}

/// One turn: calls the model until it asks for no more tools. Returns the number of deltas.
pub(crate) async fn turn(
    client: &reqwest::Client,
    url: &str,
    history: &mut Vec<Value>,
    prompt: &str,
) -> usize {
    history.push(json!({"role": "user", "content": prompt}));
    let mut deltas = 0;
    loop {
        let (message, more) = call(client, url, history).await;
        deltas += more;
        let mut results = Vec::new();
        for block in message["content"].as_array().unwrap() {
            if block["type"] == "tool_use" {
                let text = format!("echo: {}", block["input"]["text"].as_str().unwrap_or(""));
                results.push(json!({
                    "type": "tool_result", "tool_use_id": block["id"], "content": text,
                }));
            }
        }
        history.push(message);
        if results.is_empty() {
            return deltas;
        }
        history.push(json!({"role": "user", "content": results}));
    }
}
