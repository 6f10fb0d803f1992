//! What watchers hear of a run: one [`Event`] type, the same for every kind of backend.
//! Refuses vendor words and control flow; hearing an event changes nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::Error,
    id::{AgentPath, CallId, SessionId, TurnId},
    message::Outcome,
    usage::{Cost, Spending, Usage},
};

/// The number of the published event format, in `run_start`.
pub const FORMAT: u32 = 1;

/// One thing that happened, where, and in which order.
///
/// Serialises to one flat JSON object with a snake_case `type`; readers may ignore types that they
/// do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one with each event of a session that a watcher is given.
    pub seq: u64,
    /// Which agent.
    pub agent: AgentPath,
    /// The agent above it; absent for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<AgentPath>,
    /// Which turn of that agent.
    pub turn: TurnId,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// First line of a run's published log.
    RunStart {
        /// The format of all that follows.
        format: u32,
        /// Which session.
        session: SessionId,
        /// Which model, as `vendor/name`.
        model: String,
        /// The version of this crate.
        version: String,
    },
    /// A turn begins.
    TurnStart {
        /// What was asked.
        text: String,
    },
    /// A note from the mailbox was put into the conversation.
    Note {
        /// Who sent it.
        from: String,
        /// What it says.
        text: String,
    },
    /// The model's words, as they come.
    TextDelta {
        /// Which part of the growing message.
        part: u32,
        /// The next piece.
        text: String,
    },
    /// The model's reasoning, as it comes.
    ThinkingDelta {
        /// Which part of the growing message.
        part: u32,
        /// The next piece.
        text: String,
    },
    /// A tool call, as it comes. The arguments are a preview until `tool_start`.
    CallDelta {
        /// Which part of the growing message.
        part: u32,
        /// The tool's name, in the first piece.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The next piece of the arguments.
        arguments: String,
    },
    /// The model's message is complete and in the transcript.
    MessageEnd {
        /// Which model answered, by its own word.
        model: String,
        /// The vendor's own stop word.
        stop: String,
        /// What the call used.
        usage: Usage,
        /// What it cost.
        cost: Cost,
    },
    /// A tool begins.
    ToolStart {
        /// Which call.
        call: CallId,
        /// Which tool.
        name: String,
        /// The arguments it was given.
        input: Value,
    },
    /// A running tool says something.
    ToolUpdate {
        /// Which call.
        call: CallId,
        /// What it says.
        text: String,
    },
    /// A tool ended, in the order they land. The transcript has the results in call order.
    ToolEnd {
        /// Which call.
        call: CallId,
        /// Which tool.
        name: String,
        /// How it ended.
        outcome: Outcome,
        /// What the model will read, as text.
        text: String,
        /// How long it ran.
        millis: u64,
    },
    /// A person is asked; `SessionHandle::answer` with this id answers.
    Approval {
        /// Answer with this.
        id: String,
        /// Which call.
        call: CallId,
        /// Which tool.
        name: String,
        /// The arguments it would be given.
        input: Value,
        /// Why it asks.
        reason: String,
    },
    /// A model call failed and is tried again.
    Retrying {
        /// Which try this was, from 1.
        attempt: u32,
        /// How long it waits first.
        wait_millis: u64,
        /// What went wrong.
        error: String,
    },
    /// A stream broke, or another model takes over: drop what was shown of this message, it begins
    /// again.
    Restarted {
        /// The words that are dropped, maybe none; the log keeps them here.
        dropped: String,
        /// The model that goes on, as `vendor/name`.
        model: String,
        /// What went wrong.
        error: String,
    },
    /// Older history was shortened.
    Compacted {
        /// How.
        how: Compaction,
        /// Tokens before, as counted.
        before: u64,
        /// Tokens after, as counted.
        after: u64,
    },
    /// The part of the request that vendors cache changed between two calls.
    PrefixChanged {
        /// Which segment changed first: `tools` or `system`.
        segment: String,
        /// How many cached tokens are at stake.
        tokens: u64,
    },
    /// Events were dropped because nobody read them between turns. Never lifecycle events.
    Lagged {
        /// How many deltas were dropped.
        dropped: u64,
    },
    /// Something a vendor sent was not understood and skipped.
    Skipped {
        /// The vendor's word for it.
        what: String,
        /// How often in this message.
        count: u64,
    },
    /// A child agent lives: the event's `agent` is its place. Its own events follow.
    ChildStart {
        /// Which kind of agent it is.
        kind: String,
        /// A few words on what it is for.
        description: String,
        /// Whether its parent waits for it.
        ground: Ground,
        /// The call that opened it; absent when the program did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
    },
    /// A child agent has ended, and everything below it. Exactly one for each `child_start`.
    ChildEnd {
        /// How it ended, for whoever asked for it.
        outcome: Outcome,
        /// Its final words, as its parent reads them.
        text: String,
        /// What it used, its own children included.
        usage: Usage,
        /// What it cost, its own children included.
        cost: Cost,
    },
    /// Agents that wait for each other, or one from which nothing comes any more.
    Stalled {
        /// Who is stuck; a ring begins and ends with the same agent.
        agents: Vec<AgentPath>,
        /// What was done about it, and why.
        reason: String,
    },
    /// Mail has come for a root that has no turn; `Session::next_turn` runs one.
    Wake {
        /// How many notes wait.
        notes: u64,
    },
    /// The turn should have waited for these agents and does not: it was cancelled, or a limit was
    /// reached. They live until they end or their session is closed.
    Abandoned {
        /// Who was left.
        agents: Vec<AgentPath>,
    },
    /// The turn is over. Exactly one for each `turn_start`, last.
    TurnEnd {
        /// Why.
        stop: StopReason,
        /// The model's final words.
        text: String,
        /// What was used since the last end of a turn of this agent, children included.
        usage: Usage,
        /// What that cost.
        cost: Cost,
        /// Children that go on in the background.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        children: Vec<AgentPath>,
        /// At the root, who used it: one row an agent; their sum is `usage`. Absent when it was the root
        /// alone.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        spent_by: Vec<Spending>,
    },
}

impl Event {
    /// Whether this ends the turn of the root.
    pub(crate) fn is_root_end(&self) -> bool {
        self.parent.is_none() && matches!(self.kind, EventKind::TurnEnd { .. })
    }
}

impl EventKind {
    /// Whether this is a piece of a growing message, which a later event repeats whole.
    pub fn is_delta(&self) -> bool {
        matches!(
            self,
            Self::TextDelta { .. } | Self::ThinkingDelta { .. } | Self::CallDelta { .. }
        )
    }
}

/// Whether a parent waits for its child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ground {
    /// The call that opened it returns with its words.
    #[default]
    Foreground,
    /// The call returns at once; a note comes when it has ended.
    Background,
}

/// How history was shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Compaction {
    /// Old tool output was cleared.
    Trimmed,
    /// The model wrote a summary that replaces what it summarises.
    Summarised,
}

/// Why a turn ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// The model had nothing more to do.
    Finished,
    /// The model ran into its own output limit, and what it wrote is cut off there.
    Truncated,
    /// Somebody cancelled the turn or dropped its stream.
    Cancelled,
    /// A limit of the budget was reached.
    BudgetSpent {
        /// Which: `turns`, `tokens`, `money`, `time`, …
        limit: String,
    },
    /// The history no longer fits the model, even compacted.
    ContextFull,
    /// The model, a vendor's filter or a hook refused.
    Refused {
        /// Who says so and why.
        reason: String,
    },
    /// Something broke.
    Failed {
        /// What.
        message: String,
        /// What to do about it, where we know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// The error itself, for code that watches in the same process.
        #[serde(skip)]
        error: Option<Error>,
    },
}

impl StopReason {
    /// The failure as an event carries it.
    pub fn failed(error: Error) -> Self {
        Self::Failed {
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
            error: Some(error),
        }
    }

    /// The reason as an error, for callers that wanted a finished turn.
    pub fn into_error(self) -> Error {
        use crate::error::ErrorKind as K;
        match self {
            Self::Failed {
                error: Some(error), ..
            } => error,
            Self::Failed {
                message,
                hint,
                error: None,
            } => {
                let error = Error::new(K::Server, message);
                if let Some(hint) = hint {
                    error.with_hint(hint)
                } else {
                    error
                }
            }
            Self::Finished => Error::new(K::Bug, "the turn finished"),
            Self::Truncated => Error::new(K::Limit, "the answer was cut off at the output limit")
                .with_hint("allow more output tokens"),
            Self::Cancelled => Error::new(K::Cancelled, "the turn was cancelled"),
            Self::BudgetSpent { limit } => {
                Error::new(K::Limit, format!("the budget is spent: `{limit}`"))
            }
            Self::ContextFull => Error::new(K::ContextTooLong, "the history no longer fits"),
            Self::Refused { reason } => {
                Error::new(K::Forbidden, format!("the turn was refused: `{reason}`"))
            }
        }
    }

    /// Whether the turn did what was asked.
    pub fn is_finished(&self) -> bool {
        *self == Self::Finished
    }
}
