//! What others hold of an agent: a desk for its own tools, a contact for other agents.
//! Refuses to keep a seat taken.

use std::{fmt, future::Future, sync::Arc};

use super::{
    AgentRegistry, AgentRow, Mailbox, Newcomer, Seat, Stalled, Tombstone, WaitOn,
    seat::{Berth, Entrance},
};
use crate::{
    id::{AgentId, AgentPath, SessionId},
    scope::Scope,
};

/// An agent's view of itself and its tree, for its tools. Cheap to clone; does not keep the seat
/// taken.
#[derive(Clone)]
pub struct Desk(Arc<Berth>);

/// Another agent of the same tree, as far as it can be reached. Does not keep its seat taken.
#[derive(Clone)]
pub struct Contact(Arc<Berth>);

/// What [`Desk::reach`] found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reached {
    /// It lives.
    Alive(Contact),
    /// It has ended.
    Ended(Arc<Tombstone>),
    /// Nobody of this name is or was here, as far as is remembered.
    Unknown,
}

impl Desk {
    pub(super) fn of(berth: &Arc<Berth>) -> Self {
        Self(berth.clone())
    }

    /// The agent's name.
    pub fn id(&self) -> &AgentId {
        &self.0.id
    }

    /// The order in which agents came, within the registry.
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// Where the agent is in its tree.
    pub fn path(&self) -> &AgentPath {
        &self.0.path
    }

    /// Whose tree it is in.
    pub fn session(&self) -> &SessionId {
        &self.0.tree.session
    }

    /// Everything the agent does lives in here.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The agent's mailbox.
    pub fn mailbox(&self) -> &Mailbox {
        &self.0.mailbox
    }

    /// The registry that lists the agent.
    pub fn registry(&self) -> &AgentRegistry {
        &self.0.registry
    }

    /// The agent as it is now.
    pub fn row(&self) -> AgentRow {
        self.0.row()
    }

    /// Gives a child of this agent a seat. Its path ends with its kind and a number, counted for
    /// each kind from 1; its scope is made and it lives there from now on.
    ///
    /// Never waits and never refuses: limits are the caller's to keep. A newcomer cannot make
    /// anybody wait in a circle, because it waits for nobody yet.
    pub fn enroll(&self, newcomer: Newcomer<'_>) -> Seat {
        let entrance = Entrance::Below(&self.0, newcomer, None);
        Seat::take(&self.0.tree, &self.0.registry, entrance)
    }

    /// The place that the next child of this kind will have. It is used up by asking, so that the
    /// child can be judged under its path before it lives.
    pub fn next_place(&self, kind: &str) -> AgentPath {
        self.0.next_path(kind)
    }

    /// As [`enroll`](Self::enroll), at a place that [`next_place`](Self::next_place) gave.
    pub fn enroll_at(&self, place: AgentPath, newcomer: Newcomer<'_>) -> Seat {
        let entrance = Entrance::Below(&self.0, newcomer, Some(place));
        Seat::take(&self.0.tree, &self.0.registry, entrance)
    }

    /// The living children, in the order in which they came.
    pub fn children(&self) -> Vec<AgentRow> {
        let children = self.0.tree.children(self.0.seq);
        children.iter().map(|child| child.row()).collect()
    }

    /// Whether a child lives. Whatever a child did before it left, its last note above all, has
    /// happened for whoever is told `false`: look here first and into the mailbox then.
    pub fn has_children(&self) -> bool {
        self.0.brood.any()
    }

    /// Ends when a child leaves after this call, not after the first poll. Call this, look, and then
    /// wait; the other way round a child may leave unseen.
    ///
    /// Cancel safety: safe, it holds no state.
    pub fn children_changed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.brood.changed()
    }

    /// Another agent of the same tree by the text of its path or of its id.
    pub fn reach(&self, name: &str) -> Reached {
        let path = name.parse::<AgentPath>().ok();
        self.0.tree.reach(name, path.as_ref(), &self.0.registry)
    }

    /// Begins to wait for the end of another agent. Until it is over, this agent is known to wait
    /// for that one.
    ///
    /// # Errors
    /// When agents would then wait for each other in a circle, and this one is the last of them to
    /// have come: a wait for oneself or for an agent above is such a circle, because nobody ends
    /// before its children. When another one in the circle came later, its wait fails instead.
    pub fn wait_on(&self, target: &Contact) -> Result<WaitOn, Stalled> {
        WaitOn::enter(&self.0, &target.0)
    }
}

impl Contact {
    pub(super) fn of(berth: Arc<Berth>) -> Self {
        Self(berth)
    }

    /// The agent's name.
    pub fn id(&self) -> &AgentId {
        &self.0.id
    }

    /// Where it is in the tree.
    pub fn path(&self) -> &AgentPath {
        &self.0.path
    }

    /// Its mailbox.
    pub fn mailbox(&self) -> &Mailbox {
        &self.0.mailbox
    }

    /// Everything it does lives in here.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The agent as it is now; also when it has ended.
    pub fn row(&self) -> AgentRow {
        self.0.row()
    }

    /// Waits for its end. A circle of such waits is not noticed; see [`Desk::wait_on`].
    ///
    /// Cancel safety: safe, it can be called again.
    pub fn ended(&self) -> impl Future<Output = Arc<Tombstone>> + Send + use<> {
        let berth = self.0.clone();
        async move { berth.ended().await }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}
