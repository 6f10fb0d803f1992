//! A conversation as plain words of two speakers: what a model reads that has to summarise it.
//! Refuses what binds a request to a vendor or its tools: calls, seals, reasoning and media.

use std::collections::VecDeque;

use super::Transcript;
use crate::{
    kept::Kept,
    message::{Content, Media, Message, Part, Role, ToolResult},
};

const DROPPED: &str =
    "(An earlier part of the conversation was left out here because it was too long.)";
/// From the second try on, a tool result is cut to so many bytes.
const SHORT_RESULT: usize = 4_000;

/// The conversation as plain words of two speakers, cut into groups that stay together.
pub(super) struct Material {
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
    pub(super) fn of(transcript: &Transcript) -> Self {
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
    pub(super) fn shorten(&mut self) -> bool {
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
    pub(super) fn history(&self, prompt: &str) -> Vec<Kept<Message>> {
        let mut messages: Vec<Message> = Vec::new();
        let mut say = |role: Role, text: String| match messages.last_mut() {
            Some(last) if last.role == role => last.parts.push(Part::text(text)),
            _ => messages.push(Message {
                role,
                parts: vec![Part::text(text)],
            }),
        };
        let cap = if self.shortened {
            SHORT_RESULT
        } else {
            usize::MAX
        };
        let begins = self.groups.front().and_then(|group| group.lines.first());
        if self.shortened || begins.is_some_and(|(role, _)| *role != Role::User) {
            say(Role::User, DROPPED.to_owned());
        }
        for (role, lines) in self.groups.iter().flat_map(|group| &group.lines) {
            for line in lines {
                say(*role, line.text(cap));
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

    fn text(&self, cap: usize) -> String {
        match self {
            Self::Plain(text) => text.clone(),
            Self::Result { head, body } => {
                let mut end = body.len().min(cap);
                while !body.is_char_boundary(end) {
                    end -= 1;
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
