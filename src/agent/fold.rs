//! Deltas grow into one message, and each gives at most one event for watchers.
//! Refuses to run or to judge anything; a half message stays half until `Stop` came.

use crate::{
    event::EventKind,
    id::CallId,
    message::{Message, Part, RawJson, Role, Seal, ToolCall},
    provider::{Delta, Stop},
    usage::Usage,
};

/// Different unknown words of one message that are counted; a vendor may invent any number.
const MAX_SKIPPED_WORDS: usize = 32;

/// Characters of a tool's name that every vendor takes.
const MAX_NAME: usize = 64;

/// Bytes of one message: a vendor that never ends must not fill the memory.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Parts of one message.
pub(super) const MAX_PARTS: usize = 10_000;

/// A message that grows.
#[derive(Debug, Default)]
pub(super) struct Fold {
    parts: Vec<(u32, Growing)>,
    /// Where the last delta went: the next one most likely goes there too.
    last: usize,
    pub(super) model: String,
    pub(super) usage: Option<Usage>,
    pub(super) skipped: Vec<(String, u64)>,
    /// Bytes that came.
    bytes: usize,
    pub(super) stop: Option<(Stop, String)>,
    pub(super) reach: Reach,
}

/// How far a message came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Nothing came.
    #[default]
    Nothing,
    /// The vendor has begun to answer, and to charge.
    Started,
    /// Watchers were shown something of it.
    Shown,
}

#[derive(Debug)]
enum Growing {
    Text {
        text: String,
        seal: Option<Seal>,
    },
    Thinking {
        text: String,
        seal: Option<Seal>,
    },
    Call {
        id: Option<CallId>,
        name: String,
        arguments: String,
        seal: Option<Seal>,
    },
    Opaque {
        vendor: &'static str,
        json: RawJson,
    },
    /// Only a seal so far.
    Sealed(Seal),
}

impl Fold {
    /// Takes one delta in; what watchers should hear of it comes out.
    pub(super) fn take(&mut self, delta: Delta) -> Option<EventKind> {
        self.reach = self.reach.max(Reach::Started);
        self.bytes = self.bytes.saturating_add(weight(&delta));
        let event = match delta {
            Delta::Text { part, text } => {
                match self.part(part, Growing::text()) {
                    Growing::Text { text: so_far, .. } => so_far.push_str(&text),
                    _ => return None,
                }
                EventKind::TextDelta { part, text }
            }
            Delta::Thinking { part, text } => {
                match self.part(part, Growing::thinking()) {
                    Growing::Thinking { text: so_far, .. } => so_far.push_str(&text),
                    _ => return None,
                }
                EventKind::ThinkingDelta { part, text }
            }
            Delta::Arguments { part, json } => {
                match self.part(part, Growing::call()) {
                    Growing::Call { arguments, .. } => arguments.push_str(&json),
                    _ => return None,
                }
                EventKind::CallDelta {
                    part,
                    name: None,
                    arguments: json,
                }
            }
            Delta::Call { part, id, name } => {
                let name_event = name.clone();
                if let Growing::Call { id: i, name: n, .. } = self.part(part, Growing::call()) {
                    *i = id;
                    *n = name;
                }
                EventKind::CallDelta {
                    part,
                    name: Some(name_event),
                    arguments: String::new(),
                }
            }
            quiet => {
                self.take_quietly(quiet);
                return None;
            }
        };
        self.reach = Reach::Shown;
        Some(event)
    }

    /// Whether the message is larger than any answer; it then grows no more.
    pub(super) fn is_too_large(&self) -> bool {
        self.bytes > MAX_MESSAGE_BYTES || self.parts.len() > MAX_PARTS
    }

    fn take_quietly(&mut self, delta: Delta) {
        match delta {
            Delta::Started { model } => self.model = model,
            Delta::ArgumentsDone { part, json } => {
                if let Growing::Call { arguments, .. } = self.part(part, Growing::call()) {
                    *arguments = json;
                }
            }
            Delta::TextDone { part, text } => {
                let grown = self.part(part, Growing::text());
                if let Growing::Text { text: so_far, .. } | Growing::Thinking { text: so_far, .. } =
                    grown
                {
                    *so_far = text;
                }
            }
            Delta::Seal { part, seal } => {
                self.part(part, Growing::Sealed(seal.clone())).seal(seal);
            }
            Delta::Opaque { part, vendor, json } => {
                self.part(part, Growing::Opaque { vendor, json });
            }
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Skipped { what } => self.skip(what),
            Delta::Stop { stop, raw } => self.stop = Some((stop, raw)),
            _ => {}
        }
    }

    fn skip(&mut self, what: String) {
        match self.skipped.iter().position(|(word, _)| *word == what) {
            Some(index) => self.skipped[index].1 += 1,
            None if self.skipped.len() < MAX_SKIPPED_WORDS => self.skipped.push((what, 1)),
            None => {}
        }
    }

    /// The part of this number; `fresh` when there is none yet.
    fn part(&mut self, number: u32, fresh: Growing) -> &mut Growing {
        if self.parts.get(self.last).is_none_or(|(n, _)| *n != number) {
            self.last = match self.parts.binary_search_by_key(&number, |(n, _)| *n) {
                Ok(index) => index,
                Err(index) => {
                    self.parts.insert(index, (number, fresh));
                    self.last = index;
                    return &mut self.parts[index].1;
                }
            };
        }
        let part = &mut self.parts[self.last].1;
        if let Growing::Sealed(early) = part {
            let early = early.clone();
            *part = fresh;
            part.seal(early);
        }
        part
    }

    /// The words so far.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for (_, part) in &self.parts {
            if let Growing::Text { text, .. } = part {
                out.push_str(text);
            }
        }
        out
    }

    /// About how many tokens were written so far, for an answer whose count never came.
    pub(super) fn estimate(&self) -> u64 {
        let bytes: usize = self
            .parts
            .iter()
            .map(|(_, part)| match part {
                Growing::Text { text, .. } | Growing::Thinking { text, .. } => text.len(),
                Growing::Call {
                    name, arguments, ..
                } => name.len() + arguments.len(),
                Growing::Opaque { json, .. } => json.as_str().len(),
                Growing::Sealed(_) => 0,
            })
            .sum();
        bytes.div_ceil(4) as u64
    }

    /// The whole message, after `Stop`.
    pub(super) fn into_message(self) -> Message {
        let parts = self.parts.into_iter().map(|(_, part)| match part {
            Growing::Text { text, seal } => Part::Text { text, seal },
            Growing::Thinking { text, seal } => Part::Reasoning { text, seal },
            Growing::Opaque { vendor, json } => Part::Opaque {
                vendor: vendor.into(),
                json,
            },
            Growing::Sealed(seal) => Part::Text {
                text: String::new(),
                seal: Some(seal),
            },
            Growing::Call {
                id,
                name,
                arguments,
                seal,
            } => {
                let mut call = ToolCall::new(
                    id.unwrap_or_else(CallId::random),
                    speakable(name),
                    arguments,
                );
                call.seal = seal;
                Part::Call(call)
            }
        });
        Message {
            role: Role::Assistant,
            parts: parts.collect(),
        }
    }

    /// What may be kept of a message that was cut off: its words. Half calls would run half
    /// arguments, and reasoning without its seal is refused by vendors for ever.
    pub(super) fn words_only(&self) -> Option<Message> {
        let text = self.text();
        (!text.trim().is_empty()).then(|| Message::assistant(text))
    }
}

/// About how many bytes a delta adds.
fn weight(delta: &Delta) -> usize {
    match delta {
        Delta::Text { text, .. } | Delta::Thinking { text, .. } | Delta::TextDone { text, .. } => {
            text.len()
        }
        Delta::Arguments { json, .. } | Delta::ArgumentsDone { json, .. } => json.len(),
        Delta::Call { name, .. } => name.len(),
        Delta::Opaque { json, .. } => json.as_str().len(),
        _ => 0,
    }
}

/// A name that vendors take back: models make names up, and a history that holds one with other
/// characters is refused for ever. A name that fits stays as it is.
fn speakable(name: String) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() {
        return "unknown".to_owned();
    }
    if name.len() <= MAX_NAME && name.chars().all(fits) {
        return name;
    }
    let chars = name.chars().take(MAX_NAME);
    chars.map(|c| if fits(c) { c } else { '_' }).collect()
}

impl Growing {
    fn text() -> Self {
        Self::Text {
            text: String::new(),
            seal: None,
        }
    }

    fn thinking() -> Self {
        Self::Thinking {
            text: String::new(),
            seal: None,
        }
    }

    fn call() -> Self {
        let (name, arguments) = (String::new(), String::new());
        Self::Call {
            id: None,
            name,
            arguments,
            seal: None,
        }
    }

    fn seal(&mut self, new: Seal) {
        match self {
            Self::Text { seal, .. } | Self::Thinking { seal, .. } | Self::Call { seal, .. } => {
                *seal = Some(new);
            }
            Self::Sealed(seal) => *seal = new,
            Self::Opaque { .. } => {}
        }
    }
}
