//! Events of a Responses answer as deltas.
//! Refuses to believe pieces over wholes: `.done` and the finished item are the truth.

use std::{borrow::Cow, collections::VecDeque};

use super::{
    VENDOR, ending,
    wire::{Done, Item, ItemEvent, ItemPart, Kind, Piece, Response, ResponseEvent},
};
use crate::{
    error::Result,
    id::CallId,
    message::{RawJson, Seal},
    provider::{
        Delivery, Delta, Stop,
        drive::{Decode, unreadable},
        lenient::Text,
        openai::failure,
        previews::Previews,
    },
};

/// Part numbers that one output item has for its own: more contents than any message has.
const STRIDE: u64 = 4096;

/// Names of skipped events, up to so many characters.
const MAX_NAME: usize = 64;

/// A refusal's words, up to so many bytes and a little.
const MAX_REASON: usize = 1024;

/// Events that tell nothing which their item's end does not tell again.
const QUIET: [&str; 17] = [
    "response.queued",
    "response.in_progress",
    "response.content_part.",
    "response.output_text.annotation.",
    "response.reasoning_summary_part.",
    "response.web_search_call.",
    "response.file_search_call.",
    "response.code_interpreter_call",
    "response.image_generation_call.",
    "response.mcp_call",
    "response.mcp_list_tools.",
    "response.custom_tool_call_input.",
    "response.shell_call_",
    "response.audio.",
    "response.rate_limits.",
    "keepalive",
    "ping",
];

/// Decodes one answer, streamed or whole.
pub(super) struct Decoder {
    delivery: Delivery,
    started: bool,
    previews: Previews,
    /// Items whose end has come, by place and by id: the response's end repeats them.
    finished: Vec<(u64, String)>,
    refusal: Option<String>,
}

type Out = VecDeque<Delta>;

/// What a part holds, as far as its pieces are concerned.
#[derive(Clone, Copy)]
enum Kin {
    Words,
    Refusal,
    Reasoning,
}

impl Decoder {
    pub(super) fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            started: false,
            previews: Previews::default(),
            finished: Vec::new(),
            refusal: None,
        }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, event: &str, data: &str, out: &mut Out) -> Result<()> {
        if self.delivery == Delivery::Whole {
            let response: Response<'_> = parse(event, data)?;
            self.start(&response, out);
            return self.finish(response, "", out);
        }
        // The frame's name spares a second look at the data on the hot path. Servers that do not
        // name their frames pay for that look.
        match event {
            "" | "message" => match serde_json::from_str::<Kind<'_>>(data) {
                Ok(Kind { kind, error }) if kind.is_empty() && error.is_some() => {
                    self.event("error", data, out)
                }
                Ok(Kind { kind, .. }) => self.event(&kind, data, out),
                Err(_) if matches!(data.trim(), "" | "[DONE]") => Ok(()),
                Err(error) if error.is_data() => {
                    skipped("event", out); // JSON, but no object
                    Ok(())
                }
                Err(error) => Err(unreadable(event, data, error)),
            },
            name => self.event(name, data, out),
        }
    }
}

impl Decoder {
    fn event(&mut self, name: &str, data: &str, out: &mut Out) -> Result<()> {
        match name {
            "response.output_text.delta" => self.piece(Kin::Words, name, data, out),
            "response.refusal.delta" => self.piece(Kin::Refusal, name, data, out),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                self.piece(Kin::Reasoning, name, data, out)
            }
            "response.function_call_arguments.delta" => self.arguments(name, data, out),
            "response.output_text.done" | "response.refusal.done" => {
                let done: Done<'_> = parse(name, data)?;
                let (kin, whole) = match done.refusal {
                    Some(refusal) => (Kin::Refusal, Some(refusal)),
                    None => (Kin::Words, done.text),
                };
                if let Some(whole) = whole
                    && let Some(part) = number(
                        done.output_index.or_zero(),
                        done.content_index.or_zero(),
                        out,
                    )
                {
                    self.whole(kin, part, &whole, out);
                }
                Ok(())
            }
            // The item's end has the text of all its summaries and the seal; one comparison is enough.
            "response.reasoning_text.done" | "response.reasoning_summary_text.done" => Ok(()),
            "response.function_call_arguments.done" => {
                let done: Done<'_> = parse(name, data)?;
                if let Some(whole) = done.arguments
                    && let Some(part) = number(done.output_index.or_zero(), 0, out)
                    && self.previews.of(part).begun
                {
                    self.whole_arguments(part, &whole, out);
                }
                Ok(())
            }
            "response.output_item.added" => {
                let event: ItemEvent<'_> = parse(name, data)?;
                self.added(event, out);
                Ok(())
            }
            "response.output_item.done" => {
                let event: ItemEvent<'_> = parse(name, data)?;
                self.item(event.output_index.or_zero(), event.item.get(), out);
                Ok(())
            }
            "response.created" => {
                let event: ResponseEvent<'_> = parse(name, data)?;
                self.start(&event.response, out);
                Ok(())
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled" => {
                let event: ResponseEvent<'_> = parse(name, data)?;
                let (_, status) = name.rsplit_once('.').unwrap_or_default();
                self.start(&event.response, out);
                self.finish(event.response, status, out)
            }
            "error" | "response.error" => match failure::read(data) {
                Some(failure) => Err(failure::in_stream(&failure)),
                None => Err(failure::in_stream(&failure::Failure::default())),
            },
            quiet if QUIET.iter().any(|prefix| quiet.starts_with(prefix)) => Ok(()),
            other => {
                skipped(other, out);
                Ok(())
            }
        }
    }

    fn start(&mut self, response: &Response<'_>, out: &mut Out) {
        if !self.started {
            self.started = true;
            let model = response.model.to_string();
            out.push_back(Delta::Started { model });
        }
    }

    fn piece(&mut self, kin: Kin, name: &str, data: &str, out: &mut Out) -> Result<()> {
        let piece: Piece<'_> = parse(name, data)?;
        if piece.delta.is_empty() {
            return Ok(());
        }
        let content = match kin {
            Kin::Reasoning => 0,
            Kin::Words | Kin::Refusal => piece.content_index.or_zero(),
        };
        let Some(part) = number(piece.output_index.or_zero(), content, out) else {
            return Ok(());
        };
        let preview = self.previews.of(part);
        if preview.done {
            return Ok(());
        }
        let mut text = piece.delta.0.into_owned();
        if let Kin::Reasoning = kin {
            // Several summaries of one item are one part, with an empty line between them.
            let segment = piece.summary_index.or_zero() + piece.content_index.or_zero();
            if segment != preview.segment {
                preview.segment = segment;
                if !preview.is_empty() {
                    text.insert_str(0, "\n\n");
                }
            }
        }
        preview.push(&text);
        if let Kin::Refusal = kin {
            self.refuse(&text);
        }
        out.push_back(kin.delta(part, text));
        Ok(())
    }

    fn arguments(&mut self, name: &str, data: &str, out: &mut Out) -> Result<()> {
        let piece: Piece<'_> = parse(name, data)?;
        let Some(part) = number(piece.output_index.or_zero(), 0, out) else {
            return Ok(());
        };
        let preview = self.previews.of(part);
        // Pieces of a call that was never announced wait for its end, which has all of them.
        if preview.begun && !preview.done && !piece.delta.is_empty() {
            preview.push(&piece.delta);
            let json = piece.delta.0.into_owned();
            out.push_back(Delta::Arguments { part, json });
        }
        Ok(())
    }

    /// An item begins. Only calls are announced: for the others the first piece does it.
    fn added(&mut self, event: ItemEvent<'_>, out: &mut Out) {
        let Ok(item) = serde_json::from_str::<Item<'_>>(event.item.get()) else {
            return;
        };
        if &*item.kind == "function_call"
            && !item.name.is_empty()
            && !item.call_id.is_empty()
            && let Some(part) = number(event.output_index.or_zero(), 0, out)
        {
            self.call(part, &item, out);
            if !item.arguments.is_empty() && self.previews.of(part).is_empty() {
                self.previews.of(part).push(&item.arguments);
                let json = item.arguments.0.into_owned();
                out.push_back(Delta::Arguments { part, json });
            }
        }
    }

    fn call(&mut self, part: u32, item: &Item<'_>, out: &mut Out) {
        let preview = self.previews.of(part);
        if !preview.begun {
            preview.begun = true;
            let id = (!item.call_id.is_empty()).then(|| CallId::new(&*item.call_id));
            let name = item.name.to_string();
            out.push_back(Delta::Call { part, id, name });
        }
    }

    /// An item is finished: whatever its pieces said, this is what it is.
    fn item(&mut self, output: u64, json: &str, out: &mut Out) {
        let Some(first) = number(output, 0, out) else {
            return;
        };
        let Ok(item) = serde_json::from_str::<Item<'_>>(json) else {
            skipped("item", out);
            return;
        };
        let again =
            |(place, id): &(u64, String)| *place == output || (!id.is_empty() && *id == *item.id);
        if self.finished.iter().any(again) {
            return;
        }
        self.finished.push((output, item.id.to_string()));
        match &*item.kind {
            "message" => self.message(output, &item, out),
            "function_call" => {
                self.call(first, &item, out);
                self.whole_arguments(first, &item.arguments, out);
            }
            "reasoning" => self.reasoning(first, &item, json, out),
            kind => self.opaque(first, kind, &item, json, out),
        }
    }

    fn message(&mut self, output: u64, item: &Item<'_>, out: &mut Out) {
        for (content, piece) in (0..).zip(item.content.iter().flatten()) {
            let Some(part) = number(output, content, out) else {
                return;
            };
            match &*piece.kind {
                "refusal" => self.whole(Kin::Refusal, part, &piece.refusal, out),
                "output_text" | "text" => self.whole(Kin::Words, part, &piece.text, out),
                kind => skipped(kind, out),
            }
            let preview = self.previews.of(part);
            // Models want to hear again which of their messages were only commentary.
            if preview.begun && !item.phase.is_empty() {
                let seal = seal(item.phase.to_string());
                out.push_back(Delta::Seal { part, seal });
            }
        }
    }

    fn reasoning(&mut self, part: u32, item: &Item<'_>, json: &str, out: &mut Out) {
        if self.previews.of(part).done {
            return;
        }
        let summary = item.summary.iter().flatten();
        let text = joined(summary.chain(item.content.iter().flatten()));
        let preview = self.previews.of(part);
        if !text.is_empty() {
            self.whole(Kin::Reasoning, part, &text, out);
        } else if !preview.begun {
            // Nothing to read, but a part for the seal to stand on.
            preview.begun = true;
            let text = String::new();
            out.push_back(Delta::Thinking { part, text });
        }
        self.previews.of(part).done = true;
        if is_finished(item) {
            let seal = seal(json.to_owned());
            out.push_back(Delta::Seal { part, seal });
        }
    }

    fn opaque(&mut self, part: u32, kind: &str, item: &Item<'_>, json: &str, out: &mut Out) {
        let preview = self.previews.of(part);
        if preview.done {
            return;
        }
        preview.done = true;
        match RawJson::object(json).filter(|_| is_finished(item)) {
            Some(json) => out.push_back(Delta::Opaque {
                part,
                vendor: VENDOR,
                json,
            }),
            None => skipped(kind, out),
        }
    }

    fn whole(&mut self, kin: Kin, part: u32, whole: &str, out: &mut Out) {
        let preview = self.previews.of(part);
        if whole.is_empty() || preview.is(whole) {
            preview.done = true;
            return;
        }
        let text = whole.to_owned();
        let delta = match preview.is_empty() {
            true => kin.delta(part, text),
            false => Delta::TextDone { part, text },
        };
        let begun = preview.begun;
        *preview = Default::default();
        preview.push(whole);
        preview.done = true;
        if let Kin::Refusal = kin {
            if begun {
                self.refusal = None;
            }
            self.refuse(whole);
        }
        out.push_back(delta);
    }

    fn whole_arguments(&mut self, part: u32, whole: &str, out: &mut Out) {
        let preview = self.previews.of(part);
        if whole.is_empty() || preview.is(whole) {
            return;
        }
        let json = whole.to_owned();
        out.push_back(match preview.is_empty() {
            true => Delta::Arguments { part, json },
            false => Delta::ArgumentsDone { part, json },
        });
        *preview = Default::default();
        preview.push(whole);
    }

    fn refuse(&mut self, text: &str) {
        let reason = self.refusal.get_or_insert_default();
        let room = MAX_REASON.saturating_sub(reason.len());
        reason.extend(text.chars().take(room));
    }

    /// The response has ended, one way or another.
    fn finish(&mut self, response: Response<'_>, status: &str, out: &mut Out) -> Result<()> {
        let ending = ending::of(&response, status)?;
        // Items whose own end got lost are whole in here.
        for (output, item) in (0..).zip(response.output.iter().flatten()) {
            self.item(output, item.get(), out);
        }
        if let Some(counts) = &response.usage {
            out.push_back(Delta::Usage(ending::usage(counts)));
        }
        let (mut stop, raw) = ending;
        if stop == Stop::Done
            && let Some(reason) = self.refusal.take()
        {
            stop = Stop::Refused { reason };
        }
        out.push_back(Delta::Stop { stop, raw });
        Ok(())
    }
}

impl Kin {
    fn delta(self, part: u32, text: String) -> Delta {
        match self {
            Self::Words | Self::Refusal => Delta::Text { part, text },
            Self::Reasoning => Delta::Thinking { part, text },
        }
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(name: &str, data: &'a str) -> Result<T> {
    serde_json::from_str(data).map_err(|error| unreadable(name, data, error))
}

/// The number of a part; `None`, and a word about it, where no answer can have so many.
fn number(output: u64, content: u64, out: &mut Out) -> Option<u32> {
    let part = output
        .checked_mul(STRIDE)
        .and_then(|n| n.checked_add(content));
    let part = part
        .filter(|_| content < STRIDE)
        .and_then(|n| u32::try_from(n).ok());
    if part.is_none() {
        skipped("output_index", out);
    }
    part
}

fn skipped(what: &str, out: &mut Out) {
    let what = what.chars().take(MAX_NAME).collect();
    out.push_back(Delta::Skipped { what });
}

fn seal(value: String) -> Seal {
    Seal {
        vendor: VENDOR.into(),
        value,
    }
}

/// Items that were cut off have ids that the vendor will not know.
fn is_finished(item: &Item<'_>) -> bool {
    !matches!(&*item.status, "in_progress" | "incomplete")
}

fn joined<'a>(parts: impl Iterator<Item = &'a ItemPart<'a>>) -> Cow<'a, str> {
    let mut all = Cow::Borrowed("");
    for Text(text) in parts.map(|part| &part.text).filter(|text| !text.is_empty()) {
        if all.is_empty() {
            all = Cow::Borrowed(&**text);
        } else {
            let all = all.to_mut();
            all.push_str("\n\n");
            all.push_str(text);
        }
    }
    all
}
