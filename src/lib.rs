//! A native multi-agent runtime: whatever turns a task into a stream of events is an agent.

#![warn(clippy::print_stdout, clippy::print_stderr)]

// Floor 0: words.
mod error;
mod event;
mod id;
mod kept;
mod message;
mod options;
mod spec;
mod usage;
// Floor 1: footing.
mod budget;
#[cfg(feature = "local")]
mod durable;
mod http;
mod redact;
mod scope;
mod sink;
// Floor 2: contracts.
mod backend;
mod hook;
mod permission;
pub mod provider;
mod tool;
mod trace;
// Floor 3: machinery.
mod dispatch;
mod registry;
mod transcript;
// Floor 4: engine.
mod agent;
// Floor 5: doors.
mod session;
// Beside the floors: what tests of agents need, on floors 0 to 2.
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "local")]
mod workspace;
// Floor 6: workshops.
#[cfg(feature = "local")]
pub mod tools;
// Floor 9: street.
#[cfg(feature = "cli")]
pub mod cli;

pub use crate::{
    agent::{Agent, AgentBuilder, MAX_CALLS, MAX_CUT_CALLS, MAX_WRONG_STEPS},
    backend::{Backend, Capabilities, Control, Conversation, Grant, Steering, Task, ToolCustody},
    budget::{Budget, Limit, Meter, Spent},
    dispatch::{CANCEL_GRACE, DEFAULT_TOOL_DEADLINE},
    error::{Error, ErrorKind, Result},
    event::{Compaction, Event, EventKind, FORMAT, StopReason},
    hook::{Hook, HookContext, Hooks, Point, Preamble, Verdict},
    http::{MAX_RETRY_AFTER, RetryPolicy},
    id::{AgentId, AgentPath, CallId, SessionId, TurnId},
    kept::{Dialect, Kept},
    message::{
        Content, Media, MediaSource, Message, Note, Outcome, Part, RawJson, Role, Seal, ToolCall,
        ToolResult, Urgency,
    },
    options::{Delivery, Effort, Options},
    permission::{Answer, Asker, Mode, Permissions, Question, Rule, Ruling, Unasked},
    redact::{Redactor, RedactorStream, SecretRefused},
    registry::{Drained, Mailbox, MailboxFull},
    scope::{Receipt, Scope, WaitFor, Waiting},
    session::{
        MAX_CORRECTIONS, OwnedTurn, Session, SessionBuilder, SessionHandle, TurnOutcome, TurnStream,
    },
    sink::{SINK_CAPACITY, Sink, SinkReader},
    spec::{Access, Effect, Lane, ToolSpec},
    tool::{Output, Tool, ToolContext, ToolOutput, ToolSet, TypedTool, tool_fn, typed},
    trace::{Tracer, Tracers},
    transcript::{
        Change, CompactionSettings, Counter, Fill, Repair, Summarising, Thresholds, Transcript,
        Trimming,
    },
    usage::{Cost, Price, Usage},
};

#[cfg(feature = "local")]
pub use crate::{
    trace::JsonLines,
    workspace::{FileFacts, FileKind, WorkError, WorkPath, Workspace},
};
