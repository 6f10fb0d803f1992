//! OpenAI's Chat Completions API and its many compatibles: what can be set, and how to ask.
//! Refuses to know servers by name: how they differ is data, in `quirks`.

mod calls;
mod decode;
mod encode;
mod quirks;
mod shape;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::quirks::{
    EffortField, Files, Malformed, OutputLimit, Quirks, ReasoningReturn, SchemaField, UsageReport,
};

use self::decode::Decoder;
use super::{Access, Settings, shared_settings};
use crate::{
    error::Result,
    provider::{Deltas, Model, Provider, Request, drive::drive},
    scope::Scope,
};

/// The vendor's word in models and seals.
const VENDOR: &str = "openai-chat";

/// A model behind the Chat Completions API of OpenAI, vLLM, llama.cpp, OpenRouter, LiteLLM, …
///
/// ```
/// use offshoot::provider::{OpenAiChat, Quirks};
///
/// let local = OpenAiChat::builder("qwen3").base_url("http://127.0.0.1:8080").quirks(Quirks::llama_cpp());
/// assert!(local.build().is_ok(), "a server of one's own needs no key");
/// assert!(OpenAiChat::builder("gpt-5").build().is_err(), "OpenAI does");
/// ```
#[derive(Debug)]
pub struct OpenAiChat {
    access: Access,
    quirks: Quirks,
}

/// What can be set on an [`OpenAiChat`].
#[derive(Debug)]
#[must_use]
pub struct OpenAiChatBuilder {
    settings: Settings,
    quirks: Option<Quirks>,
}

impl OpenAiChat {
    /// Begins to describe a provider for this model. It reads no environment.
    pub fn builder(model: impl Into<Arc<str>>) -> OpenAiChatBuilder {
        OpenAiChatBuilder {
            settings: Settings::new(VENDOR, model),
            quirks: None,
        }
    }

    /// A provider with the key of `OPENAI_API_KEY` and the address of `OPENAI_BASE_URL`, where they
    /// are set. With an address of one's own the key is optional.
    ///
    /// # Errors
    /// `ErrorKind::Auth` when there is no key for OpenAI, `ErrorKind::Config` when the address is
    /// none.
    pub fn from_env(model: impl Into<Arc<str>>) -> Result<Self> {
        let mut builder = Self::builder(model);
        builder.settings.read_env();
        builder.build()
    }
}

shared_settings!(OpenAiChatBuilder);

impl OpenAiChatBuilder {
    /// How the server differs from OpenAI. Without this the address decides.
    pub fn quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = Some(quirks);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// `ErrorKind::Auth` when a key is missing or none, `ErrorKind::Config` for the rest.
    pub fn build(self) -> Result<OpenAiChat> {
        let guessed = Quirks::guess(self.settings.entry.base_url.as_deref());
        Ok(OpenAiChat {
            access: self.settings.open()?,
            quirks: self.quirks.unwrap_or(guessed),
        })
    }
}

/// The decoder of a streamed answer, for tests that have no server.
#[cfg(test)]
pub(in crate::provider) fn decoder() -> impl crate::provider::drive::Decode {
    Decoder::new(crate::provider::Delivery::Stream)
}

impl Provider for OpenAiChat {
    fn model(&self) -> &Model {
        &self.access.model
    }

    fn stream(&self, request: &Request<'_>, _scope: &Scope) -> Result<Deltas> {
        let body = encode::body(request, self)?;
        let call = self.access.call("/chat/completions", request, body);
        let decoder = Decoder::new(request.options.delivery);
        Ok(drive(self.access.client.clone(), call, decoder))
    }
}
