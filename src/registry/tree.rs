//! One session's tree of agents under one lock: who lives, whose child, who waits, who has ended.
//! Refuses to call anybody while it holds that lock, and to outlive its last agent.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    AgentRegistry, Contact, Reached, Tombstone, Why, grave::Graves, seat::Berth, waits::Waits,
};
use crate::id::{AgentId, AgentPath, SessionId};

/// The agents of one session.
pub(super) struct Tree {
    pub(super) session: SessionId,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// The one that came first, for as long as it lives: in most trees it is alone.
    first: Option<Arc<Berth>>,
    others: Option<Box<Others>>,
    pub(super) waits: Waits,
    graves: Graves,
}

/// All but the first.
#[derive(Default)]
struct Others {
    living: BTreeMap<u64, Arc<Berth>>,
    places: HashMap<AgentPath, u64>,
    /// Parent and living child; the first one's too.
    children: BTreeSet<(u64, u64)>,
}

impl Tree {
    pub(super) fn of(session: SessionId) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { session, state })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state().is_empty()
    }

    pub(super) fn living(&self) -> Vec<Arc<Berth>> {
        self.state().living().cloned().collect()
    }

    pub(super) fn graves(&self) -> Vec<Arc<Tombstone>> {
        self.state().graves.all().cloned().collect()
    }

    pub(super) fn at(&self, path: &AgentPath) -> Option<Arc<Berth>> {
        self.state().at(path).cloned()
    }

    pub(super) fn children(&self, of: u64) -> Vec<Arc<Berth>> {
        let state = self.state();
        state
            .children_of(of)
            .filter_map(|seq| state.get(seq))
            .cloned()
            .collect()
    }

    /// Looks for somebody by path or by id. One look under the lock: a name that lives when asked
    /// is found living or ended, never lost in between.
    pub(super) fn reach(
        self: &Arc<Self>,
        name: &str,
        path: Option<&AgentPath>,
        registry: &AgentRegistry,
    ) -> Reached {
        let state = self.state();
        let living = match path {
            Some(path) => state.at(path).cloned(),
            None => registry
                .berth(&AgentId::new(name))
                .filter(|berth| Arc::ptr_eq(&berth.tree, self)),
        };
        if let Some(berth) = living {
            return Reached::Alive(Contact::of(berth));
        }
        let same = |stone: &&Arc<Tombstone>| match path {
            Some(path) => stone.path == *path,
            None => stone.id.as_str() == name,
        };
        match state.graves.all().rfind(same) {
            Some(stone) => Reached::Ended(stone.clone()),
            None => Reached::Unknown,
        }
    }

    pub(super) fn why(&self) -> Vec<Why> {
        let state = self.state();
        let path = |seq: u64| state.path_of(seq);
        let of = |berth: &Arc<Berth>| Why {
            id: berth.id.clone(),
            agent: berth.path.clone(),
            waits: berth.scope.agent_waits(),
            on: state.waits.of(berth.seq).filter_map(path).collect(),
            children: state.children_of(berth.seq).filter_map(path).collect(),
        };
        state.living().map(of).collect()
    }
}

impl State {
    pub(super) fn enter(&mut self, berth: &Arc<Berth>) {
        if self.is_empty() {
            self.first = Some(berth.clone());
            if berth.above.is_none() {
                return;
            }
        }
        let is_first = self
            .first
            .as_ref()
            .is_some_and(|first| first.seq == berth.seq);
        let others = self.others.get_or_insert_default();
        if !is_first {
            others.living.insert(berth.seq, berth.clone());
            others.places.insert(berth.path.clone(), berth.seq);
        }
        if let Some(above) = &berth.above {
            others.children.insert((above.seq, berth.seq));
        }
    }

    /// Takes an agent out and puts its tombstone in its place; gives back what is forgotten, to be
    /// freed without the lock.
    pub(super) fn leave(&mut self, berth: &Arc<Berth>, stone: Arc<Tombstone>) -> Forgotten {
        let berth_too = match self.first.take_if(|first| first.seq == berth.seq) {
            Some(first) => Some(first),
            None => self.others.as_mut().and_then(|others| {
                others.places.remove(&berth.path);
                others.living.remove(&berth.seq)
            }),
        };
        if let (Some(above), Some(others)) = (&berth.above, &mut self.others) {
            others.children.remove(&(above.seq, berth.seq));
        }
        self.waits.forget(berth.seq);
        let mut stones = self.graves.add(stone);
        if self.is_empty() {
            stones.extend(std::mem::take(&mut self.graves).all().cloned());
        }
        Forgotten {
            _berth: berth_too,
            _stones: stones,
        }
    }

    fn is_empty(&self) -> bool {
        self.living().next().is_none()
    }

    /// In the order in which they came.
    fn living(&self) -> impl Iterator<Item = &Arc<Berth>> {
        let others = self.others.iter().flat_map(|others| others.living.values());
        self.first.iter().chain(others)
    }

    fn get(&self, seq: u64) -> Option<&Arc<Berth>> {
        let first = self.first.as_ref().filter(|first| first.seq == seq);
        first.or_else(|| self.others.as_ref()?.living.get(&seq))
    }

    fn at(&self, path: &AgentPath) -> Option<&Arc<Berth>> {
        let first = self.first.as_ref().filter(|first| first.path == *path);
        first.or_else(|| {
            let others = self.others.as_ref()?;
            others.living.get(others.places.get(path)?)
        })
    }

    pub(super) fn path_of(&self, seq: u64) -> Option<AgentPath> {
        self.get(seq).map(|berth| berth.path.clone())
    }

    pub(super) fn is_child(&self, above: u64, below: u64) -> bool {
        let others = self.others.as_ref();
        others.is_some_and(|others| others.children.contains(&(above, below)))
    }

    /// Whom an agent cannot end before.
    pub(super) fn after(&self, seq: u64) -> Vec<u64> {
        self.children_of(seq).chain(self.waits.of(seq)).collect()
    }

    /// Who cannot end before an agent.
    pub(super) fn before(&self, seq: u64) -> Vec<u64> {
        let above = self.get(seq).and_then(|berth| berth.above.as_ref());
        let above = above
            .map(|above| above.seq)
            .filter(|above| self.is_child(*above, seq));
        above.into_iter().chain(self.waits.on(seq)).collect()
    }

    /// Takes the defence away that a twin test runs without.
    #[cfg(test)]
    pub(super) fn forget_children(&mut self) {
        if let Some(others) = &mut self.others {
            others.children.clear();
        }
    }

    fn children_of(&self, of: u64) -> impl Iterator<Item = u64> {
        let range = (of, 0)..=(of, u64::MAX);
        let others = self.others.iter();
        let children = others.flat_map(move |others| others.children.range(range.clone()));
        children.map(|(_, child)| *child)
    }
}

/// What is to be freed without the lock.
pub(super) struct Forgotten {
    _berth: Option<Arc<Berth>>,
    _stones: Vec<Arc<Tombstone>>,
}
