//! Frames of a Messages API answer as deltas, and its errors as ours.
//! Refuses to fail on what is new: it is skipped and counted, or kept unread for the vendor.

use std::{borrow::Cow, collections::VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    VENDOR, usual,
    verbatim::with_field,
    wire::{
        Answer, AnyBlock, AnyDelta, BlockDelta, BlockStart, BlockStop, ByLifetime, Counts,
        MessageDelta, MessageStart, StopDetails, StrangeDelta, Tag, Text,
    },
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::CallId,
    message::{RawJson, Seal},
    provider::{
        Delta, Stop,
        drive::{Decode, unreadable},
    },
    usage::Usage,
};

/// Bytes of a block that is collected before it can be given out (server tools, citations).
const MAX_COLLECTED: usize = 16 << 20;
/// Parts of one answer.
const MAX_PARTS: u32 = 10_000;

/// Decodes one answer, streamed or whole.
#[derive(Default)]
pub(super) struct Decoder {
    parts: u32,
    open: Vec<Open>,
    counts: Sum,
    stop: Option<(Stop, String)>,
}

/// A block between its start and its stop.
struct Open {
    index: u64,
    part: u32,
    block: Growing,
}

enum Growing {
    Text {
        citations: Vec<Box<RawValue>>,
    },
    Thinking,
    Call {
        /// The arguments that came with the start, where no pieces followed.
        input: Option<String>,
    },
    /// Kept unread; `input` collects the pieces of a server tool's input.
    Verbatim {
        block: Box<RawValue>,
        input: String,
    },
}

type Out = VecDeque<Delta>;

impl Decode for Decoder {
    fn frame(&mut self, event: &str, data: &str, out: &mut Out) -> Result<()> {
        let event = match event {
            // Some gateways leave the event's name out; a whole answer never has one.
            "" | "message" => match serde_json::from_str::<Tag<'_>>(data) {
                Ok(tag) => tag.kind,
                Err(_) if data.trim() == "[DONE]" => return Ok(()),
                Err(error) => return Err(unreadable(event, data, error)),
            },
            named => Cow::Borrowed(named),
        };
        match &*event {
            "content_block_delta" => self.delta(&event, data, out),
            "content_block_start" => {
                let start: BlockStart<'_> = read(&event, data)?;
                let open = self.start(start.index, start.content_block, out)?;
                self.open.push(open);
                Ok(())
            }
            "content_block_stop" => {
                let stop: BlockStop = read(&event, data)?;
                if let Some(at) = self.find(stop.index) {
                    let open = self.open.remove(at);
                    finish(open, out);
                }
                Ok(())
            }
            "message_start" => {
                let start: MessageStart<'_> = read(&event, data)?;
                self.answer(start.message, out)
            }
            "message_delta" => {
                let delta: MessageDelta<'_> = read(&event, data)?;
                self.count(delta.usage, out);
                self.ended(delta.delta.stop_reason, delta.delta.stop_details);
                Ok(())
            }
            "message_stop" => {
                self.stop(out);
                Ok(())
            }
            "message" => {
                let answer: Answer<'_> = read(&event, data)?;
                self.answer(answer, out)?;
                self.stop(out);
                Ok(())
            }
            "error" => Err(super::failure::in_stream(data)),
            "ping" => Ok(()),
            strange => {
                skipped(strange, out);
                Ok(())
            }
        }
    }
}

impl Decoder {
    /// The start of an answer, or all of it.
    fn answer(&mut self, answer: Answer<'_>, out: &mut Out) -> Result<()> {
        let model = answer.model.unwrap_or_default().0.into_owned();
        out.push_back(Delta::Started { model });
        for block in answer.content {
            let open = self.start(0, block, out)?;
            finish(open, out);
        }
        self.count(answer.usage, out);
        self.ended(answer.stop_reason, answer.stop_details);
        Ok(())
    }

    fn start(&mut self, index: u64, raw: &RawValue, out: &mut Out) -> Result<Open> {
        let part = self.part()?;
        let text = raw.get();
        let kind = match text
            .strip_prefix(r#"{"type":""#)
            .and_then(|rest| rest.split_once('"'))
        {
            // As it is nearly always spelt: there is no need to read the block twice.
            Some((kind @ ("text" | "thinking" | "tool_use"), _)) => Cow::Borrowed(kind),
            _ => read::<Tag<'_>>("content_block_start", text)?.kind,
        };
        let known = matches!(&*kind, "text" | "thinking" | "tool_use");
        let block = if known {
            let block: AnyBlock<'_> = read("content_block_start", text)?;
            begin(part, &kind, block, out)
        } else {
            Growing::Verbatim {
                block: raw.to_owned(),
                input: String::new(),
            }
        };
        Ok(Open { index, part, block })
    }

    fn delta(&mut self, event: &str, data: &str, out: &mut Out) -> Result<()> {
        let read = || serde_json::from_str(data);
        let BlockDelta { index, delta } = match usual::read(data).map_or_else(read, Ok) {
            Ok(delta) => delta,
            Err(error) => {
                // A delta of the future may use our names for other things.
                return match serde_json::from_str::<StrangeDelta<'_>>(data) {
                    Ok(strange) if !is_known(&strange.delta.kind) => {
                        skipped(&strange.delta.kind, out);
                        Ok(())
                    }
                    _ => Err(unreadable(event, data, error)),
                };
            }
        };
        let at = match self.find(index) {
            Some(at) => at,
            None => {
                // Words without a start are still words.
                let block = match &*delta.kind {
                    "text_delta" => Growing::Text {
                        citations: Vec::new(),
                    },
                    "thinking_delta" => Growing::Thinking,
                    strange => {
                        skipped(strange, out);
                        return Ok(());
                    }
                };
                let part = self.part()?;
                self.open.push(Open { index, part, block });
                self.open.len() - 1
            }
        };
        self.open[at].grow(delta, out)
    }

    fn part(&mut self) -> Result<u32> {
        if self.parts == MAX_PARTS {
            let message = format!("the answer has too many parts: more than `{MAX_PARTS}`");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        self.parts += 1;
        Ok(self.parts - 1)
    }

    /// The newest block with this index: some gateways give every block the same one.
    fn find(&self, index: u64) -> Option<usize> {
        self.open.iter().rposition(|open| open.index == index)
    }

    fn count(&mut self, usage: Option<&RawValue>, out: &mut Out) {
        let Some(usage) = usage.filter(|raw| raw.get() != "null") else {
            return;
        };
        match serde_json::from_str(usage.get()) {
            Ok(counts) => {
                self.counts.overwrite(counts);
                out.push_back(Delta::Usage(self.counts.usage()));
            }
            Err(_) => skipped("usage", out),
        }
    }

    fn ended(&mut self, reason: Option<Text<'_>>, details: Option<&RawValue>) {
        let Some(raw) = reason else { return };
        let raw = raw.0.into_owned();
        let stop = match raw.as_str() {
            "end_turn" | "stop_sequence" | "tool_use" => Stop::Done,
            "max_tokens" => Stop::Length,
            "pause_turn" => Stop::Paused,
            "refusal" => Stop::Refused {
                reason: refusal(details),
            },
            "model_context_window_exceeded" => Stop::ContextFull,
            _ => Stop::Unknown,
        };
        self.stop = Some((stop, raw));
    }

    fn stop(&mut self, out: &mut Out) {
        for open in self.open.drain(..) {
            finish(open, out);
        }
        let (stop, raw) = self.stop.take().unwrap_or((Stop::Unknown, String::new()));
        out.push_back(Delta::Stop { stop, raw });
    }
}

impl Open {
    fn grow(&mut self, delta: AnyDelta<'_>, out: &mut Out) -> Result<()> {
        let part = self.part;
        match (&mut self.block, &*delta.kind) {
            (Growing::Text { .. }, "text_delta") => {
                let text = delta.text.into_owned();
                out.push_back(Delta::Text { part, text });
            }
            (Growing::Thinking, "thinking_delta") => {
                let text = delta.thinking.into_owned();
                out.push_back(Delta::Thinking { part, text });
            }
            (Growing::Thinking, "signature_delta") => {
                out.push_back(seal(part, delta.signature.into_owned()));
            }
            (Growing::Call { input }, "input_json_delta") => {
                if !delta.partial_json.is_empty() {
                    *input = None;
                    let json = delta.partial_json.into_owned();
                    out.push_back(Delta::Arguments { part, json });
                }
            }
            (Growing::Verbatim { input, .. }, "input_json_delta") => {
                room(input.len() + delta.partial_json.len())?;
                input.push_str(&delta.partial_json);
            }
            (Growing::Text { citations }, "citations_delta") => {
                if let Some(citation) = delta.citation {
                    let before: usize = citations.iter().map(|raw| raw.get().len()).sum();
                    room(before + citation.get().len())?;
                    citations.push(citation.to_owned());
                }
            }
            (Growing::Verbatim { block, .. }, "compaction_delta") => {
                let news = [
                    ("content", delta.content),
                    ("encrypted_content", delta.encrypted_content),
                ];
                for (name, value) in news {
                    if let Some(value) = value {
                        *block = with_field(block, name, value);
                    }
                }
            }
            (_, strange) => skipped(strange, out),
        }
        Ok(())
    }
}

/// Opens a block that we understand.
fn begin(part: u32, kind: &str, block: AnyBlock<'_>, out: &mut Out) -> Growing {
    let owned = |text: Option<Text<'_>>| text.unwrap_or_default().0.into_owned();
    match kind {
        "text" => {
            let text = owned(block.text);
            if !text.is_empty() {
                out.push_back(Delta::Text { part, text });
            }
            let citations = block.citations.unwrap_or_default();
            Growing::Text {
                citations: citations.into_iter().map(ToOwned::to_owned).collect(),
            }
        }
        "thinking" => {
            // Said even when empty: the text may be withheld and only the signature come.
            let text = owned(block.thinking);
            out.push_back(Delta::Thinking { part, text });
            let signature = owned(block.signature);
            if !signature.is_empty() {
                out.push_back(seal(part, signature));
            }
            Growing::Thinking
        }
        _ => {
            let id = block.id.map(|id| CallId::new(&*id.0));
            let name = owned(block.name);
            out.push_back(Delta::Call { part, id, name });
            if let Some(caller) = block.caller.filter(|raw| is_indirect(raw)) {
                out.push_back(seal(part, caller.get().to_owned()));
            }
            let input = block.input.map(|raw| raw.get().to_owned());
            Growing::Call {
                input: input.filter(|text| !matches!(text.as_str(), "{}" | "null" | "\"\"")),
            }
        }
    }
}

fn finish(open: Open, out: &mut Out) {
    let part = open.part;
    match open.block {
        Growing::Text { citations } if !citations.is_empty() => {
            // An empty piece makes sure that there is a text to seal.
            let text = String::new();
            out.push_back(Delta::Text { part, text });
            let value = serde_json::to_string(&citations).unwrap_or_default();
            out.push_back(seal(part, value));
        }
        Growing::Call { input: Some(json) } => {
            out.push_back(Delta::ArgumentsDone { part, json });
        }
        Growing::Verbatim { block, input } => {
            let block = match serde_json::from_str::<&RawValue>(&input) {
                Ok(input) => with_field(&block, "input", input),
                Err(_) if input.trim().is_empty() => block,
                Err(_) => {
                    // Cut off in the middle: half a call of a server tool can never go back.
                    skipped("unfinished block", out);
                    return;
                }
            };
            if let Some(json) = RawJson::parse(block.get()) {
                out.push_back(Delta::Opaque {
                    part,
                    vendor: VENDOR,
                    json,
                });
            }
        }
        _ => {}
    }
}

fn is_known(delta: &str) -> bool {
    matches!(
        delta,
        "text_delta"
            | "thinking_delta"
            | "input_json_delta"
            | "signature_delta"
            | "citations_delta"
            | "compaction_delta"
    )
}

/// Whether a call comes from code that the vendor runs, and has to name it when it goes back.
fn is_indirect(caller: &RawValue) -> bool {
    serde_json::from_str::<Tag<'_>>(caller.get()).is_ok_and(|tag| tag.kind != "direct")
}

fn refusal(details: Option<&RawValue>) -> String {
    let details = details.and_then(|raw| serde_json::from_str::<StopDetails>(raw.get()).ok());
    match details.map(|details| (details.category, details.explanation)) {
        Some((Some(category), Some(text))) => format!("{category}: {text}"),
        Some((Some(text), None) | (None, Some(text))) => text,
        _ => String::new(),
    }
}

/// The vendor's counts so far. Each overwrites an earlier one, and only where it is there.
#[derive(Default)]
struct Sum {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    by_lifetime: Option<ByLifetime>,
    reasoning: u64,
}

impl Sum {
    fn overwrite(&mut self, counts: Counts) {
        let set = |to: &mut u64, from: Option<u64>| {
            if let Some(from) = from {
                *to = from;
            }
        };
        set(&mut self.input, counts.input_tokens);
        set(&mut self.output, counts.output_tokens);
        set(&mut self.cache_read, counts.cache_read_input_tokens);
        set(&mut self.cache_write, counts.cache_creation_input_tokens);
        let details = counts.output_tokens_details;
        set(&mut self.reasoning, details.and_then(|d| d.thinking_tokens));
        self.by_lifetime = counts.cache_creation.or(self.by_lifetime);
    }

    fn usage(&self) -> Usage {
        let split = self.by_lifetime;
        let hour = split.map_or(0, |split| split.ephemeral_1h_input_tokens);
        let short = split.map_or(0, |split| split.ephemeral_5m_input_tokens);
        Usage {
            input: self.input,
            output: self.output,
            cache_read: self.cache_read,
            // A later total without a split can be larger than the split that we know.
            cache_write: self.cache_write.saturating_sub(hour).max(short),
            cache_write_hour: hour,
            reasoning: self.reasoning,
            ..Usage::default()
        }
    }
}

fn read<'a, T: Deserialize<'a>>(event: &str, data: &'a str) -> Result<T> {
    serde_json::from_str(data).map_err(|error| unreadable(event, data, error))
}

fn room(bytes: usize) -> Result<()> {
    if bytes <= MAX_COLLECTED {
        return Ok(());
    }
    let message = format!("a block of the answer is too large: more than `{MAX_COLLECTED}` bytes");
    Err(Error::new(ErrorKind::Limit, message))
}

fn seal(part: u32, value: String) -> Delta {
    let vendor = VENDOR.into();
    let seal = Seal { vendor, value };
    Delta::Seal { part, seal }
}

fn skipped(what: &str, out: &mut Out) {
    let what = what.to_owned();
    out.push_back(Delta::Skipped { what });
}
