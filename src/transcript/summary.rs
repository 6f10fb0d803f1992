//! Asks a model for a summary of a conversation: the request, its answer, and a shorter second try.
//! Refuses to send what could bind the answer to one vendor: no tools, no seals, no media.

use std::collections::{BTreeMap, VecDeque};

use futures::StreamExt;

use super::{Counter, Transcript};
use crate::{
    error::{Error, ErrorKind, Result},
    kept::Kept,
    message::{Content, Media, Message, Part, Role, ToolResult},
    provider::{Delta, Options, Provider, Request, Stop},
    scope::{Scope, WaitFor},
    usage::Usage,
};

const SYSTEM: &str = include_str!("compact_system.md");
const PROMPT: &str = include_str!("compact_prompt.md");
const DROPPED: &str =
    "(An earlier part of the conversation was left out here because it was too long.)";

/// Tokens that the model may write, its analysis included.
const MAX_OUTPUT: u64 = 20_000;
/// How often a request that was too long is made shorter and sent again.
const MAX_SHORTER: usize = 3;
/// From the second try on, a tool result is cut to so many characters.
const SHORT_RESULT: usize = 4_000;
/// An answer larger than this is no summary.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// What the model made of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The summary.
    pub(crate) text: String,
    /// What making it used, all tries together.
    pub(crate) usage: Usage,
}

/// Asks for a summary of the conversation: see [`summarise_charged`], which also tells what a
/// failure has used.
///
/// Cancel safety: safe, the conversation is not touched; what was used is lost.
pub(crate) async fn summarise(
    provider: &dyn Provider,
    transcript: &Transcript,
    instructions: Option<&str>,
    scope: &Scope,
) -> Result<Summary> {
    let mut usage = Usage::default();
    let text = summarise_charged(provider, transcript, instructions, scope, &mut usage).await?;
    Ok(Summary { text, usage })
}

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
        history,
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

/// The conversation as plain words of two speakers, cut into groups that stay together.
struct Material {
    groups: VecDeque<Group>,
    shortened: bool,
}

/// A user's message, or an answer with the results of its calls.
struct Group {
    lines: Vec<(Role, Vec<Line>)>,
    last_user: bool,
}

enum Line {
    Plain(String),
    Result { head: String, body: String },
}

impl Material {
    fn of(transcript: &Transcript) -> Self {
        let mut groups: VecDeque<Group> = VecDeque::new();
        let last_user = transcript
            .messages()
            .filter(|m| m.role == Role::User)
            .count();
        let mut users = 0;
        for message in transcript.messages() {
            let lines = lines_of(message);
            match (message.role, groups.back_mut()) {
                (Role::Tool, Some(group)) => group.lines.push((Role::User, lines)),
                (role, _) => {
                    users += usize::from(role == Role::User);
                    groups.push_back(Group {
                        lines: vec![(role, lines)],
                        last_user: role == Role::User && users == last_user,
                    });
                }
            }
        }
        Self {
            groups,
            shortened: false,
        }
    }

    /// Leaves out the older half by size, but not the user's last message and not the newest
    /// group, and cuts results. Whether that changed anything.
    fn shorten(&mut self) -> bool {
        let first = !self.shortened;
        self.shortened = true;
        let cut = first && self.groups.iter().any(Group::has_long_result);
        let total: usize = self.groups.iter().map(Group::size).sum();
        let mut gone = 0;
        let mut kept = VecDeque::new();
        let mut dropped = false;
        while let Some(group) = self.groups.pop_front() {
            if gone * 2 >= total || group.last_user || self.groups.is_empty() {
                kept.push_back(group);
            } else {
                gone += group.size();
                dropped = true;
            }
        }
        self.groups = kept;
        dropped || cut
    }

    /// The messages of the request: speakers alternate, a user begins, and the prompt ends it.
    fn history(&self, prompt: &str) -> Vec<Kept<Message>> {
        let mut messages: Vec<Message> = Vec::new();
        let mut say = |role: Role, text: String| match messages.last_mut() {
            Some(last) if last.role == role => last.parts.push(Part::text(text)),
            _ => messages.push(Message {
                role,
                parts: vec![Part::text(text)],
            }),
        };
        let begins = self.groups.front().and_then(|group| group.lines.first());
        if self.shortened || begins.is_some_and(|(role, _)| *role != Role::User) {
            say(Role::User, DROPPED.to_owned());
        }
        for (role, lines) in self.groups.iter().flat_map(|group| &group.lines) {
            for line in lines {
                say(*role, line.text(self.shortened));
            }
        }
        say(Role::User, prompt.to_owned());
        messages.into_iter().map(Kept::new).collect()
    }
}

impl Group {
    fn size(&self) -> usize {
        let lines = self.lines.iter().flat_map(|(_, lines)| lines);
        lines.map(Line::size).sum::<usize>() + 1
    }

    fn has_long_result(&self) -> bool {
        let mut lines = self.lines.iter().flat_map(|(_, lines)| lines);
        lines.any(|line| matches!(line, Line::Result { body, .. } if body.len() > SHORT_RESULT))
    }
}

impl Line {
    fn size(&self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            Self::Result { body, .. } => body.len(),
        }
    }

    fn text(&self, short: bool) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Result { head, body } => {
                let mut end = body.len();
                if short && end > SHORT_RESULT {
                    end = (0..=SHORT_RESULT)
                        .rfind(|at| body.is_char_boundary(*at))
                        .unwrap_or(0);
                }
                let rest = if end < body.len() { "\n[…]" } else { "" };
                format!("{head}\n{}{rest}\n</tool_result>", &body[..end])
            }
        }
    }
}

fn lines_of(message: &Message) -> Vec<Line> {
    let mut lines = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text { text, .. } if !text.trim().is_empty() => {
                lines.push(Line::Plain(text.clone()))
            }
            Part::Media(media) => lines.push(Line::Plain(placeholder(media).to_owned())),
            Part::Call(call) => {
                let arguments = call.malformed.as_deref().unwrap_or(call.input.as_str());
                lines.push(Line::Plain(format!(
                    "[calls the tool {}: {arguments}]",
                    call.name
                )));
            }
            Part::Result(result) => lines.push(result_line(result)),
            _ => {}
        }
    }
    lines
}

/// The frame tells the model what is a tool's word; the word must not be able to end the frame.
fn result_line(result: &ToolResult) -> Line {
    let pieces: Vec<_> = result
        .content
        .iter()
        .map(|content| match content {
            Content::Text(text) => escape(text),
            Content::Media(media) => placeholder(media).to_owned(),
        })
        .collect();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    let name = result.name.replace(|letter| !plain(letter), "_");
    Line::Result {
        head: format!(
            "<tool_result tool=\"{name}\" outcome=\"{}\">",
            result.outcome.as_str()
        ),
        body: pieces.join("\n"),
    }
}

/// Breaks every tag of the frame, whatever its case: `<` becomes `&lt;` there.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        let opens = |tag: &str| {
            let head = text.as_bytes().get(at..at + tag.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()))
        };
        if letter == '<' && (opens("<tool_result") || opens("</tool_result")) {
            out.push_str("&lt;");
        } else {
            out.push(letter);
        }
    }
    out
}

fn placeholder(media: &Media) -> &'static str {
    if media.is_image() {
        "[image]"
    } else {
        "[document]"
    }
}
