//! Lines of an Ollama answer as deltas.
//! Refuses to call an answer complete before its line says `done`.

use std::{borrow::Cow, collections::VecDeque};

use serde_json::value::RawValue;

use super::{
    VENDOR, failure,
    wire::{CallPiece, Growth, Line},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::CallId,
    message::Seal,
    provider::{
        Delta, Stop,
        drive::{Decode, unreadable},
        lenient::Text,
    },
    usage::Usage,
};

/// Decodes one answer. A whole answer is a stream of one line.
#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    next_part: u32,
    text: Option<u32>,
    thinking: Option<u32>,
}

type Out = VecDeque<Delta>;

impl Decode for Decoder {
    fn frame(&mut self, event: &str, data: &str, out: &mut Out) -> Result<()> {
        let line: Line<'_> = match serde_json::from_str(data) {
            Ok(line) => line,
            Err(_) if data.trim().is_empty() => return Ok(()),
            Err(error) if error.is_data() && !data.contains("\"message\"") => {
                skipped(out); // JSON, but not a line of an answer
                return Ok(());
            }
            Err(error) if error.is_eof() => {
                // A connection that closes in the middle of a line leaves its first half.
                let message = "the answer broke off in the middle of a line";
                let error = Error::new(ErrorKind::Disconnected, message).with_source(error);
                return Err(error.possibly_billed());
            }
            Err(error) => return Err(unreadable(event, data, error)),
        };
        if let Some(error) = line.error.filter(|error| !error.is_empty()) {
            return Err(failure::in_stream(&error));
        }
        let done = line.done == Some(true);
        if line.message.is_none() && !done {
            skipped(out);
            return Ok(());
        }
        if !self.started {
            self.started = true;
            let model = line.model.to_string();
            out.push_back(Delta::Started { model });
        }
        if let Some(growth) = line.message {
            self.growth(growth, out);
        }
        if done {
            // A prompt that a cache served whole is not counted by older servers.
            if line.prompt_eval_count.0.is_some() || line.eval_count.0.is_some() {
                out.push_back(Delta::Usage(Usage {
                    input: line.prompt_eval_count.or_zero(),
                    output: line.eval_count.or_zero(),
                    ..Usage::default()
                }));
            }
            let stop = match &*line.done_reason {
                "" | "stop" => Stop::Done, // older servers give no reason
                "length" => Stop::Length,
                _ => Stop::Unknown,
            };
            let raw = line.done_reason.to_string();
            out.push_back(Delta::Stop { stop, raw });
        }
        Ok(())
    }
}

impl Decoder {
    fn growth(&mut self, growth: Growth<'_>, out: &mut Out) {
        if !growth.thinking.is_empty() {
            let is_first = self.thinking.is_none();
            let part = *self
                .thinking
                .get_or_insert_with(|| take(&mut self.next_part));
            let text = growth.thinking.0.into_owned();
            out.push_back(Delta::Thinking { part, text });
            if is_first {
                // Says only whose thoughts these are: they go back to no other vendor.
                let (vendor, value) = (VENDOR.into(), String::new());
                let seal = Seal { vendor, value };
                out.push_back(Delta::Seal { part, seal });
            }
        }
        if !growth.content.is_empty() {
            let part = *self.text.get_or_insert_with(|| take(&mut self.next_part));
            let text = growth.content.0.into_owned();
            out.push_back(Delta::Text { part, text });
        }
        for call in growth.tool_calls.into_iter().flatten() {
            self.call(&call, out);
        }
    }

    /// Calls come whole, and two that look alike are two.
    fn call(&mut self, call: &CallPiece<'_>, out: &mut Out) {
        let Some(function) = &call.function else {
            return skipped(out);
        };
        let part = take(&mut self.next_part);
        out.push_back(Delta::Call {
            part,
            id: (!call.id.is_empty()).then(|| CallId::new(&*call.id)),
            name: function.name.to_string(),
        });
        let json = function.arguments.map(arguments).unwrap_or_default();
        if !json.is_empty() {
            let json = json.into_owned();
            out.push_back(Delta::Arguments { part, json });
        }
    }
}

fn arguments(raw: &RawValue) -> Cow<'_, str> {
    match raw.get() {
        "null" => Cow::Borrowed(""),
        text if text.starts_with('"') => {
            let text: Text<'_> = serde_json::from_str(text).unwrap_or_default();
            text.0
        }
        value => Cow::Borrowed(value),
    }
}

fn take(next: &mut u32) -> u32 {
    *next += 1;
    *next - 1
}

fn skipped(out: &mut Out) {
    let what = "line".to_owned();
    out.push_back(Delta::Skipped { what });
}
