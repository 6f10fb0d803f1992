//! A message put together from deltas, for the tests of the vendors' folders.
//! Refuses to be the engine's fold: no events, no ids of its own beyond a placeholder.

use std::collections::{BTreeMap, VecDeque};

use super::{Delta, Stop, drive::Decode};
use crate::{
    error::Result,
    id::CallId,
    kept::Kept,
    message::{Message, Part, Role, Seal, ToolCall},
    usage::Usage,
};

/// What a stream came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Assembled {
    pub(crate) message: Message,
    pub(crate) model: String,
    pub(crate) usage: Usage,
    pub(crate) stop: Option<(Stop, String)>,
    pub(crate) skipped: Vec<String>,
}

/// Everything a decoder says, as far as `drive` would listen.
pub(crate) fn deltas(mut decoder: impl Decode, frames: &[(&str, &str)]) -> Result<Vec<Delta>> {
    let mut out = VecDeque::new();
    let is_stop = |out: &VecDeque<Delta>| matches!(out.back(), Some(Delta::Stop { .. }));
    for (event, data) in frames {
        decoder.frame(event, data, &mut out)?;
        if is_stop(&out) {
            return Ok(out.into());
        }
    }
    decoder.end(&mut out)?;
    Ok(out.into())
}

pub(crate) fn assemble(decoder: impl Decode, frames: &[(&str, &str)]) -> Result<Assembled> {
    Ok(fold(deltas(decoder, frames)?))
}

#[derive(Default)]
struct Growing {
    kind: Option<Kind>,
    text: String,
    seal: Option<Seal>,
}

enum Kind {
    Text,
    Reasoning,
    Call(CallId, String),
    Whole(Part),
}

pub(crate) fn fold(deltas: Vec<Delta>) -> Assembled {
    let mut parts: BTreeMap<u32, Growing> = BTreeMap::new();
    let mut out = Assembled {
        message: Message {
            role: Role::Assistant,
            parts: Vec::new(),
        },
        model: String::new(),
        usage: Usage::default(),
        stop: None,
        skipped: Vec::new(),
    };
    let mut nameless = 0;
    let open = |parts: &mut BTreeMap<u32, Growing>, part, kind, text: &str| {
        let growing = parts.entry(part).or_default();
        growing.kind.get_or_insert(kind);
        growing.text.push_str(text);
    };
    for delta in deltas {
        assert_eq!(out.stop, None, "nothing follows the stop");
        match delta {
            Delta::Started { model } => out.model = model,
            Delta::Text { part, text } => open(&mut parts, part, Kind::Text, &text),
            Delta::Thinking { part, text } => open(&mut parts, part, Kind::Reasoning, &text),
            Delta::Call { part, id, name } => {
                let id = id.unwrap_or_else(|| {
                    nameless += 1;
                    CallId::new(format!("call_{nameless:016x}"))
                });
                open(&mut parts, part, Kind::Call(id, name), "");
            }
            Delta::Opaque { part, vendor, json } => {
                let vendor = vendor.into();
                open(
                    &mut parts,
                    part,
                    Kind::Whole(Part::Opaque { vendor, json }),
                    "",
                );
            }
            Delta::Arguments { part, json } => {
                parts.get_mut(&part).expect("begun").text.push_str(&json);
            }
            Delta::ArgumentsDone { part, json: text } | Delta::TextDone { part, text } => {
                parts.get_mut(&part).expect("begun").text = text;
            }
            Delta::Seal { part, seal } => {
                parts
                    .get_mut(&part)
                    .expect("begun before it is sealed")
                    .seal = Some(seal);
            }
            Delta::Usage(usage) => out.usage = usage,
            Delta::Skipped { what } => out.skipped.push(what),
            Delta::Stop { stop, raw } => out.stop = Some((stop, raw)),
        }
    }
    for Growing { kind, text, seal } in parts.into_values() {
        out.message
            .parts
            .push(match kind.expect("every part has a kind") {
                Kind::Text => Part::Text { text, seal },
                Kind::Reasoning => Part::Reasoning { text, seal },
                Kind::Call(id, name) => {
                    let mut call = ToolCall::new(id, name, text);
                    call.seal = seal;
                    Part::Call(call)
                }
                Kind::Whole(part) => part,
            });
    }
    out
}

/// A conversation of these messages.
pub(crate) fn history(messages: &[Message]) -> Vec<Kept<Message>> {
    messages.iter().cloned().map(Kept::new).collect()
}
