//! Limits of a run and what of them is spent; a child draws on what all above it still have.
//! Refuses before the request, never after; it knows nothing of who asks.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::usage::{Cost, Usage};

/// What a run may spend. `None` means no limit of its own; limits from above still hold.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

impl Budget {
    /// Model calls that a turn makes when nobody says otherwise.
    pub const DEFAULT_TURNS: u64 = 50;

    /// No limits at all.
    pub fn unlimited() -> Self {
        Self {
            turns: None,
            tokens: None,
            micros: None,
            time: None,
        }
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
}

impl Default for Budget {
    fn default() -> Self {
        Self::unlimited()
    }
}

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
    /// Wall-clock time.
    Time,
}

impl Limit {
    /// The word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Turns => "turns",
            Self::Tokens => "tokens",
            Self::Money => "money",
            Self::Time => "time",
        }
    }
}

/// The refusal of a [`Meter`]: which limit, and how much it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spent {
    /// Which limit.
    pub limit: Limit,
    /// What it allows, in the limit's own unit (calls, tokens, micro-dollars, milliseconds).
    pub allowed: u64,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            Limit::Turns => write!(f, "the limit of {} model calls is reached", self.allowed),
            Limit::Tokens => write!(f, "the limit of {} tokens is reached", self.allowed),
            Limit::Money => {
                write!(
                    f,
                    "the limit of ${:.4} is reached",
                    self.allowed as f64 / 1e6
                )
            }
            Limit::Time => write!(f, "the limit of {} ms is reached", self.allowed),
        }
    }
}

/// Counts what is spent against a [`Budget`] and against every meter above. Cheap to clone.
#[derive(Clone)]
pub struct Meter(Arc<Node>);

struct Node {
    budget: Budget,
    started: Instant,
    turns: AtomicU64,
    tokens: AtomicU64,
    micros: AtomicU64,
    /// All of it, for those who report.
    spent: Mutex<(Usage, Cost)>,
    above: Option<Meter>,
}

impl Meter {
    /// A meter with nothing above it.
    pub fn new(budget: Budget) -> Self {
        Self::build(budget, None)
    }

    /// A meter that draws on this one.
    #[must_use]
    pub fn child(&self, budget: Budget) -> Self {
        Self::build(budget, Some(self.clone()))
    }

    fn build(budget: Budget, above: Option<Meter>) -> Self {
        Self(Arc::new(Node {
            budget,
            started: Instant::now(),
            turns: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            micros: AtomicU64::new(0),
            spent: Mutex::default(),
            above,
        }))
    }

    fn line(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(&*self.0), |node| node.above.as_ref().map(|m| &*m.0))
    }

    /// May one more model call be made? Counts the call when the answer is yes.
    ///
    /// # Errors
    /// The first limit that has nothing left, here or above.
    pub fn admit(&self) -> Result<(), Spent> {
        for node in self.line() {
            node.check()?;
        }
        // Counted by compare-and-swap, so that callers racing for the last call cannot both have it.
        for (index, node) in self.line().enumerate() {
            let limit = node.budget.turns.unwrap_or(u64::MAX);
            let took = node
                .turns
                .fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1));
            if took.is_err() {
                for taken in self.line().take(index) {
                    taken.turns.fetch_sub(1, Relaxed);
                }
                return Err(Spent {
                    limit: Limit::Turns,
                    allowed: limit,
                });
            }
        }
        Ok(())
    }

    /// Is anything left for one more try of a call that was admitted? Counts nothing.
    ///
    /// # Errors
    /// The first limit that has nothing left, here or above; calls are not looked at.
    pub fn affords(&self) -> Result<(), Spent> {
        self.line().try_for_each(Node::check_spent)
    }

    /// Books what a call used, here and above.
    pub fn charge(&self, usage: &Usage, cost: Cost) {
        for node in self.line() {
            node.tokens.fetch_add(usage.total(), Relaxed);
            node.micros.fetch_add(cost.micros, Relaxed);
            let mut spent = node.spent.lock().unwrap_or_else(PoisonError::into_inner);
            spent.0 += *usage;
            spent.1 += cost;
        }
    }

    /// What was booked here, by everything that draws on this meter.
    pub fn spent(&self) -> (Usage, Cost) {
        *self.0.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tokens that may still be spent; `None` without a limit.
    pub fn tokens_left(&self) -> Option<u64> {
        self.line()
            .filter_map(|n| {
                n.budget
                    .tokens
                    .map(|max| max.saturating_sub(n.tokens.load(Relaxed)))
            })
            .min()
    }

    /// When the time runs out; `None` without a limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.line()
            .filter_map(|n| n.started.checked_add(n.budget.time?))
            .min()
    }
}

impl Node {
    fn check(&self) -> Result<(), Spent> {
        full(Limit::Turns, self.budget.turns, self.turns.load(Relaxed))?;
        self.check_spent()
    }

    fn check_spent(&self) -> Result<(), Spent> {
        full(Limit::Tokens, self.budget.tokens, self.tokens.load(Relaxed))?;
        full(Limit::Money, self.budget.micros, self.micros.load(Relaxed))?;
        let millis = |time: Duration| time.as_millis() as u64;
        full(
            Limit::Time,
            self.budget.time.map(millis),
            millis(self.started.elapsed()),
        )
    }
}

fn full(limit: Limit, allowed: Option<u64>, used: u64) -> Result<(), Spent> {
    match allowed {
        Some(allowed) if used >= allowed => Err(Spent { limit, allowed }),
        _ => Ok(()),
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("budget", &self.0.budget)
            .field("turns", &self.0.turns)
            .field("tokens", &self.0.tokens)
            .field("micros", &self.0.micros)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_spends_only_what_all_above_have() {
        let root = Meter::new(Budget::unlimited().turns(2));
        let child = root.child(Budget::unlimited().turns(5));
        assert!(child.admit().is_ok());
        assert!(root.admit().is_ok());
        let spent = child.admit().unwrap_err();
        assert_eq!(
            spent,
            Spent {
                limit: Limit::Turns,
                allowed: 2
            }
        );
        assert_eq!(
            child.0.turns.load(Relaxed),
            1,
            "a refusal above counts nothing below"
        );
    }

    #[tokio::test]
    async fn tokens_and_money_are_refused_before_the_call() {
        let meter = Meter::new(Budget::unlimited().tokens(10).dollars(1.0));
        assert_eq!(meter.tokens_left(), Some(10));
        meter.charge(
            &Usage {
                input: 10,
                ..Usage::default()
            },
            Cost::default(),
        );
        assert_eq!(meter.admit().unwrap_err().limit, Limit::Tokens);
        let meter = Meter::new(Budget::unlimited().dollars(0.000_001));
        meter.charge(
            &Usage::default(),
            Cost {
                micros: 1,
                unknown: 0,
            },
        );
        assert_eq!(meter.admit().unwrap_err().limit, Limit::Money);
    }
}
