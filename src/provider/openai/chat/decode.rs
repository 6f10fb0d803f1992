//! Chunks of a Chat Completions answer as deltas, with the habits of the compatibles.
//! Refuses to call an answer complete that says neither why it stopped nor that it is done.

use std::{borrow::Cow, collections::VecDeque};

use serde_json::value::RawValue;

use super::{
    VENDOR,
    calls::{Calls, Piece},
    wire::{Chunk, Counts, FunctionPiece, Growth},
};
use crate::{
    error::{Error, ErrorKind, Result},
    message::Seal,
    provider::{
        Delivery, Delta, Stop,
        drive::{Decode, unreadable},
        openai::failure::{self, Failure},
    },
    usage::Usage,
};

/// Names of skipped things, up to so many characters.
const MAX_NAME: usize = 64;

/// A refusal's words, up to so many bytes and a little.
const MAX_REASON: usize = 1024;

/// The end of a stream, where the server says one.
const DONE: &str = "[DONE]";

/// Decodes one answer, streamed or whole.
pub(super) struct Decoder {
    delivery: Delivery,
    started: bool,
    next_part: u32,
    text: Option<u32>,
    thinking: Option<u32>,
    calls: Calls,
    usage: Usage,
    refusal: Option<String>,
    /// Why it stopped. Usage may still follow.
    finish: Option<String>,
}

type Out = VecDeque<Delta>;

impl Decoder {
    pub(super) fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            started: false,
            next_part: 0,
            text: None,
            thinking: None,
            calls: Calls::default(),
            usage: Usage::default(),
            refusal: None,
            finish: None,
        }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, event: &str, data: &str, out: &mut Out) -> Result<()> {
        let chunk: Chunk<'_> = match serde_json::from_str(data) {
            Ok(chunk) => chunk,
            Err(_) if data.trim().is_empty() => return Ok(()),
            Err(_) if data.trim_start().starts_with(DONE) => return self.done(out),
            Err(error) if error.is_data() && !data.contains("\"choices\"") => {
                skipped(event, out); // JSON, but not a chunk
                return Ok(());
            }
            Err(error) => return Err(unreadable(event, data, error)),
        };
        if let Some(error) = chunk.error.filter(|raw| raw.get() != "null") {
            return Err(failure::in_stream(&failure::of_value(error.get())));
        }
        if &*chunk.object == "error" || (event == "error" && chunk.choices.is_none()) {
            return Err(failure::in_stream(&failure::read(data).unwrap_or_default()));
        }
        if !self.started && (chunk.choices.is_some() || chunk.usage.is_some()) {
            self.started = true;
            let model = chunk.model.to_string();
            out.push_back(Delta::Started { model });
        }
        match chunk.choices {
            None if chunk.usage.is_none() && self.delivery == Delivery::Stream => {
                skipped(
                    if chunk.object.is_empty() {
                        event
                    } else {
                        &chunk.object
                    },
                    out,
                );
            }
            None => {}
            Some(choices) => {
                if let Some(choice) = choices.0 {
                    if let Some(growth) = choice.delta.or(choice.message) {
                        self.growth(growth, out)?;
                    }
                    if !choice.finish_reason.is_empty() {
                        self.finish(&choice.finish_reason, choice.error)?;
                    }
                }
            }
        }
        if let Some(counts) = chunk.usage {
            self.usage(&counts, out);
        }
        match self.delivery {
            Delivery::Stream => Ok(()),
            Delivery::Whole => self.whole(event, out),
        }
    }

    fn end(&mut self, out: &mut Out) -> Result<()> {
        // Some servers never say that they are done; why they stopped is word enough.
        if self.finish.is_some() {
            self.stop(out);
        }
        Ok(())
    }
}

impl Decoder {
    fn growth(&mut self, growth: Growth<'_>, out: &mut Out) -> Result<()> {
        if !growth.content.is_empty() {
            self.words(growth.content.0.into_owned(), out);
        }
        if !growth.reasoning_content.is_empty() {
            self.reasoning("reasoning_content", growth.reasoning_content.0, out);
        } else if !growth.reasoning.is_empty() {
            self.reasoning("reasoning", growth.reasoning.0, out);
        }
        if !growth.refusal.is_empty() {
            let reason = self.refusal.get_or_insert_default();
            let room = MAX_REASON.saturating_sub(reason.len());
            reason.extend(growth.refusal.chars().take(room));
            self.words(growth.refusal.0.into_owned(), out);
        }
        for piece in growth.tool_calls.into_iter().flatten() {
            self.call(piece.index.0, &piece.id, piece.function, out)?;
        }
        if let Some(function) = growth.function_call {
            // The old form: one call, without number or id.
            self.call(None, "", Some(function), out)?;
        }
        Ok(())
    }

    fn words(&mut self, text: String, out: &mut Out) {
        let part = *self.text.get_or_insert_with(|| take(&mut self.next_part));
        out.push_back(Delta::Text { part, text });
    }

    fn reasoning(&mut self, field: &str, text: Cow<'_, str>, out: &mut Out) {
        let is_first = self.thinking.is_none();
        let part = *self
            .thinking
            .get_or_insert_with(|| take(&mut self.next_part));
        let text = text.into_owned();
        out.push_back(Delta::Thinking { part, text });
        if is_first {
            // The seal remembers in which field it has to go back.
            let (vendor, value) = (VENDOR.into(), field.to_owned());
            let seal = Seal { vendor, value };
            out.push_back(Delta::Seal { part, seal });
        }
    }

    fn call(
        &mut self,
        index: Option<u64>,
        id: &str,
        function: Option<FunctionPiece<'_>>,
        out: &mut Out,
    ) -> Result<()> {
        let (name, raw) = match &function {
            Some(function) => (&*function.name, function.arguments),
            None => ("", None),
        };
        let arguments = raw.map(arguments).unwrap_or_default();
        let piece = Piece {
            index,
            id,
            name,
            arguments: &arguments,
        };
        self.calls.take(&piece, &mut self.next_part, out)
    }

    fn usage(&mut self, counts: &Counts, out: &mut Out) {
        let details = counts.prompt_tokens_details.as_ref();
        let cached = details.and_then(|details| details.cached_tokens.0);
        let cache_read = cached.or(counts.prompt_cache_hit_tokens.0).unwrap_or(0);
        let cache_write = details.map_or(0, |details| details.cache_write_tokens.or_zero());
        let whole = counts.prompt_tokens.or_zero();
        let reasoning = counts.completion_tokens_details.as_ref();
        let usage = Usage {
            input: whole.saturating_sub(cache_read.saturating_add(cache_write)),
            output: counts.completion_tokens.or_zero(),
            cache_read,
            cache_write,
            reasoning: reasoning.map_or(0, |details| details.reasoning_tokens.or_zero()),
            ..Usage::default()
        };
        // Some servers count with every chunk. Zeros mean that nobody counted.
        if usage != self.usage {
            self.usage = usage;
            out.push_back(Delta::Usage(usage));
        }
    }

    fn finish(&mut self, reason: &str, error: Option<&RawValue>) -> Result<()> {
        match reason {
            "error" | "abort" | "cancelled" | "insufficient_system_resource" => {
                let failure = match error.filter(|raw| raw.get() != "null") {
                    Some(raw) => failure::of_value(raw.get()),
                    None => Failure {
                        code: crate::provider::lenient::Text(Cow::Borrowed(reason)),
                        ..Failure::default()
                    },
                };
                Err(failure::in_stream(&failure))
            }
            reason => {
                self.finish = Some(reason.to_owned());
                Ok(())
            }
        }
    }

    /// The server says that the stream is done.
    fn done(&mut self, out: &mut Out) -> Result<()> {
        if self.finish.is_none() && (!self.started || !self.calls.is_empty()) {
            // Nothing was said, or a call may be half: done, but not complete.
            let message = "the answer ended without a finish reason";
            return Err(Error::new(ErrorKind::Disconnected, message).possibly_billed());
        }
        self.stop(out);
        Ok(())
    }

    fn whole(&mut self, event: &str, out: &mut Out) -> Result<()> {
        if !self.started {
            let what = if event.is_empty() { "body" } else { event };
            let message = format!("no `choices` in the answer: `{what}`");
            return Err(Error::new(ErrorKind::Decode, message));
        }
        self.done(out)
    }

    fn stop(&mut self, out: &mut Out) {
        let raw = self.finish.take();
        let refused = |reason: &str| {
            let reason = reason.to_owned();
            Stop::Refused { reason }
        };
        let stop = match (raw.as_deref(), self.refusal.take()) {
            (Some("length" | "max_tokens" | "model_length" | "MAX_TOKENS"), _) => Stop::Length,
            (_, Some(reason)) => Stop::Refused { reason },
            (Some(raw @ ("content_filter" | "safety" | "refusal" | "SAFETY")), None) => {
                refused(raw)
            }
            (Some("malformed_function_call" | "MALFORMED_FUNCTION_CALL"), None) => Stop::BadCall,
            _ if self.calls.has_unnamed() => Stop::BadCall,
            (
                Some(
                    "stop" | "tool_calls" | "function_call" | "tool_use" | "end_turn" | "eos"
                    | "eos_token" | "stop_sequence" | "STOP",
                ),
                None,
            ) => Stop::Done,
            (Some(_) | None, None) => Stop::Unknown,
        };
        let raw = raw.unwrap_or_default();
        out.push_back(Delta::Stop { stop, raw });
    }
}

/// The text of arguments that came as a text, or as the object itself.
fn arguments(raw: &RawValue) -> Cow<'_, str> {
    match raw.get() {
        "null" => Cow::Borrowed(""),
        text if text.starts_with('"') => {
            let text: crate::provider::lenient::Text<'_> =
                serde_json::from_str(text).unwrap_or_default();
            text.0
        }
        value => Cow::Borrowed(value),
    }
}

fn take(next: &mut u32) -> u32 {
    *next += 1;
    *next - 1
}

fn skipped(what: &str, out: &mut Out) {
    let what = if what.is_empty() { "chunk" } else { what };
    let what = what.chars().take(MAX_NAME).collect();
    out.push_back(Delta::Skipped { what });
}
