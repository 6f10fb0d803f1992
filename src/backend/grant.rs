//! What a conversation is given by whoever opens it, and what it hands down in turn.
//! Refuses to grow on the way down: a grant is only ever narrowed.

use std::{any::Any, fmt, sync::Arc};

use tokio::sync::Semaphore;

use super::Backend;
use crate::{
    budget::Meter,
    environment::Environment,
    hook::{HookContext, Hooks},
    id::{SessionId, TurnId},
    permission::{Approvals, Asker, Permissions, Rulebook},
    registry::Desk,
    scope::Scope,
    sink::Sink,
    store::Log,
    tool::ToolContext,
};

/// What a conversation is given by whoever opens it. Only ever narrower than the giver's own.
#[derive(Clone)]
pub struct Grant {
    /// Which session.
    pub session: SessionId,
    /// Everything it starts lives in here.
    pub scope: Scope,
    /// Everything it spends is booked here.
    pub meter: Meter,
    /// The tree's one tool semaphore.
    pub permits: Arc<Semaphore>,
    /// Hooks from above, called before its own.
    pub hooks: Hooks,
    /// Permissions from above; a call must pass these and its own.
    pub rules: Rulebook,
    /// What the programs see that are started for it.
    pub environment: Environment,
    /// Who is asked.
    pub asker: Option<Arc<dyn Asker>>,
    /// Where questions wait that are answered by their id.
    pub approvals: Approvals,
    /// Where everything that runs on a task of its own puts its events.
    pub sink: Sink,
    /// Its place in the registry, with its mailbox.
    pub desk: Desk,
    /// What a turn does at its end while children live.
    pub on_children: OnChildren,
    /// The backend that is opened; children are made in its likeness.
    pub backend: Arc<dyn Backend>,
    /// Where what happens is written down.
    pub log: Log,
}

/// What a turn does that has nothing more to say while its children in the background live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnChildren {
    /// It waits for them: the turn ends when its tree is quiet. Agents below the root always do.
    #[default]
    Wait,
    /// It ends and lists them; when one has something to say, the root is woken. For chats.
    Yield,
}

impl Grant {
    /// Tools that run at once in one tree when nobody says otherwise.
    pub const DEFAULT_PERMITS: usize = 10;

    /// Everything, for the root of a tree whose place is `desk`.
    pub fn root(desk: Desk, meter: Meter, sink: Sink, backend: Arc<dyn Backend>) -> Self {
        Self {
            session: desk.session().clone(),
            scope: desk.scope().clone(),
            meter,
            permits: Arc::new(Semaphore::new(Self::DEFAULT_PERMITS)),
            hooks: Hooks::default(),
            rules: Rulebook::unrestricted(),
            environment: Environment::inherited(),
            asker: None,
            approvals: Approvals::new(),
            sink,
            desk,
            on_children: OnChildren::default(),
            backend,
            log: Log::off(),
        }
    }

    /// The grant as it is handed down by an agent with hooks and permissions of its own: what a
    /// child gets above its own.
    #[must_use]
    pub fn below(&self, hooks: &Hooks, permissions: &Permissions) -> Self {
        Self {
            hooks: self.hooks.and(hooks),
            rules: self.rules.with(permissions),
            ..self.clone()
        }
    }

    /// Whether a backend that runs its own tools could not honour what this grant demands of them.
    pub fn needs_custody(&self) -> bool {
        !self.hooks.is_empty() || self.rules.restricts()
    }

    /// Where hooks are told they are called.
    pub fn at(&self, turn: TurnId) -> HookContext {
        let at = HookContext::new(self.session.clone(), turn, self.scope.clone());
        let mut at = at.environment(self.environment.clone());
        at.resumed = self.log.is_resumed();
        at
    }

    /// The grant of the agent that calls a tool, for tools that open agents; `None` when the tool
    /// was called by hand.
    pub fn of(ctx: &ToolContext) -> Option<&Self> {
        ctx.above().and_then(|above| above.downcast_ref())
    }

    /// As a tool's context carries it, unseen.
    pub(crate) fn sealed(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("session", &self.session)
            .field("scope", &self.scope)
            .field("meter", &self.meter)
            .finish_non_exhaustive()
    }
}
