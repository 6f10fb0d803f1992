//! What a session log holds: records, each one thing that happened to one agent, as JSON.
//! Refuses to know where they are kept, and to be read as events: those are for watchers.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, Ground, StopReason},
    id::{AgentPath, CallId, SessionId, TurnId},
    message::{Content, Message, Outcome, RawJson, ToolResult},
    spec::Effect,
    usage::{Cost, Usage},
};

/// The number of the log's format, in its first record. A log with a higher one is not written to.
pub const LOG_FORMAT: u32 = 1;

/// Bytes that one record may have; a larger one is refused, and nothing of it is written.
pub const MAX_RECORD: usize = 64 * 1024 * 1024;

/// One thing that happened to one agent of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When, in milliseconds since 1970, by this machine's clock. For people; order is by number.
    pub at: u64,
    /// To which agent.
    pub agent: AgentPath,
    /// In which of its turns.
    pub turn: TurnId,
    /// What happened.
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")] // tagged outside: a tag inside would lose the bytes of RawJson
#[non_exhaustive]
pub enum Body {
    /// The first record of every log.
    Opened {
        /// The format of all that follows.
        format: u32,
        /// Which session.
        session: SessionId,
        /// Which model, as `vendor/name`.
        model: String,
        /// The version of this crate.
        version: String,
    },
    /// A process took the session up again, or a fork begins here.
    Resumed {
        /// The format of all that follows.
        format: u32,
        /// Which model goes on.
        model: String,
        /// The version of this crate.
        version: String,
        /// Records after the last good one, which were set aside.
        #[serde(default, skip_serializing_if = "is_zero")]
        lost: u64,
        /// What was wrong with them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        damage: Option<String>,
        /// Which session this is a fork of, and the last record that both share.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forked: Option<(SessionId, u64)>,
    },
    /// What a user said, as it stands in the conversation.
    User {
        /// The message.
        message: Message,
    },
    /// What the model said, as it stands in the conversation, and what it cost: in one record, so
    /// that nothing is said that was not charged.
    Assistant {
        /// The message.
        message: Message,
        /// Which model answered, by its own word.
        model: String,
        /// The vendor's own stop word.
        stop: String,
        /// Whether its calls are to be run: not those of an answer that was cut off or refused.
        runs: bool,
        /// What the call used; `None` where the vendor's count is not of this message.
        usage: Option<Usage>,
        /// What was charged.
        charged: Usage,
        /// What it cost.
        cost: Cost,
    },
    /// A tool is about to run. Its effect may begin once this is durable, and not before.
    Intent {
        /// Which call.
        call: CallId,
        /// Which tool.
        tool: String,
        /// The arguments it is given.
        input: RawJson,
        /// What a repetition would do.
        effect: LoggedEffect,
    },
    /// A call has its result.
    Result {
        /// The result, as the model reads it.
        result: ToolResult,
        /// How long it ran.
        millis: u64,
    },
    /// A note was put into the conversation; this record is what acknowledges it.
    Note {
        /// Who sent it.
        from: String,
        /// What it says.
        text: String,
        /// As it stands in the conversation.
        message: Message,
    },
    /// A person was asked.
    Asked {
        /// The question's name.
        id: String,
        /// About which call.
        call: CallId,
        /// Which tool.
        tool: String,
        /// The arguments it would be given.
        input: RawJson,
        /// Why it asks.
        reason: String,
    },
    /// A question was answered, or is moot.
    Answered {
        /// The question's name.
        id: String,
        /// About which call.
        call: CallId,
        /// Whether the tool may run.
        allowed: bool,
        /// The arguments that the person put in the place of the model's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<RawJson>,
    },
    /// The content of old tool results was cleared.
    Trimmed {
        /// Of which calls.
        calls: Vec<CallId>,
    },
    /// The history was replaced by a summary.
    Summarised {
        /// The summary.
        text: String,
        /// Whether nobody asked for it.
        automatic: bool,
    },
    /// Something was charged that no message stands for: a broken answer, a summary.
    Charge {
        /// What was used.
        usage: Usage,
        /// What it cost.
        cost: Cost,
    },
    /// A child agent was opened; the record's agent is the child.
    ChildStart {
        /// Which kind of agent.
        kind: String,
        /// A few words on what it is for.
        description: String,
        /// What it was asked.
        prompt: String,
        /// Whether its parent waits for it.
        ground: Ground,
        /// The call that opened it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
        /// Whether that call is this child and nothing else, so that the child may go on for it.
        is_call: bool,
    },
    /// A child agent has ended, and everything below it.
    ChildEnd {
        /// How.
        outcome: Outcome,
        /// Its final words.
        text: String,
        /// What it used, its own children included.
        usage: Usage,
        /// What that cost.
        cost: Cost,
    },
    /// The turn is over.
    TurnEnd {
        /// Why.
        stop: StopReason,
    },
    /// What watchers were told, for replay. Pieces of messages are not kept: the messages are.
    Told(Event),
}

/// An effect class as the log spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoggedEffect {
    /// It changes nothing.
    Pure,
    /// Twice is the same as once.
    Idempotent,
    /// Twice is the same as once when the same key is given.
    Keyed,
    /// It must not be repeated unasked.
    Once,
}

impl From<Effect> for LoggedEffect {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Pure => Self::Pure,
            Effect::Idempotent => Self::Idempotent,
            Effect::Keyed => Self::Keyed,
            Effect::Once => Self::Once,
        }
    }
}

impl LoggedEffect {
    /// Whether a call may run again of which nobody knows how far it came.
    pub fn may_repeat(self) -> bool {
        self != Self::Once
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Record {
    /// A record of now.
    pub fn now(agent: AgentPath, turn: TurnId, body: Body) -> Self {
        let at = now_millis();
        Self {
            at,
            agent,
            turn,
            body,
        }
    }

    /// As it is kept.
    ///
    /// # Errors
    /// When it is larger than [`MAX_RECORD`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Bug, "a record cannot be written as JSON").with_source(error)
        })?;
        if bytes.len() > MAX_RECORD {
            let text = format!(
                "a record is larger than the limit: `{}` of `{MAX_RECORD}` bytes",
                bytes.len()
            );
            return Err(Error::new(ErrorKind::Limit, text));
        }
        Ok(bytes)
    }

    /// The same without what makes it too large, where it can do without: a result whose content
    /// cannot be kept says so.
    pub(super) fn without_content(&self) -> Option<Self> {
        let Body::Result { result, millis } = &self.body else {
            return None;
        };
        let text = format!("(The result was too large to be kept: more than {MAX_RECORD} bytes.)");
        let result = ToolResult {
            content: vec![Content::Text(text)],
            ..result.clone()
        };
        let millis = *millis;
        Some(Self {
            body: Body::Result { result, millis },
            ..self.clone()
        })
    }

    /// From how it is kept.
    ///
    /// # Errors
    /// When it is no record of this format.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| {
            Error::new(
                ErrorKind::Corrupt,
                format!("a record cannot be read: `{error}`"),
            )
        })
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}
