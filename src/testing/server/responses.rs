//! OpenAI Responses as that API sends them: numbered events, items by place, the whole at the end.
//! Refuses server state: nothing is stored, no earlier response is known.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    super::answer::{Call, Piece, Words},
    vendor::{Ask, Complaint, UNIX_TIME, list, quote},
};
use crate::{error::ErrorKind, provider::Stop, usage::Usage};

/// The events of a streaming answer.
pub(super) fn stream(ask: &Ask<'_>) -> Vec<String> {
    let mut events = Events::default();
    let begun = response(ask, "in_progress", &[]);
    events.push("response.created", &format!(r#""response":{begun}"#));
    events.push("response.in_progress", &format!(r#""response":{begun}"#));
    let mut items = Vec::new();
    for (part, piece) in ask.answer.pieces.iter().enumerate() {
        let place = Place::of(ask, part, items.len());
        items.push(match piece {
            Piece::Text(words) => text(&mut events, ask, &place, words),
            Piece::Thinking(words) => thinking(&mut events, ask, &place, words),
            Piece::Call(call) => function_call(&mut events, ask, &place, call),
            Piece::Opaque(item) => {
                let item = item.as_str().to_owned();
                events.item("added", &place, &item);
                events.item("done", &place, &item);
                item
            }
            Piece::Raw(_) => continue, // refused before
        });
    }
    if let Some(reason) = refusal(ask) {
        let place = Place::of(ask, ask.answer.pieces.len(), items.len());
        items.push(refused(&mut events, &place, &reason));
    }
    let (event, status, _) = ending(ask);
    let whole = response(ask, status, &items);
    events.push(event, &format!(r#""response":{whole}"#));
    events.out
}

/// The body of an answer that does not stream.
pub(super) fn whole(ask: &Ask<'_>) -> String {
    let mut items = Vec::new();
    for (part, piece) in ask.answer.pieces.iter().enumerate() {
        let place = Place::of(ask, part, items.len());
        items.push(match piece {
            Piece::Text(words) => message(&place, "completed", &[output_text(words.text())]),
            Piece::Thinking(words) => reasoning(ask, &place, Some(words)),
            Piece::Call(call) => called(ask, &place, call, "completed", &call.arguments),
            Piece::Opaque(item) => item.as_str().to_owned(),
            Piece::Raw(_) => continue,
        });
    }
    if let Some(reason) = refusal(ask) {
        let place = Place::of(ask, ask.answer.pieces.len(), items.len());
        items.push(message(&place, "completed", &[refusal_part(&reason)]));
    }
    let (_, status, _) = ending(ask);
    response(ask, status, &items)
}

/// An error after the stream has begun: of the response, where it has a code for it, else a bare one.
pub(super) fn error_frame(complaint: &Complaint<'_>, ask: &Ask<'_>, number: usize) -> String {
    let mut events = Events {
        number,
        out: Vec::new(),
    };
    let message = quote(&complaint.message);
    match failure_code(complaint.kind) {
        Some(code) => {
            let error = format!(r#"{{"code":"{code}","message":{message}}}"#);
            let failed = response_with(ask, "failed", &[], &error, "null");
            events.push("response.failed", &format!(r#""response":{failed}"#));
        }
        None => {
            let code = if complaint.status >= 500 {
                "server_error"
            } else {
                "invalid_request_error"
            };
            let fields = format!(r#""code":"{code}","message":{message},"param":null"#);
            events.push("error", &fields);
        }
    }
    events.out.concat()
}

fn failure_code(kind: ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::Server | ErrorKind::Overloaded => Some("server_error"),
        ErrorKind::RateLimited => Some("rate_limit_exceeded"),
        ErrorKind::ContextTooLong => Some("context_length_exceeded"),
        ErrorKind::QuotaExhausted => Some("insufficient_quota"),
        _ => None,
    }
}

/// Numbers the events.
#[derive(Default)]
struct Events {
    number: usize,
    out: Vec<String>,
}

impl Events {
    fn push(&mut self, name: &str, fields: &str) {
        self.out.push(format!(
            "event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{},{fields}}}\n\n",
            self.number
        ));
        self.number += 1;
    }

    fn item(&mut self, what: &str, place: &Place, item: &str) {
        let index = place.index;
        let name = format!("response.output_item.{what}");
        self.push(&name, &format!(r#""output_index":{index},"item":{item}"#));
    }

    /// An event of a part of an item.
    fn of(&mut self, name: &str, place: &Place, inner: &str, fields: &str) {
        let Place { index, id, .. } = place;
        self.push(
            name,
            &format!(r#""item_id":"{id}","output_index":{index},{inner}{fields}"#),
        );
    }
}

/// Where an item stands.
struct Place {
    /// In the answer of the script.
    part: usize,
    /// In the list of the response.
    index: usize,
    id: String,
}

impl Place {
    fn of(ask: &Ask<'_>, part: usize, index: usize) -> Self {
        let prefix = match ask.answer.pieces.get(part) {
            Some(Piece::Thinking(_)) => "rs",
            Some(Piece::Call(_)) => "fc",
            _ => "msg",
        };
        Self {
            part,
            index,
            id: format!("{prefix}_{:06}_{part:02}", ask.number),
        }
    }
}

const CONTENT: &str = r#""content_index":0,"#;
const SUMMARY: &str = r#""summary_index":0,"#;

fn text(events: &mut Events, ask: &Ask<'_>, place: &Place, words: &Words) -> String {
    let whole = output_text(words.text());
    events.item("added", place, &message(place, "in_progress", &[]));
    let empty = format!(r#""part":{}"#, output_text(""));
    events.of("response.content_part.added", place, CONTENT, &empty);
    for delta in words.deltas(ask.answer.split) {
        let fields = format!(r#""delta":{},"logprobs":[]"#, quote(delta));
        events.of("response.output_text.delta", place, CONTENT, &fields);
    }
    let fields = format!(r#""text":{},"logprobs":[]"#, quote(words.text()));
    events.of("response.output_text.done", place, CONTENT, &fields);
    events.of(
        "response.content_part.done",
        place,
        CONTENT,
        &format!(r#""part":{whole}"#),
    );
    let item = message(place, "completed", &[whole]);
    events.item("done", place, &item);
    item
}

fn refused(events: &mut Events, place: &Place, reason: &str) -> String {
    let whole = refusal_part(reason);
    events.item("added", place, &message(place, "in_progress", &[]));
    let empty = format!(r#""part":{}"#, refusal_part(""));
    events.of("response.content_part.added", place, CONTENT, &empty);
    let quoted = quote(reason);
    events.of(
        "response.refusal.delta",
        place,
        CONTENT,
        &format!(r#""delta":{quoted}"#),
    );
    events.of(
        "response.refusal.done",
        place,
        CONTENT,
        &format!(r#""refusal":{quoted}"#),
    );
    events.of(
        "response.content_part.done",
        place,
        CONTENT,
        &format!(r#""part":{whole}"#),
    );
    let item = message(place, "completed", &[whole]);
    events.item("done", place, &item);
    item
}

fn thinking(events: &mut Events, ask: &Ask<'_>, place: &Place, words: &Words) -> String {
    events.item("added", place, &reasoning(ask, place, None));
    let part = |text: &str| format!(r#""part":{}"#, summary_text(text));
    events.of(
        "response.reasoning_summary_part.added",
        place,
        SUMMARY,
        &part(""),
    );
    for delta in words.deltas(ask.answer.split) {
        let fields = format!(r#""delta":{}"#, quote(delta));
        events.of(
            "response.reasoning_summary_text.delta",
            place,
            SUMMARY,
            &fields,
        );
    }
    let fields = format!(r#""text":{}"#, quote(words.text()));
    events.of(
        "response.reasoning_summary_text.done",
        place,
        SUMMARY,
        &fields,
    );
    events.of(
        "response.reasoning_summary_part.done",
        place,
        SUMMARY,
        &part(words.text()),
    );
    let item = reasoning(ask, place, Some(words));
    events.item("done", place, &item);
    item
}

fn function_call(events: &mut Events, ask: &Ask<'_>, place: &Place, call: &Call) -> String {
    events.item("added", place, &called(ask, place, call, "in_progress", ""));
    for delta in call.deltas(ask.answer.split) {
        let fields = format!(r#""delta":{}"#, quote(delta));
        events.of("response.function_call_arguments.delta", place, "", &fields);
    }
    let fields = format!(
        r#""name":{},"arguments":{}"#,
        quote(&call.name),
        quote(&call.arguments)
    );
    events.of("response.function_call_arguments.done", place, "", &fields);
    let item = called(ask, place, call, "completed", &call.arguments);
    events.item("done", place, &item);
    item
}

fn message(place: &Place, status: &str, content: &[String]) -> String {
    format!(
        r#"{{"id":"{}","type":"message","status":"{status}","content":{},"role":"assistant"}}"#,
        place.id,
        list(content)
    )
}

fn output_text(text: &str) -> String {
    let text = quote(text);
    format!(r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":{text}}}"#)
}

fn refusal_part(reason: &str) -> String {
    format!(r#"{{"type":"refusal","refusal":{}}}"#, quote(reason))
}

fn summary_text(text: &str) -> String {
    format!(r#"{{"type":"summary_text","text":{}}}"#, quote(text))
}

/// A reasoning item; without words while it is being written, and then its seal is another one too.
fn reasoning(ask: &Ask<'_>, place: &Place, words: Option<&Words>) -> String {
    let include = ask.body["include"].as_array();
    let asked = include.is_some_and(|list| list.iter().any(|v| v == "reasoning.encrypted_content"));
    let seal = match words {
        Some(words) if words.seal.is_some() => words.seal.clone(),
        Some(_) if asked => Some(STANDARD.encode(format!("sealed {}", place.id))),
        None if asked => Some(STANDARD.encode(format!("unfinished {}", place.id))),
        _ => None,
    };
    let seal = seal.map_or(String::new(), |seal| {
        format!(r#","encrypted_content":{}"#, quote(&seal))
    });
    let summary: Vec<_> = words
        .iter()
        .map(|words| summary_text(words.text()))
        .collect();
    format!(
        r#"{{"id":"{}","type":"reasoning","summary":{}{seal}}}"#,
        place.id,
        list(&summary)
    )
}

fn called(ask: &Ask<'_>, place: &Place, call: &Call, status: &str, arguments: &str) -> String {
    format!(
        r#"{{"id":"{}","type":"function_call","status":"{status}","arguments":{},"call_id":{},"name":{}}}"#,
        place.id,
        quote(arguments),
        quote(&call.id("call_", ask.number, place.part)),
        quote(&call.name),
    )
}

fn refusal(ask: &Ask<'_>) -> Option<String> {
    match ask.answer.stopped() {
        Stop::Refused { reason } if !reason.is_empty() => Some(reason),
        _ => None,
    }
}

/// The last event, the status, and why it is incomplete.
fn ending(ask: &Ask<'_>) -> (&'static str, &'static str, Option<String>) {
    let incomplete = |word: &str| {
        let word = ask.answer.stop_word(word);
        ("response.incomplete", "incomplete", Some(word))
    };
    match ask.answer.stopped() {
        Stop::Length | Stop::ContextFull => incomplete("max_output_tokens"),
        Stop::Refused { reason } if reason.is_empty() => incomplete("content_filter"),
        Stop::Unknown => incomplete("unknown"),
        _ => ("response.completed", "completed", None),
    }
}

fn response(ask: &Ask<'_>, status: &str, items: &[String]) -> String {
    let why = match status {
        "incomplete" => ending(ask)
            .2
            .map(|word| format!(r#"{{"reason":{}}}"#, quote(&word))),
        _ => None,
    };
    response_with(ask, status, items, "null", why.as_deref().unwrap_or("null"))
}

fn response_with(ask: &Ask<'_>, status: &str, items: &[String], error: &str, why: &str) -> String {
    let usage = match &ask.used {
        Some(used) if status != "in_progress" => usage(used),
        _ => "null".to_owned(),
    };
    let echo = |field: &str, otherwise: &str| match &ask.body[field] {
        serde_json::Value::Null => otherwise.to_owned(),
        value => value.to_string(),
    };
    format!(
        r#"{{"id":"resp_{:06}","object":"response","created_at":{UNIX_TIME},"status":"{status}","background":false,"error":{error},"incomplete_details":{why},"instructions":{},"max_output_tokens":{},"model":{},"output":{},"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{},"service_tier":"default","store":{},"temperature":1.0,"text":{{"format":{{"type":"text"}}}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{usage},"user":null,"metadata":{{}}}}"#,
        ask.number,
        echo("instructions", "null"),
        echo("max_output_tokens", "null"),
        quote(&ask.model),
        list(items),
        echo("reasoning", r#"{"effort":null,"summary":null}"#),
        echo("store", "true"),
    )
}

fn usage(used: &Usage) -> String {
    format!(
        r#"{{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{},"cache_write_tokens":{}}},"output_tokens":{},"output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{}}}"#,
        used.prompt(),
        used.cache_read,
        used.cache_write + used.cache_write_hour,
        used.output,
        used.reasoning,
        used.total(),
    )
}
