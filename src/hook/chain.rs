//! Runs hooks in order, each under its deadline, and says what becomes of a broken one.
//! Refuses to be asked twice: one call walks the whole chain.

use std::{borrow::Cow, fmt, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use serde_json::Value;

use super::{ChildEnd, Hook, HookContext, Preamble, Spawn, Verdict};
use crate::message::{Message, Note, ToolCall, ToolResult};

/// A point of the turn where hooks are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Point {
    /// A message was submitted.
    OnSubmit,
    /// A request is about to be sent.
    BeforeRequest,
    /// The model's message is complete.
    AfterResponse,
    /// A tool is about to run.
    BeforeTool,
    /// A tool has ended.
    AfterTool,
    /// The turn is about to end.
    OnStop,
    /// History is about to be summarised.
    BeforeCompact,
    /// A child agent is about to be opened.
    OnSpawn,
    /// A child agent has ended.
    OnChildEnd,
    /// A note is about to be read.
    OnNote,
    /// A conversation begins.
    OnSessionStart,
    /// A conversation is over.
    OnSessionEnd,
}

impl Point {
    /// Whether a broken hook refuses the step, rather than letting it pass.
    pub fn fails_closed(self) -> bool {
        match self {
            Self::OnSubmit
            | Self::BeforeRequest
            | Self::AfterResponse
            | Self::BeforeTool
            | Self::OnSpawn => true,
            Self::AfterTool
            | Self::OnStop
            | Self::BeforeCompact
            | Self::OnChildEnd
            | Self::OnNote
            | Self::OnSessionStart
            | Self::OnSessionEnd => false,
        }
    }
}

/// The hooks of one agent, in order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Hooks {
    list: Arc<[Arc<dyn Hook>]>,
}

/// Walks the chain: each hook sees what the ones before made of it, a refusal ends it. A macro,
/// because no closure type can say that the future borrows from the loop.
macro_rules! walk {
    ($hooks:ident, $point:expr, $hook:ident, $changed:pat => $call:expr) => {{
        let mut verdict = Verdict::Keep;
        for $hook in $hooks.list.iter() {
            let $changed = match &verdict {
                Verdict::Change(value) => Some(value),
                _ => None,
            };
            match guarded(&**$hook, $point, $call).await {
                Verdict::Keep => {}
                Verdict::Refuse(reason) => return Verdict::Refuse(reason),
                change => verdict = change,
            }
        }
        verdict
    }};
}

impl Hooks {
    /// These hooks, in this order.
    pub fn new(hooks: impl IntoIterator<Item = Arc<dyn Hook>>) -> Self {
        let mut hooks = hooks.into_iter().peekable();
        match hooks.peek() {
            Some(_) => Self {
                list: hooks.collect(),
            },
            None => Self::default(),
        }
    }

    /// These hooks, then those.
    #[must_use]
    pub fn and(&self, more: &Self) -> Self {
        if more.is_empty() {
            return self.clone();
        }
        Self {
            list: self.list.iter().chain(more.list.iter()).cloned().collect(),
        }
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Hook>> {
        self.list.iter()
    }

    /// Whether there is no hook.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// See [`Hook::on_submit`].
    pub async fn on_submit(&self, at: &HookContext, message: &Message) -> Verdict<Message> {
        walk!(self, Point::OnSubmit, hook, changed => hook.on_submit(at, changed.unwrap_or(message)))
    }

    /// See [`Hook::before_request`].
    pub async fn before_request(&self, at: &HookContext, preamble: &Preamble) -> Verdict<Preamble> {
        walk!(self, Point::BeforeRequest, hook, changed => hook.before_request(at, changed.unwrap_or(preamble)))
    }

    /// See [`Hook::after_response`].
    pub async fn after_response(&self, at: &HookContext, message: &Message) -> Verdict<()> {
        walk!(self, Point::AfterResponse, hook, _ => hook.after_response(at, message))
    }

    /// See [`Hook::before_tool`].
    pub async fn before_tool(
        &self,
        at: &HookContext,
        call: &ToolCall,
        input: &Value,
    ) -> Verdict<Value> {
        walk!(self, Point::BeforeTool, hook, changed => hook.before_tool(at, call, changed.unwrap_or(input)))
    }

    /// See [`Hook::after_tool`].
    pub async fn after_tool(
        &self,
        at: &HookContext,
        call: &ToolCall,
        result: &ToolResult,
    ) -> Verdict<ToolResult> {
        walk!(self, Point::AfterTool, hook, changed => hook.after_tool(at, call, changed.unwrap_or(result)))
    }

    /// See [`Hook::on_stop`].
    pub async fn on_stop(&self, at: &HookContext, text: &str) -> Verdict<Message> {
        walk!(self, Point::OnStop, hook, _ => hook.on_stop(at, text))
    }

    /// See [`Hook::before_compact`].
    pub async fn before_compact(&self, at: &HookContext, tokens: u64) -> Verdict<String> {
        walk!(self, Point::BeforeCompact, hook, _ => hook.before_compact(at, tokens))
    }

    /// See [`Hook::on_spawn`].
    pub async fn on_spawn(&self, at: &HookContext, spawn: &Spawn) -> Verdict<String> {
        walk!(self, Point::OnSpawn, hook, changed => async {
            hook.on_spawn(at, &spawn.asked(changed)).await
        })
    }

    /// See [`Hook::on_child_end`].
    pub async fn on_child_end(&self, at: &HookContext, end: &ChildEnd) -> Verdict<String> {
        walk!(self, Point::OnChildEnd, hook, changed => async {
            hook.on_child_end(at, &end.told(changed)).await
        })
    }

    /// See [`Hook::on_note`].
    pub async fn on_note(&self, at: &HookContext, note: &Note) -> Verdict<String> {
        walk!(self, Point::OnNote, hook, changed => async {
            hook.on_note(at, &reworded(note, changed)).await
        })
    }

    /// See [`Hook::on_session_start`]. What the hooks say is joined, in their order.
    pub async fn on_session_start(&self, at: &HookContext) -> Verdict<String> {
        let mut said = Vec::new();
        for hook in self.list.iter() {
            match guarded(&**hook, Point::OnSessionStart, hook.on_session_start(at)).await {
                Verdict::Keep => {}
                Verdict::Change(text) => said.push(text),
                refusal @ Verdict::Refuse(_) => return refusal,
            }
        }
        if said.is_empty() {
            Verdict::Keep
        } else {
            Verdict::Change(said.join("\n\n"))
        }
    }

    /// See [`Hook::on_session_end`].
    pub async fn on_session_end(&self, at: &HookContext) {
        for hook in self.list.iter() {
            let call = async {
                hook.on_session_end(at).await;
                Verdict::<()>::Keep
            };
            guarded(&**hook, Point::OnSessionEnd, call).await;
        }
    }
}

fn reworded<'a>(note: &'a Note, text: Option<&String>) -> Cow<'a, Note> {
    let Some(text) = text else {
        return Cow::Borrowed(note);
    };
    Cow::Owned(Note {
        text: text.clone(),
        ..note.clone()
    })
}

/// One call under its deadline; a broken hook refuses or keeps, as its point says.
async fn guarded<T>(
    hook: &dyn Hook,
    point: Point,
    call: impl Future<Output = Verdict<T>>,
) -> Verdict<T> {
    let guarded = AssertUnwindSafe(call).catch_unwind();
    let broken = match tokio::time::timeout(hook.deadline(), guarded).await {
        Ok(Ok(verdict)) => return verdict,
        Ok(Err(_)) => "panicked".to_owned(),
        Err(_) => format!("ran past its deadline of {:?}", hook.deadline()),
    };
    let broken = format!("the hook `{}` {broken} at {point:?}", hook.name());
    tracing::warn!("{broken}");
    if point.fails_closed() {
        Verdict::Refuse(broken)
    } else {
        Verdict::Keep
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.list.iter().map(|hook| hook.name()))
            .finish()
    }
}
