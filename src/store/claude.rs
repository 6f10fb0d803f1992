//! Claude Code's own transcripts: lines of a file become a conversation, on its newest branch.
//! Refuses to fail over single lines: what cannot be read is counted, and said to be left out.

mod blocks;

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use serde::{Deserialize, Deserializer};

use self::blocks::{Block, Line, Said};
use crate::{
    id::CallId,
    message::{Message, Part, Role, ToolResult},
    redact::Redactor,
};

/// Whose model has spoken.
const VENDOR: &str = "anthropic";

/// The model's name where no model has spoken, but the program for it.
const SYNTHETIC: &str = "<synthetic>";

/// A conversation that another program has kept. `Session::adopt` makes a session of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Foreign {
    /// What was said, with each result after the call that it answers.
    pub messages: Vec<Message>,
    /// What the other program calls it; empty when it has no name.
    pub title: String,
    /// The model that answered last, as `vendor/name`; empty when none did.
    pub model: String,
    /// The folder it worked in.
    pub folder: Option<String>,
    /// What was not taken.
    pub left_out: LeftOut,
    /// What is taken out before it is kept.
    pub(crate) secrets: Redactor,
}

/// What was not taken from a foreign file, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Lines that cannot be read.
    pub torn: u64,
    /// Lines of other kinds, which hold no message.
    pub other: u64,
    /// Messages of helpers.
    pub helpers: u64,
    /// Messages on other branches, or before the last summary of the history.
    pub elsewhere: u64,
    /// Messages that no model said: errors that the program spoke for it.
    pub synthetic: u64,
    /// Parts of messages that are not understood.
    pub parts: u64,
}

impl LeftOut {
    /// Whether all was taken that could be.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            (self.torn, "lines that cannot be read"),
            (self.other, "lines that hold no message"),
            (self.helpers, "messages of helpers"),
            (
                self.elsewhere,
                "messages on other branches or before a summary",
            ),
            (self.synthetic, "messages that no model said"),
            (self.parts, "parts of unknown kinds"),
        ];
        let mut first = true;
        for (count, what) in rows.into_iter().filter(|(count, _)| *count > 0) {
            let comma = if std::mem::take(&mut first) { "" } else { ", " };
            write!(f, "{comma}{count} {what}")?;
        }
        Ok(())
    }
}

impl Foreign {
    /// Takes these secrets out of what is kept of it.
    #[must_use]
    pub fn redacting(mut self, secrets: Redactor) -> Self {
        self.secrets = secrets;
        self
    }

    /// Whether this line is one of a transcript of Claude Code.
    pub fn is_claude(line: &str) -> bool {
        let line = serde_json::from_str::<Line>(line);
        line.is_ok_and(|line| {
            let marks = [&line.uuid, &line.leaf_uuid, &line.session_id];
            marks.into_iter().any(Option::is_some) || line.message_id.is_some()
        })
    }

    /// Reads the lines of a transcript of Claude Code, such as it keeps under `~/.claude/projects`.
    ///
    /// Where the conversation has branches, the one that was written to last is taken. Reasoning
    /// keeps its signatures, so that the same vendor takes it back.
    ///
    /// ```
    /// use offshoot::store::Foreign;
    ///
    /// let lines = [
    ///     r#"{"type":"user","uuid":"1","parentUuid":null,"message":{"role":"user","content":"Hi"}}"#,
    ///     r#"{"type":"assistant","uuid":"2","parentUuid":"1","message":{"id":"m","model":
    ///         "claude-sonnet-4-5","role":"assistant","content":[{"type":"text","text":"Hello."}]}}"#,
    ///     r#"{"type":"user","uuid":"3","par"#,
    /// ];
    /// let read = Foreign::from_claude(lines);
    /// assert_eq!(read.messages[1].text(), "Hello.");
    /// assert_eq!(read.model, "anthropic/claude-sonnet-4-5");
    /// assert_eq!(read.left_out.to_string(), "1 lines that cannot be read");
    /// ```
    pub fn from_claude(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut reader = Reader::default();
        for line in lines {
            reader.line(line.as_ref());
        }
        reader.finish()
    }
}

/// A line that stands in the row of parents.
struct Node {
    parent: Parent,
    /// What it says, where it is a message.
    said: Option<Said>,
    who: Who,
}

/// Whose conversation a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    Helper,
}

/// Where a line says that it comes after.
#[derive(Clone, Debug, Default)]
pub(super) enum Parent {
    /// It does not say.
    #[default]
    Unsaid,
    /// After nothing: a conversation, or what a summary has left of it, begins here.
    Nothing,
    After(String),
}

impl<'de> Deserialize<'de> for Parent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parent = Option::<String>::deserialize(deserializer)?;
        Ok(parent.map_or(Self::Nothing, Self::After))
    }
}

#[derive(Default)]
struct Reader {
    nodes: Vec<Node>,
    by_uuid: HashMap<String, usize>,
    /// Names, from the least to the best.
    titles: [Option<String>; 3],
    out: Foreign,
}

impl Reader {
    fn line(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let Ok(mut line) = serde_json::from_str::<Line>(text) else {
            self.out.left_out.torn += 1;
            return;
        };
        if line.cwd.is_some() {
            self.out.folder = line.cwd.take();
        }
        let said = match line.kind.as_str() {
            "user" | "assistant" => line.said(),
            "summary" => self.name(0, line.summary.take()),
            "ai-title" => self.name(1, line.ai_title.take()),
            "custom-title" => self.name(2, line.custom_title.take()),
            "system" => None,
            _ => {
                self.out.left_out.other += 1;
                None
            }
        };
        if said.is_none() && matches!(line.kind.as_str(), "user" | "assistant") {
            self.out.left_out.torn += 1;
        }
        if said.is_none() && line.uuid.is_none() {
            return;
        }
        if let Some(uuid) = line.uuid {
            // Some lines are written again under the same name; the first is where they stand.
            if self.by_uuid.contains_key(&uuid) {
                return;
            }
            self.by_uuid.insert(uuid, self.nodes.len());
        }
        self.nodes.push(Node {
            parent: line.parent_uuid,
            said,
            who: match line.is_sidechain || line.parent_tool_use_id.is_some() {
                true => Who::Helper,
                false => Who::Root,
            },
        });
    }

    fn name(&mut self, rank: usize, title: Option<String>) -> Option<Said> {
        self.titles[rank] = title.or(self.titles[rank].take());
        None
    }

    /// The places of the lines that count, in order.
    fn branch(&self, who: Who) -> Vec<usize> {
        let own = |at: &usize| self.nodes[*at].who == who;
        let speaks = |at: &usize| own(at) && self.nodes[*at].said.is_some();
        let mut next = (0..self.nodes.len()).rev().find(speaks);
        let mut branch = HashSet::new();
        while let Some(at) = next {
            branch.insert(at);
            // Who comes after a line that is not there comes after the one before it. Looking only
            // back, this ends whatever the file says.
            let before = || (0..at).rev().find(own);
            next = match &self.nodes[at].parent {
                Parent::Nothing => None,
                Parent::Unsaid => before(),
                Parent::After(parent) => match self.by_uuid.get(parent) {
                    Some(&parent) if parent < at => Some(parent),
                    _ => before(),
                },
            };
        }
        self.gather(&mut branch, who);
        let mut branch: Vec<_> = branch.into_iter().collect();
        branch.sort_unstable();
        branch
    }

    /// Calls that ran side by side hang their results beside the row of parents, and one message
    /// stands on several lines.
    fn gather(&self, branch: &mut HashSet<usize>, who: Who) {
        let mine = |at: &usize| self.nodes[*at].who == who;
        let said = |at: &usize| self.nodes[*at].said.as_ref();
        let messages: HashSet<_> = branch
            .iter()
            .filter_map(said)
            .filter_map(|said| said.id.clone())
            .collect();
        let all = (0..self.nodes.len()).filter(mine);
        let same = |at: &usize| {
            let id = said(at).and_then(|said| said.id.as_ref());
            id.is_some_and(|id| messages.contains(id))
        };
        branch.extend(all.clone().filter(same));
        let calls: HashSet<_> = branch
            .iter()
            .filter_map(said)
            .flat_map(Said::calls)
            .collect();
        let answers = |at: &usize| {
            let answered = said(at).into_iter().flat_map(Said::answered);
            answered.into_iter().any(|call| calls.contains(call))
        };
        let more: Vec<_> = all.filter(answers).collect();
        branch.extend(more);
    }

    fn finish(mut self) -> Foreign {
        let is_message = |node: &&Node| node.said.is_some();
        let all = self.nodes.iter().filter(is_message).count();
        let helpers = self.nodes.iter().filter(is_message);
        let helpers = helpers.filter(|node| node.who == Who::Helper).count();
        // The file of a helper is a conversation of its own.
        let (who, helpers) = match helpers == all {
            true => (Who::Helper, 0),
            false => (Who::Root, helpers),
        };
        let branch = self.branch(who);
        let mut said = Vec::new();
        for at in branch {
            said.extend(self.nodes[at].said.take());
        }
        let left = &mut self.out.left_out;
        left.helpers = helpers as u64;
        left.elsewhere = (all - said.len()) as u64 - left.helpers;
        self.tell(said);
        let [summary, ai, custom] = std::mem::take(&mut self.titles);
        let title = custom.or(ai).or(summary);
        self.out.title = title.or_else(|| self.first_words()).unwrap_or_default();
        self.out
    }

    /// What a person said first; the program's own words stand in tags or begin with a caveat.
    fn first_words(&self) -> Option<String> {
        let users = self.out.messages.iter().filter(|m| m.role == Role::User);
        let words = users.map(Message::text);
        words
            .filter_map(|text| {
                text.lines()
                    .map(str::trim)
                    .find(|line| !line.is_empty())
                    .map(str::to_owned)
            })
            .find(|line| !line.starts_with('<') && !line.starts_with("Caveat:"))
    }

    /// Makes messages of what was said, in order.
    fn tell(&mut self, said: Vec<Said>) {
        let mut messages: Vec<(Role, Vec<Part>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut results: HashMap<CallId, ToolResult> = HashMap::new();
        for said in said {
            let left = &mut self.out.left_out;
            if said.model.as_deref() == Some(SYNTHETIC) || said.is_error {
                left.synthetic += 1;
                continue;
            }
            if let (Role::Assistant, Some(model)) = (said.role, &said.model) {
                self.out.model = format!("{VENDOR}/{model}");
            }
            let mut parts = Vec::new();
            for block in said.blocks {
                match block {
                    Block::Part(part) => parts.push(part),
                    Block::Result(result) => {
                        results.entry(result.call.clone()).or_insert(result);
                    }
                    Block::Unknown => left.parts += 1,
                }
            }
            let known = said.id.as_ref().and_then(|id| places.get(id));
            match known {
                Some(&place) => messages[place].1.append(&mut parts),
                None => {
                    if let Some(id) = said.id {
                        places.insert(id, messages.len());
                    }
                    messages.push((said.role, parts));
                }
            }
        }
        for (role, parts) in messages {
            if parts.is_empty() {
                continue;
            }
            let message = Message { role, parts };
            let answers = message.calls().filter_map(|call| {
                let mut result = results.remove(&call.id)?;
                result.name.clone_from(&call.name);
                Some(result)
            });
            let answers: Vec<_> = answers.collect();
            self.out.messages.push(message);
            if !answers.is_empty() {
                self.out.messages.push(Message::results(answers));
            }
        }
    }
}
