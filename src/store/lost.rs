//! Agents that were alive when their program died: who they were, and what is said of them.
//! Refuses to open them again; it knows where they stood.

use super::{Body, Recalled, Recollection};
use crate::{
    event::Ground,
    id::{AgentPath, CallId},
    message::{Message, Role},
};

/// What happens to a call of unknown outcome that must not be repeated unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Doubt {
    /// It is not run; the model reads that it may have taken effect.
    #[default]
    Report,
    /// The person is asked whether it runs once more.
    Ask,
}

/// What happens to agents that a parent waited for when the program died. Those in the background
/// are always reported, by a note to their parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LostChildren {
    /// Their parent reads that they were stopped, and what they had said.
    #[default]
    Report,
    /// They go on where they were.
    Restart,
}

/// An agent that was alive when its program died.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostChild {
    /// Where it lived.
    pub path: AgentPath,
    /// Which kind it was.
    pub kind: String,
    /// What it was for.
    pub description: String,
    /// Whether its parent waited for it.
    pub ground: Ground,
    /// The call that opened it.
    pub call: Option<CallId>,
    /// What it had said last.
    pub words: String,
}

impl LostChild {
    fn of(path: &AgentPath, memory: &Recollection) -> Option<Self> {
        let mut lost = None;
        let mut words = String::new();
        for record in &memory.records {
            match &record.body {
                Body::ChildStart {
                    kind,
                    description,
                    ground,
                    call,
                    ..
                } => {
                    lost = Some(Self {
                        path: path.clone(),
                        kind: kind.clone(),
                        description: description.clone(),
                        ground: *ground,
                        call: call.clone(),
                        words: String::new(),
                    });
                }
                Body::Assistant { message, .. } => {
                    let text = text_of(message);
                    if !text.is_empty() {
                        words = text;
                    }
                }
                _ => {}
            }
        }
        lost.map(|lost| Self { words, ..lost })
    }

    /// What its parent reads.
    pub fn report(&self) -> String {
        let about = if self.description.is_empty() {
            &self.kind
        } else {
            &self.description
        };
        let mut text = format!(
            "The program stopped while the agent `{}` ({about}) worked, and it was not started \
             again. What it did until then stands: look before you have it repeated.",
            self.path
        );
        if !self.words.is_empty() {
            text.push_str(" It had said last:\n\n");
            text.push_str(&self.words);
        }
        text
    }
}

fn text_of(message: &Message) -> String {
    match message.role {
        Role::Assistant => message.text(),
        _ => String::new(),
    }
}

/// Every agent but the root that was alive, parents before their children.
pub(super) fn lost(recalled: &Recalled) -> Vec<LostChild> {
    let agents = recalled.agents.iter();
    let mut lost: Vec<_> = agents
        .filter(|(path, _)| path.depth() > 0)
        .filter_map(|(path, memory)| LostChild::of(path, memory))
        .collect();
    lost.sort_by(|a, b| (a.path.depth(), a.path.as_str()).cmp(&(b.path.depth(), b.path.as_str())));
    lost
}
