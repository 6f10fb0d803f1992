//! A native multi-agent runtime: whatever turns a task into a stream of events is an agent.

// Floor 0: words.
mod error;
mod event;
mod id;
mod kept;
mod message;
mod spec;
mod usage;
// Floor 1: footing.
mod budget;
#[cfg(feature = "local")]
mod durable;
mod http;
mod scope;
mod sink;
// Floor 2: contracts.
mod hook;
mod permission;
pub mod provider;
mod tool;
mod trace;
// Floor 3: machinery.
#[cfg(feature = "local")]
mod workspace;
// Floor 6: workshops.
#[cfg(feature = "local")]
pub mod tools;

pub use crate::{
    budget::{Budget, Limit, Meter, Spent},
    error::{Error, ErrorKind, Result},
    event::{Compaction, Event, EventKind, FORMAT, StopReason},
    hook::{Hook, HookContext, Hooks, Point, Preamble, Verdict},
    id::{AgentId, AgentPath, CallId, SessionId, TurnId},
    kept::{Dialect, Kept},
    message::{
        Content, Media, MediaSource, Message, Outcome, Part, RawJson, Role, Seal, ToolCall,
        ToolResult,
    },
    permission::{Answer, Asker, Mode, Permissions, Question, Rule, Ruling, Unasked},
    scope::{Receipt, Scope, WaitFor, Waiting},
    sink::{SINK_CAPACITY, Sink, SinkReader},
    spec::{Access, Effect, Lane, ToolSpec},
    tool::{Output, Tool, ToolContext, ToolOutput, ToolSet, TypedTool, tool_fn, typed},
    trace::{Tracer, Tracers},
    usage::{Cost, Price, Usage},
};

#[cfg(feature = "local")]
pub use crate::{
    trace::JsonLines,
    workspace::{FileFacts, FileKind, WorkError, WorkPath, Workspace},
};
