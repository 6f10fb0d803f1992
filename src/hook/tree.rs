//! What hooks are shown of the agent tree: a child that is about to live, and one that has lived.
//! Refuses to carry the child itself; a hook judges words.

use std::borrow::Cow;

use crate::{event::Ground, id::AgentPath, message::Outcome};

/// A child agent that is about to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spawn {
    /// The place it will have.
    pub agent: AgentPath,
    /// Which kind of agent it is.
    pub kind: String,
    /// A few words on what it is for.
    pub description: String,
    /// What it is asked to do.
    pub prompt: String,
    /// Whether its parent waits for it.
    pub ground: Ground,
}

impl Spawn {
    /// A child in the foreground, without a description.
    pub fn new(agent: AgentPath, kind: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            agent,
            kind: kind.into(),
            description: String::new(),
            prompt: prompt.into(),
            ground: Ground::Foreground,
        }
    }

    /// The same child with another prompt, where a hook gave it one.
    pub(super) fn asked(&self, prompt: Option<&String>) -> Cow<'_, Self> {
        let Some(prompt) = prompt else {
            return Cow::Borrowed(self);
        };
        Cow::Owned(Self {
            prompt: prompt.clone(),
            ..self.clone()
        })
    }
}

/// A child agent that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildEnd {
    /// The place it had.
    pub agent: AgentPath,
    /// Which kind of agent it was.
    pub kind: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What its parent is going to read.
    pub text: String,
}

impl ChildEnd {
    /// The end of the child at this place.
    pub fn new(
        agent: AgentPath,
        kind: impl Into<String>,
        outcome: Outcome,
        text: impl Into<String>,
    ) -> Self {
        Self {
            agent,
            kind: kind.into(),
            outcome,
            text: text.into(),
        }
    }

    /// The same end in other words, where a hook gave it some.
    pub(super) fn told(&self, text: Option<&String>) -> Cow<'_, Self> {
        let Some(text) = text else {
            return Cow::Borrowed(self);
        };
        Cow::Owned(Self {
            text: text.clone(),
            ..self.clone()
        })
    }
}
