//! Who waits for whose end, and the circles that such waits must not close.
//! Refuses to look on a clock: a circle is found when the wait that closes it begins.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    sync::{Arc, OnceLock},
};

use super::{Tombstone, seat::Berth, tree::State};
use crate::{
    id::AgentPath,
    scope::{WaitFor, Waiting},
};

/// So many agents of a circle are named when it is printed.
const SHOWN: usize = 64;

/// A wait that would never have ended, because agents wait for each other in a circle.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stalled {
    /// The circle: each agent waits for the end of the next one, the last one for the first. It
    /// begins with the agent whose wait was ended.
    pub cycle: Vec<AgentPath>,
}

impl Stalled {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        "Go on without this answer; an agent above waits for its children anyway."
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("agents wait for each other: `")?;
        for agent in self.cycle.iter().take(SHOWN) {
            write!(f, "{agent} -> ")?;
        }
        if self.cycle.len() > SHOWN {
            write!(f, "({} more) -> ", self.cycle.len() - SHOWN)?;
        }
        if let Some(first) = self.cycle.first() {
            write!(f, "{first}")?;
        }
        f.write_str("`")
    }
}

impl std::error::Error for Stalled {}

/// A wait of one agent for the end of another. Dropping it ends the wait.
#[must_use = "dropped, the wait is over"]
pub struct WaitOn {
    waiter: Arc<Berth>,
    target: Arc<Berth>,
    number: u64,
    stalled: Arc<OnceLock<Stalled>>,
    _waiting: Waiting,
}

impl WaitOn {
    pub(super) fn enter(waiter: &Arc<Berth>, target: &Arc<Berth>) -> Result<Self, Stalled> {
        let stalled = Arc::new(OnceLock::new());
        let waiting = waiter.scope.waiting(WaitFor::Agent(target.path.clone()));
        let mut state = waiter.tree.state();
        let number = state.waits.number();
        let mut victims = Vec::new();
        // Agents of two trees cannot see each other's waits; one that has left waits for nobody, and
        // one that has ended is not waited for.
        if Arc::ptr_eq(&waiter.tree, &target.tree) && waiter.is_taken() && target.is_taken() {
            let edge = Edge {
                waiter: waiter.seq,
                target: target.clone(),
                stalled: stalled.clone(),
            };
            state.waits.insert(number, edge);
            victims = state.resolve(waiter.seq, target.seq);
        }
        drop(state);
        for victim in victims {
            victim.bell.ring();
        }
        let wait = Self {
            waiter: waiter.clone(),
            target: target.clone(),
            number,
            stalled,
            _waiting: waiting,
        };
        match wait.stalled.get() {
            Some(stalled) => Err(stalled.clone()),
            None => Ok(wait),
        }
    }

    /// Waits for the end of the other agent.
    ///
    /// Cancel safety: safe, it can be called again.
    ///
    /// # Errors
    /// When a circle closed and this wait was chosen to end.
    pub async fn ended(&self) -> Result<Arc<Tombstone>, Stalled> {
        loop {
            // The mark first: whoever settles this after the look rings after the mark.
            let mark = self.target.bell.mark();
            if let Some(stalled) = self.stalled.get() {
                return Err(stalled.clone());
            }
            if let Some(stone) = self.target.stone.get() {
                return Ok(stone.clone());
            }
            self.target.bell.after(mark).await;
        }
    }
}

impl fmt::Debug for WaitOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitOn")
            .field("waiter", &self.waiter.path)
            .field("target", &self.target.path)
            .finish_non_exhaustive()
    }
}

impl Drop for WaitOn {
    fn drop(&mut self) {
        let edge = self.waiter.tree.state().waits.remove(self.number);
        drop(edge);
    }
}

/// The waits of one tree; nothing until there is one.
#[derive(Default)]
pub(super) struct Waits(Option<Box<Edges>>);

#[derive(Default)]
struct Edges {
    next: u64,
    edges: BTreeMap<u64, Edge>,
    /// Waiter, number of the edge.
    out: BTreeSet<(u64, u64)>,
    /// Target, number of the edge.
    into: BTreeSet<(u64, u64)>,
}

struct Edge {
    waiter: u64,
    target: Arc<Berth>,
    stalled: Arc<OnceLock<Stalled>>,
}

impl Waits {
    fn number(&mut self) -> u64 {
        let waits = self.0.get_or_insert_default();
        waits.next += 1;
        waits.next
    }

    fn insert(&mut self, number: u64, edge: Edge) {
        let waits = self.0.get_or_insert_default();
        waits.out.insert((edge.waiter, number));
        waits.into.insert((edge.target.seq, number));
        waits.edges.insert(number, edge);
    }

    #[must_use]
    fn remove(&mut self, number: u64) -> Option<Edge> {
        let waits = self.0.as_mut()?;
        let edge = waits.edges.remove(&number)?;
        waits.out.remove(&(edge.waiter, number));
        waits.into.remove(&(edge.target.seq, number));
        Some(edge)
    }

    /// Forgets the waits of and for an agent that has ended.
    pub(super) fn forget(&mut self, seq: u64) {
        let Some(waits) = &self.0 else { return };
        let ours = numbers(&waits.out, seq).chain(numbers(&waits.into, seq));
        for number in ours.collect::<Vec<_>>() {
            // Another holds the berths that the edge names, so nothing large is freed here.
            drop(self.remove(number));
        }
    }

    /// Whom an agent waits for.
    pub(super) fn of(&self, waiter: u64) -> impl Iterator<Item = u64> {
        let edges = move |waits: &Edges| {
            let edges = numbers(&waits.out, waiter).filter_map(|n| waits.edges.get(&n));
            edges.map(|edge| edge.target.seq).collect::<Vec<_>>()
        };
        self.0.as_deref().map(edges).into_iter().flatten()
    }

    /// Who waits for an agent.
    pub(super) fn on(&self, target: u64) -> impl Iterator<Item = u64> {
        let edges = move |waits: &Edges| {
            let edges = numbers(&waits.into, target).filter_map(|n| waits.edges.get(&n));
            edges.map(|edge| edge.waiter).collect::<Vec<_>>()
        };
        self.0.as_deref().map(edges).into_iter().flatten()
    }

    /// The number of a wait of one agent for another.
    fn between(&self, waiter: u64, target: u64) -> Option<u64> {
        let waits = self.0.as_deref()?;
        numbers(&waits.out, waiter)
            .find(|n| waits.edges.get(n).is_some_and(|e| e.target.seq == target))
    }
}

fn numbers(set: &BTreeSet<(u64, u64)>, of: u64) -> impl Iterator<Item = u64> {
    set.range((of, 0)..=(of, u64::MAX))
        .map(|(_, number)| *number)
}

impl State {
    /// Ends waits until the one that just began closes no circle; gives back whose bells to ring.
    fn resolve(&mut self, waiter: u64, target: u64) -> Vec<Arc<Berth>> {
        let mut rung = Vec::new();
        while self.waits.between(waiter, target).is_some()
            && let Some(cycle) = self.way(target, waiter)
        {
            let Some((at, number)) = self.victim(&cycle) else {
                break; // children alone make no circle
            };
            let circle = cycle.iter().cycle().skip(at).take(cycle.len());
            let named = circle.filter_map(|seq| self.path_of(*seq)).collect();
            if let Some(edge) = self.waits.remove(number) {
                edge.stalled.set(Stalled { cycle: named }).ok();
                rung.push(edge.target);
            }
        }
        rung
    }

    /// The wait in a circle that has to end: of the agents in it that wait for more than their own
    /// children, the one that came last. With its place in the circle.
    fn victim(&self, cycle: &[u64]) -> Option<(usize, u64)> {
        let hops = cycle.iter().zip(cycle.iter().cycle().skip(1)).enumerate();
        let waits = hops.filter(|(_, (from, to))| !self.is_child(**from, **to));
        let (at, (from, to)) = waits.max_by_key(|(_, (from, _))| **from)?;
        Some((at, self.waits.between(*from, *to)?))
    }

    /// The agents on a shortest way from one that cannot end before the next, to another.
    ///
    /// Looks from both ends in turn and gives up when one of them is exhausted, because usually one
    /// end sees next to nothing: an agent without children, or one that nobody waits for.
    fn way(&self, from: u64, to: u64) -> Option<Vec<u64>> {
        if from == to {
            return Some(vec![from]);
        }
        let (mut down, mut up) = (Search::at(from), Search::at(to));
        loop {
            down.step(|seq| self.after(seq))?;
            if down.came.contains_key(&to) {
                let mut way = down.back(to);
                way.reverse();
                return Some(way);
            }
            up.step(|seq| self.before(seq))?;
            if up.came.contains_key(&from) {
                return Some(up.back(from));
            }
        }
    }
}

/// A search that goes one agent further at a time.
struct Search {
    queue: VecDeque<u64>,
    /// From where each agent was first met; the first one from itself.
    came: HashMap<u64, u64>,
}

impl Search {
    fn at(seq: u64) -> Self {
        Self {
            queue: [seq].into(),
            came: [(seq, seq)].into(),
        }
    }

    /// Meets everybody next to the agent met longest ago; `None` when nobody is left.
    fn step(&mut self, next: impl Fn(u64) -> Vec<u64>) -> Option<()> {
        let seq = self.queue.pop_front()?;
        for other in next(seq) {
            self.came.entry(other).or_insert_with(|| {
                self.queue.push_back(other);
                seq
            });
        }
        Some(())
    }

    /// The way from an agent that was met back to the first one.
    fn back(&self, from: u64) -> Vec<u64> {
        let mut way = vec![from];
        let mut at = from;
        while let Some(&before) = self.came.get(&at)
            && before != at
        {
            way.push(before);
            at = before;
        }
        way
    }
}
