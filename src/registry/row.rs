//! Agents as plain data, as they are when one looks.
//! Refuses to keep an agent alive or to change with it.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    event::Ground,
    id::{AgentId, AgentPath, SessionId},
    scope::WaitFor,
};

/// A living agent, or one that has just left.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AgentRow {
    /// Its name, which no other agent has.
    pub id: AgentId,
    /// The order in which agents came, within the registry.
    pub seq: u64,
    /// Whose tree it is in.
    pub session: SessionId,
    /// Where it is in the tree.
    pub path: AgentPath,
    /// The agent above; `None` for a root.
    pub parent: Option<AgentId>,
    /// What kind of agent it is.
    pub kind: Arc<str>,
    /// What it is to do, in a few words.
    pub description: Arc<str>,
    /// Whether somebody waits for its answer.
    pub ground: Ground,
    /// What it is doing.
    pub state: AgentState,
    /// How long it has lived.
    pub age: Duration,
    /// How many notes lie in its mailbox.
    pub unread: usize,
}

/// What an agent is doing, or how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AgentState {
    /// It works, or at least has told of nothing that it waits for.
    Running,
    /// It waits for all of this.
    Waiting(Vec<WaitFor>),
    /// It did what it was to do.
    Finished,
    /// It could not.
    Failed,
    /// It was stopped.
    Cancelled,
}

impl AgentState {
    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = match self {
            Self::Running => return f.write_str("running"),
            Self::Finished => return f.write_str("finished"),
            Self::Failed => return f.write_str("failed"),
            Self::Cancelled => return f.write_str("cancelled"),
            Self::Waiting(waits) => waits,
        };
        f.write_str("waiting for ")?;
        for (at, what) in waits.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{what}")?;
        }
        Ok(())
    }
}

/// Why a living agent has not ended yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Why {
    /// Which agent.
    pub id: AgentId,
    /// Where it is.
    pub agent: AgentPath,
    /// What it says that it waits for.
    pub waits: Vec<WaitFor>,
    /// The agents whose end it waits for by a wait of its own.
    pub on: Vec<AgentPath>,
    /// Its living children: it cannot end before them.
    pub children: Vec<AgentPath>,
}
