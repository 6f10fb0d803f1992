//! Anthropic Messages as that API sends them: named events, blocks by index, cumulative usage.
//! Refuses to share a line with the crate's decoder; written from the vendor's documentation.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    super::answer::Piece,
    vendor::{Ask, Complaint, list, quote},
};
use crate::{error::ErrorKind, provider::Stop, usage::Usage};

/// The events of a streaming answer.
pub(super) fn stream(ask: &Ask<'_>) -> Vec<String> {
    let mut out = vec![event(
        "message_start",
        &format!(
            r#""message":{{"id":"{}","type":"message","role":"assistant","model":{},"content":[],"stop_reason":null,"stop_sequence":null,"usage":{}}}"#,
            id(ask),
            quote(&ask.model),
            usage(ask, 1),
        ),
    )];
    for (index, piece) in ask.answer.pieces.iter().enumerate() {
        let split = ask.answer.split;
        let (start, deltas) = match piece {
            Piece::Text(words) => {
                let deltas = words.deltas(split);
                let deltas = deltas
                    .iter()
                    .map(|text| delta("text_delta", "text", text))
                    .collect();
                (r#"{"type":"text","text":""}"#.to_owned(), deltas)
            }
            Piece::Thinking(words) => {
                let deltas = words.deltas(split);
                let thinking = |text: &&str| delta("thinking_delta", "thinking", text);
                let mut deltas: Vec<_> = deltas.iter().map(thinking).collect();
                let seal = words.seal.clone().unwrap_or_else(|| signature(ask, index));
                deltas.push(delta("signature_delta", "signature", &seal));
                (
                    r#"{"type":"thinking","thinking":"","signature":""}"#.to_owned(),
                    deltas,
                )
            }
            Piece::Call(call) => {
                let start = format!(
                    r#"{{"type":"tool_use","id":{},"name":{},"input":{{}}}}"#,
                    quote(&call.id("toolu_", ask.number, index)),
                    quote(&call.name),
                );
                let json = |text: &str| delta("input_json_delta", "partial_json", text);
                // The first fragment is always empty.
                let mut deltas = vec![json("")];
                deltas.extend(call.deltas(split).into_iter().map(json));
                (start, deltas)
            }
            Piece::Opaque(block) => (block.as_str().to_owned(), Vec::new()),
            Piece::Raw(_) => continue, // refused before
        };
        let start = format!(r#""index":{index},"content_block":{start}"#);
        out.push(event("content_block_start", &start));
        if index == 0 {
            out.push(event("ping", ""));
        }
        for delta in deltas {
            out.push(event(
                "content_block_delta",
                &format!(r#""index":{index},"delta":{delta}"#),
            ));
        }
        out.push(event("content_block_stop", &format!(r#""index":{index}"#)));
    }
    let mut end = format!(r#""delta":{{{}}}"#, stop(ask));
    if let Some(used) = &ask.used {
        end.push_str(&format!(
            r#","usage":{{"input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},"output_tokens":{}{}}}"#,
            used.input,
            used.cache_write + used.cache_write_hour,
            used.cache_read,
            used.output,
            details(used),
        ));
    } else {
        // The vendor never leaves it out, but gateways do; the count of tokens alone is required.
        end.push_str(r#","usage":{"output_tokens":0}"#);
    }
    out.push(event("message_delta", &end));
    out.push(event("message_stop", ""));
    out
}

/// The body of an answer that does not stream.
pub(super) fn whole(ask: &Ask<'_>) -> String {
    let mut blocks = Vec::new();
    for (index, piece) in ask.answer.pieces.iter().enumerate() {
        blocks.push(match piece {
            Piece::Text(words) => format!(r#"{{"type":"text","text":{}}}"#, quote(words.text())),
            Piece::Thinking(words) => format!(
                r#"{{"type":"thinking","thinking":{},"signature":{}}}"#,
                quote(words.text()),
                quote(&words.seal.clone().unwrap_or_else(|| signature(ask, index))),
            ),
            Piece::Call(call) => format!(
                r#"{{"type":"tool_use","id":{},"name":{},"input":{}}}"#,
                quote(&call.id("toolu_", ask.number, index)),
                quote(&call.name),
                object(&call.arguments),
            ),
            Piece::Opaque(block) => block.as_str().to_owned(),
            Piece::Raw(_) => continue,
        });
    }
    format!(
        r#"{{"id":"{}","type":"message","role":"assistant","model":{},"content":{},{},"usage":{}}}"#,
        id(ask),
        quote(&ask.model),
        list(&blocks),
        stop(ask),
        usage(ask, 0),
    )
}

/// The body of an error.
pub(super) fn error(complaint: &Complaint<'_>) -> String {
    format!(
        r#"{{"type":"error","error":{{"type":"{}","message":{}}},"request_id":{}}}"#,
        error_type(complaint),
        quote(&complaint.message),
        quote(complaint.request_id),
    )
}

/// An error after the stream has begun.
pub(super) fn error_frame(complaint: &Complaint<'_>) -> String {
    let message = quote(&complaint.message);
    let kind = error_type(complaint);
    event(
        "error",
        &format!(r#""error":{{"type":"{kind}","message":{message}}}"#),
    )
}

fn error_type(complaint: &Complaint<'_>) -> &'static str {
    match (complaint.kind, complaint.status) {
        (ErrorKind::QuotaExhausted, 402) => "billing_error",
        (_, 401) => "authentication_error",
        (_, 403) => "permission_error",
        (_, 404) => "not_found_error",
        (_, 413) => "request_too_large",
        (_, 429) => "rate_limit_error",
        (_, 504) => "timeout_error",
        (_, 529) => "overloaded_error",
        (_, 500..) => "api_error",
        _ => "invalid_request_error",
    }
}

fn event(name: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!("event: {name}\ndata: {{\"type\":\"{name}\"{comma}{fields}}}\n\n")
}

fn delta(kind: &str, field: &str, text: &str) -> String {
    format!(r#"{{"type":"{kind}","{field}":{}}}"#, quote(text))
}

fn id(ask: &Ask<'_>) -> String {
    format!("msg_{:06}", ask.number)
}

/// The vendor signs all reasoning, so reasoning that the test did not sign is signed here.
fn signature(ask: &Ask<'_>, part: usize) -> String {
    STANDARD.encode(format!("signature {:06}.{part:02}", ask.number))
}

/// The usage object; at the start of a stream, `output` is what has been written by then.
fn usage(ask: &Ask<'_>, output_so_far: u64) -> String {
    let used = ask.used.unwrap_or_default();
    let (output, details) = match output_so_far {
        0 => (used.output, details(&used)),
        so_far => (so_far, String::new()),
    };
    format!(
        r#"{{"input_tokens":{},"cache_creation_input_tokens":{},"cache_read_input_tokens":{},"cache_creation":{{"ephemeral_5m_input_tokens":{},"ephemeral_1h_input_tokens":{}}},"output_tokens":{output}{details},"service_tier":"standard"}}"#,
        used.input,
        used.cache_write + used.cache_write_hour,
        used.cache_read,
        used.cache_write,
        used.cache_write_hour,
    )
}

fn details(used: &Usage) -> String {
    match used.reasoning {
        0 => String::new(),
        tokens => format!(r#","output_tokens_details":{{"thinking_tokens":{tokens}}}"#),
    }
}

fn stop(ask: &Ask<'_>) -> String {
    let stop = ask.answer.stopped();
    let spelled = match &stop {
        Stop::Length => "max_tokens",
        Stop::Refused { .. } => "refusal",
        Stop::Paused => "pause_turn",
        Stop::ContextFull => "model_context_window_exceeded",
        _ if ask.answer.has_calls() => "tool_use",
        _ => "end_turn",
    };
    let word = quote(&ask.answer.stop_word(spelled));
    let details = match &stop {
        Stop::Refused { reason } => format!(
            r#","stop_details":{{"type":"refusal","category":null,"explanation":{}}}"#,
            quote(reason)
        ),
        _ => String::new(),
    };
    format!(r#""stop_reason":{word},"stop_sequence":null{details}"#)
}

/// Arguments as an object; what is none stands in one, as where a model was cut off.
fn object(arguments: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(arguments) {
        Ok(value) if value.is_object() => arguments.to_owned(),
        _ => "{}".to_owned(),
    }
}
