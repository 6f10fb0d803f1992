//! Frames of a generateContent answer as deltas.
//! Refuses to fail on what is new: unknown parts are kept unread for the vendor, the rest is skipped.

use std::collections::VecDeque;

use serde_json::value::RawValue;

use super::{
    VENDOR, failure,
    wire::{AnyPart, Candidate, Chunk, Counts, Feedback, FunctionCall},
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

/// Parts of one answer.
const MAX_PARTS: u32 = 10_000;

/// Decodes one answer, streamed or whole.
#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    parts: u32,
    /// The part that unsigned text goes on with.
    growing: Option<(u32, Voice)>,
    counts: Sum,
    stop: Option<(Stop, String)>,
}

/// What a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    Said,
    Thought,
}

type Out = VecDeque<Delta>;

impl Decode for Decoder {
    fn frame(&mut self, event: &str, data: &str, out: &mut Out) -> Result<()> {
        // A proxy that drops `alt=sse` from the address gets a list of what else comes one by one.
        if data.trim_start().starts_with('[') && data.trim() != "[DONE]" {
            let list: Vec<&RawValue> =
                serde_json::from_str(data).map_err(|error| unreadable(event, data, error))?;
            return list
                .into_iter()
                .try_for_each(|chunk| self.chunk(event, chunk.get(), out));
        }
        self.chunk(event, data, out)
    }

    /// The end of the body ends the turn, but only after a reason was given: a connection that
    /// closes early looks the same otherwise.
    fn end(&mut self, out: &mut Out) -> Result<()> {
        if let Some((stop, raw)) = self.stop.take() {
            out.push_back(Delta::Stop { stop, raw });
        }
        Ok(())
    }
}

impl Decoder {
    fn chunk(&mut self, event: &str, data: &str, out: &mut Out) -> Result<()> {
        let chunk: Chunk<'_> = match serde_json::from_str(data) {
            Ok(chunk) => chunk,
            Err(_) if data.trim() == "[DONE]" => return Ok(()),
            Err(error) => return Err(unreadable(event, data, error)),
        };
        if chunk.error.is_some() {
            return Err(failure::in_stream(data));
        }
        if !self.started {
            self.started = true;
            let model = chunk.model_version.unwrap_or_default().0.into_owned();
            out.push_back(Delta::Started { model });
        }
        for candidate in chunk.candidates.unwrap_or_default() {
            match candidate.index {
                None | Some(0) => self.candidate(candidate, out)?,
                Some(_) => skipped("candidate", out),
            }
        }
        if let Some(feedback) = chunk.prompt_feedback {
            self.feedback(feedback);
        }
        self.count(chunk.usage_metadata, out);
        Ok(())
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Out) -> Result<()> {
        let parts = candidate.content.and_then(|content| content.parts);
        for part in parts.unwrap_or_default() {
            self.part(part, out)?;
        }
        if let Some(raw) = candidate.finish_reason {
            let message = candidate.finish_message.unwrap_or_default().0;
            self.stop = Some((stop(&raw.0, &message), raw.0.into_owned()));
        }
        Ok(())
    }

    fn part(&mut self, raw: &RawValue, out: &mut Out) -> Result<()> {
        let Ok(any) = serde_json::from_str::<AnyPart<'_>>(raw.get()) else {
            // It uses a name we know for something else: of the future, but still to be kept.
            return self.opaque(raw, out);
        };
        let signature = any.thought_signature.filter(|text| !text.0.is_empty());
        let signature = signature.map(|text| text.0.into_owned());
        let voice = match any.thought {
            Some(true) => Voice::Thought,
            _ => Voice::Said,
        };
        match (any.function_call, any.text) {
            (Some(call), _) if call.name.is_some() => self.call(call, signature, out),
            (Some(_), _) => {
                skipped("partial functionCall", out);
                Ok(())
            }
            (None, Some(text)) => {
                let text = text.0.into_owned();
                self.text(text, voice, signature, out)
            }
            (None, None) => match signature.filter(|_| is_bare(raw)) {
                // A signature by itself seals an empty text.
                Some(signature) => self.text(String::new(), voice, Some(signature), out),
                None => self.opaque(raw, out),
            },
        }
    }

    fn text(
        &mut self,
        text: String,
        voice: Voice,
        signature: Option<String>,
        out: &mut Out,
    ) -> Result<()> {
        if text.is_empty() && signature.is_none() {
            return Ok(());
        }
        let part = match self.growing {
            // A signed part is never joined with an unsigned one: it would go back changed.
            Some((part, kind)) if kind == voice && signature.is_none() => part,
            _ => self.next()?,
        };
        self.growing = signature.is_none().then_some((part, voice));
        out.push_back(match voice {
            Voice::Thought => Delta::Thinking { part, text },
            Voice::Said => Delta::Text { part, text },
        });
        seal(part, signature, out);
        Ok(())
    }

    fn call(
        &mut self,
        call: FunctionCall<'_>,
        signature: Option<String>,
        out: &mut Out,
    ) -> Result<()> {
        self.growing = None;
        let part = self.next()?;
        let id = call.id.filter(|id| !id.0.is_empty());
        let id = id.map(|id| CallId::new(&*id.0));
        let name = call.name.unwrap_or_default().0.into_owned();
        out.push_back(Delta::Call { part, id, name });
        let args = call.args.map(RawValue::get).filter(|args| *args != "null");
        let json = args.unwrap_or("{}").to_owned();
        out.push_back(Delta::ArgumentsDone { part, json });
        seal(part, signature, out);
        Ok(())
    }

    fn opaque(&mut self, raw: &RawValue, out: &mut Out) -> Result<()> {
        let Some(json) = RawJson::object(raw.get()) else {
            skipped("part", out);
            return Ok(());
        };
        self.growing = None;
        let part = self.next()?;
        let vendor = VENDOR;
        out.push_back(Delta::Opaque { part, vendor, json });
        Ok(())
    }

    fn next(&mut self) -> Result<u32> {
        if self.parts == MAX_PARTS {
            let message = format!("the answer has too many parts: more than `{MAX_PARTS}`");
            return Err(Error::new(ErrorKind::Limit, message));
        }
        self.parts += 1;
        Ok(self.parts - 1)
    }

    /// A prompt that was blocked has no candidate and no finish reason, only this.
    fn feedback(&mut self, feedback: Feedback<'_>) {
        let Some(raw) = feedback.block_reason else {
            return;
        };
        let message = feedback.block_reason_message.unwrap_or_default().0;
        let reason = reason(&raw.0, &message);
        self.stop = Some((Stop::Refused { reason }, raw.0.into_owned()));
    }

    fn count(&mut self, usage: Option<&RawValue>, out: &mut Out) {
        let Some(usage) = usage.filter(|raw| raw.get() != "null") else {
            return;
        };
        match serde_json::from_str(usage.get()) {
            Ok(counts) => {
                let before = self.counts;
                self.counts.overwrite(counts);
                if self.counts != before {
                    out.push_back(Delta::Usage(self.counts.usage()));
                }
            }
            Err(_) => skipped("usageMetadata", out),
        }
    }
}

fn stop(raw: &str, message: &str) -> Stop {
    match raw {
        "STOP" => Stop::Done,
        "MAX_TOKENS" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED"
        | "MODEL_ARMOR" => Stop::Refused {
            reason: reason(raw, message),
        },
        "CONTINUATION" => Stop::Length,
        "MALFORMED_RESPONSE"
        | "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS" => Stop::BadCall,
        _ => Stop::Unknown,
    }
}

fn reason(raw: &str, message: &str) -> String {
    match message {
        "" => raw.to_owned(),
        message => format!("{raw}: {message}"),
    }
}

/// Whether a part without text or call has nothing else in it either.
fn is_bare(raw: &RawValue) -> bool {
    let fields = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(raw.get());
    fields.is_ok_and(|fields| {
        fields
            .keys()
            .all(|name| matches!(name.as_str(), "thought" | "thoughtSignature"))
    })
}

/// The vendor's running total.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    prompt: u64,
    tool_prompt: u64,
    cached: u64,
    answer: u64,
    thoughts: u64,
}

impl Sum {
    fn overwrite(&mut self, counts: Counts) {
        let set = |to: &mut u64, from: Option<u64>| {
            if let Some(from) = from {
                *to = from;
            }
        };
        set(&mut self.prompt, counts.prompt_token_count);
        set(&mut self.tool_prompt, counts.tool_use_prompt_token_count);
        set(&mut self.cached, counts.cached_content_token_count);
        set(&mut self.answer, counts.candidates_token_count);
        set(&mut self.thoughts, counts.thoughts_token_count);
    }

    /// Gemini counts what was cached within the prompt, and thoughts apart from the answer.
    fn usage(&self) -> Usage {
        Usage {
            input: (self.prompt + self.tool_prompt).saturating_sub(self.cached),
            output: self.answer + self.thoughts,
            cache_read: self.cached,
            reasoning: self.thoughts,
            ..Usage::default()
        }
    }
}

fn seal(part: u32, signature: Option<String>, out: &mut Out) {
    if let Some(value) = signature {
        let vendor = VENDOR.into();
        let seal = Seal { vendor, value };
        out.push_back(Delta::Seal { part, seal });
    }
}

fn skipped(what: &str, out: &mut Out) {
    let what = what.to_owned();
    out.push_back(Delta::Skipped { what });
}
