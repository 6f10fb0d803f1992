//! What our providers read in each stream, beside what the vendor's SDK reads in it.
//! Refuses silence about differences: each has a row in `differences` that says why.

use std::collections::BTreeMap;

use offshoot::{
    Error, Message, Part, Seal,
    provider::{Delta, Stop},
};
use serde_json::{Value, json};

use super::{
    differences::DIFFERENCES,
    vectors::{self, Player, Vector, Vendor, ask, stop},
};

/// The fields that are compared.
const FIELDS: [&str; 10] = [
    "text", "thinking", "calls", "refusal", "opaque", "order", "seals", "stop_raw", "usage",
    "error",
];

/// One part, as it came in deltas or stands in a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Piece {
    pub(super) what: &'static str,
    /// Words, arguments, or an unread block.
    pub(super) text: String,
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) seal: Option<Seal>,
}

/// The parts of an answer, put together here and not by the engine.
pub(super) fn of_deltas(deltas: &[Delta]) -> Vec<Piece> {
    let mut parts = BTreeMap::<u32, Piece>::new();
    for delta in deltas {
        let (part, what) = match delta {
            Delta::Text { part, .. } => (part, "text"),
            Delta::Thinking { part, .. } => (part, "thinking"),
            Delta::Call { part, .. }
            | Delta::Arguments { part, .. }
            | Delta::ArgumentsDone { part, .. } => (part, "call"),
            Delta::Opaque { part, .. } => (part, "opaque"),
            Delta::Seal { part, .. } | Delta::TextDone { part, .. } => (part, ""),
            _ => continue,
        };
        let piece = parts.entry(*part).or_default();
        if piece.what.is_empty() {
            piece.what = what;
        }
        assert!(
            what.is_empty() || piece.what == what,
            "part {part} is both {} and {what}",
            piece.what
        );
        match delta.clone() {
            Delta::Text { text, .. } | Delta::Thinking { text, .. } => piece.text += &text,
            Delta::TextDone { text, .. } => piece.text = text,
            Delta::Arguments { json, .. } => piece.text += &json,
            Delta::ArgumentsDone { json, .. } => piece.text = json,
            Delta::Opaque { json, .. } => piece.text = json.as_str().to_owned(),
            Delta::Seal { seal, .. } => piece.seal = Some(seal),
            Delta::Call { id, name, .. } => {
                piece.id = id.map(|id| id.as_str().to_owned());
                piece.name = name;
            }
            _ => {}
        }
    }
    parts.into_values().collect()
}

/// The parts of a message.
pub(super) fn of_message(message: &Message) -> Vec<Piece> {
    let piece = |part: &Part| match part.clone() {
        Part::Text { text, seal } => Piece {
            what: "text",
            text,
            seal,
            ..Piece::default()
        },
        Part::Reasoning { text, seal } => Piece {
            what: "thinking",
            text,
            seal,
            ..Piece::default()
        },
        Part::Call(call) => Piece {
            what: "call",
            text: match call.malformed {
                Some(malformed) => malformed,
                None => call.input.as_str().to_owned(),
            },
            id: Some(call.id.as_str().to_owned()),
            name: call.name,
            seal: call.seal,
        },
        Part::Opaque { json, .. } => Piece {
            what: "opaque",
            text: json.as_str().to_owned(),
            ..Piece::default()
        },
        other => panic!("no part of an answer: {other:?}"),
    };
    message.parts.iter().map(piece).collect()
}

/// The word of an expected file for an error.
fn word(error: &Error) -> String {
    let mut out = String::new();
    for c in format!("{:?}", error.kind()).chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The kind of an unread block: what its `type` says, or the one name that Gemini's parts have.
fn kind(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    if let Some(kind) = value["type"].as_str() {
        return kind.to_owned();
    }
    let names = value.as_object().unwrap().keys();
    let mut names = names.filter(|name| !matches!(name.as_str(), "thought" | "thoughtSignature"));
    names.next().cloned().unwrap_or_default()
}

/// What was read, in the form of an expected file.
pub(super) fn reading(vendor: Vendor, deltas: &[Delta], error: Option<&Error>) -> Value {
    let mut out = json!({
        "text": [], "thinking": [], "calls": [], "refusal": null, "opaque": [], "order": [],
        "seals": [], "stop_raw": null, "usage": null, "error": error.map(word),
    });
    let push = |out: &mut Value, field: &str, value: Value| {
        out[field].as_array_mut().unwrap().push(value);
    };
    for piece in of_deltas(deltas) {
        let seal = piece.seal.and_then(|seal| sealed(vendor, piece.what, seal));
        match piece.what {
            "text" | "thinking" if piece.text.is_empty() && seal.is_none() => continue,
            "text" | "thinking" => push(&mut out, piece.what, json!(piece.text)),
            "opaque" => push(&mut out, "opaque", json!(kind(&piece.text))),
            "call" => {
                let text = Some(piece.text.as_str()).filter(|text| !text.trim().is_empty());
                let arguments: Option<Value> = serde_json::from_str(text.unwrap_or("{}")).ok();
                let mut call = json!({"id": piece.id, "name": piece.name});
                call["arguments"] = arguments.filter(Value::is_object).into();
                if call["arguments"].is_null() {
                    call["malformed"] = piece.text.into();
                }
                push(&mut out, "calls", call);
            }
            other => panic!("a part of no kind: `{other}`"),
        }
        push(&mut out, "order", json!(piece.what));
        if let Some(value) = seal {
            push(&mut out, "seals", json!({"of": piece.what, "value": value}));
        }
    }
    for delta in deltas {
        if let Delta::Usage(usage) = delta {
            assert_eq!(
                (usage.requests, usage.estimated),
                (0, 0),
                "the engine counts"
            );
            out["usage"] = json!({
                "input": usage.input, "output": usage.output, "cache_read": usage.cache_read,
                "cache_write": usage.cache_write, "cache_write_hour": usage.cache_write_hour,
                "reasoning": usage.reasoning,
            });
        }
    }
    if let Some((stop, raw)) = stop(deltas) {
        out["stop_raw"] = json!(raw);
        if let Stop::Refused { reason } = stop {
            out["refusal"] = json!(reason);
        }
    }
    out
}

/// The value of a seal that the vendor's SDK knows as one. OpenAI's is the whole reasoning item;
/// what Anthropic wants back with a text or a call is not one for its SDK.
fn sealed(vendor: Vendor, what: &str, seal: Seal) -> Option<String> {
    match (vendor, what) {
        (Vendor::Responses, "thinking") => {
            let item: Value = serde_json::from_str(&seal.value).unwrap();
            item["encrypted_content"].as_str().map(str::to_owned)
        }
        (Vendor::Gemini, _) | (Vendor::Anthropic, "thinking") => Some(seal.value),
        _ => None,
    }
}

/// Both sides in one shape. OpenAI's summaries of one item are one part with us.
fn level(vendor: Vendor, value: &Value) -> Value {
    let mut out = json!({});
    for field in FIELDS {
        out[field] = value[field].clone();
    }
    if out["stop_raw"] == "" {
        out["stop_raw"] = Value::Null; // no word came
    }
    if vendor == Vendor::Responses {
        let words =
            |field: &str| -> Vec<String> { serde_json::from_value(value[field].clone()).unwrap() };
        let (mut order, mut thinking) = (Vec::<String>::new(), Vec::<String>::new());
        let mut thoughts = words("thinking").into_iter();
        for what in words("order") {
            let goes_on = what == "thinking" && order.last() == Some(&what);
            match thinking.last_mut().filter(|_| goes_on) {
                Some(last) => {
                    let next = thoughts.next().unwrap();
                    let between = if last.is_empty() || next.is_empty() {
                        ""
                    } else {
                        "\n\n"
                    };
                    *last += &format!("{between}{next}");
                }
                None => {
                    if what == "thinking" {
                        thinking.extend(thoughts.next());
                    }
                    order.push(what);
                }
            }
        }
        (out["thinking"], out["order"]) = (thinking.into(), order.into());
    }
    out
}

/// The fields in which a reading differs from the SDK's.
fn differing(vector: &Vector, ours: &Value) -> Vec<(&'static str, Value, Value)> {
    let (ours, theirs) = (
        level(vector.vendor, ours),
        level(vector.vendor, &vector.expected),
    );
    let failed = if ours["error"] == theirs["error"] {
        &ours["error"]
    } else {
        &Value::Null
    };
    let mut out = Vec::new();
    for field in FIELDS {
        let (mut ours, theirs) = (ours[field].clone(), theirs[field].clone());
        if field == "refusal" {
            // Our words are for people and may say more; where the SDK has none, ours are free.
            let said = theirs.as_str().unwrap_or_default();
            if ours.as_str().is_some_and(|ours| ours.contains(said)) {
                ours = theirs.clone();
            }
        }
        // With an error no end is told: whoever reads it has the vendor's word in the error.
        let told = field != "stop_raw" || failed.is_null();
        if ours != theirs && told {
            out.push((field, ours, theirs));
        }
    }
    out
}

async fn agrees(vendor: Vendor) {
    let player = Player::start();
    let provider = vendor.provider(&player.server.url());
    let mut rows: BTreeMap<_, _> = DIFFERENCES
        .iter()
        .filter(|row| row.vendor == vendor)
        .map(|row| ((row.case, row.field), row))
        .collect();
    let mut wrong = Vec::new();
    let vectors = vectors::of(vendor);
    for vector in &vectors {
        player.next(vendor.reply(vector.body.clone()));
        let (deltas, error) = ask(&*provider).await;
        player.assert_played();
        let ours = reading(vendor, &deltas, error.as_ref());
        for (field, ours, theirs) in differing(vector, &ours) {
            let case = &vector.case;
            let row = rows.remove(&(case.as_str(), field));
            let known =
                row.is_some_and(|row| serde_json::from_str(row.ours).ok() == Some(ours.clone()));
            if !known {
                wrong.push(format!(
                    "{case}: {field}\n  ours   {ours}\n  theirs {theirs} {error:?}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(rows.is_empty(), "these no longer differ: {:?}", rows.keys());
    assert_eq!(player.server.count(), vectors.len() as u64);
}

#[tokio::test]
async fn anthropic_streams_read_as_the_sdk_reads_them() {
    agrees(Vendor::Anthropic).await;
}

#[tokio::test]
async fn openai_responses_streams_read_as_the_sdk_reads_them() {
    agrees(Vendor::Responses).await;
}

#[tokio::test]
async fn openai_chat_streams_read_as_the_sdk_reads_them() {
    agrees(Vendor::Chat).await;
}

#[tokio::test]
async fn gemini_streams_read_as_the_sdk_reads_them() {
    agrees(Vendor::Gemini).await;
}

#[tokio::test]
async fn ollama_streams_read_as_the_sdk_reads_them() {
    agrees(Vendor::Ollama).await;
}
