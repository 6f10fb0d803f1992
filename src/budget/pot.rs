//! The pots of one tree: for each limit what it allows, what is used, what is held for children.
//! Refuses to know agents; a pot knows the pot above it, and that is all.

use super::{
    slab::{Key, Slab},
    spent::{Limit, Spent},
};

/// The limits that a child's share is reserved from.
pub(super) const SPENDING: [Limit; 3] = [Limit::Turns, Limit::Tokens, Limit::Money];

/// The limits that count heads; nothing of them is reserved.
pub(super) const COUNTING: [Limit; 3] = [Limit::Live, Limit::Spawns, Limit::Processes];

/// One limit of one agent, and what of it is gone.
#[derive(Debug)]
pub(super) struct Pot {
    limit: Limit,
    allowed: u64,
    /// By the owner and by everything below it.
    used: u64,
    /// For pots below: the part of their shares that they have not used.
    held: u64,
    /// Living agents that draw on this pot and not on one further down.
    drawing: u32,
    /// What the pot above holds for this one.
    lent: u64,
    above: Option<Key<Pot>>,
}

impl Pot {
    /// What those who draw on it may still use.
    fn left(&self) -> u64 {
        self.unused().saturating_sub(self.held)
    }

    fn unused(&self) -> u64 {
        self.allowed.saturating_sub(self.used)
    }

    /// What must be kept for it above: all that is unused while somebody draws on it, afterwards
    /// only what it holds in turn.
    fn share(&self) -> u64 {
        if self.drawing > 0 {
            self.unused()
        } else {
            self.unused().min(self.held)
        }
    }

    fn spent(&self) -> Spent {
        Spent {
            limit: self.limit,
            allowed: self.allowed,
            held: self.held.min(self.unused()),
        }
    }
}

/// The pots that an agent draws on: for each limit its own or the next one above.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draws([Draw; SPENDING.len() + COUNTING.len()]);

/// The first of the pots that have a say; none where nothing is limited.
pub(super) type Draw = Option<Key<Pot>>;

impl Draws {
    pub(super) fn on(&self, limit: Limit) -> Draw {
        self.0[place(limit)?]
    }
}

fn place(limit: Limit) -> Option<usize> {
    let mut all = SPENDING.iter().chain(&COUNTING);
    all.position(|one| *one == limit)
}

/// All of them.
#[derive(Debug)]
pub(super) struct Pots(Slab<Pot>);

impl Pots {
    pub(super) fn new() -> Self {
        Self(Slab::with_room(COUNTING.len()))
    }

    /// Puts a pot in front of those above. A share of what is above is held there from now on.
    pub(super) fn add(&mut self, draws: &mut Draws, limit: Limit, allowed: u64) {
        let Some(place) = place(limit) else { return };
        let spends = SPENDING.contains(&limit);
        let above = draws.0[place];
        let lent = if spends { allowed } else { 0 };
        if let Some(above) = above {
            self.0[above].held += lent;
        }
        draws.0[place] = Some(self.0.put(Pot {
            limit,
            allowed,
            used: 0,
            held: 0,
            drawing: u32::from(spends),
            lent,
            above,
        }));
    }

    /// One agent more draws on this pot.
    pub(super) fn join(&mut self, draw: Draw) {
        if let Some(key) = draw {
            self.0[key].drawing += 1;
        }
    }

    /// One agent fewer draws on this pot: what it leaves unused goes back, all the way up.
    pub(super) fn retire(&mut self, draw: Draw) {
        let Some(key) = draw else { return };
        self.0[key].drawing -= 1;
        let mut next = draw;
        while let Some(key) = next {
            next = match self.settle(key) {
                Settled::Changed => self.0[key].above,
                Settled::AsBefore => None,
            };
        }
    }

    /// Forgets the pots that an agent does not share with the one above it.
    pub(super) fn remove(&mut self, own: &Draws, above: &Draws) {
        for (own, above) in own.0.iter().zip(&above.0) {
            match own {
                Some(key) if own != above => self.0.free(*key),
                _ => {}
            }
        }
    }

    /// What may still be used; `u64::MAX` without a limit.
    ///
    /// The first pot must have something that is not held for others. Further up it is the bare
    /// use that counts: what the first pot has left is held there for it, but a sibling that
    /// overshot its share may have used that up.
    pub(super) fn left(&self, draw: Draw) -> Result<u64, Spent> {
        let Some(key) = draw else { return Ok(u64::MAX) };
        let pot = &self.0[key];
        let (mut left, mut next) = (pot.left(), pot.above);
        if left == 0 {
            return Err(pot.spent());
        }
        while let Some(key) = next {
            let pot = &self.0[key];
            if pot.unused() == 0 {
                return Err(pot.spent());
            }
            left = left.min(pot.unused());
            next = pot.above;
        }
        Ok(left)
    }

    /// Books an amount in every pot from here upwards. The parts of it that were held for the pots
    /// on the way are held no longer.
    pub(super) fn book(&mut self, draw: Draw, amount: u64) {
        let mut next = draw;
        while let Some(key) = next {
            let pot = &mut self.0[key];
            pot.used = pot.used.saturating_add(amount);
            next = pot.above;
            self.settle(key);
        }
    }

    /// Gives one back to every pot from here upwards.
    pub(super) fn give(&mut self, draw: Draw) {
        let mut next = draw;
        while let Some(key) = next {
            let pot = &mut self.0[key];
            pot.used = pot.used.saturating_sub(1);
            next = pot.above;
        }
    }

    /// Makes the pot above hold what this one still needs.
    fn settle(&mut self, key: Key<Pot>) -> Settled {
        let pot = &mut self.0[key];
        let (before, now) = (pot.lent, pot.share());
        let Some(above) = pot.above.filter(|_| before != now) else {
            return Settled::AsBefore;
        };
        pot.lent = now;
        let above = &mut self.0[above];
        above.held = above.held - before + now;
        Settled::Changed
    }
}

enum Settled {
    Changed,
    AsBefore,
}
