//! The contract of whatever turns a task into a stream of events, and what such a thing is given.
//! Refuses to know which kind it is: our own loop, a CLI agent, an agent far away.

mod grant;
mod mended;
mod shape;

use std::{fmt, sync::Arc};

use futures::{future::BoxFuture, stream::BoxStream};
use serde_json::Value;

pub(crate) use self::mended::{Mended, Told};
pub use self::{
    grant::{Grant, OnChildren},
    shape::{Selection, Shape},
};
use crate::{
    error::Result,
    event::Event,
    message::{Message, Note},
    permission::Answer,
    scope::{Receipt, Scope},
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

    /// A backend like this one in another shape: another system prompt, fewer tools, another model.
    /// This is how kinds of subagents are made; `None` when this backend has no such thing.
    ///
    /// It may never have more than this one has.
    fn derive(&self, shape: &Arc<Shape>) -> Option<Arc<dyn Backend>> {
        let _ = shape;
        None
    }
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

    /// What a child of this conversation is given, where it can have children.
    fn grant(&self) -> Option<Grant> {
        None
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
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Task {
    /// What is asked; `None` when there is only mail to be read.
    pub message: Option<Message>,
    /// The JSON Schema of the answer; `None` for free text.
    pub schema: Option<Value>,
}

impl Task {
    /// A task of words.
    pub fn new(message: impl Into<Message>) -> Self {
        Self {
            message: Some(message.into()),
            schema: None,
        }
    }

    /// Nothing but to read the mail, as when a child in the background has ended.
    pub fn mail() -> Self {
        Self::default()
    }

    /// With a shape for the answer.
    #[must_use]
    pub fn answering(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// What is asked, as text.
    pub fn text(&self) -> String {
        self.message.as_ref().map(Message::text).unwrap_or_default()
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
