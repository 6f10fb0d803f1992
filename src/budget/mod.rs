//! Limits of a run and of everything it starts, and what of them is spent.
//! Refuses before the request, never after; it knows nothing of who asks.
//!
//! # One budget for a tree
//!
//! A [`Meter`] counts what one agent spends. [`Meter::reserve`] makes the meter of a child: it
//! takes a seat in every limit above and sets aside, from what is left here, what the child may
//! spend. The [`Place`](crate::Place) that comes with it gives back what the child did not use.
//!
//! ```
//! use offshoot::{AgentPath, Budget, Cost, Meter, Usage};
//!
//! let root = Meter::new(Budget::unlimited().tokens(1_000));
//! let path = AgentPath::root().child("explore");
//! let (child, place) = root.reserve(&path, "Agent", Budget::unlimited().tokens(400))?;
//! assert_eq!(root.tokens_left(), Some(600)); // the child's share is out of reach
//!
//! child.admit()?; // before the request
//! let used = Usage { input: 90, output: 10, ..Usage::default() };
//! child.charge(&used, Cost::default()); // after it
//!
//! drop(place); // the child ends: 300 tokens come back
//! assert_eq!(root.tokens_left(), Some(900));
//! assert_eq!(root.spent().0.total(), 100);
//! assert!(child.admit().is_err()); // whoever still holds the meter cannot spend any more
//! # Ok::<(), offshoot::Spent>(())
//! ```
//!
//! # What is promised
//!
//! For each limit of each agent, with the agent and everything below it counted together:
//!
//! 1. Model calls, children alive, children started, depth and processes are never exceeded, not
//!    by one: whoever asks is counted in the same step that allows it.
//! 2. Tokens and money are known only after a call. Once what is booked has reached the limit, no
//!    call is admitted and no retry allowed; what comes on top is only what the calls use that
//!    were in flight at that moment. With `k` of them and none larger than `m`, the sum ends below
//!    `limit + k · m`.
//! 3. What is reserved for a child is not available to its siblings nor to its parent until the
//!    child has ended. What a child uses beyond its share is taken from what is above at once.
//! 4. Nothing booked is lost: [`Meter::spent`] and the sum of [`Meter::ledger`] are equal at every
//!    moment, charges that come after the end of an agent included.
//!
//! An answer costs time in proportion to the limits above that concern it, however deep the agent:
//! agents without limits of their own are passed over. Only [`Meter::spent`] and [`Meter::ledger`]
//! visit the agents below that are alive.

mod books;
mod ledger;
mod meter;
mod place;
mod pot;
mod slab;
mod spent;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::usage::{Cost, Usage};

pub use self::{
    ledger::{MAX_LEDGER_ROWS, MORE},
    meter::Meter,
    place::{Place, ProcessSlot},
    spent::{Limit, Spent},
};

/// What an agent may spend, and what the tree below it may grow to.
///
/// `None` means no limit of its own: limits from above still hold. The limits on the tree have
/// defaults at the root, where nothing is above. A child's limits can only narrow what is above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Model calls.
    pub turns: Option<u64>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// Millionths of a dollar.
    pub micros: Option<u64>,
    /// Wall-clock time.
    pub time: Option<Duration>,
    /// How many levels of agents there may be below this one.
    pub depth: Option<u64>,
    /// Agents below this one that are alive at once.
    pub live: Option<u64>,
    /// Agents started below this one in all.
    pub spawns: Option<u64>,
    /// Processes that run at once, here and below.
    pub processes: Option<u64>,
}

impl Budget {
    /// Model calls that a turn makes when nobody says otherwise.
    pub const DEFAULT_TURNS: u64 = 50;
    /// Levels of agents below a root when nobody says otherwise.
    pub const DEFAULT_DEPTH: u64 = 3;
    /// Agents alive at once below a root when nobody says otherwise.
    pub const DEFAULT_LIVE: u64 = 20;
    /// Agents started in all below a root when nobody says otherwise.
    pub const DEFAULT_SPAWNS: u64 = 200;
    /// Processes at once in a tree when nobody says otherwise.
    pub const DEFAULT_PROCESSES: u64 = 64;

    /// No limits on spending: calls, tokens, money and time.
    ///
    /// The tree keeps its default limits (depth, children alive, children started, processes)
    /// unless others are set.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// The narrower of two budgets, limit by limit.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        fn least<T: Ord + Copy>(one: Option<T>, other: Option<T>) -> Option<T> {
            one.into_iter().chain(other).min()
        }
        Self {
            turns: least(self.turns, other.turns),
            tokens: least(self.tokens, other.tokens),
            micros: least(self.micros, other.micros),
            time: least(self.time, other.time),
            depth: least(self.depth, other.depth),
            live: least(self.live, other.live),
            spawns: least(self.spawns, other.spawns),
            processes: least(self.processes, other.processes),
        }
    }

    /// What is left of it when this was spent before.
    #[must_use]
    pub(crate) fn without(mut self, usage: &Usage, cost: Cost) -> Self {
        let less = |limit: Option<u64>, spent: u64| limit.map(|limit| limit.saturating_sub(spent));
        self.turns = less(self.turns, usage.requests);
        self.tokens = less(self.tokens, usage.total());
        self.micros = less(self.micros, cost.micros);
        self
    }

    /// With a limit on model calls.
    #[must_use]
    pub fn turns(mut self, turns: u64) -> Self {
        self.turns = Some(turns);
        self
    }

    /// With a limit on tokens, read and written.
    #[must_use]
    pub fn tokens(mut self, tokens: u64) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// With a limit on money.
    #[must_use]
    pub fn dollars(mut self, dollars: f64) -> Self {
        self.micros = Some((dollars * 1e6).max(0.0) as u64);
        self
    }

    /// With a limit on wall-clock time.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// With a limit on levels of agents below this one; 0 allows no children.
    #[must_use]
    pub fn depth(mut self, levels: u64) -> Self {
        self.depth = Some(levels);
        self
    }

    /// With a limit on agents below this one that are alive at once.
    #[must_use]
    pub fn live(mut self, agents: u64) -> Self {
        self.live = Some(agents);
        self
    }

    /// With a limit on agents started below this one in all.
    #[must_use]
    pub fn spawns(mut self, agents: u64) -> Self {
        self.spawns = Some(agents);
        self
    }

    /// With a limit on processes that run at once, here and below.
    #[must_use]
    pub fn processes(mut self, processes: u64) -> Self {
        self.processes = Some(processes);
        self
    }
}

/// The limits that are kept in the books; time and depth need no counting.
impl Budget {
    fn of(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Turns => self.turns,
            Limit::Tokens => self.tokens,
            Limit::Money => self.micros,
            Limit::Live => self.live,
            Limit::Spawns => self.spawns,
            Limit::Processes => self.processes,
            Limit::Time | Limit::Depth | Limit::Ended => None,
        }
    }

    fn default_of(limit: Limit) -> Option<u64> {
        match limit {
            Limit::Live => Some(Self::DEFAULT_LIVE),
            Limit::Spawns => Some(Self::DEFAULT_SPAWNS),
            Limit::Processes => Some(Self::DEFAULT_PROCESSES),
            _ => None,
        }
    }
}
