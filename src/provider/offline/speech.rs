//! A reply as deltas: word by word, with pauses that people can watch.
//! Refuses to decide what is said; it only says it, within the limits of the request.

use std::time::Duration;

use async_stream::try_stream;

use super::{
    plan::{Ask, Step},
    prose::cut,
};
use crate::{
    error::{Error, ErrorKind},
    id::CallId,
    message::{Content, Message, Part},
    provider::{Delivery, Delta, Deltas, Model, Request, Stop},
    scope::Scope,
    usage::Usage,
};

/// All pauses of one answer together.
const MAX_PAUSE: Duration = Duration::from_secs(3);
/// Below this a timer is not worth setting; pauses are saved up until they reach it.
const MIN_PAUSE: Duration = Duration::from_millis(2);
/// Characters that count as one token, in the estimate of usage.
const TOKEN: u64 = 4;

/// What is said.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    /// The words.
    pub(super) text: String,
    /// The calls after them.
    pub(super) asks: Vec<Ask>,
    /// Why it ends.
    pub(super) stop: Stop,
}

impl Reply {
    /// Words and nothing else.
    pub(super) fn text(text: String) -> Self {
        Self {
            text,
            asks: Vec::new(),
            stop: Stop::Done,
        }
    }

    /// Words and calls.
    pub(super) fn step(step: Step) -> Self {
        Self {
            text: step.say,
            asks: step.asks,
            stop: Stop::Done,
        }
    }

    /// Keeps to the output limit and to the words that end an answer.
    fn limited(mut self, request: &Request<'_>) -> (Self, &'static str) {
        let words = request.options.stop.iter().filter(|word| !word.is_empty());
        if let Some(at) = words.filter_map(|word| self.text.find(word.as_str())).min() {
            self.text.truncate(at);
            self.asks.clear();
            return (self, "stop_word");
        }
        let room = request
            .options
            .max_output
            .unwrap_or(u64::MAX)
            .saturating_mul(TOKEN);
        if self.text.chars().count() as u64 > room {
            let bytes = self.text.char_indices().nth(room as usize);
            self.text = cut(&self.text, bytes.map_or(usize::MAX, |(at, _)| at)).to_owned();
            self.asks.clear();
            self.stop = Stop::Length;
        }
        let raw = match (&self.stop, self.asks.is_empty()) {
            (Stop::Length, _) => "length",
            (Stop::Refused { .. }, _) => "refused",
            (_, true) => "answered",
            (_, false) => "calls",
        };
        (self, raw)
    }
}

/// Says a reply.
pub(super) fn speak(
    model: &Model,
    request: &Request<'_>,
    reply: Reply,
    pause: Duration,
    scope: &Scope,
) -> Deltas {
    let (reply, raw) = reply.limited(request);
    let usage = usage(request, &reply);
    let name = model.name.to_string();
    let stream = request.options.delivery == Delivery::Stream;
    // Ids that differ within the conversation and are the same whenever it is played again.
    let turn = request.history.len();
    let scope = scope.clone();
    Box::pin(try_stream! {
        yield Delta::Started { model: name };
        let pieces = match stream {
            true => words(&reply.text),
            false => vec![reply.text.as_str()],
        };
        let each = match pieces.len() {
            0 => Duration::ZERO,
            n => pause.min(MAX_PAUSE / n as u32),
        };
        let mut owed = Duration::ZERO;
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            if scope.is_cancelled() {
                Err(Error::new(ErrorKind::Cancelled, "the answer is no longer wanted"))?;
            }
            yield Delta::Text { part: 0, text: piece.to_owned() };
            owed += if stream { each } else { Duration::ZERO };
            if owed >= MIN_PAUSE {
                tokio::time::sleep(owed).await;
                owed = Duration::ZERO;
            }
        }
        for (at, ask) in reply.asks.iter().enumerate() {
            let part = at as u32 + 1;
            let id = CallId::new(format!("offline_{turn}_{part}"));
            yield Delta::Call { part, id: Some(id), name: ask.tool.to_owned() };
            yield Delta::Arguments { part, json: ask.input.to_string() };
        }
        yield Delta::Usage(usage);
        yield Delta::Stop { stop: reply.stop.clone(), raw: raw.to_owned() };
    })
}

/// Cuts a text behind its white space; the pieces joined are the text.
fn words(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut before = false;
    for (at, c) in text.char_indices() {
        if before && !c.is_whitespace() {
            out.push(&text[start..at]);
            start = at;
        }
        before = c.is_whitespace();
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

/// Tokens of the request and the reply, estimated from their lengths.
fn usage(request: &Request<'_>, reply: &Reply) -> Usage {
    let tools = request.tools.get().iter();
    let tools =
        tools.map(|tool| tool.name.len() + tool.description.len() + tool.schema.to_string().len());
    let history = request.history.iter().map(|message| letters(message.get()));
    let read = request.system.len() + tools.sum::<usize>() + history.sum::<usize>();
    let calls = reply
        .asks
        .iter()
        .map(|ask| ask.tool.len() + ask.input.to_string().len());
    let written = reply.text.len() + calls.sum::<usize>();
    Usage {
        input: (read as u64).div_ceil(TOKEN),
        output: (written as u64).div_ceil(TOKEN),
        estimated: 1,
        ..Usage::default()
    }
}

/// How long a message is, its pictures apart.
fn letters(message: &Message) -> usize {
    let parts = message.parts.iter().map(|part| match part {
        Part::Text { text, .. } | Part::Reasoning { text, .. } => text.len(),
        Part::Call(call) => call.name.len() + call.input.as_str().len(),
        Part::Result(result) => {
            let texts = result.content.iter().map(|content| match content {
                Content::Text(text) => text.len(),
                Content::Media(_) => 0,
            });
            texts.sum()
        }
        Part::Opaque { json, .. } => json.as_str().len(),
        Part::Media(_) => 0,
    });
    parts.sum()
}
