//! The conversation, free of any vendor: messages, their parts, tool calls and their results.
//! Refuses to know how a vendor spells them; each vendor's folder converts in one file each way.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::id::CallId;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A person, or a note delivered to the agent.
    User,
    /// The model.
    Assistant,
    /// The tools: one message holds every result of the assistant message before it, in call order.
    Tool,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
}

impl Message {
    /// A user's words.
    ///
    /// ```
    /// use offshoot::Message;
    /// assert_eq!(Message::user("hello").text(), "hello");
    /// ```
    pub fn user(text: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            parts: vec![Part::text(text)],
        }
    }

    /// A user's message of several parts, such as a question with a picture.
    pub fn user_parts(parts: Vec<Part>) -> Self {
        Self {
            role: Role::User,
            parts,
        }
    }

    /// A model's words.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            parts: vec![Part::text(text)],
        }
    }

    /// The message that answers every call of the assistant message before it.
    pub fn results(results: Vec<ToolResult>) -> Self {
        Self {
            role: Role::Tool,
            parts: results.into_iter().map(Part::Result).collect(),
        }
    }

    /// All text parts, joined.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for part in &self.parts {
            if let Part::Text { text, .. } = part {
                out.push_str(text);
            }
        }
        out
    }

    /// The tool calls, in order.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::Call(call) => Some(call),
            _ => None,
        })
    }

    /// The tool results, in order.
    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.parts.iter().filter_map(|part| match part {
            Part::Result(result) => Some(result),
            _ => None,
        })
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::user(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::user(text)
    }
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")] // tagged outside: a tag inside would lose the bytes of RawJson
#[non_exhaustive]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
        /// What the vendor wants back with them, unread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seal: Option<Seal>,
    },
    /// A picture or a document.
    Media(Media),
    /// The model's reasoning, kept byte for byte and never edited.
    Reasoning {
        /// The readable part; may be empty.
        text: String,
        /// What the vendor wants back with it, unread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seal: Option<Seal>,
    },
    /// The model asks for a tool.
    Call(ToolCall),
    /// A tool's answer. Only in messages of [`Role::Tool`].
    Result(ToolResult),
    /// A vendor's block that we do not understand and hand back unchanged to that vendor only.
    Opaque {
        /// Whose block it is.
        vendor: Arc<str>,
        /// The block, byte for byte.
        json: RawJson,
    },
}

impl Part {
    /// Plain words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            seal: None,
        }
    }
}

/// An opaque value that a vendor attaches to a part and wants back with it: a signature, an
/// encrypted reasoning item, a thought signature. Sent only to the vendor that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Whose seal it is.
    pub vendor: Arc<str>,
    /// The value, byte for byte.
    pub value: String,
}

/// A picture or a document in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Such as `image/png` or `application/pdf`.
    pub mime: String,
    /// Where the bytes are.
    pub source: MediaSource,
    /// A file name to show, where the vendor takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Where the bytes of a [`Media`] are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaSource {
    /// Here, in base64 (standard alphabet, padded).
    Base64(Arc<str>),
    /// At an address that the vendor fetches.
    Url(String),
}

impl Media {
    /// Media from bytes in memory.
    pub fn bytes(mime: impl Into<String>, bytes: &[u8]) -> Self {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let source = MediaSource::Base64(STANDARD.encode(bytes).into());
        Self {
            mime: mime.into(),
            source,
            name: None,
        }
    }

    /// Media at an address that the vendor can reach.
    pub fn url(mime: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            mime: mime.into(),
            source: MediaSource::Url(url.into()),
            name: None,
        }
    }

    /// Whether this is a picture, rather than a document.
    pub fn is_image(&self) -> bool {
        self.mime.starts_with("image/")
    }
}

/// The model asks for one tool to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Pairs the call with its result; unique within its message.
    pub id: CallId,
    /// Which tool.
    pub name: String,
    /// The arguments: always a valid JSON object.
    pub input: RawJson,
    /// The arguments as they came, where they were not a JSON object (`input` is then `{}`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malformed: Option<String>,
    /// What the vendor wants back with the call, unread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

impl ToolCall {
    /// A call whose arguments are the text of a JSON object; anything else is kept as `malformed`.
    pub fn new(id: CallId, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        let arguments = arguments.into();
        let name = name.into();
        if arguments.trim().is_empty() {
            return Self {
                id,
                name,
                input: RawJson::empty_object(),
                malformed: None,
                seal: None,
            };
        }
        match RawJson::object(&arguments) {
            Some(input) => Self {
                id,
                name,
                input,
                malformed: None,
                seal: None,
            },
            None => {
                let input = RawJson::empty_object();
                Self {
                    id,
                    name,
                    input,
                    malformed: Some(arguments),
                    seal: None,
                }
            }
        }
    }
}

/// How a tool call ended. The same word for the model, hooks, the log and telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what was asked.
    Ok,
    /// It ran, or was asked wrongly, and says what went wrong.
    Failed,
    /// A rule, a hook or a person said no. It did not run.
    Denied,
    /// The turn ended before it could start. It did not run.
    NeverStarted,
    /// It was stopped while running; the content holds what it had written so far.
    Interrupted,
    /// It ran past its deadline; the content holds what it had written so far.
    TimedOut,
}

impl Outcome {
    /// Whether the model should read the content as an error.
    pub fn is_error(self) -> bool {
        self != Self::Ok
    }

    /// The word, as it stands in logs and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::NeverStarted => "never_started",
            Self::Interrupted => "interrupted",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The answer to one [`ToolCall`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// Which call this answers.
    pub call: CallId,
    /// The tool's name; some vendors pair by it.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What the model reads.
    pub content: Vec<Content>,
}

impl ToolResult {
    /// An answer of plain text.
    pub fn text(call: &ToolCall, outcome: Outcome, text: impl Into<String>) -> Self {
        let content = vec![Content::Text(text.into())];
        Self {
            call: call.id.clone(),
            name: call.name.clone(),
            outcome,
            content,
        }
    }

    /// All text in the content, joined.
    pub fn joined_text(&self) -> String {
        let mut out = String::new();
        for content in &self.content {
            if let Content::Text(text) = content {
                out.push_str(text);
            }
        }
        out
    }
}

/// What a tool hands back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// Words.
    Text(String),
    /// A picture or a document.
    Media(Media),
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// What somebody tells an agent while it works or waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who says it: a person, an agent, a timer.
    pub from: String,
    /// What is said.
    pub text: String,
    /// How soon it wants to be heard.
    pub urgency: Urgency,
}

impl Note {
    /// The sender of what a person says: it reaches the model as it is, in no frame.
    pub const PERSON: &'static str = "user";
}

/// How soon a [`Note`] wants to be heard. Later words are less urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// At once: what the agent is doing is broken off.
    Interrupt,
    /// Before the next call of the model.
    NextStep,
    /// When the agent has nothing else to do.
    WhenIdle,
}

/// A JSON text, kept byte for byte and cheap to clone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Arc<RawValue>);

impl RawJson {
    /// `{}`.
    pub fn empty_object() -> Self {
        Self::parse("{}").expect("{} is JSON")
    }

    /// Any JSON text; `None` when it is not JSON. White space around it is dropped.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str::<Box<RawValue>>(text)
            .ok()
            .map(|raw| Self(raw.into()))
    }

    /// The text of a JSON object; `None` when it is anything else.
    pub fn object(text: &str) -> Option<Self> {
        Self::parse(text).filter(|raw| raw.as_str().starts_with('{'))
    }

    /// The JSON form of any serialisable value; `None` when it has none.
    pub fn of(value: &impl Serialize) -> Option<Self> {
        serde_json::value::to_raw_value(value)
            .ok()
            .map(|raw| Self(raw.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for RawJson {}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_always_an_object() {
        let call = |text: &str| ToolCall::new(CallId::new("c"), "t", text);
        assert_eq!(call("").input.as_str(), "{}");
        assert_eq!(call(" {\"a\": 1}").input.as_str(), "{\"a\": 1}");
        for bad in ["{\"a\":", "[1]", "1", "{} extra", "null"] {
            assert_eq!(call(bad).malformed.as_deref(), Some(bad));
            assert_eq!(call(bad).input.as_str(), "{}");
        }
    }

    #[test]
    fn messages_survive_a_round_trip() {
        let message = Message {
            role: Role::Assistant,
            parts: vec![
                Part::Reasoning {
                    text: "hm".into(),
                    seal: Some(Seal {
                        vendor: "v".into(),
                        value: "x".into(),
                    }),
                },
                Part::text("hi"),
                Part::Call(ToolCall::new(CallId::new("1"), "Read", "{\"p\" : 1.0}")),
                Part::Opaque {
                    vendor: "v".into(),
                    json: RawJson::parse("{\"z\":1e2}").unwrap(),
                },
            ],
        };
        let text = serde_json::to_string(&message).unwrap();
        assert!(
            text.contains("{\"p\" : 1.0}"),
            "arguments keep their bytes: {text}"
        );
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
    }
}
