//! The front door: a session holds one conversation and runs its turns, one at a time.
//! Refuses to know what kind of backend answers, and to run two turns at once.

mod ask;
mod handle;
mod owned;
mod stream;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
};

use tokio::sync::Semaphore;

use self::handle::Submitted;
pub use self::{
    ask::MAX_CORRECTIONS,
    handle::SessionHandle,
    owned::OwnedTurn,
    stream::{TurnOutcome, TurnStream},
};
use crate::{
    agent::Agent,
    backend::{Backend, Conversation, Grant, Task},
    budget::{Budget, Meter},
    error::Result,
    hook::{Hook, Hooks},
    id::SessionId,
    message::Message,
    permission::Asker,
    scope::{Receipt, Scope},
    trace::{Tracer, Tracers},
};

/// A conversation with an agent.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures::StreamExt;
/// use offshoot::{Agent, EventKind, Session, provider::Offline};
///
/// let agent = Agent::builder(Offline::new()).build()?;
/// let mut session = Session::new(agent);
/// let mut turn = session.submit_message("What can you do?");
/// while let Some(event) = turn.next().await {
///     if let EventKind::TextDelta { text, .. } = event.kind {
///         print!("{text}");
///     }
/// }
/// # Ok::<(), offshoot::Error>(()) }).unwrap();
/// ```
///
/// Dropping a session cancels everything in it; [`close`](Session::close) waits for that as well.
pub struct Session {
    talk: Option<Box<dyn Conversation>>,
    shared: Shared,
}

/// What a session and its turns share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) id: SessionId,
    pub(crate) scope: Scope,
    pub(crate) tracers: Tracers,
    pub(crate) meter: Meter,
    pub(crate) submitted: Submitted,
    pub(crate) seq: Arc<AtomicU64>,
}

impl Session {
    /// A session with the native agent and nothing else: no budget, no tracer, nobody to ask.
    pub fn new(agent: Agent) -> Self {
        let (grant, shared) = SessionBuilder::new(Arc::new(agent.clone())).prepare();
        Self {
            talk: Some(Box::new(agent.talk(grant))),
            shared,
        }
    }

    /// A session with any backend, and all that can be set.
    pub fn builder(backend: impl Backend) -> SessionBuilder {
        SessionBuilder::new(Arc::new(backend))
    }

    /// Its name.
    pub fn id(&self) -> &SessionId {
        &self.shared.id
    }

    /// Runs one turn while the returned stream is polled.
    ///
    /// The borrow makes one turn at a time a fact of the type system; anything that is to be said
    /// meanwhile goes through [`handle`](Self::handle). Dropping the stream cancels the turn at
    /// once, and the next message works.
    pub fn submit_message(&mut self, message: impl Into<Message>) -> TurnStream<'_> {
        self.submit(Task::new(message))
    }

    /// As [`submit_message`](Self::submit_message), with all that a task can say.
    pub fn submit(&mut self, task: Task) -> TurnStream<'_> {
        let scope = self.shared.scope.part();
        self.submit_in(task, scope)
    }

    fn submit_in(&mut self, task: Task, scope: Scope) -> TurnStream<'_> {
        let shared = self.shared.clone();
        shared.submitted.set(&scope);
        let model = self.conversation().describe();
        let turn = self.conversation_mut().turn(task, scope.clone());
        TurnStream::new(turn, scope, shared, model)
    }

    /// As [`submit_message`](Self::submit_message) for servers that need a `'static` stream: the
    /// turn owns the session and gives it back at the end.
    pub fn into_turn(self, message: impl Into<Message>) -> OwnedTurn {
        OwnedTurn::new(self, Task::new(message))
    }

    /// Reaches into the session from elsewhere, also while a turn runs.
    pub fn handle(&self) -> SessionHandle {
        SessionHandle::new(self.conversation().control(), self.shared.submitted.clone())
    }

    /// What was said so far, where the backend knows it.
    pub fn history(&self) -> Vec<Message> {
        self.conversation().history()
    }

    /// Cancels everything, waits until it has ended, and says what was stopped.
    ///
    /// Cancel safety: the cancel happens at the first poll; dropping the wait loses the receipt.
    pub async fn close(mut self) -> Receipt {
        match self.talk.take() {
            Some(talk) => talk.close().await,
            None => Receipt::default(),
        }
    }

    fn conversation(&self) -> &dyn Conversation {
        self.talk
            .as_deref()
            .expect("a session has its conversation until it is closed")
    }

    fn conversation_mut(&mut self) -> &mut dyn Conversation {
        self.talk
            .as_deref_mut()
            .expect("a session has its conversation until it is closed")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.scope.cancel();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.shared.id)
            .finish_non_exhaustive()
    }
}

/// Puts a [`Session`] together.
#[must_use]
pub struct SessionBuilder {
    backend: Arc<dyn Backend>,
    id: Option<SessionId>,
    budget: Budget,
    tracers: Vec<Arc<dyn Tracer>>,
    hooks: Vec<Arc<dyn Hook>>,
    asker: Option<Arc<dyn Asker>>,
    parallel_tools: usize,
}

impl SessionBuilder {
    fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            id: None,
            budget: Budget::unlimited(),
            tracers: Vec::new(),
            hooks: Vec::new(),
            asker: None,
            parallel_tools: Grant::DEFAULT_PERMITS,
        }
    }

    /// Its name; by default a new one.
    pub fn id(mut self, id: SessionId) -> Self {
        self.id = Some(id);
        self
    }

    /// What the whole session may spend.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// One more tracer.
    pub fn tracer(mut self, tracer: impl Tracer) -> Self {
        self.tracers.push(Arc::new(tracer));
        self
    }

    /// One more hook, above those of the agent.
    pub fn hook(mut self, hook: impl Hook) -> Self {
        self.hooks.push(Arc::new(hook));
        self
    }

    /// More hooks, above those of the agent.
    pub fn hooks(mut self, hooks: &Hooks) -> Self {
        self.hooks.extend(hooks.iter().cloned());
        self
    }

    /// Who is asked for approvals.
    pub fn asker(mut self, asker: impl Asker) -> Self {
        self.asker = Some(Arc::new(asker));
        self
    }

    /// How many tools run at once in the whole tree; at least one.
    pub fn parallel_tools(mut self, tools: usize) -> Self {
        self.parallel_tools = tools.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Opens the conversation.
    ///
    /// # Errors
    /// When the backend cannot be opened.
    ///
    /// Cancel safety: dropping it cancels whatever had begun.
    pub async fn open(self) -> Result<Session> {
        let backend = self.backend.clone();
        let (grant, shared) = self.prepare();
        let guard = shared.scope.clone();
        let mut session = Session { talk: None, shared };
        session.talk = Some(backend.open(grant).await.inspect_err(|_| {
            guard.cancel();
        })?);
        Ok(session)
    }

    fn prepare(self) -> (Grant, Shared) {
        let id = self.id.unwrap_or_else(SessionId::random);
        let mut grant = Grant::root(id.clone(), Meter::new(self.budget));
        grant.permits = Arc::new(Semaphore::new(self.parallel_tools));
        grant.asker = self.asker;
        grant.hooks = Hooks::new(self.hooks);
        let tracers = Tracers::new(self.tracers);
        let scope = grant.scope.clone();
        let meter = grant.meter.clone();
        (
            grant,
            Shared {
                id,
                scope,
                tracers,
                meter,
                submitted: Submitted::default(),
                seq: Arc::default(),
            },
        )
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn owned<T: Send + 'static>() {}
    fn shared<T: Send + Sync + Clone + 'static>() {}
    fn turn<T: Send>() {}
    owned::<Session>();
    owned::<OwnedTurn>();
    shared::<SessionHandle>();
    turn::<TurnStream<'static>>();
};
