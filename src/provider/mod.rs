//! The contract between the engine and whatever answers as a model.
//! Refuses to retry, to keep history and to know agents: one call of [`Provider::stream`] is one try.

mod anthropic;
#[cfg(test)]
mod assembled;
#[cfg(test)]
mod damage;
mod delta;
mod drive;
mod endpoint;
mod gemini;
mod lenient;
mod model;
mod names;
mod offline;
mod ollama;
mod openai;
mod plainly;
mod previews;
mod prices;
mod profiles;
mod request;
mod schema;
mod splice;
#[cfg(test)]
mod splits;

pub use self::{
    anthropic::{Anthropic, AnthropicBuilder, CachePolicy, Thinking},
    delta::{Delta, Deltas, Stop},
    gemini::{Gemini, GeminiBuilder, Thoughts},
    model::{LongPrice, Model},
    names::{Found, connect, from_env},
    offline::Offline,
    ollama::{Ollama, OllamaBuilder},
    openai::{
        EffortField, Files, Malformed, OpenAi, OpenAiBuilder, OpenAiChat, OpenAiChatBuilder,
        OutputLimit, Quirks, ReasoningReturn, SchemaField, Summary, UsageReport,
    },
    profiles::{Profile, Profiles},
    request::{History, Request},
};

pub use crate::options::{Delivery, Effort, Options};
use crate::{error::Result, scope::Scope};

/// Something that answers as a model.
///
/// The engine calls [`stream`](Provider::stream) once for each try. A provider
///
/// * does **not** retry, fall back or wait between tries: the engine does, where it can tell
///   watchers and can be cancelled. The tempting mistake is a retry "just for connection errors":
///   it hides the wait from budgets and from people;
/// * does **not** keep the conversation: everything is in the [`Request`];
/// * encodes each message once: through [`Kept::encoded`](crate::Kept::encoded), which remembers the bytes;
/// * ends every complete answer with exactly one [`Delta::Stop`]. A stream that ends without one
///   counts as broken off;
/// * skips what it does not understand, and says so with [`Delta::Skipped`].
pub trait Provider: Send + Sync + std::fmt::Debug + 'static {
    /// What the model can do and costs.
    fn model(&self) -> &Model;

    /// Sends one request and streams the answer. Nothing is sent before the first poll.
    ///
    /// The request is encoded before this returns, so the stream borrows nothing.
    /// `scope` is cancelled when the answer is no longer wanted; dropping the stream closes the
    /// connection.
    ///
    /// # Errors
    /// When the request cannot be encoded; everything later comes through the stream.
    fn stream(&self, request: &Request<'_>, scope: &Scope) -> Result<Deltas>;
}
