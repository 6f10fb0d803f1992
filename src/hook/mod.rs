//! The contract of a hook: it may change or refuse one thing at one point of the turn.
//! Refuses to perform work of its own, and to be skipped: every path goes through [`Hooks`].

mod chain;
#[cfg(feature = "local")]
mod command;
#[cfg(test)]
mod tests;
mod tree;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

pub use self::chain::{Hooks, Point};
#[cfg(feature = "local")]
pub use self::command::{CommandHook, MAX_HOOK_OUTPUT, command_hooks};
pub use self::tree::{ChildEnd, Spawn};
use crate::{
    environment::Environment,
    id::{AgentPath, SessionId, TurnId},
    message::{Message, Note, ToolCall, ToolResult},
    options::Options,
    scope::Scope,
};

/// What a hook decides.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict<T> {
    /// Go on as it is.
    Keep,
    /// Go on with this instead.
    Change(T),
    /// Do not go on, for this reason.
    Refuse(String),
}

/// Where a hook is called.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HookContext {
    /// Which session.
    pub session: SessionId,
    /// Which agent.
    pub agent: AgentPath,
    /// Which turn of it.
    pub turn: TurnId,
    /// The agent's own scope, which outlives the turn: what a hook starts belongs in here.
    pub scope: Scope,
    /// What the programs see that are started for this agent.
    pub environment: Environment,
    /// Whether the session was taken up again from its log in this life of the program.
    pub resumed: bool,
}

impl HookContext {
    /// A turn of the agent that lives in this scope, whose programs see all that this process does.
    pub fn new(session: SessionId, turn: TurnId, scope: Scope) -> Self {
        Self {
            session,
            agent: scope.path().clone(),
            turn,
            scope,
            environment: Environment::inherited(),
            resumed: false,
        }
    }

    /// The same with another environment.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }
}

/// The part of a request that a hook may change. The conversation itself is not a hook's to edit.
#[derive(Clone, Debug, PartialEq)]
pub struct Preamble {
    /// The system prompt.
    pub system: String,
    /// How the model should answer.
    pub options: Options,
}

/// Sees each step of a turn before or after it is taken, and may change or refuse it.
///
/// Hooks are called one after another in the order they were added; each sees what the ones before
/// made of it, and the first refusal ends the chain. A hook's [`deadline`](Hook::deadline) covers
/// each call. What happens when a hook panics or runs past its deadline stands at each method:
/// *closed* means the step is refused, *open* means it goes on.
///
/// To watch without changing anything, implement `Tracer` instead: a hook that only logs costs
/// every turn its time.
#[async_trait]
#[expect(unused_variables, reason = "the provided methods keep everything")]
pub trait Hook: Send + Sync + 'static {
    /// A name for messages and logs.
    fn name(&self) -> &str {
        "hook"
    }

    /// How long each call may take.
    fn deadline(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// A message was submitted and is not in the transcript yet. Refusal ends the turn. Fails closed.
    async fn on_submit(&self, at: &HookContext, message: &Message) -> Verdict<Message> {
        Verdict::Keep
    }

    /// A request is about to be sent. Refusal ends the turn. Fails closed.
    async fn before_request(&self, at: &HookContext, preamble: &Preamble) -> Verdict<Preamble> {
        Verdict::Keep
    }

    /// The model's message is complete and in the transcript, its tools have not run. A refusal
    /// keeps them from running and ends the turn. Nothing can be changed. Fails closed.
    async fn after_response(&self, at: &HookContext, message: &Message) -> Verdict<()> {
        Verdict::Keep
    }

    /// A tool is about to run, after its arguments were checked and before permission is asked.
    /// Changed arguments are checked again. Refusal becomes a denied result. Fails closed.
    async fn before_tool(
        &self,
        at: &HookContext,
        call: &ToolCall,
        input: &Value,
    ) -> Verdict<Value> {
        Verdict::Keep
    }

    /// A tool has ended and its result is not in the transcript yet. Refusal replaces the content
    /// by the reason, as a failure. Fails open. After a cancel all calls together have
    /// [`CANCEL_GRACE`](crate::CANCEL_GRACE); where the turn's stream is dropped nobody is left to
    /// ask, and the next request carries what the tool had written.
    async fn after_tool(
        &self,
        at: &HookContext,
        call: &ToolCall,
        result: &ToolResult,
    ) -> Verdict<ToolResult> {
        Verdict::Keep
    }

    /// The turn is about to end. A change pushes it on with one more message, at most as often as
    /// the agent allows. Refusal is the same as keep. Fails open.
    async fn on_stop(&self, at: &HookContext, text: &str) -> Verdict<Message> {
        Verdict::Keep
    }

    /// History is about to be summarised. A change adds instructions for the summary, a refusal
    /// prevents it this time. Fails open.
    async fn before_compact(&self, at: &HookContext, tokens: u64) -> Verdict<String> {
        Verdict::Keep
    }

    /// A child agent is about to be opened; `at` is its parent. A change gives it another prompt, a
    /// refusal becomes a denied result of the call that asked for it. Fails closed.
    async fn on_spawn(&self, at: &HookContext, spawn: &Spawn) -> Verdict<String> {
        Verdict::Keep
    }

    /// A child agent has ended and its words have not reached its parent, which is `at`. A change
    /// gives the parent other words, a refusal replaces them by the reason. Fails open.
    async fn on_child_end(&self, at: &HookContext, end: &ChildEnd) -> Verdict<String> {
        Verdict::Keep
    }

    /// A note is about to be put into the transcript. A change gives it another text; a refusal
    /// drops it, and whoever sent it hears that. Fails open.
    async fn on_note(&self, at: &HookContext, note: &Note) -> Verdict<String> {
        Verdict::Keep
    }

    /// The first turn of a session begins, or the first after it was taken up again from its log,
    /// which [`resumed`](HookContext::resumed) says; a child is a part of its session and has no start of its
    /// own here. A change is text that is put before its message; what several hooks say is joined.
    /// Refusal ends the turn. Fails open.
    async fn on_session_start(&self, at: &HookContext) -> Verdict<String> {
        Verdict::Keep
    }

    /// The session is over, and everything in it has ended. Nothing can be changed or refused any more. Fails open.
    async fn on_session_end(&self, at: &HookContext) {}
}
