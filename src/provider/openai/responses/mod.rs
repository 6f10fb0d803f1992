//! OpenAI's Responses API: what can be set, and how one request becomes a stream of deltas.
//! Refuses server-side conversations: nothing is stored there, every request carries its history.

mod decode;
mod encode;
mod ending;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::decode::Decoder;
use super::{Access, Settings, shared_settings};
use crate::{
    error::Result,
    provider::{Deltas, Model, Provider, Request, drive::drive},
    scope::Scope,
};

/// The vendor's word in models, seals and opaque blocks.
const VENDOR: &str = "openai";

/// A model behind OpenAI's Responses API.
///
/// ```
/// use offshoot::provider::OpenAi;
///
/// let model = OpenAi::builder("gpt-5").api_key("sk-1").prompt_cache_key("chat-7").build().unwrap();
/// assert!(!format!("{model:?}").contains("sk-1"));
/// ```
#[derive(Debug)]
pub struct OpenAi {
    access: Access,
    summary: Option<Summary>,
}

/// What can be set on an [`OpenAi`].
#[derive(Debug)]
#[must_use]
pub struct OpenAiBuilder {
    settings: Settings,
    summary: Option<Summary>,
}

/// How much of its reasoning a model retells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Summary {
    /// As much as the model offers.
    Auto,
    /// A little.
    Concise,
    /// A lot.
    Detailed,
}

impl OpenAi {
    /// Begins to describe a provider for this model. It reads no environment.
    pub fn builder(model: impl Into<Arc<str>>) -> OpenAiBuilder {
        OpenAiBuilder {
            settings: Settings::new(VENDOR, model),
            summary: None,
        }
    }

    /// A provider with the key of `OPENAI_API_KEY` and, where it is set, the address of
    /// `OPENAI_BASE_URL`.
    ///
    /// # Errors
    /// `ErrorKind::Auth` when there is no key, `ErrorKind::Config` when the address is none.
    pub fn from_env(model: impl Into<Arc<str>>) -> Result<Self> {
        let mut builder = Self::builder(model);
        builder.settings.read_env();
        builder.build()
    }
}

shared_settings!(OpenAiBuilder);

impl OpenAiBuilder {
    /// Asks models that reason to retell their reasoning. OpenAI wants some organizations to prove
    /// who they are first, so that nothing is asked for by default.
    pub fn reasoning_summary(mut self, summary: Summary) -> Self {
        self.summary = Some(summary);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// `ErrorKind::Auth` when a key is missing or none, `ErrorKind::Config` for the rest.
    pub fn build(self) -> Result<OpenAi> {
        Ok(OpenAi {
            access: self.settings.open()?,
            summary: self.summary,
        })
    }
}

/// The decoder of a streamed answer, for tests that have no server.
#[cfg(test)]
pub(in crate::provider) fn decoder() -> impl crate::provider::drive::Decode {
    Decoder::new(crate::provider::Delivery::Stream)
}

impl Provider for OpenAi {
    fn model(&self) -> &Model {
        &self.access.model
    }

    fn stream(&self, request: &Request<'_>, _scope: &Scope) -> Result<Deltas> {
        let body = encode::body(request, self)?;
        let call = self.access.call("/responses", request, body);
        let decoder = Decoder::new(request.options.delivery);
        Ok(drive(self.access.client.clone(), call, decoder))
    }
}
