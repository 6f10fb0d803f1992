//! The contract of a tool, for those who write one and for the engine that runs it.
//! Refuses transcripts, agents and permission: a tool gets its arguments and its context, no more.

mod context;
mod function;
mod output;
mod set;
mod typed;

pub(crate) use self::{
    context::ContextInner,
    output::{Keeper, KeptWhole},
    typed::schema_of,
};
pub use self::{
    context::ToolContext,
    function::tool_fn,
    output::{Output, ToolOutput},
    set::ToolSet,
    typed::{TypedTool, typed},
};

use async_trait::async_trait;
use serde_json::Value;

use crate::spec::ToolSpec;

/// A tool as the engine sees it. Authors usually write a [`TypedTool`] or use [`tool_fn`].
///
/// The engine calls [`call`](Tool::call) with arguments that the schema in
/// [`spec`](Tool::spec) accepts, after permission was given. A tool
///
/// * answers what the model can mend with [`ToolOutput::failed`], in words the model can act on;
/// * may panic, hang or be cancelled: the engine turns each into a result. The tempting mistake is
///   to catch everything oneself and report success;
/// * watches `ctx.scope()` when it does long work, and writes large output through `ctx.output()`;
/// * does **not** block the thread: it uses `tokio::task::spawn_blocking` by way of
///   [`ToolContext::blocking`].
#[async_trait]
pub trait Tool: Send + Sync + 'static {
    /// Name, description, schema and manners.
    fn spec(&self) -> &ToolSpec;

    /// What permission rules such as `Read(src/*)` look at in these arguments; by default the
    /// argument that [`ToolSpec::subject`] names. A tool whose argument can be spelled in several
    /// ways gives the one normal spelling, or else `./secret` walks past a rule about `secret`.
    /// Where one thing has several true names, all of them: a rule that denies or asks needs one of
    /// them to match, a rule that allows needs all.
    fn subjects(&self, input: &Value) -> Vec<String> {
        self.spec().subjects(input)
    }

    /// Does the work.
    ///
    /// Cancel safety: the future is dropped at the deadline and on cancel.
    async fn call(&self, ctx: ToolContext, input: Value) -> ToolOutput;
}

impl std::fmt::Debug for dyn Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tool({})", self.spec().name)
    }
}
