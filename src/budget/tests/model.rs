//! A budget tree that remembers everything and works out each answer from the definitions.
//! Refuses to share a line with the books that it checks, and to be fast.

use super::*;

/// Turns, tokens, micros.
pub(super) const SPENDING: usize = 3;
/// Live, spawns, processes.
pub(super) const COUNTING: usize = 3;

#[derive(Default)]
pub(super) struct Agent {
    pub(super) above: Option<usize>,
    pub(super) alive: bool,
    depth: u64,
    deepest: u64,
    /// What it was given of each limit on spending, where it has one of its own.
    shares: [Option<u64>; SPENDING],
    counts: [Option<u64>; COUNTING],
    /// What it used itself.
    used: [u64; SPENDING],
    processes: u64,
    pub(super) usage: Usage,
    pub(super) cost: Cost,
}

/// Every agent there ever was; the first is the root.
pub(super) struct Tree(pub(super) Vec<Agent>);

impl Tree {
    pub(super) fn new(budget: &Budget) -> Self {
        let counts = [budget.live, budget.spawns, budget.processes];
        let defaults = [20, 200, 64];
        Self(vec![Agent {
            alive: true,
            deepest: budget.depth.unwrap_or(3),
            shares: [budget.turns, budget.tokens, budget.micros],
            counts: std::array::from_fn(|i| counts[i].or(Some(defaults[i]))),
            ..Agent::default()
        }])
    }

    /// From this agent to the root.
    pub(super) fn line(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at), |at| self.0[*at].above)
    }

    pub(super) fn below(&self, top: usize) -> impl Iterator<Item = usize> {
        (0..self.0.len()).filter(move |at| self.line(*at).any(|up| up == top))
    }

    /// The limits of the root.
    pub(super) fn limits(&self) -> ([Option<u64>; SPENDING], [Option<u64>; COUNTING]) {
        (self.0[0].shares, self.0[0].counts)
    }

    pub(super) fn used(&self, top: usize, what: usize) -> u64 {
        self.below(top).map(|at| self.0[at].used[what]).sum()
    }

    fn unused(&self, at: usize, what: usize) -> u64 {
        let share = self.0[at].shares[what].unwrap_or(u64::MAX);
        share.saturating_sub(self.used(at, what))
    }

    fn nearest(&self, at: usize, what: usize) -> Option<usize> {
        self.line(at).find(|up| self.0[*up].shares[what].is_some())
    }

    /// What is out of reach because children have it.
    fn held(&self, top: usize, what: usize) -> u64 {
        let is_next = |at: &usize| {
            let above = self.0[*at].above;
            let next = above.and_then(|above| self.nearest(above, what));
            self.0[*at].shares[what].is_some() && next == Some(top)
        };
        let children = (0..self.0.len()).filter(is_next);
        children.map(|at| self.kept(at, what)).sum()
    }

    /// What stays with an agent that has a share: all of it while somebody draws on it.
    fn kept(&self, at: usize, what: usize) -> u64 {
        let draws = |who: usize| self.0[who].alive && self.nearest(who, what) == Some(at);
        let unused = self.unused(at, what);
        match self.below(at).any(draws) {
            true => unused,
            false => unused.min(self.held(at, what)),
        }
    }

    pub(super) fn left(&self, at: usize, what: usize) -> u64 {
        let Some(nearest) = self.nearest(at, what) else {
            return u64::MAX;
        };
        let own = self.unused(nearest, what);
        let own = own.saturating_sub(self.held(nearest, what));
        let above = self.line(nearest).map(|up| self.unused(up, what)).min();
        own.min(above.unwrap_or(u64::MAX))
    }

    fn count(&self, top: usize, what: usize) -> u64 {
        let below = || self.below(top).filter(|at| *at != top);
        match what {
            0 => below().filter(|at| self.0[*at].alive).count() as u64,
            1 => below().count() as u64,
            _ => self.below(top).map(|at| self.0[at].processes).sum(),
        }
    }

    pub(super) fn room(&self, at: usize, what: usize) -> u64 {
        let room = |up: usize| Some(self.0[up].counts[what]? - self.count(up, what));
        self.line(at).filter_map(room).min().unwrap()
    }

    pub(super) fn levels(&self, at: usize) -> u64 {
        self.0[at].deepest - self.0[at].depth
    }

    /// Whether the child may be; then it is.
    pub(super) fn reserve(&mut self, at: usize, budget: &Budget) -> Option<usize> {
        let open = self.0[at].alive && self.levels(at) > 0;
        let room = self.room(at, 0) > 0 && self.room(at, 1) > 0;
        let left: [u64; SPENDING] = std::array::from_fn(|what| self.left(at, what));
        if !open || !room || left.contains(&0) {
            return None;
        }
        let asked = [budget.turns, budget.tokens, budget.micros];
        let depth = self.0[at].depth + 1;
        let below = budget.depth.map_or(u64::MAX, |levels| depth + levels);
        self.0.push(Agent {
            above: Some(at),
            alive: true,
            depth,
            deepest: self.0[at].deepest.min(below),
            shares: std::array::from_fn(|i| asked[i].map(|asked| asked.min(left[i]))),
            counts: [budget.live, budget.spawns, budget.processes],
            ..Agent::default()
        });
        Some(self.0.len() - 1)
    }

    pub(super) fn admit(&mut self, at: usize) -> bool {
        let good = self.0[at].alive && (0..SPENDING).all(|what| self.left(at, what) > 0);
        self.0[at].used[0] += u64::from(good);
        good
    }

    pub(super) fn charge(&mut self, at: usize, usage: Usage, cost: Cost) {
        let agent = &mut self.0[at];
        agent.used[1] += usage.total();
        agent.used[2] += cost.micros;
        agent.usage += usage;
        agent.cost += cost;
    }

    pub(super) fn process(&mut self, at: usize) -> bool {
        let good = self.0[at].alive && self.room(at, 2) > 0;
        self.0[at].processes += u64::from(good);
        good
    }

    pub(super) fn stopped(&mut self, at: usize) {
        self.0[at].processes -= 1;
    }

    pub(super) fn spent(&self, top: usize) -> (Usage, Cost) {
        let mut sum = (Usage::default(), Cost::default());
        for at in self.below(top) {
            sum.0 += self.0[at].usage;
            sum.1 += self.0[at].cost;
        }
        sum
    }
}
