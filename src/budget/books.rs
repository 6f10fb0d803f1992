//! The books of one tree: who lives below whom, and which pots each agent draws on.
//! Refuses locks and clocks; whoever calls has the books to himself.

use super::{
    Budget,
    pot::{COUNTING, Draw, Draws, Pots, SPENDING},
    slab::{Key, Slab},
    spent::{Limit, Spent},
};
use crate::{
    id::AgentPath,
    usage::{Cost, Spending, Usage},
};

/// Where an agent stands in the books.
pub(super) type Id = Key<Node>;

/// What was used, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) usage: Usage,
    pub(super) cost: Cost,
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.usage += other.usage;
        self.cost += other.cost;
    }
}

/// One agent.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) agent: AgentPath,
    /// What started it; empty for the root.
    pub(super) tool: String,
    above: Option<Id>,
    /// Where it stands in the list of the one above.
    index: usize,
    pub(super) below: Vec<Id>,
    draws: Draws,
    /// What it spent itself.
    pub(super) own: Sum,
    /// What agents below it spent that are no longer in the books; nothing while there are none.
    pub(super) gone: Option<Box<Gone>>,
    life: Life,
    /// Whether somebody has its meter.
    metered: bool,
}

/// What those have left behind who are no longer in the books.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// All of it.
    pub(super) folded: Sum,
    /// The rows of those, as far as there was room for rows of their own.
    pub(super) rows: Vec<Spending>,
    /// The sum of those for which there was none.
    pub(super) more: Option<Sum>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    Alive,
    #[default]
    Ended,
}

/// The agents of one tree.
#[derive(Debug)]
pub(super) struct Books {
    nodes: Slab<Node>,
    pots: Pots,
    /// Rows of agents that are no longer in the books.
    pub(super) kept: usize,
    /// Agents that have a sum of rows for which there was no room.
    pub(super) mores: usize,
    /// How many rows a ledger may have.
    pub(super) room: usize,
}

impl Books {
    /// The books of a tree of one, and where that one stands.
    pub(super) fn open(budget: &Budget, room: usize) -> (Self, Id) {
        let (mut pots, mut draws) = (Pots::new(), Draws::default());
        for limit in SPENDING.into_iter().chain(COUNTING) {
            if let Some(allowed) = budget.of(limit).or(Budget::default_of(limit)) {
                pots.add(&mut draws, limit, allowed);
            }
        }
        let mut nodes = Slab::with_room(1);
        let root = nodes.put(Node {
            draws,
            life: Life::Alive,
            metered: true,
            ..Node::default()
        });
        let books = Self {
            nodes,
            pots,
            kept: 0,
            mores: 0,
            room,
        };
        (books, root)
    }

    /// One agent more, with its seat and its share of everything; or nothing at all.
    pub(super) fn reserve(
        &mut self,
        at: Id,
        agent: &AgentPath,
        tool: &str,
        budget: &Budget,
    ) -> Result<Id, Spent> {
        self.check_alive(at)?;
        let mut draws = self.node(at).draws;
        for limit in [Limit::Live, Limit::Spawns] {
            self.pots.left(draws.on(limit))?;
        }
        let mut left = [0; SPENDING.len()];
        for (left, limit) in left.iter_mut().zip(SPENDING) {
            *left = self.pots.left(draws.on(limit))?;
        }
        // Nothing below refuses any more.
        for limit in [Limit::Live, Limit::Spawns] {
            self.pots.book(draws.on(limit), 1);
        }
        for (left, limit) in left.into_iter().zip(SPENDING) {
            match budget.of(limit) {
                Some(asked) => self.pots.add(&mut draws, limit, asked.min(left)),
                None => self.pots.join(draws.on(limit)),
            }
        }
        for limit in COUNTING {
            if let Some(allowed) = budget.of(limit) {
                self.pots.add(&mut draws, limit, allowed);
            }
        }
        let id = self.nodes.put(Node {
            agent: agent.clone(),
            tool: tool.into(),
            above: Some(at),
            index: self.node(at).below.len(),
            draws,
            life: Life::Alive,
            metered: true,
            ..Node::default()
        });
        self.node_mut(at).below.push(id);
        Ok(id)
    }

    /// The agent has ended: its seat is free and what it did not use goes back.
    pub(super) fn end(&mut self, id: Id) {
        let node = self.node_mut(id);
        node.life = Life::Ended;
        let (draws, above) = (node.draws, node.above);
        for limit in SPENDING {
            self.pots.retire(draws.on(limit));
        }
        if let Some(above) = above {
            let seat = self.draw(above, Limit::Live);
            self.pots.give(seat);
        }
        self.forget(id);
    }

    /// Nobody has its meter any more.
    pub(super) fn unmetered(&mut self, id: Id) {
        self.node_mut(id).metered = false;
        self.forget(id);
    }

    /// Takes an agent out of the books that can spend nothing any more, and those above it for
    /// which it was the last reason to stay.
    fn forget(&mut self, mut id: Id) {
        loop {
            let node = self.node(id);
            if node.life == Life::Alive || node.metered || !node.below.is_empty() {
                return;
            }
            let Some(above) = node.above else {
                return;
            };
            let node = std::mem::take(self.node_mut(id));
            self.nodes.free(id);
            let draws = self.node(above).draws;
            self.pots.remove(&node.draws, &draws);
            let siblings = &mut self.node_mut(above).below;
            siblings.swap_remove(node.index);
            if let Some(&moved) = siblings.get(node.index) {
                self.node_mut(moved).index = node.index;
            }
            self.fold(node, above);
            id = above;
        }
    }

    /// Books what a call used.
    pub(super) fn charge(&mut self, id: Id, usage: &Usage, cost: Cost) {
        self.node_mut(id).own += Sum {
            usage: *usage,
            cost,
        };
        let draws = self.node(id).draws;
        self.pots.book(draws.on(Limit::Tokens), usage.total());
        self.pots.book(draws.on(Limit::Money), cost.micros);
    }

    /// Everything that was spent by an agent and below it.
    pub(super) fn spent(&self, top: Id) -> Sum {
        let mut sum = Sum::default();
        let mut open = vec![top];
        while let Some(id) = open.pop() {
            let node = self.node(id);
            sum += node.own;
            sum += node
                .gone
                .as_ref()
                .map(|gone| gone.folded)
                .unwrap_or_default();
            open.extend(&node.below);
        }
        sum
    }

    /// Whether the agent may spend at all.
    pub(super) fn check_alive(&self, id: Id) -> Result<(), Spent> {
        if self.node(id).life == Life::Alive {
            Ok(())
        } else {
            Err(Spent::new(Limit::Ended, 0))
        }
    }

    /// What an agent may still use of a limit; `u64::MAX` without one.
    pub(super) fn left(&self, id: Id, limit: Limit) -> Result<u64, Spent> {
        self.pots.left(self.draw(id, limit))
    }

    /// Takes one of something, here and above, or nothing at all.
    pub(super) fn take(&mut self, id: Id, limit: Limit) -> Result<(), Spent> {
        let draw = self.draw(id, limit);
        self.pots.left(draw)?;
        self.pots.book(draw, 1);
        Ok(())
    }

    /// Books so many of something, whether they are there or not.
    pub(super) fn book(&mut self, id: Id, limit: Limit, count: u64) {
        let draw = self.draw(id, limit);
        self.pots.book(draw, count);
    }

    /// Gives one of something back.
    pub(super) fn give(&mut self, id: Id, limit: Limit) {
        let draw = self.draw(id, limit);
        self.pots.give(draw);
    }

    /// How many agents are in the books.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    // An id is held only by what keeps its node in the books: a meter, a place, a node below.
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id]
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id]
    }

    pub(super) fn draw(&self, id: Id, limit: Limit) -> Draw {
        self.node(id).draws.on(limit)
    }
}
