//! What a running tool is given besides its arguments.
//! Refuses access to the conversation and to other tools.

use std::{any::Any, sync::Arc};

use tokio::time::Instant;

use super::Output;
use crate::{
    error::{Error, ErrorKind, Result},
    event::EventKind,
    id::{AgentPath, CallId, SessionId, TurnId},
    scope::Scope,
    sink::{Origin, Sink},
};

/// What a running tool is given besides its arguments. Cheap to clone.
#[derive(Clone)]
pub struct ToolContext {
    inner: Arc<ContextInner>,
}

pub(crate) struct ContextInner {
    pub(crate) scope: Scope,
    pub(crate) origin: Origin,
    pub(crate) call: CallId,
    /// `None` when the tool was called by hand.
    pub(crate) session: Option<SessionId>,
    /// The turn by which its key is known.
    pub(crate) called_in: TurnId,
    pub(crate) sink: Sink,
    pub(crate) output: Output,
    pub(crate) deadline: Option<Instant>,
    /// What the calling agent hands down to agents it opens, unseen by tools that open none.
    pub(crate) above: Option<Arc<dyn Any + Send + Sync>>,
    /// The same for all calls of one message, and for no other.
    pub(crate) message: Arc<()>,
}

impl ToolContext {
    pub(crate) fn new(inner: ContextInner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A context for calling a tool by hand, in a test. Its updates go nowhere.
    pub fn detached(call: &str) -> Self {
        let sink = Sink::nowhere();
        let scope = Scope::root();
        Self {
            inner: Arc::new(ContextInner {
                origin: Origin::new(scope.path(), TurnId(0)),
                scope,
                call: CallId::new(call),
                session: None,
                called_in: TurnId(0),
                sink,
                output: Output::default(),
                deadline: None,
                above: None,
                message: Arc::default(),
            }),
        }
    }

    /// Cancelled when the result is no longer wanted.
    pub fn scope(&self) -> &Scope {
        &self.inner.scope
    }

    /// Which agent calls.
    pub fn agent(&self) -> &AgentPath {
        self.inner.scope.path()
    }

    /// Which call this is.
    pub fn call(&self) -> &CallId {
        &self.inner.call
    }

    /// The same for a repetition of the same call after a crash: hand it to services that know
    /// idempotency keys, and declare `Effect::Keyed`.
    ///
    /// It names the whole way down to the agent, so it is put together when it is asked for: a key
    /// for each call of a long chain would cost the square of its length.
    pub fn key(&self) -> String {
        let inner = &self.inner;
        match &inner.session {
            Some(session) => format!(
                "{session}/{}/{}/{}",
                inner.origin.agent, inner.called_in, inner.call
            ),
            None => inner.call.to_string(),
        }
    }

    /// When the engine gives up on this call.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline
    }

    /// Which turn of the agent.
    pub fn turn(&self) -> TurnId {
        self.inner.origin.turn
    }

    /// The same for all calls of one message, and for no other.
    pub(crate) fn message(&self) -> &Arc<()> {
        &self.inner.message
    }

    /// What the calling agent hands down; `None` when the tool was called by hand.
    pub(crate) fn above(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.inner.above.as_deref()
    }

    /// Where large output goes: its head and tail are kept, and it survives a timeout or a cancel.
    pub fn output(&self) -> &Output {
        &self.inner.output
    }

    /// Tells watchers something. Dropped when they are too slow; the model never sees it.
    pub fn update(&self, text: impl Into<String>) {
        let kind = EventKind::ToolUpdate {
            call: self.inner.call.clone(),
            text: text.into(),
        };
        self.inner.sink.offer(self.inner.origin.event(kind));
    }

    /// Runs code that blocks, on a thread made for that.
    ///
    /// # Errors
    /// When the code panics.
    ///
    /// Cancel safety: the thread runs on to its end; what it returns is dropped.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        self.inner.scope.blocking(work).await.map_err(|panic| {
            Error::new(ErrorKind::Bug, "a tool's blocking code panicked").with_source(panic)
        })
    }
}

impl std::fmt::Debug for ToolContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolContext")
            .field("call", &self.inner.call)
            .finish_non_exhaustive()
    }
}
