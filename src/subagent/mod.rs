//! The door to the agent tree: a tool that opens agents, groups of them, and tools that reach them.
//! Refuses to know which backend answers, and to give a child more than its parent has.
//!
//! # How an agent gets subagents
//!
//! Give it the tools that [`subagents`] makes. A child is an ordinary agent in a scope of its own:
//! it obeys the hooks, rules, budgets and cancels of everything above it, its events appear in the
//! same stream under its own path, and when it ends, all it had started has ended too.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use futures::StreamExt;
//! use offshoot::{Agent, AgentKinds, EventKind, Session, provider::Offline, subagents};
//!
//! let agent = Agent::builder(Offline::new())
//!     .tools(subagents(AgentKinds::builtin()))
//!     .build()?;
//! let mut session = Session::new(agent);
//! let mut turn = session.submit_message("What can you do?");
//! while let Some(event) = turn.next().await {
//!     match event.kind {
//!         EventKind::ChildStart { kind, .. } => println!("{}: a new {kind}", event.agent),
//!         EventKind::ChildEnd { outcome, .. } => println!("{}: {}", event.agent, outcome.as_str()),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), offshoot::Error>(()) }).unwrap();
//! ```

mod agent_tool;
mod child;
mod control;
mod group;
mod kind;
mod open;
mod order;
mod watchdog;
mod words;

use std::sync::Arc;

pub use self::{
    agent_tool::AgentTool,
    child::{Answered, Child},
    group::{AgentGroup, GroupPolicy},
    kind::{AgentKind, AgentKinds},
    open::Refusal,
    order::{DEFAULT_CHILD_DEADLINE, NO_PROGRESS, Order},
    words::MAX_NOTE_TEXT,
};
use crate::tool::Tool;

/// The model's name of the tool that opens agents.
pub const AGENT: &str = "Agent";
const TASK_OUTPUT: &str = "TaskOutput";
const TASK_STOP: &str = "TaskStop";
const SEND_MESSAGE: &str = "SendMessage";
const LIST_AGENTS: &str = "ListAgents";
/// The kind that is meant when none is named.
const GENERAL: &str = "general-purpose";

/// Every tool that an agent needs to have subagents of these kinds: `Agent`, `TaskOutput`,
/// `TaskStop`, `SendMessage`, `ListAgents`.
pub fn subagents(kinds: AgentKinds) -> Vec<Arc<dyn Tool>> {
    let mut tools: Vec<Arc<dyn Tool>> = vec![Arc::new(AgentTool::new(kinds))];
    tools.extend(control::tools());
    tools
}
