//! How a cancel finds what lives below: one walk that marks every place and collects its waits.
//! Refuses to tell anybody before the whole walk is done: who is woken changes what there is.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::Ordering};

use super::{Phase, Receipt, Scope, Stopped, WaitFor};
use crate::id::AgentPath;

/// The gate of a whole tree. Whoever is born, begins to wait or leaves goes through it side by
/// side; a cancel shuts it for the time of its walk, so that "alive" is the same for all places.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<RwLock<()>>);

impl Gate {
    pub(super) fn pass(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shut(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One agent as the walk met it.
struct Met {
    agent: AgentPath,
    lives: bool,
    waits: Vec<WaitFor>,
}

impl Scope {
    /// Marks everything here and below as cancelled, and says what lived there and which places
    /// are to be told. Nothing when this place was marked before.
    pub(super) fn mark(&self) -> (Receipt, Vec<Scope>) {
        let gate = self.0.gate.clone();
        let _alone = gate.shut();
        if self.is_cancelled() {
            return (Receipt::default(), Vec::new());
        }
        if let Some(met) = self.mark_leaf() {
            let stopped = met.stopped().collect();
            return (Receipt { stopped }, Vec::new());
        }
        // The queue is the list of places as well, so that parents are told before children.
        let mut places: Vec<(Scope, usize)> = Vec::new();
        let mut met: Vec<Met> = Vec::new();
        met.push(Met::at(self));
        places.push((self.clone(), 0));
        let mut next = 0;
        while let Some((scope, agent)) = places.get(next).cloned() {
            next += 1;
            scope.0.cancelled.store(true, Ordering::Release);
            let state = scope.state();
            let here = &mut met[agent];
            here.lives |= state.occupants > 0;
            here.waits
                .extend(state.waiting.iter().map(|(_, what)| what.clone()));
            for child in state.children.iter().filter_map(|weak| weak.upgrade()) {
                let child = Scope(child);
                // Who was cancelled before was told of before.
                if child.is_cancelled() {
                    continue;
                }
                let whose = if child.0.depth == scope.0.depth {
                    agent
                } else {
                    met.push(Met::at(&child));
                    met.len() - 1
                };
                places.push((child, whose));
            }
        }
        let stopped = met.into_iter().flat_map(Met::stopped).collect();
        let places = places.into_iter().map(|(scope, _)| scope).collect();
        (Receipt { stopped }, places)
    }

    /// Marks this place if nobody lives below, as below most; its own caller tells it.
    fn mark_leaf(&self) -> Option<Met> {
        let state = self.state();
        if state.children.iter().any(|weak| weak.strong_count() > 0) {
            return None;
        }
        self.0.cancelled.store(true, Ordering::Release);
        let mut met = Met::at(self);
        met.lives = state.occupants > 0;
        let waits = state.waiting.iter().map(|(_, what)| what.clone());
        met.waits = waits.collect();
        Some(met)
    }

    /// What this agent waits for right now: this place and its parts, but no agent below.
    pub fn agent_waits(&self) -> Vec<WaitFor> {
        let mut waits = Vec::new();
        let mut todo = vec![self.clone()];
        while let Some(scope) = todo.pop() {
            let state = scope.state();
            waits.extend(state.waiting.iter().map(|(_, what)| what.clone()));
            let parts = state
                .children
                .iter()
                .rev()
                .filter_map(|weak| weak.upgrade());
            todo.extend(
                parts
                    .map(Scope)
                    .filter(|part| part.0.depth == scope.0.depth),
            );
        }
        waits
    }
}

impl Met {
    fn at(scope: &Scope) -> Self {
        Self {
            agent: scope.0.path.clone(),
            lives: false,
            waits: Vec::new(),
        }
    }

    fn stopped(self) -> impl Iterator<Item = Stopped> {
        let working = (self.lives && self.waits.is_empty()).then_some(Phase::Working);
        let phases = working
            .into_iter()
            .chain(self.waits.into_iter().map(Phase::Waiting));
        phases.map(move |phase| Stopped {
            agent: self.agent.clone(),
            phase,
        })
    }
}
