//! Anthropic's Messages API: what can be set, and how one request becomes a stream of deltas.
//! Refuses retries, prices and conversations; those belong to the engine.

mod decode;
mod encode;
mod failure;
mod thinking;
mod usual;
mod verbatim;
mod wire;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use self::{decode::Decoder, encode::Settings};
use super::{
    Delivery, Deltas, Model, Provider, Request,
    drive::drive,
    endpoint::{Door, Endpoint, Entry},
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Call, Client, FIRST_BYTE, Framing, IDLE},
    scope::Scope,
};

/// The vendor's word in models, seals and opaque blocks.
const VENDOR: &str = "anthropic";

const DOOR: Door = Door {
    vendor: "Anthropic",
    base_url: "https://api.anthropic.com",
    key_variables: &["ANTHROPIC_API_KEY"],
    base_variable: "ANTHROPIC_BASE_URL",
};

/// The version of the API that this folder speaks.
const VERSION: &str = "2023-06-01";

/// How long an answer that comes all at once may take to begin.
const WHOLE_FIRST_BYTE: Duration = Duration::from_secs(600);

/// A model of Anthropic's, or of anybody who speaks the Messages API.
///
/// ```
/// use offshoot::provider::Anthropic;
///
/// let model = Anthropic::builder("claude-sonnet-4-5").api_key("sk-…").build();
/// assert!(model.is_err(), "a key has no such characters");
/// let model = Anthropic::builder("claude-sonnet-4-5").api_key("sk-ant-1").build().unwrap();
/// assert!(!format!("{model:?}").contains("sk-ant-1"));
/// ```
#[derive(Debug)]
pub struct Anthropic {
    model: Model,
    endpoint: Endpoint,
    choices: Choices,
}

/// What can be set on an [`Anthropic`].
#[derive(Debug)]
#[must_use]
pub struct AnthropicBuilder {
    model: Model,
    entry: Entry,
    choices: Choices,
}

#[derive(Clone, Default)]
struct Choices {
    cache: CachePolicy,
    thinking: Thinking,
    betas: Vec<String>,
    headers: Vec<(&'static str, String)>,
}

/// Whether the vendor is asked to keep the start of the conversation.
///
/// Reading from the cache costs a tenth, writing to it a quarter more (for an hour: twice as much).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CachePolicy {
    /// Never.
    Off,
    /// For five minutes after its last use. Right for nearly every agent.
    #[default]
    FiveMinutes,
    /// For an hour: when people think for longer than five minutes between turns.
    OneHour,
}

/// Whether the model thinks before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Thinking {
    /// As [`Options::effort`](super::Options) says, in the way that the model's family knows:
    /// adaptive, by a budget, or not at all.
    #[default]
    ByEffort,
    /// As much as the model finds right. Only newer models know this.
    Adaptive,
    /// At most so many tokens; at least 1,024. Only older models know this.
    Budget(u64),
    /// Never.
    Off,
}

impl Anthropic {
    /// Begins to describe a provider for this model. It reads no environment.
    pub fn builder(model: impl Into<Arc<str>>) -> AnthropicBuilder {
        AnthropicBuilder {
            model: Model::lookup(VENDOR, &model.into()),
            entry: Entry::default(),
            choices: Choices::default(),
        }
    }

    /// A provider with the key of `ANTHROPIC_API_KEY` and, where it is set, the address of
    /// `ANTHROPIC_BASE_URL`.
    ///
    /// # Errors
    /// `ErrorKind::Auth` when there is no key, `ErrorKind::Config` when the address is none.
    pub fn from_env(model: impl Into<Arc<str>>) -> Result<Self> {
        let mut builder = Self::builder(model);
        builder.entry = Entry::from_env(&DOOR, |name| std::env::var(name).ok());
        builder.build()
    }
}

impl AnthropicBuilder {
    /// Another address than Anthropic's own. With it the key becomes optional.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.entry.base_url = Some(url.into());
        self
    }

    /// The key. It is sent in a header and shown nowhere.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.entry.api_key = Some(key.into());
        self
    }

    /// What the model can do and costs, in place of what we know; it also names the model.
    pub fn card(mut self, model: Model) -> Self {
        self.model = model;
        self
    }

    /// The model's limits, where they differ from what we know: tokens that fit, and tokens of one
    /// answer.
    pub fn model_limits(mut self, window: u64, max_output: u64) -> Self {
        self.model.window = window;
        self.model.max_output = max_output;
        self
    }

    /// Whether the vendor keeps the start of the conversation.
    pub fn cache(mut self, policy: CachePolicy) -> Self {
        self.choices.cache = policy;
        self
    }

    /// Whether the model thinks. While it does, the vendor takes no temperature, and none is sent.
    pub fn thinking(mut self, thinking: Thinking) -> Self {
        self.choices.thinking = thinking;
        self
    }

    /// A beta feature to switch on, by its `anthropic-beta` word.
    pub fn beta(mut self, word: impl Into<String>) -> Self {
        self.choices.betas.push(word.into());
        self
    }

    /// One more header, such as a gateway's own authorization. Its value is shown nowhere.
    pub fn extra_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.choices.headers.push((name, value.into()));
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// `ErrorKind::Auth` when a key is missing or none, `ErrorKind::Config` for the rest.
    pub fn build(self) -> Result<Anthropic> {
        if self.model.name.trim().is_empty() {
            return Err(Error::new(ErrorKind::Config, "the model has no name"));
        }
        Ok(Anthropic {
            endpoint: self.entry.open(&DOOR)?,
            model: self.model,
            choices: self.choices,
        })
    }
}

impl Anthropic {
    fn call(&self, request: &Request<'_>) -> Result<Call> {
        let settings = Settings {
            model: &self.model,
            cache: self.choices.cache,
            thinking: self.choices.thinking,
        };
        let body = encode::body(request, &settings)?;
        let base_url = self.endpoint.base_url();
        let base_url = base_url.strip_suffix("/v1").unwrap_or(base_url);
        let mut headers = vec![("anthropic-version", VERSION.to_owned())];
        if let Some(key) = self.endpoint.key() {
            headers.push(("x-api-key", key.to_owned()));
        }
        if !self.choices.betas.is_empty() {
            headers.push(("anthropic-beta", self.choices.betas.join(",")));
        }
        headers.extend(self.choices.headers.iter().cloned());
        let (framing, first_byte) = match request.options.delivery {
            Delivery::Stream => (Framing::Sse, FIRST_BYTE),
            Delivery::Whole => (Framing::Whole, WHOLE_FIRST_BYTE),
        };
        Ok(Call {
            url: [base_url, "/v1/messages"].concat(),
            headers,
            body,
            framing,
            first_byte: request.options.first_byte.unwrap_or(first_byte),
            idle: request.options.idle.unwrap_or(IDLE),
            classify: failure::of_reply,
            account: self.endpoint.account(),
        })
    }
}

/// The decoder of a streamed answer, for tests that have no server.
#[cfg(test)]
pub(super) fn decoder() -> impl super::drive::Decode {
    Decoder::default()
}

impl Provider for Anthropic {
    fn model(&self) -> &Model {
        &self.model
    }

    fn stream(&self, request: &Request<'_>, _scope: &Scope) -> Result<Deltas> {
        let call = self.call(request)?;
        // Only here, so that building a provider sets up no TLS.
        Ok(drive(Client::shared(), call, Decoder::default()))
    }
}

impl fmt::Debug for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Choices")
            .field("cache", &self.cache)
            .field("thinking", &self.thinking)
            .field("betas", &self.betas)
            .field("headers", &names)
            .finish()
    }
}
