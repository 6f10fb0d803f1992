//! Living agents and how they are reached: seats, mailboxes, and who waits for whom.
//! Refuses to run agents and to know what they do with their mail.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use dashmap::{DashMap, Entry};

use crate::{
    id::{AgentId, AgentPath, SessionId},
    scope::Scope,
};

mod bell;
mod brood;
mod desk;
mod grave;
mod mailbox;
mod row;
mod seat;
mod sync;
mod tree;
mod waits;
mod watch;

pub use self::{
    desk::{Contact, Desk, Reached},
    grave::{Ended, Tombstone},
    mailbox::{Drained, Mailbox, MailboxFull, NoteState, Ticket},
    row::{AgentRow, AgentState, Why},
    seat::{Newcomer, Seat},
    waits::{Stalled, WaitOn},
    watch::{AgentChange, RegistryWatch},
};
use self::{
    seat::{Berth, Entrance},
    tree::Tree,
    watch::Watchers,
};

/// All living agents, of one process or of one test. Cheap to clone; every clone is the same.
///
/// ```
/// use offshoot::{AgentRegistry, Ended, Ground, Newcomer, Scope, SessionId};
///
/// let registry = AgentRegistry::new();
/// let scope = Scope::root();
/// let root = registry.root(SessionId::new("s1"), &scope);
/// let child = root.enroll(Newcomer {
///     kind: "explore",
///     description: "look around",
///     ground: Ground::Foreground,
///     scope: root.scope(),
/// });
/// assert_eq!(child.path().as_str(), "root/explore/1");
/// assert_eq!(registry.len(), 2);
/// child.leave(Ended::finished("nothing there"));
/// assert!(!root.desk().has_children());
/// drop(root);
/// assert!(registry.is_empty());
/// ```
#[derive(Clone)]
pub struct AgentRegistry(Arc<Shared>);

struct Shared {
    agents: DashMap<AgentId, Arc<Berth>>,
    /// A session has one tree; two for a moment, when it is opened again while it ends.
    trees: DashMap<SessionId, Trees>,
    next: AtomicU64,
    watchers: Watchers,
}

/// The trees of one session: nearly always one.
enum Trees {
    One(Arc<Tree>),
    More(Vec<Arc<Tree>>),
}

impl Trees {
    fn all(&self) -> &[Arc<Tree>] {
        match self {
            Self::One(tree) => std::slice::from_ref(tree),
            Self::More(trees) => trees,
        }
    }
}

impl AgentRegistry {
    /// The registry of this process.
    pub fn global() -> Self {
        static GLOBAL: LazyLock<AgentRegistry> = LazyLock::new(AgentRegistry::new);
        GLOBAL.clone()
    }

    /// A registry of its own.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            agents: DashMap::new(),
            trees: DashMap::new(),
            next: AtomicU64::new(1),
            watchers: Watchers::default(),
        }))
    }

    /// Opens a tree: its first agent takes a seat and lives in this scope.
    pub fn root(&self, session: SessionId, scope: &Scope) -> Seat {
        let tree = Tree::of(session);
        Seat::take(&tree, self, Entrance::Root(scope))
    }

    /// All living agents, in the order in which they came.
    pub fn list(&self) -> Vec<AgentRow> {
        let all = self.0.agents.iter();
        rows(all.map(|entry| entry.value().clone()).collect())
    }

    /// The living agents of a session, in the order in which they came.
    pub fn tree(&self, session: &SessionId) -> Vec<AgentRow> {
        let trees = self.trees(session);
        rows(trees.iter().flat_map(|tree| tree.living()).collect())
    }

    /// The agents of a session that have ended, as far as they are remembered, oldest first.
    pub fn ended(&self, session: &SessionId) -> Vec<Arc<Tombstone>> {
        let trees = self.trees(session);
        trees.iter().flat_map(|tree| tree.graves()).collect()
    }

    /// The living agent of a session at this place.
    pub fn find(&self, session: &SessionId, path: &AgentPath) -> Option<AgentRow> {
        let mut trees = self.trees(session).into_iter();
        let berth = trees.find_map(|tree| tree.at(path))?;
        Some(berth.row())
    }

    /// The living agent with this id.
    pub fn get(&self, id: &AgentId) -> Option<AgentRow> {
        let berth = self.berth(id)?;
        berth.is_taken().then(|| berth.row())
    }

    /// Who waits for what in a session: each living agent, in the order in which they came.
    pub fn why(&self, session: &SessionId) -> Vec<Why> {
        let trees = self.trees(session);
        trees.iter().flat_map(|tree| tree.why()).collect()
    }

    /// Hears of every agent that comes or leaves from now on.
    pub fn watch(&self) -> RegistryWatch {
        self.0.watchers.watch()
    }

    /// How many agents live.
    pub fn len(&self) -> usize {
        self.0.agents.len()
    }

    /// Whether no agent lives.
    pub fn is_empty(&self) -> bool {
        self.0.agents.is_empty()
    }

    fn trees(&self, session: &SessionId) -> Vec<Arc<Tree>> {
        let trees = self.0.trees.get(session);
        trees.map(|trees| trees.all().to_vec()).unwrap_or_default()
    }

    fn berth(&self, id: &AgentId) -> Option<Arc<Berth>> {
        self.0.agents.get(id).map(|entry| entry.value().clone())
    }

    fn next_seq(&self) -> u64 {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Lists an agent that takes its seat; under the lock of its tree.
    fn enlist(&self, berth: &Arc<Berth>) {
        self.0.agents.insert(berth.id.clone(), berth.clone());
    }

    /// Lists an agent no more that gives up its seat; under the lock of its tree.
    fn strike(&self, berth: &Berth) {
        self.0.agents.remove(&berth.id);
    }

    /// Tells of an agent that has taken its seat; without any lock.
    fn entered(&self, berth: &Berth) {
        let here = |tree: &Arc<Tree>| Arc::ptr_eq(tree, &berth.tree);
        let own = || Trees::One(berth.tree.clone());
        let mut trees = self
            .0
            .trees
            .entry(berth.tree.session.clone())
            .or_insert_with(own);
        if !trees.all().iter().any(here) {
            let all = trees.all().iter().chain([&berth.tree]);
            *trees = Trees::More(all.cloned().collect());
        }
        drop(trees);
        self.0.watchers.tell(|| AgentChange::Entered(berth.row()));
    }

    /// Tells of an agent that has given up its seat; without any lock.
    fn left(&self, berth: &Berth) {
        if let Entry::Occupied(mut trees) = self.0.trees.entry(berth.tree.session.clone()) {
            // Looked at here, because somebody may have enrolled in the tree since it was empty.
            let stands = |tree: &Arc<Tree>| !Arc::ptr_eq(tree, &berth.tree) || !tree.is_empty();
            let all = trees.get().all();
            if !all.iter().all(stands) {
                let left: Vec<_> = all.iter().filter(|tree| stands(tree)).cloned().collect();
                match left.is_empty() {
                    true => drop(trees.remove()),
                    false => *trees.get_mut() = Trees::More(left),
                }
            }
        }
        self.0.watchers.tell(|| AgentChange::Left(berth.row()));
    }
}

fn rows(mut berths: Vec<Arc<Berth>>) -> Vec<AgentRow> {
    berths.retain(|berth| berth.is_taken());
    berths.sort_by_key(|berth| berth.seq);
    berths.iter().map(|berth| berth.row()).collect()
}

impl Default for AgentRegistry {
    /// The registry of this process.
    fn default() -> Self {
        Self::global()
    }
}

impl fmt::Debug for AgentRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRegistry")
            .field("living", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
