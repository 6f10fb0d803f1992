//! What somebody waits for, and what a cancel says that it stopped.
//! Refuses to know how things wait or are stopped; these are words.

use std::{collections::HashSet, fmt};

use crate::id::AgentPath;

/// So many agents are named when a [`Receipt`] is printed.
const SHOWN: usize = 20;

/// What somebody waits for, so that a cancel can say what it stopped and a stall can be explained.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitFor {
    /// An answer of the model with this name.
    Model(String),
    /// A pause before the next try.
    Retry,
    /// The tool with this name.
    Tool(String),
    /// A person's yes or no to the call of this tool.
    Approval(String),
    /// Room for one more running tool.
    Permit,
    /// A note in the mailbox.
    Mail,
    /// The agent at this place.
    Agent(AgentPath),
    /// The hook with this name.
    Hook(String),
    /// The process with this name.
    Process(String),
    /// Room under the limit with this name.
    Room(String),
}

impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(name) => write!(f, "model `{name}`"),
            Self::Retry => f.write_str("a retry"),
            Self::Tool(name) => write!(f, "tool `{name}`"),
            Self::Approval(name) => write!(f, "an approval of `{name}`"),
            Self::Permit => f.write_str("a free tool slot"),
            Self::Mail => f.write_str("mail"),
            Self::Agent(path) => write!(f, "agent `{path}`"),
            Self::Hook(name) => write!(f, "hook `{name}`"),
            Self::Process(name) => write!(f, "process `{name}`"),
            Self::Room(limit) => write!(f, "room under the limit `{limit}`"),
        }
    }
}

/// In which phase something was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It waited for nothing that it had told of.
    Working,
    /// It waited.
    Waiting(WaitFor),
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Working => f.write_str("working"),
            Self::Waiting(what) => what.fmt(f),
        }
    }
}

/// One thing that a cancel stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Stopped {
    /// Whose it was.
    pub agent: AgentPath,
    /// What it was at.
    pub phase: Phase,
}

/// What a cancel stopped: each wait that it cut short, and each agent that was working. An agent
/// that lived stands here at least once; a scope in which nothing lived does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// What was stopped, agents above before agents below.
    pub stopped: Vec<Stopped>,
}

impl Receipt {
    /// The agents that were stopped, each once, in the order of the list.
    pub fn agents(&self) -> Vec<AgentPath> {
        let mut seen = HashSet::new();
        let all = self.stopped.iter().map(|stopped| &stopped.agent);
        all.filter(|agent| seen.insert(*agent)).cloned().collect()
    }

    /// Adds what another cancel stopped.
    pub fn merge(&mut self, other: Self) {
        self.stopped.extend(other.stopped);
    }

    /// Whether nothing was stopped.
    pub fn is_empty(&self) -> bool {
        self.stopped.is_empty()
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agents = self.agents();
        match agents.len() {
            0 => return f.write_str("stopped nothing"),
            1 => f.write_str("stopped 1 agent: ")?,
            n => write!(f, "stopped {n} agents: ")?,
        }
        for (at, agent) in agents.iter().take(SHOWN).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{agent} (")?;
            let phases = self.stopped.iter().filter(|s| s.agent == *agent);
            for (at, stopped) in phases.enumerate() {
                let comma = if at > 0 { ", " } else { "" };
                write!(f, "{comma}{}", stopped.phase)?;
            }
            f.write_str(")")?;
        }
        match agents.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
