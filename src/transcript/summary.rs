//! Asks a model for a summary of a conversation: the request, its answer, and a shorter second try.
//! Refuses to change the conversation, to use tools, and to retry what is not about length.

use std::collections::BTreeMap;

use futures::StreamExt;

use super::{Counter, Transcript, material::Material};
use crate::{
    error::{Error, ErrorKind, Result},
    kept::Kept,
    message::Message,
    provider::{Delta, Options, Provider, Request, Stop},
    scope::{Scope, WaitFor},
    usage::Usage,
};

const SYSTEM: &str = include_str!("compact_system.md");
const PROMPT: &str = include_str!("compact_prompt.md");

/// Tokens that the model may write, its analysis included.
const MAX_OUTPUT: u64 = 20_000;
/// How often a request that was too long is made shorter and sent again.
const MAX_SHORTER: usize = 3;
/// An answer larger than this is no summary.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Asks for a summary in a call of its own, and adds what that uses to `usage` as it happens.
///
/// When the conversation does not fit, its older half is left out, never one half of a pair and
/// never the user's last message, at most three times.
///
/// Cancel safety: safe, the conversation is not touched, and `usage` holds every finished try.
///
/// # Errors
/// Whatever the model call gives; `ContextTooLong` when nothing more can be left out; `Answer` when
/// the summary is empty; `Cancelled`.
pub(crate) async fn summarise_charged(
    provider: &dyn Provider,
    transcript: &Transcript,
    instructions: Option<&str>,
    scope: &Scope,
    usage: &mut Usage,
) -> Result<String> {
    let mut material = Material::of(transcript);
    let prompt = prompt(instructions);
    let mut tries = 0;
    loop {
        let history = material.history(&prompt);
        match attempt(provider, &history, scope, usage).await {
            Ok(answer) => {
                return extract(&answer).ok_or_else(|| {
                    let model = provider.model().full_name();
                    Error::new(
                        ErrorKind::Answer,
                        format!("empty summary from model: `{model}`"),
                    )
                });
            }
            Err(error) if error.is_context_too_long() && tries < MAX_SHORTER => {
                tries += 1;
                if !material.shorten() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

fn prompt(instructions: Option<&str>) -> String {
    let own = match instructions.map(str::trim) {
        Some(own) if !own.is_empty() => format!("\nAlso, for these notes:\n{own}\n"),
        _ => String::new(),
    };
    PROMPT.replace("{instructions}\n", &format!("{own}\n"))
}

/// One request and its whole answer.
async fn attempt(
    provider: &dyn Provider,
    history: &[Kept<Message>],
    scope: &Scope,
    usage: &mut Usage,
) -> Result<String> {
    let model = provider.model();
    let options = Options {
        max_output: Some(MAX_OUTPUT.min(model.max_output)),
        ..Options::default()
    };
    let tools = Kept::new(Vec::new());
    let request = Request {
        system: SYSTEM,
        tools: &tools,
        history: history.into(),
        options: &options,
    };
    let mut answer = Answer::default();
    let end = {
        let _waiting = scope.waiting(WaitFor::Model(model.full_name()));
        let mut deltas = provider.stream(&request, scope)?;
        loop {
            match scope.race(deltas.next()).await {
                None => break Err(Error::new(ErrorKind::Cancelled, "summary cancelled")),
                Some(None) => {
                    let text = "the summary broke off before its end";
                    break Err(Error::new(ErrorKind::Disconnected, text));
                }
                Some(Some(Err(error))) => break Err(error),
                Some(Some(Ok(delta))) => match answer.take(delta) {
                    Ok(None) => {}
                    Ok(Some(stop)) => break finish(stop),
                    Err(error) => break Err(error),
                },
            }
        }
    };
    answer.charge(history, provider, usage);
    end.map(|()| answer.text())
}

/// An answer that ran into its limit may still hold most of the notes.
fn finish(stop: Stop) -> Result<()> {
    match stop {
        Stop::Refused { reason } => Err(Error::new(
            ErrorKind::Answer,
            format!("the model refused to summarise: `{reason}`"),
        )),
        Stop::ContextFull => Err(Error::new(
            ErrorKind::ContextTooLong,
            "the conversation does not fit its own summary",
        )),
        _ => Ok(()),
    }
}

/// The words of an answer, as they come.
#[derive(Default)]
struct Answer {
    parts: BTreeMap<u32, String>,
    bytes: usize,
    usage: Option<Usage>,
    began: bool,
}

impl Answer {
    fn take(&mut self, delta: Delta) -> Result<Option<Stop>> {
        self.began = true;
        match delta {
            Delta::Text { part, text } => {
                self.bytes += text.len();
                self.parts.entry(part).or_default().push_str(&text);
            }
            Delta::TextDone { part, text } => {
                self.bytes += text.len();
                self.parts.insert(part, text);
            }
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Stop { stop, .. } => return Ok(Some(stop)),
            _ => {}
        }
        if self.bytes > MAX_ANSWER_BYTES {
            let text = format!("summary larger than the limit: `{MAX_ANSWER_BYTES} bytes`");
            return Err(Error::new(ErrorKind::Limit, text));
        }
        Ok(None)
    }

    fn text(&self) -> String {
        self.parts.values().map(String::as_str).collect()
    }

    /// Adds what this try used: by the vendor's count, or by ours where that never came.
    fn charge(&self, history: &[Kept<Message>], provider: &dyn Provider, usage: &mut Usage) {
        let mut own = match self.usage {
            Some(usage) => usage,
            None if !self.began => return,
            None => {
                let counter = Counter::for_model(provider.model());
                let input: u64 = history
                    .iter()
                    .map(|entry| counter.message(entry.get()))
                    .sum();
                Usage {
                    input: input + counter.text(SYSTEM),
                    output: counter.text(&self.text()),
                    estimated: 1,
                    ..Usage::default()
                }
            }
        };
        own.requests = 1;
        *usage += own;
    }
}

/// Takes the summary out of an answer; `None` when there is none.
fn extract(answer: &str) -> Option<String> {
    let mut text = answer.to_owned();
    while let Some(start) = text.find("<analysis>") {
        let end = match text[start..].find("</analysis>") {
            Some(length) => start + length + "</analysis>".len(),
            // Not closed: it ends where the summary begins, or the whole rest is analysis.
            None => text[start..]
                .find("<summary>")
                .map_or(text.len(), |at| start + at),
        };
        text.replace_range(start..end, "");
    }
    let mut summary = text.as_str();
    if let Some(start) = summary.find("<summary>") {
        summary = &summary[start + "<summary>".len()..];
        summary = summary
            .rfind("</summary>")
            .map_or(summary, |end| &summary[..end]);
    }
    let mut out = String::with_capacity(summary.len());
    let mut breaks = 0;
    for letter in summary.trim().chars() {
        breaks = if letter == '\n' { breaks + 1 } else { 0 };
        if breaks <= 2 {
            out.push(letter);
        }
    }
    (!out.is_empty()).then_some(out)
}
