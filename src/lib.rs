//! A native multi-agent runtime: whatever turns a task into a stream of events is an agent.
//!
//! A [`Session`] holds one conversation with an [`Agent`], which is a model, its tools, and the
//! rules they live under. Each message that is submitted becomes a turn, and a turn is a stream of
//! [`Event`]s with exactly one end. The loop calls model vendors directly, tells what they say as it
//! comes, runs the tools they ask for, and stops when it is told to.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use futures::StreamExt;
//! use offshoot::{Agent, EventKind, Session, provider, tool_fn};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Shout {
//!     /// What to say louder.
//!     text: String,
//! }
//!
//! let shout = tool_fn("shout", "Says it louder", |args: Shout| async move {
//!     args.text.to_uppercase()
//! });
//! // Or `anthropic/claude-sonnet-4-5`, or whatever `provider::from_env()` finds here.
//! let model = provider::connect("offline")?;
//! let agent = Agent::builder_for(model).system("Be brief.").tool(shout).build()?;
//!
//! let mut session = Session::new(agent);
//! let mut turn = session.submit_message("What can you do?");
//! while let Some(event) = turn.next().await {
//!     match event.kind {
//!         EventKind::TextDelta { text, .. } => print!("{text}"),
//!         EventKind::ToolEnd { name, outcome, .. } => println!("[{name}: {}]", outcome.as_str()),
//!         EventKind::TurnEnd { stop, usage, .. } => {
//!             assert!(stop.is_finished());
//!             println!("\n{} tokens", usage.total());
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok::<(), offshoot::Error>(()) }).unwrap();
//! ```
//!
//! The turn runs while its stream is polled, so a slow watcher slows it down and none of it is
//! lost. Dropping the stream cancels the turn, and the next message works.
//!
//! # What lives where
//!
//! | for | see |
//! |---|---|
//! | holding a conversation | [`Session`], [`TurnStream`], [`OwnedTurn`] for servers, [`SessionHandle`] to cancel, steer and answer from elsewhere |
//! | an answer of a given type | [`Session::ask`] |
//! | putting an agent together | [`Agent::builder`], [`AgentBuilder`] |
//! | choosing a model | [`provider`]: `connect` by name, `from_env`, or a vendor's own builder |
//! | writing a tool | [`TypedTool`], or [`tool_fn`] for a closure; `tools` holds the built-in ones |
//! | deciding what may run | [`Permissions`], [`Asker`] |
//! | changing or refusing a step | [`Hook`]; `CommandHook` for external commands |
//! | rules, hooks and kinds of agents from files | `settings` |
//! | starting programs that end with their scope | `process` |
//! | hearing everything | [`Tracer`]; `JsonLines` writes it to a file |
//! | limits on steps, tokens, money and time | [`Budget`] |
//! | keeping sessions, going on after a death, forks | [`store`], [`SessionBuilder::store`], [`SessionBuilder::resume`] |
//! | long conversations | [`CompactionSettings`]; [`Transcript`] is the history itself |
//! | failures and what to do about them | [`Error`], [`ErrorKind`], [`StopReason`] |
//! | another kind of agent behind the same session | [`Backend`], [`Conversation`], [`Grant`] |
//! | stopping whatever lives | [`Scope`], which is also what tools are given to listen to |
//! | testing agents without a vendor | `testing`: a scripted model, a recorder, a model server |
//!
//! Names of everyday use stand here at the top; what belongs to one vendor, to the built-in tools or
//! to tests stays in its module.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `rustls` | yes | TLS; without it only `http://` addresses work |
//! | `tiktoken` | yes | exact token counts for OpenAI's models; without it they are estimated |
//! | `local` | yes | the disk and programs: `tools`, `Workspace`, `settings`, `process`, `JsonLines`; without it the crate can touch neither |
//! | `sqlite` | no | `store::SqliteStore`, which keeps session logs in a file; SQLite is compiled in |
//! | `cli` | no | the `offshoot` command, as the module `cli` and as a program |
//! | `testing` | no | the module `testing` |
//! | `full` | no | all of these |

#![warn(clippy::print_stdout, clippy::print_stderr)]

// Floor 0: words.
mod environment;
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
#[cfg(feature = "local")]
pub mod process;
mod redact;
mod registry;
mod schema;
mod scope;
mod sink;
// Floor 2: contracts.
mod hook;
mod permission;
pub mod provider;
pub mod store;
mod tool;
mod trace;
// Floor 3: the landing.
mod backend;
// Floor 4: machinery.
mod dispatch;
#[cfg(feature = "local")]
pub mod settings;
mod transcript;
#[cfg(feature = "local")]
mod workspace;
// Floor 5: engine.
mod agent;
// Floor 6: doors.
mod session;
mod subagent;
// Floor 7: workshops.
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "local")]
pub mod tools;
// Floor 9: street.
#[cfg(feature = "cli")]
pub mod cli;

/// The examples of the README, compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use crate::{
    agent::{Agent, AgentBuilder, MAX_CALLS, MAX_CUT_CALLS, MAX_WRONG_STEPS},
    backend::{
        Backend, Capabilities, Control, Conversation, Grant, OnChildren, Selection, Shape,
        Steering, Task, ToolCustody,
    },
    budget::{Budget, Limit, MAX_LEDGER_ROWS, MORE, Meter, Place, ProcessSlot, Spent},
    dispatch::{CANCEL_GRACE, DEFAULT_TOOL_DEADLINE, TREE_GRACE},
    environment::Environment,
    error::{Error, ErrorKind, Result},
    event::{Compaction, Event, EventKind, FORMAT, Ground, StopReason},
    hook::{ChildEnd, Hook, HookContext, Hooks, Point, Preamble, Spawn, Verdict},
    http::{MAX_RETRY_AFTER, RetryPolicy},
    id::{AgentId, AgentPath, CallId, SessionId, TurnId},
    kept::{Dialect, Kept},
    message::{
        Content, Media, MediaSource, Message, Note, Outcome, Part, RawJson, Role, Seal, ToolCall,
        ToolResult, Urgency,
    },
    options::{Delivery, Effort, Options},
    permission::{
        Answer, Approvals, Asker, Mode, Paths, Pending, Permissions, Question, Rule, Rulebook,
        Ruling, Unasked,
    },
    redact::{Redactor, RedactorStream, SecretRefused},
    registry::{
        AgentChange, AgentRegistry, AgentRow, AgentState, Contact, Desk, Drained, Ended, Mailbox,
        MailboxFull, Newcomer, NoteState, Reached, RegistryWatch, Seat, Stalled, Ticket, Tombstone,
        WaitOn, Why,
    },
    scope::{Occupied, Phase, Receipt, Scope, Stopped, WaitFor, Waiting},
    session::{
        EventWatch, MAX_CORRECTIONS, MAX_WATCH, OwnedTurn, Session, SessionBuilder, SessionHandle,
        TurnOutcome, TurnStream, WATCH_CAPACITY,
    },
    sink::{SINK_CAPACITY, Sink},
    spec::{Access, Effect, Lane, Reach, ToolSpec},
    subagent::{
        AGENT, AgentGroup, AgentKind, AgentKinds, AgentTool, Answered, Child,
        DEFAULT_CHILD_DEADLINE, GroupPolicy, MAX_NOTE_TEXT, NO_PROGRESS, Order, Refusal, subagents,
    },
    tool::{Output, Tool, ToolContext, ToolOutput, ToolSet, TypedTool, tool_fn, typed},
    trace::{Tracer, Tracers},
    transcript::{
        Change, CompactionSettings, Counter, Fill, Repair, Summarising, Thresholds, Transcript,
        Trimming,
    },
    usage::{Cost, Left, Price, Spending, Usage},
};

#[cfg(feature = "local")]
pub use crate::{
    hook::{CommandHook, MAX_HOOK_OUTPUT, command_hooks},
    trace::JsonLines,
    workspace::{FileFacts, FileKind, WorkError, WorkPath, Workspace},
};
