//! Children that their parents have not heard the end of: who they were, and what is said of them.
//! Refuses to open them again; it knows where they stood.

use super::{Body, Recalled, Recollection, Record};
use crate::{
    event::Ground,
    id::{AgentPath, CallId},
    message::Outcome,
};

/// What happens to a call of unknown outcome that must not be repeated unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Doubt {
    /// It is not run; the model reads that it may have taken effect.
    #[default]
    Report,
    /// The person is asked whether it runs once more. Where nobody can be asked, it is reported.
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

/// A child that was alive when its program died, or that had ended and its parent had not read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, asked for by name"
)]
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
    /// Whether that call is this child and nothing else.
    pub is_call: bool,
    /// How it had ended; `None` when it was alive.
    pub ended: Option<Outcome>,
    /// What it had said last; what its parent was to read, where it had ended.
    pub words: String,
    /// Whether it goes on: that is wanted, its call is still open, and so is its parent's.
    pub goes_on: bool,
}

impl LostChild {
    pub(super) fn of(path: &AgentPath, memory: &Recollection) -> Option<Self> {
        let mut lost = None;
        let mut words = String::new();
        for record in &memory.records {
            match &record.body {
                Body::ChildStart {
                    kind,
                    description,
                    ground,
                    call,
                    is_call,
                    ..
                } => {
                    lost = Some(Self {
                        path: path.clone(),
                        kind: kind.clone(),
                        description: description.clone(),
                        ground: *ground,
                        call: call.clone(),
                        is_call: *is_call,
                        ended: None,
                        words: String::new(),
                        goes_on: false,
                    });
                }
                Body::Assistant { message, .. } => {
                    let text = message.text();
                    if !text.is_empty() {
                        words = text;
                    }
                }
                _ => {}
            }
        }
        lost.map(|lost| Self { words, ..lost })
    }

    /// Whether it is the child of the agent at this place.
    pub fn is_child_of(&self, parent: &AgentPath) -> bool {
        self.path.parent().as_ref() == Some(parent)
    }

    /// What its parent reads.
    pub fn report(&self) -> String {
        if self.ended.is_some() && self.ground == Ground::Foreground {
            return self.words.clone();
        }
        let about = if self.description.is_empty() {
            &self.kind
        } else {
            &self.description
        };
        if let Some(outcome) = self.ended {
            let (path, outcome) = (&self.path, outcome.as_str());
            return format!(
                "The background agent `{path}` ({about}) has ended: {outcome}.\n\n{}",
                self.words
            );
        }
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

/// Takes out what a record shows to have been read.
pub(super) fn read_by(unread: &mut Vec<LostChild>, record: &Record) {
    if unread.is_empty() {
        return;
    }
    let mine = |child: &LostChild| child.is_child_of(&record.agent);
    match &record.body {
        Body::Result { result, .. } => unread.retain(|child| {
            let answers = child.call.as_ref() == Some(&result.call);
            !(mine(child) && child.ground == Ground::Foreground && answers)
        }),
        Body::Note { from, .. } => {
            unread.retain(|child| !(mine(child) && child.path.to_string() == *from));
        }
        Body::ChildEnd { .. } => unread.retain(|child| !record.agent.is_above(&child.path)),
        _ => {}
    }
}

/// Every child that was alive, parents before their children, and those that were not read of.
pub(super) fn lost(recalled: &Recalled, policy: LostChildren) -> Vec<LostChild> {
    let agents = recalled.agents.iter();
    let mut lost: Vec<_> = agents
        .filter(|(path, _)| path.depth() > 0)
        .filter_map(|(path, memory)| LostChild::of(path, memory))
        .collect();
    lost.sort_by_key(|child| (child.path.depth(), child.path.to_string()));
    for at in 0..lost.len() {
        let (above, rest) = lost.split_at_mut(at);
        let Some((child, parent)) = rest
            .first_mut()
            .and_then(|child| child.path.parent().map(|parent| (child, parent)))
        else {
            continue;
        };
        let parent_goes_on =
            parent.depth() == 0 || above.iter().any(|lost| lost.path == parent && lost.goes_on);
        let waits = |call: &CallId| {
            let memory = recalled.agents.get(&parent);
            memory.is_some_and(|memory| !memory.has_result(call))
        };
        child.goes_on = policy == LostChildren::Restart
            && child.is_call
            && child.ground == Ground::Foreground
            && parent_goes_on
            && child.call.as_ref().is_some_and(waits);
    }
    lost.extend(recalled.unread.iter().cloned());
    lost
}
