//! OpenAI Chat Completions as that API sends them: chunks, calls by index, `[DONE]` at the end.
//! Refuses the quirks of compatible servers; those are written as raw bodies by the tests.

use super::{
    super::answer::Piece,
    vendor::{Ask, Complaint, UNIX_TIME, list, quote},
};
use crate::{error::ErrorKind, provider::Stop, usage::Usage};

/// The chunks of a streaming answer.
pub(super) fn stream(ask: &Ask<'_>) -> Vec<String> {
    let counted = ask.body["stream_options"]["include_usage"].as_bool() == Some(true);
    let null_usage = if counted { r#","usage":null"# } else { "" };
    let chunk = |delta: &str, finish: &str| {
        let choice = format!(
            r#"{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}"#
        );
        data(&format!(
            "{}\"choices\":[{choice}]{null_usage}}}",
            opening(ask, "chat.completion.chunk")
        ))
    };
    let split = ask.answer.split;
    let content = match has_text(ask) {
        true => r#""""#,
        false => "null",
    };
    let mut out = vec![chunk(
        &format!(r#""role":"assistant","content":{content},"refusal":null"#),
        "null",
    )];
    let mut calls = 0;
    for (part, piece) in ask.answer.pieces.iter().enumerate() {
        match piece {
            Piece::Text(words) => {
                let deltas = words.deltas(split);
                out.extend(
                    deltas
                        .iter()
                        .map(|t| chunk(&format!(r#""content":{}"#, quote(t)), "null")),
                );
            }
            // Not OpenAI's own, but what every compatible reasoning model sends.
            Piece::Thinking(words) => {
                let deltas = words.deltas(split);
                let field =
                    |t: &&str| chunk(&format!(r#""reasoning_content":{}"#, quote(t)), "null");
                out.extend(deltas.iter().map(field));
            }
            Piece::Call(call) => {
                let first = format!(
                    r#""tool_calls":[{{"index":{calls},"id":{},"type":"function","function":{{"name":{},"arguments":""}}}}]"#,
                    quote(&call.id("call_", ask.number, part)),
                    quote(&call.name),
                );
                out.push(chunk(&first, "null"));
                for fragment in call.deltas(split) {
                    let more = format!(
                        r#""tool_calls":[{{"index":{calls},"function":{{"arguments":{}}}}}]"#,
                        quote(fragment)
                    );
                    out.push(chunk(&more, "null"));
                }
                calls += 1;
            }
            Piece::Opaque(_) | Piece::Raw(_) => {} // refused before
        }
    }
    if let Some(refusal) = refusal(ask) {
        out.push(chunk(&format!(r#""refusal":{}"#, quote(&refusal)), "null"));
    }
    out.push(chunk("", &finish(ask)));
    if let Some(used) = ask.used.as_ref().filter(|_| counted) {
        let opening = opening(ask, "chat.completion.chunk");
        out.push(data(&format!(
            "{opening}\"choices\":[],\"usage\":{}}}",
            usage(used)
        )));
    }
    out.push(data("[DONE]"));
    out
}

/// The body of an answer that does not stream.
pub(super) fn whole(ask: &Ask<'_>) -> String {
    let (mut text, mut thinking, mut calls) = (String::new(), String::new(), Vec::new());
    for (part, piece) in ask.answer.pieces.iter().enumerate() {
        match piece {
            Piece::Text(words) => text.push_str(words.text()),
            Piece::Thinking(words) => thinking.push_str(words.text()),
            Piece::Call(call) => calls.push(format!(
                r#"{{"id":{},"type":"function","function":{{"name":{},"arguments":{}}}}}"#,
                quote(&call.id("call_", ask.number, part)),
                quote(&call.name),
                quote(&call.arguments),
            )),
            Piece::Opaque(_) | Piece::Raw(_) => {}
        }
    }
    let content = if has_text(ask) {
        quote(&text)
    } else {
        "null".to_owned()
    };
    let refusal = refusal(ask).map_or("null".to_owned(), |reason| quote(&reason));
    let mut message = format!(r#""role":"assistant","content":{content},"refusal":{refusal}"#);
    if !thinking.is_empty() {
        message.push_str(&format!(r#","reasoning_content":{}"#, quote(&thinking)));
    }
    if !calls.is_empty() {
        message.push_str(&format!(r#","tool_calls":{}"#, list(&calls)));
    }
    message.push_str(r#","annotations":[]"#);
    let usage = match &ask.used {
        Some(used) => format!(r#","usage":{}"#, usage(used)),
        None => String::new(),
    };
    format!(
        r#"{}"choices":[{{"index":0,"message":{{{message}}},"logprobs":null,"finish_reason":{}}}]{usage}}}"#,
        opening(ask, "chat.completion"),
        finish(ask),
    )
}

/// The body of an error, for both of OpenAI's APIs.
pub(super) fn error(complaint: &Complaint<'_>) -> String {
    let (kind, code) = match (complaint.kind, complaint.status) {
        (ErrorKind::QuotaExhausted, _) => ("insufficient_quota", r#""insufficient_quota""#),
        (ErrorKind::ContextTooLong, _) => ("invalid_request_error", r#""context_length_exceeded""#),
        (_, 401) => ("invalid_request_error", r#""invalid_api_key""#),
        (_, 404) => ("invalid_request_error", r#""model_not_found""#),
        (_, 429) => ("requests", r#""rate_limit_exceeded""#),
        (_, 500..) => ("server_error", "null"),
        _ => ("invalid_request_error", "null"),
    };
    format!(
        r#"{{"error":{{"message":{},"type":"{kind}","param":null,"code":{code}}}}}"#,
        quote(&complaint.message),
    )
}

/// An error after the stream has begun.
pub(super) fn error_frame(complaint: &Complaint<'_>) -> String {
    data(&error(complaint))
}

fn data(json: &str) -> String {
    format!("data: {json}\n\n")
}

/// The fields before `choices`, in the vendor's order.
fn opening(ask: &Ask<'_>, kind: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-{:06}","object":"{kind}","created":{UNIX_TIME},"model":{},"service_tier":"default","system_fingerprint":"fp_000001","#,
        ask.number,
        quote(&ask.model),
    )
}

fn has_text(ask: &Ask<'_>) -> bool {
    ask.answer
        .pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Text(_)))
}

fn refusal(ask: &Ask<'_>) -> Option<String> {
    match ask.answer.stopped() {
        Stop::Refused { reason } if !reason.is_empty() => Some(reason),
        _ => None,
    }
}

fn finish(ask: &Ask<'_>) -> String {
    let spelled = match ask.answer.stopped() {
        Stop::Length | Stop::ContextFull => "length",
        Stop::Refused { reason } if reason.is_empty() => "content_filter",
        Stop::Done if ask.answer.has_calls() => "tool_calls",
        _ => "stop",
    };
    quote(&ask.answer.stop_word(spelled))
}

fn usage(used: &Usage) -> String {
    format!(
        r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
        used.prompt(),
        used.output,
        used.total(),
        used.cache_read,
        used.reasoning,
    )
}
