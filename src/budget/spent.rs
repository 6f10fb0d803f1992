//! The refusal of a meter, in words for people, models and events.
//! Refuses to decide; it says which limit was met and what can be done about it.

use std::fmt;

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Model calls.
    Turns,
    /// Tokens.
    Tokens,
    /// Money.
    Money,
    /// Agents alive at once.
    Live,
    /// Agents started in all.
    Spawns,
    /// Processes at once.
    Processes,
    /// Wall-clock time.
    Time,
    /// Levels of agents.
    Depth,
    /// Not a limit that was set: the agent whose meter was asked has ended.
    Ended,
}

impl Limit {
    /// The word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::Tokens => "tokens",
            Self::Money => "money",
            Self::Live => "live_children",
            Self::Spawns => "spawns",
            Self::Processes => "processes",
            Self::Time => "time",
            Self::Depth => "depth",
            Self::Ended => "ended",
        }
    }
}

/// The refusal of a [`Meter`](crate::Meter): which limit, and how much it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spent {
    /// Which limit.
    pub limit: Limit,
    /// What it allows, in the limit's own unit (calls, tokens, micro-dollars, milliseconds, agents,
    /// levels below the root, processes).
    pub allowed: u64,
    /// How much of that is not used but reserved for children that live; comes back if they do not
    /// need it.
    pub held: u64,
}

impl Spent {
    pub(super) fn new(limit: Limit, allowed: u64) -> Self {
        Self {
            limit,
            allowed,
            held: 0,
        }
    }

    /// What the model can do about it.
    pub fn hint(&self) -> &'static str {
        match self.limit {
            Limit::Turns | Limit::Tokens | Limit::Money if self.held > 0 => {
                "wait for a child to end; what it does not use comes back"
            }
            Limit::Turns | Limit::Tokens | Limit::Money | Limit::Time => {
                "finish with what there is; nothing more can be spent"
            }
            Limit::Live => "wait for a child to end, then start the next",
            Limit::Spawns => "do the rest yourself; no more agents can be started",
            Limit::Processes => "wait for a process to end or stop one, then start the next",
            Limit::Depth => "do the work yourself; no deeper agents are allowed",
            Limit::Ended => "start a new agent; this one can spend nothing any more",
        }
    }
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dollars = |micros: u64| micros as f64 / 1e6;
        let Self { allowed, held, .. } = *self;
        match self.limit {
            Limit::Turns => write!(f, "the limit of {allowed} model calls is reached")?,
            Limit::Tokens => write!(f, "the limit of {allowed} tokens is reached")?,
            Limit::Money => write!(f, "the limit of ${:.4} is reached", dollars(allowed))?,
            Limit::Time => write!(f, "the limit of {allowed} ms is reached")?,
            Limit::Live => write!(f, "the limit of {allowed} agents at once is reached")?,
            Limit::Spawns => write!(f, "the limit of {allowed} agents in all is reached")?,
            Limit::Processes => write!(f, "the limit of {allowed} processes at once is reached")?,
            Limit::Depth => write!(f, "the limit of {allowed} levels of agents is reached")?,
            Limit::Ended => f.write_str("the agent has ended")?,
        }
        match self.limit {
            _ if held == 0 => Ok(()),
            Limit::Money => write!(f, "; ${:.4} of it is held for children", dollars(held)),
            _ => write!(f, "; {held} of it is held for children"),
        }
    }
}
