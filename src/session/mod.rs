//! The front door: a session holds one conversation and runs its turns, one at a time.
//! Refuses to know what kind of backend answers, and to run two turns at once.

mod adopt;
mod ask;
mod handle;
mod log;
mod owned;
mod stream;
mod watch;
mod wire;

use std::{fmt, ops::Deref, sync::Arc};

use tokio::sync::Semaphore;

pub(crate) use self::log::Begin;
pub use self::{
    ask::MAX_CORRECTIONS,
    handle::SessionHandle,
    owned::OwnedTurn,
    stream::{TurnOutcome, TurnStream},
    watch::{EventWatch, MAX_WATCH, WATCH_CAPACITY},
};
use self::{handle::Submitted, log::Past, wire::Wire};
use crate::{
    agent::Agent,
    backend::{Backend, Conversation, Grant, OnChildren, Task, Told},
    budget::{Budget, Meter},
    environment::Environment,
    error::Result,
    event::EventKind,
    hook::{Hook, Hooks},
    id::{SessionId, TurnId},
    message::Message,
    permission::Asker,
    redact::Redactor,
    registry::{AgentRegistry, Desk, Seat},
    scope::{Receipt, Scope},
    sink::{Origin, Sink},
    store::{Damage, Log, Moment, Policies, Store},
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
    /// What of its log was damaged when it was resumed.
    damage: Option<Box<Damage>>,
    /// Whether an earlier life left a turn without its end.
    unfinished: bool,
    /// Given back when the session is gone.
    _seat: Seat,
}

/// What a session and its turns share.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Common>);

/// Of what the root was granted, what is asked for afterwards.
pub(crate) struct Common {
    pub(crate) desk: Desk,
    pub(crate) meter: Meter,
    pub(crate) sink: Sink,
    pub(crate) log: Log,
    backend: Arc<dyn Backend>,
    hooks: Hooks,
    asker: Option<Arc<dyn Asker>>,
    on_children: OnChildren,
    pub(crate) wire: Wire,
    pub(crate) told: Told,
    pub(crate) submitted: Submitted,
}

impl Deref for Shared {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.0
    }
}

/// Says that mail waits for the root, when it does and no turn is there to read it.
fn wake(shared: &Common) {
    let notes = shared.desk.mailbox().len() as u64;
    if notes > 0 && !shared.sink.is_read() {
        let origin = Origin::new(shared.desk.path(), TurnId(0));
        shared
            .wire
            .tell(&mut origin.event(EventKind::Wake { notes }));
    }
}

impl Session {
    /// A session with the native agent and nothing else: no budget, no tracer, nobody to ask.
    pub fn new(agent: Agent) -> Self {
        let builder = SessionBuilder::new(Arc::new(agent.clone()));
        let (seat, shared, grant) = builder.prepare(&Past::default());
        Self {
            talk: Some(Box::new(agent.talk(grant))),
            shared,
            damage: None,
            unfinished: false,
            _seat: seat,
        }
    }

    /// A session with any backend, and all that can be set.
    pub fn builder(backend: impl Backend) -> SessionBuilder {
        SessionBuilder::new(Arc::new(backend))
    }

    /// Its name.
    pub fn id(&self) -> &SessionId {
        self.shared.desk.session()
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
        let scope = self.shared.desk.scope().part();
        self.submit_in(task, scope)
    }

    /// Waits until there is mail for the root, and runs a turn that reads it; `None` when no mail
    /// can come any more, because no child lives in the background.
    ///
    /// For sessions that yield to their children: see [`SessionBuilder::on_children`].
    ///
    /// Cancel safety: safe until it returns; no note is lost. Dropping the stream cancels the turn.
    pub async fn next_turn(&mut self) -> Option<TurnStream<'_>> {
        let shared = self.shared.clone();
        let desk = &shared.desk;
        loop {
            let changed = desk.children_changed();
            // A child's note is there before its seat is free, so children are looked at first.
            let alive = desk.has_children();
            if !desk.mailbox().is_empty() {
                return Some(self.submit(Task::mail()));
            }
            if !alive || desk.scope().is_cancelled() {
                return None;
            }
            tokio::select! {
                () = desk.mailbox().arrived() => {}
                () = changed => {}
                () = desk.scope().cancelled() => {}
            }
        }
    }

    fn submit_in(&mut self, task: Task, scope: Scope) -> TurnStream<'_> {
        let shared = self.shared.clone();
        self.unfinished = false;
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
        SessionHandle::new(self.conversation().control(), self.shared.clone())
    }

    /// What was said so far, where the backend knows it.
    pub fn history(&self) -> Vec<Message> {
        self.conversation().history()
    }

    /// What a child of this session's agent is given, where the backend can have children: for
    /// programs that open agents by themselves, with `Child::open` or an `AgentGroup`.
    pub fn grant(&self) -> Option<Grant> {
        self.conversation().grant()
    }

    /// Cancels everything, waits until it has ended, and says what was stopped.
    ///
    /// Cancel safety: the cancel happens at the first poll; dropping the wait loses the receipt.
    pub async fn close(mut self) -> Receipt {
        let receipt = match self.talk.take() {
            Some(talk) => talk.close().await,
            None => Receipt::default(),
        };
        if let Err(error) = self.shared.log.commit(Moment::Turn).await {
            tracing::warn!("the last records of the session are not written: {error}");
        }
        receipt
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
        self.shared.desk.scope().cancel();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", self.shared.desk.session())
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
    environment: Environment,
    parallel_tools: usize,
    registry: AgentRegistry,
    on_children: OnChildren,
    store: Option<Arc<dyn Store>>,
    policies: Policies,
    begin: Begin,
    folder: Option<String>,
    redactor: Redactor,
}

impl SessionBuilder {
    fn new(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            id: None,
            budget: Budget::default(),
            tracers: Vec::new(),
            hooks: Vec::new(),
            asker: None,
            environment: Environment::inherited(),
            parallel_tools: Grant::DEFAULT_PERMITS,
            registry: AgentRegistry::global(),
            on_children: OnChildren::default(),
            store: None,
            policies: Policies::default(),
            begin: Begin::default(),
            folder: None,
            redactor: Redactor::new(),
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

    /// What the programs see that are started for its agents: hooks that are commands, and tools.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// How many tools run at once in the whole tree; at least one.
    pub fn parallel_tools(mut self, tools: usize) -> Self {
        self.parallel_tools = tools.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Where its agents are listed; by default [`AgentRegistry::global`].
    pub fn registry(mut self, registry: AgentRegistry) -> Self {
        self.registry = registry;
        self
    }

    /// What a turn does at its end while children live in the background; by default it waits.
    pub fn on_children(mut self, on_children: OnChildren) -> Self {
        self.on_children = on_children;
        self
    }

    /// Opens the conversation.
    ///
    /// # Errors
    /// When the backend cannot be opened.
    ///
    /// Cancel safety: dropping it cancels whatever had begun.
    pub async fn open(mut self) -> Result<Session> {
        let backend = self.backend.clone();
        let past = self.past().await?;
        let (seat, shared, grant) = self.prepare(&past);
        let mut session = Session {
            talk: None,
            shared,
            damage: past.damage.clone().map(Box::new),
            unfinished: past.unfinished,
            _seat: seat,
        };
        // An error drops the session, which cancels what had begun.
        session.talk = Some(backend.open(grant).await?);
        session.begin_log(&past);
        Ok(session)
    }

    fn prepare(self, past: &Past) -> (Seat, Shared, Grant) {
        let id = self.id.unwrap_or_else(SessionId::random);
        let scope = Scope::root();
        let seat = self.registry.root(id, &scope);
        let wire = Wire::new(Tracers::new(self.tracers), past.log.clone(), past.told);
        let between = wire.clone();
        let sink = Sink::new(move |mut event| between.tell(&mut event));
        let meter = past.meter(self.budget);
        let told = Told::default();
        told.skip(&meter, scope.path());
        let mut grant = Grant::root(seat.desk(), meter, sink, self.backend);
        grant.log = past.log.clone();
        grant.permits = Arc::new(Semaphore::new(self.parallel_tools));
        grant.asker = self.asker;
        grant.environment = self.environment;
        grant.hooks = Hooks::new(self.hooks);
        grant.on_children = self.on_children;
        let shared = Shared(Arc::new(Common {
            desk: grant.desk.clone(),
            meter: grant.meter.clone(),
            sink: grant.sink.clone(),
            log: grant.log.clone(),
            backend: grant.backend.clone(),
            hooks: grant.hooks.clone(),
            asker: grant.asker.clone(),
            on_children: grant.on_children,
            wire,
            told,
            submitted: Submitted::default(),
        }));
        // Weak, for the mailbox that keeps this is itself a part of what is shared.
        let weak = Arc::downgrade(&shared.0);
        seat.mailbox().on_arrival(move || {
            if let Some(shared) = weak.upgrade() {
                wake(&shared);
            }
        });
        (seat, shared, grant)
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
