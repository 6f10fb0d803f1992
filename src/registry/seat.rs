//! A living agent's seat: taken by enrolling, given up by leaving or by being dropped.
//! Refuses to be held twice; others hold a desk, which does not keep the seat taken.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak},
};

use tokio::time::Instant;

use super::{
    AgentRegistry, AgentRow, AgentState, Desk, Ended, Mailbox, Tombstone, bell::Bell, brood::Brood,
    grave, tree::Tree,
};
use crate::{
    event::Ground,
    id::{AgentId, AgentPath, SessionId},
    scope::{Occupied, Scope},
};

/// The kind of an agent that stands at the top of its tree.
const ROOT_KIND: &str = "root";

/// The seat of a living agent. While it is held the agent is listed, can be reached, and lives in
/// its scope; dropping it is leaving as cancelled.
#[must_use = "dropped, the seat is given up"]
pub struct Seat {
    pub(super) berth: Arc<Berth>,
    /// Until the seat is given up.
    pub(super) occupied: Option<Occupied>,
}

/// Who is to be enrolled below an agent.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// What kind of agent it is; the name in its path.
    pub kind: &'a str,
    /// What it is to do, in a few words.
    pub description: &'a str,
    /// Whether somebody waits for its answer.
    pub ground: Ground,
    /// Its own scope is made below this one.
    pub scope: &'a Scope,
}

/// How somebody comes in; the path of one below, where it was chosen before.
#[derive(Clone)]
pub(super) enum Entrance<'a> {
    Root(&'a Scope),
    Below(&'a Arc<Berth>, Newcomer<'a>, Option<AgentPath>),
}

/// What an agent's seat and all desks and contacts of it share.
pub(super) struct Berth {
    pub(super) id: AgentId,
    pub(super) seq: u64,
    pub(super) path: AgentPath,
    pub(super) above: Option<Above>,
    pub(super) kind: Arc<str>,
    pub(super) description: Arc<str>,
    pub(super) ground: Ground,
    pub(super) scope: Scope,
    pub(super) mailbox: Mailbox,
    pub(super) brood: Brood,
    pub(super) tree: Arc<Tree>,
    pub(super) registry: AgentRegistry,
    /// Rings when this agent has ended, and when a wait for its end has stalled.
    pub(super) bell: Bell,
    /// Set once, when the seat is given up.
    pub(super) stone: OnceLock<Arc<Tombstone>>,
    entered: Instant,
    /// How many children of each kind were ever enrolled.
    born: Mutex<Option<Box<Born>>>,
}

type Born = BTreeMap<Arc<str>, u64>;

/// The agent above.
pub(super) struct Above {
    pub(super) id: AgentId,
    pub(super) seq: u64,
    /// Weak, so that freeing the last of a long chain does not free the chain by recursion.
    pub(super) berth: Weak<Berth>,
}

impl Seat {
    pub(super) fn take(tree: &Arc<Tree>, registry: &AgentRegistry, entrance: Entrance<'_>) -> Self {
        // Every root says the same of itself.
        static ROOT: LazyLock<(Arc<str>, Arc<str>)> =
            LazyLock::new(|| (ROOT_KIND.into(), "".into()));
        let (above, kind, description, ground) = match &entrance {
            Entrance::Root(_) => {
                let (kind, description) = ROOT.clone();
                (None, kind, description, Ground::Foreground)
            }
            Entrance::Below(above, new, _) => {
                let above = Above {
                    id: above.id.clone(),
                    seq: above.seq,
                    berth: Arc::downgrade(above),
                };
                (
                    Some(above),
                    new.kind.into(),
                    new.description.into(),
                    new.ground,
                )
            }
        };
        let id = AgentId::random();
        let mut state = tree.state();
        // Numbers are given under the lock, so that children are listed in the order of their paths.
        let (scope, path) = match &entrance {
            Entrance::Root(scope) => ((*scope).clone(), scope.path().clone()),
            Entrance::Below(above, new, path) => {
                let path = path.clone().unwrap_or_else(|| above.next_path(new.kind));
                (new.scope.child_at(path.clone()), path)
            }
        };
        let occupied = Some(scope.occupy());
        let berth = Arc::new(Berth {
            id,
            seq: registry.next_seq(),
            path,
            above,
            kind,
            description,
            ground,
            scope,
            mailbox: Mailbox::new(),
            brood: Brood::default(),
            tree: tree.clone(),
            registry: registry.clone(),
            bell: Bell::default(),
            stone: OnceLock::new(),
            entered: Instant::now(),
            born: Mutex::default(),
        });
        state.enter(&berth);
        registry.enlist(&berth);
        if let Entrance::Below(above, ..) = entrance {
            above.brood.enter();
        }
        drop(state);
        registry.entered(&berth);
        Self { berth, occupied }
    }

    /// The agent's name, which no other agent has.
    pub fn id(&self) -> &AgentId {
        &self.berth.id
    }

    /// The order in which agents came, within the registry.
    pub fn seq(&self) -> u64 {
        self.berth.seq
    }

    /// Where the agent is in its tree.
    pub fn path(&self) -> &AgentPath {
        &self.berth.path
    }

    /// Whose tree it is in.
    pub fn session(&self) -> &SessionId {
        &self.berth.tree.session
    }

    /// Everything the agent does lives in here.
    pub fn scope(&self) -> &Scope {
        &self.berth.scope
    }

    /// The agent's mailbox.
    pub fn mailbox(&self) -> &Mailbox {
        &self.berth.mailbox
    }

    /// The registry that lists the agent.
    pub fn registry(&self) -> &AgentRegistry {
        &self.berth.registry
    }

    /// What others may hold of this seat.
    pub fn desk(&self) -> Desk {
        Desk::of(&self.berth)
    }

    /// As [`Desk::enroll`].
    pub fn enroll(&self, newcomer: Newcomer<'_>) -> Seat {
        self.desk().enroll(newcomer)
    }

    /// Gives up the seat and says how the agent ended. Whoever looks sees either the living agent
    /// or its tombstone. The mailbox is shut: what is unread in it has expired.
    pub fn leave(mut self, ended: Ended) {
        self.give_up(ended);
    }

    fn give_up(&mut self, ended: Ended) {
        let Some(occupied) = self.occupied.take() else {
            return;
        };
        let berth = &self.berth;
        let unread = berth.mailbox.shut();
        let stone = Arc::new(berth.tombstone(ended, unread));
        let above = berth.above.as_ref().and_then(|above| above.berth.upgrade());
        let mut state = berth.tree.state();
        berth.stone.set(stone.clone()).ok();
        let forgotten = state.leave(berth, stone);
        berth.registry.strike(berth);
        if let Some(above) = &above {
            above.brood.leave();
        }
        drop(occupied);
        drop(state);
        drop(forgotten);
        berth.registry.left(berth);
        berth.bell.ring();
        if let Some(above) = above {
            above.brood.tell();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.give_up(Ended::cancelled());
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("id", &self.berth.id)
            .field("path", &self.berth.path)
            .finish_non_exhaustive()
    }
}

impl Berth {
    /// Whether the agent has its seat.
    pub(super) fn is_taken(&self) -> bool {
        self.stone.get().is_none()
    }

    /// The agent as it is now.
    pub(super) fn row(&self) -> AgentRow {
        let (state, age) = match self.stone.get() {
            Some(stone) => (stone.ended.state.clone(), stone.lived),
            None => {
                let waits = self.scope.agent_waits();
                let state = match waits.is_empty() {
                    true => AgentState::Running,
                    false => AgentState::Waiting(waits),
                };
                (state, self.entered.elapsed())
            }
        };
        AgentRow {
            id: self.id.clone(),
            seq: self.seq,
            session: self.tree.session.clone(),
            path: self.path.clone(),
            parent: self.above.as_ref().map(|above| above.id.clone()),
            kind: self.kind.clone(),
            description: self.description.clone(),
            ground: self.ground,
            state,
            age,
            unread: self.mailbox.len(),
        }
    }

    /// Waits for the end of this agent.
    pub(super) async fn ended(&self) -> Arc<Tombstone> {
        loop {
            // The mark first: who ends after the look rings after the mark.
            let mark = self.bell.mark();
            if let Some(stone) = self.stone.get() {
                return stone.clone();
            }
            self.bell.after(mark).await;
        }
    }

    pub(super) fn next_path(&self, kind: &str) -> AgentPath {
        // As it stands in a path, so that names that become the same one share their numbers.
        let plain = self.path.child(kind);
        let mut born = self.born.lock().unwrap_or_else(PoisonError::into_inner);
        let born = born.get_or_insert_default();
        let count = match born.get_mut(plain.name()) {
            Some(count) => count,
            None => born.entry(plain.name().into()).or_default(),
        };
        *count += 1;
        self.path.nth(kind, *count)
    }

    fn tombstone(&self, ended: Ended, unread: usize) -> Tombstone {
        Tombstone {
            id: self.id.clone(),
            seq: self.seq,
            path: self.path.clone(),
            parent: self.above.as_ref().map(|above| above.id.clone()),
            kind: self.kind.clone(),
            description: self.description.clone(),
            ground: self.ground,
            ended: grave::bounded(ended),
            lived: self.entered.elapsed(),
            unread,
        }
    }
}
