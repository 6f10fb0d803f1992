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
mod http;
mod scope;
mod sink;
// Floor 2: contracts.
mod hook;
mod permission;
pub mod provider;
mod tool;
mod trace;

pub use crate::{
    budget::{Budget, Limit, Meter, Spent},
    error::{Error, ErrorKind, Result},
    event::{Compaction, Event, EventKind, FORMAT, StopReason},
    hook::{Hook, HookContext, Hooks, Point, Preamble, Verdict},
    http::{MAX_RETRY_AFTER, RetryPolicy},
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
