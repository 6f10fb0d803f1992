//! The contract of whatever turns a task into a stream of events, and what such a thing is given.
//! Refuses to know which kind it is: our own loop, a CLI agent, an agent far away.

use std::{fmt, sync::Arc};

use futures::{future::BoxFuture, stream::BoxStream};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    budget::Meter,
    error::Result,
    event::Event,
    hook::Hooks,
    id::SessionId,
    message::{Message, Note},
    permission::{Answer, Asker, Permissions},
    scope::{Receipt, Scope},
    sink::Sink,
};

/// Whatever can hold a conversation. An agent is a stream: each turn of the conversation is a
/// stream of events with exactly one `turn_end`, last.
///
/// Called by sessions and by tools that start agents. A backend must obey its [`Grant`]: it runs
/// inside the scope, spends from the meter, and sends tool calls through the hooks and permissions.
/// One that cannot (because a foreign program runs its own tools) says so in its
/// [`Capabilities`], and is refused where a rule needs it. The tempting mistake is to start a task
/// that is not in the scope: it outlives the conversation.
pub trait Backend: Send + Sync + fmt::Debug + 'static {
    /// What it can honour.
    fn capabilities(&self) -> Capabilities;

    /// Begins a conversation.
    fn open(self: Arc<Self>, grant: Grant) -> BoxFuture<'static, Result<Box<dyn Conversation>>>;
}

/// A conversation: one turn at a time.
pub trait Conversation: Send + 'static {
    /// Runs one turn while it is polled. Dropping the stream stops it; the next turn works.
    ///
    /// The events are not numbered; whoever polls the root numbers them.
    fn turn(&mut self, task: Task, scope: Scope) -> BoxStream<'_, Event>;

    /// Reaches into the conversation from elsewhere, also while a turn runs.
    fn control(&self) -> Arc<dyn Control>;

    /// What was said so far, where the backend knows it.
    fn history(&self) -> Vec<Message> {
        Vec::new()
    }

    /// Names the model or program that answers, for logs.
    fn describe(&self) -> String;

    /// Ends the conversation and everything in it, and says what was stopped.
    fn close(self: Box<Self>) -> BoxFuture<'static, Receipt>;
}

/// Reaches into a conversation from elsewhere.
pub trait Control: Send + Sync + 'static {
    /// Puts a note into the agent's mailbox.
    ///
    /// # Errors
    /// When the mailbox is full or the conversation is over.
    fn steer(&self, note: Note) -> Result<()>;

    /// Cancels the turn that runs, if one does. The conversation goes on with the next one.
    fn interrupt(&self) -> Receipt;

    /// Answers an approval by its id.
    ///
    /// # Errors
    /// When no approval of this id is waiting.
    fn answer(&self, id: &str, answer: Answer) -> Result<()>;
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// What is asked.
    pub message: Message,
    /// The JSON Schema of the answer; `None` for free text.
    pub schema: Option<Value>,
}

impl Task {
    /// A task of words.
    pub fn new(message: impl Into<Message>) -> Self {
        Self {
            message: message.into(),
            schema: None,
        }
    }
}

/// What a backend can honour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Who runs its tools.
    pub tools: ToolCustody,
    /// When notes reach it.
    pub steering: Steering,
}

/// Who runs a backend's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolCustody {
    /// This crate: hooks, deny rules and budgets hold for each call.
    Ours,
    /// The backend itself: they hold only for what it asks.
    Foreign,
}

/// When notes reach a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Steering {
    /// Also while a turn runs.
    AnyTime,
    /// Only between turns.
    BetweenTurns,
}

impl Capabilities {
    /// All of it, as the native agent.
    pub const FULL: Self = Self {
        tools: ToolCustody::Ours,
        steering: Steering::AnyTime,
    };
}

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
    /// Rules from above; a call must pass these and its own.
    pub permissions: Permissions,
    /// Who is asked.
    pub asker: Option<Arc<dyn Asker>>,
    /// Where a child's events go; `None` for the root, whose turn stream carries them.
    pub sink: Option<Sink>,
}

impl Grant {
    /// Tools that run at once in one tree when nobody says otherwise.
    pub const DEFAULT_PERMITS: usize = 10;

    /// Everything, for the root of a tree.
    pub fn root(session: SessionId, meter: Meter) -> Self {
        Self {
            session,
            scope: Scope::root(),
            meter,
            permits: Arc::new(Semaphore::new(Self::DEFAULT_PERMITS)),
            hooks: Hooks::default(),
            permissions: Permissions::unrestricted(),
            asker: None,
            sink: None,
        }
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
