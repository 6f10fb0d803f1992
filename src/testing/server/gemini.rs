//! Gemini generateContent as that API sends it: whole response objects with parts to append.
//! Refuses an end mark, for the vendor has none: the end of the body ends the turn.

use super::{
    super::answer::Piece,
    vendor::{Ask, Complaint, list, quote},
};
use crate::{error::ErrorKind, provider::Stop, usage::Usage};

/// What a text part is.
#[derive(Clone, Copy)]
enum Kind {
    Said,
    Thought,
}

/// The chunks of a streaming answer: server-sent events with `alt=sse`, else items of a JSON list.
pub(super) fn stream(ask: &Ask<'_>) -> Vec<String> {
    let mut parts = Vec::new();
    for (index, piece) in ask.answer.pieces.iter().enumerate() {
        let split = ask.answer.split;
        match piece {
            Piece::Text(words) | Piece::Thinking(words) => {
                let kind = match piece {
                    Piece::Thinking(_) => Kind::Thought,
                    _ => Kind::Said,
                };
                let deltas = words.deltas(split);
                parts.extend(deltas.iter().map(|text| text_part(text, kind, None)));
                if words.seal.is_some() {
                    // The signature comes last, on a part without words.
                    parts.push(text_part("", kind, words.seal.as_deref()));
                }
            }
            _ => parts.extend(part(ask, index, piece)),
        }
    }
    let mut chunks: Vec<_> = parts
        .iter()
        .map(|part| format!(r#"{{"content":{{"parts":[{part}],"role":"model"}},"index":0}}"#))
        .map(|candidate| response(ask, Some(&candidate)))
        .collect();
    chunks.push(match blocked(ask) {
        true => response(ask, None),
        false => {
            let last = format!(
                r#"{{"content":{{"parts":[{{"text":""}}],"role":"model"}},{},"index":0}}"#,
                finish(ask)
            );
            response(ask, Some(&last))
        }
    });
    if is_sse(ask.query) {
        return chunks.iter().map(|chunk| data(chunk)).collect();
    }
    let last = chunks.len() - 1;
    let item = |(at, chunk): (usize, &String)| {
        let open = if at == 0 { "[" } else { ",\r\n" };
        let close = if at == last { "]" } else { "" };
        format!("{open}{chunk}{close}")
    };
    chunks.iter().enumerate().map(item).collect()
}

/// The content type of a streaming answer.
pub(super) fn content_type(query: &str) -> &'static str {
    match is_sse(query) {
        true => "text/event-stream",
        false => "application/json; charset=UTF-8",
    }
}

/// The body of an answer that does not stream.
pub(super) fn whole(ask: &Ask<'_>) -> String {
    if blocked(ask) {
        return response(ask, None);
    }
    let pieces = ask.answer.pieces.iter().enumerate();
    let parts: Vec<_> = pieces
        .filter_map(|(index, piece)| part(ask, index, piece))
        .collect();
    let candidate = format!(
        r#"{{"content":{{"parts":{},"role":"model"}},{},"index":0}}"#,
        list(&parts),
        finish(ask)
    );
    response(ask, Some(&candidate))
}

/// The body of an error.
pub(super) fn error(complaint: &Complaint<'_>) -> String {
    let word = match complaint.status {
        400 | 413 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "UNKNOWN",
    };
    let details = match complaint.retry_after {
        Some(wait) => format!(
            r#","details":[{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{}s"}}]"#,
            wait.as_secs_f64()
        ),
        None if complaint.kind == ErrorKind::Auth => {
            r#","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]"#.to_owned()
        }
        None => String::new(),
    };
    format!(
        r#"{{"error":{{"code":{},"message":{},"status":"{word}"{details}}}}}"#,
        complaint.status,
        quote(&complaint.message),
    )
}

/// An error after the stream has begun.
pub(super) fn error_frame(complaint: &Complaint<'_>, ask: &Ask<'_>) -> String {
    let error = error(complaint);
    if is_sse(ask.query) {
        data(&error)
    } else {
        format!(",\r\n{error}]")
    }
}

fn is_sse(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.eq_ignore_ascii_case("alt=sse"))
}

/// This vendor ends its lines with both characters.
fn data(json: &str) -> String {
    format!("data: {json}\r\n\r\n")
}

fn part(ask: &Ask<'_>, index: usize, piece: &Piece) -> Option<String> {
    match piece {
        Piece::Text(words) => Some(text_part(words.text(), Kind::Said, words.seal.as_deref())),
        Piece::Thinking(words) => Some(text_part(
            words.text(),
            Kind::Thought,
            words.seal.as_deref(),
        )),
        Piece::Call(call) => Some(format!(
            r#"{{"functionCall":{{"name":{},"args":{},"id":{}}}{}}}"#,
            quote(&call.name),
            call.arguments,
            quote(&call.id("call_", ask.number, index)),
            signature(call.seal.as_deref()),
        )),
        Piece::Opaque(json) => Some(json.as_str().to_owned()),
        Piece::Raw(_) => None, // refused before
    }
}

fn text_part(text: &str, kind: Kind, seal: Option<&str>) -> String {
    let thought = match kind {
        Kind::Thought => r#","thought":true"#,
        Kind::Said => "",
    };
    format!(r#"{{"text":{}{thought}{}}}"#, quote(text), signature(seal))
}

fn signature(seal: Option<&str>) -> String {
    seal.map_or(String::new(), |seal| {
        format!(r#","thoughtSignature":{}"#, quote(seal))
    })
}

/// A prompt that is refused before the model sees it has no candidate at all.
fn blocked(ask: &Ask<'_>) -> bool {
    ask.answer.pieces.is_empty() && matches!(ask.answer.stopped(), Stop::Refused { .. })
}

fn response(ask: &Ask<'_>, candidate: Option<&str>) -> String {
    let first = match candidate {
        Some(candidate) => format!(r#""candidates":[{candidate}]"#),
        None => {
            let reason = quote(&ask.answer.stop_word("SAFETY"));
            format!(r#""promptFeedback":{{"blockReason":{reason}}}"#)
        }
    };
    let usage = match &ask.used {
        Some(used) => format!(r#","usageMetadata":{}"#, usage(used)),
        None => String::new(),
    };
    format!(
        r#"{{{first}{usage},"modelVersion":{},"responseId":"resp{:06}"}}"#,
        quote(&ask.model),
        ask.number
    )
}

fn finish(ask: &Ask<'_>) -> String {
    let stop = ask.answer.stopped();
    let spelled = match &stop {
        Stop::Length | Stop::ContextFull => "MAX_TOKENS",
        Stop::Refused { .. } => "SAFETY",
        Stop::BadCall => "MALFORMED_FUNCTION_CALL",
        Stop::Unknown => "OTHER",
        Stop::Done | Stop::Paused => "STOP",
    };
    let word = quote(&ask.answer.stop_word(spelled));
    match stop {
        Stop::Refused { reason } if !reason.is_empty() => {
            format!(
                r#""finishReason":{word},"finishMessage":{}"#,
                quote(&reason)
            )
        }
        _ => format!(r#""finishReason":{word}"#),
    }
}

fn usage(used: &Usage) -> String {
    let optional = |name: &str, tokens: u64| match tokens {
        0 => String::new(),
        tokens => format!(r#","{name}":{tokens}"#),
    };
    format!(
        r#"{{"promptTokenCount":{},"candidatesTokenCount":{}{}{},"totalTokenCount":{},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":{}}}]}}"#,
        used.prompt(),
        used.output - used.reasoning.min(used.output),
        optional("cachedContentTokenCount", used.cache_read),
        optional("thoughtsTokenCount", used.reasoning),
        used.total(),
        used.prompt(),
    )
}
