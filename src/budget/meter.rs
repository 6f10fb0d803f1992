//! The meter of one agent: asked before each request, told after it, and the giver of shares.
//! Refuses whatever a limit here or above does not allow, by name.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Budget, MAX_LEDGER_ROWS,
    books::{Books, Id},
    place::{Place, ProcessSlot},
    pot::SPENDING,
    spent::{Limit, Spent},
};
use crate::{
    id::AgentPath,
    usage::{Cost, Left, Spending, Usage},
};

/// Counts what one agent spends against its [`Budget`] and against everything above. Cheap to clone.
///
/// Whoever makes requests calls [`admit`](Self::admit) before each and [`charge`](Self::charge)
/// after it, also when it failed half-way. The tempting mistake is to hold the answer of `admit`
/// for later: it is good for one call, now.
#[derive(Clone)]
pub struct Meter(Arc<Seat>);

/// What a meter knows without looking into the books, and its right to be in them.
struct Seat {
    tree: Arc<Tree>,
    id: Id,
    depth: u64,
    /// The depth that no agent here or below may pass.
    deepest: u64,
    end: Option<End>,
}

/// When the time is up, and how long it was.
#[derive(Clone, Copy)]
struct End {
    at: Instant,
    millis: u64,
}

/// The books of a tree under their lock, which is held for moments and never across an await.
pub(super) struct Tree(Mutex<Books>);

impl Meter {
    /// The meter of the agent on top of a tree.
    pub fn new(budget: Budget) -> Self {
        Self::with_room(budget, MAX_LEDGER_ROWS)
    }

    /// With room for so many rows in its ledger, at least 2.
    pub(super) fn with_room(budget: Budget, rows: usize) -> Self {
        let (books, id) = Books::open(&budget, rows);
        Self(Arc::new(Seat {
            tree: Arc::new(Tree(Mutex::new(books))),
            id,
            depth: 0,
            deepest: budget.depth.unwrap_or(Budget::DEFAULT_DEPTH),
            end: budget.time.and_then(End::after),
        }))
    }

    /// Makes room for one child: the meter it spends from, and the place that it holds while it
    /// lives. `tool` is what asked for it, for the ledger.
    ///
    /// The child takes a seat and a start in every limit here and above. Of what it asks for in
    /// turns, tokens and money it gets what is available here, if that is less, and it is reserved
    /// for it. For what it asks no limit of, it draws directly on what is available here.
    ///
    /// # Errors
    /// The first limit that has no room, or has nothing left to draw on; then nothing was taken.
    pub fn reserve(
        &self,
        agent: &AgentPath,
        tool: &str,
        budget: Budget,
    ) -> Result<(Self, Place), Spent> {
        let seat = &*self.0;
        let depth = seat.depth + 1;
        if depth > seat.deepest {
            return Err(Spent::new(Limit::Depth, seat.deepest));
        }
        self.check_time()?;
        let id = self.books().reserve(seat.id, agent, tool, &budget)?;
        let below = budget.depth.map_or(u64::MAX, |n| depth.saturating_add(n));
        let own = budget.time.and_then(End::after);
        let child = Self(Arc::new(Seat {
            tree: seat.tree.clone(),
            id,
            depth,
            deepest: seat.deepest.min(below),
            end: own.into_iter().chain(seat.end).min_by_key(|end| end.at),
        }));
        Ok((child, Place::new(seat.tree.clone(), id)))
    }

    /// May one more model call be made? Counts the call when the answer is yes.
    ///
    /// # Errors
    /// The first limit that has nothing left, here or above.
    pub fn admit(&self) -> Result<(), Spent> {
        let mut books = self.books();
        books.check_alive(self.0.id)?;
        for limit in SPENDING {
            books.left(self.0.id, limit)?;
        }
        self.check_time()?;
        books.take(self.0.id, Limit::Turns)
    }

    /// Is anything left for one more try of a call that was admitted? Counts nothing.
    ///
    /// # Errors
    /// The first limit that has nothing left, here or above; calls are not looked at.
    pub fn affords(&self) -> Result<(), Spent> {
        let books = self.books();
        books.check_alive(self.0.id)?;
        books.left(self.0.id, Limit::Tokens)?;
        books.left(self.0.id, Limit::Money)?;
        self.check_time()
    }

    /// Books what a call used, here and above; also when the agent has ended meanwhile.
    pub fn charge(&self, usage: &Usage, cost: Cost) {
        self.books().charge(self.0.id, usage, cost);
    }

    /// Books what agents of an earlier life of the session have spent and started: it stays spent.
    pub(crate) fn recall(&self, agent: &AgentPath, usage: &Usage, cost: Cost) {
        // One that is no longer allowed is booked to whoever is on top.
        let child = (agent.depth() > 0)
            .then(|| self.reserve(agent, "", Budget::default()).ok())
            .flatten();
        let (meter, _place) = match child {
            Some((meter, place)) => (meter, Some(place)),
            None => (self.clone(), None),
        };
        meter.books().book(meter.id(), Limit::Turns, usage.requests);
        meter.charge(usage, cost);
    }

    /// May one more process run? It is counted until the slot is dropped.
    ///
    /// # Errors
    /// When as many run as a limit here or above allows.
    pub fn process(&self) -> Result<ProcessSlot, Spent> {
        let mut books = self.books();
        books.check_alive(self.0.id)?;
        books.take(self.0.id, Limit::Processes)?;
        drop(books);
        Ok(ProcessSlot::new(self.clone()))
    }

    /// What was spent by this agent and everything below it.
    pub fn spent(&self) -> (Usage, Cost) {
        let sum = self.books().spent(self.0.id);
        (sum.usage, sum.cost)
    }

    /// The same by agent: a row for this one and for each that was ever below it, sorted by path.
    ///
    /// The rows add up to [`spent`](Self::spent) exactly. There are at most
    /// [`MAX_LEDGER_ROWS`](crate::MAX_LEDGER_ROWS); agents for which there is no room are summed up
    /// in a row under the path of the nearest agent above that has one, with the tool `…more`.
    pub fn ledger(&self) -> Vec<Spending> {
        self.books().ledger(self.0.id)
    }

    /// What may still be spent and started.
    pub fn left(&self) -> Left {
        let books = self.books();
        let left = |limit| books.left(self.0.id, limit).unwrap_or(0);
        let some = |limit| Some(left(limit)).filter(|n| *n < u64::MAX);
        let time = |end: End| End::millis(end.at.saturating_duration_since(Instant::now()));
        Left {
            turns: some(Limit::Turns),
            tokens: some(Limit::Tokens),
            micros: some(Limit::Money),
            millis: self.0.end.map(time),
            depth: self.0.deepest.saturating_sub(self.0.depth),
            live: left(Limit::Live),
            spawns: left(Limit::Spawns),
            processes: left(Limit::Processes),
        }
    }

    /// The tokens that may still be spent; `None` without a limit.
    pub fn tokens_left(&self) -> Option<u64> {
        let left = self.books().left(self.0.id, Limit::Tokens).unwrap_or(0);
        Some(left).filter(|n| *n < u64::MAX)
    }

    /// When the time runs out; `None` without a limit.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.end.map(|end| end.at)
    }

    fn check_time(&self) -> Result<(), Spent> {
        match self.0.end {
            Some(end) if Instant::now() >= end.at => Err(Spent::new(Limit::Time, end.millis)),
            _ => Ok(()),
        }
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.tree.books()
    }

    pub(super) fn id(&self) -> Id {
        self.0.id
    }
}

impl Tree {
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    /// None when it is too far away for the clock.
    fn after(time: Duration) -> Option<Self> {
        let at = Instant::now().checked_add(time)?;
        let millis = Self::millis(time);
        Some(Self { at, millis })
    }

    fn millis(time: Duration) -> u64 {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.tree.books().unmetered(self.id);
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter")
            .field("depth", &self.0.depth)
            .field("left", &self.left())
            .finish_non_exhaustive()
    }
}

/// Makes promises of the type system explicit.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Meter>();
    shared::<Place>();
    shared::<ProcessSlot>();
};
