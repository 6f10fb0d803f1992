//! Google's Gemini API: what can be set, and how one request becomes a stream of deltas.
//! Refuses retries, prices and conversations; those belong to the engine.

mod decode;
mod encode;
mod failure;
mod thinking;
mod wire;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

use self::decode::Decoder;
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

/// The vendor's word in models, seals and opaque parts.
const VENDOR: &str = "gemini";

const DOOR: Door = Door {
    vendor: "Gemini",
    base_url: "https://generativelanguage.googleapis.com",
    key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    base_variable: "GOOGLE_GEMINI_BASE_URL",
};

/// How long an answer that comes all at once may take to begin.
const WHOLE_FIRST_BYTE: Duration = Duration::from_secs(600);

/// A model of Google's, or of anybody who speaks the Gemini API.
///
/// ```
/// use offshoot::provider::Gemini;
///
/// let model = Gemini::builder("gemini-2.5-flash").api_key("AIza-1").build().unwrap();
/// assert!(!format!("{model:?}").contains("AIza-1"));
/// ```
#[derive(Debug)]
pub struct Gemini {
    model: Model,
    endpoint: Endpoint,
    choices: Choices,
}

/// What can be set on a [`Gemini`].
#[derive(Debug)]
#[must_use]
pub struct GeminiBuilder {
    model: Model,
    entry: Entry,
    choices: Choices,
}

#[derive(Clone, Default)]
struct Choices {
    thoughts: Thoughts,
    headers: Vec<(&'static str, String)>,
}

/// Whether the model's summaries of its reasoning come with the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thoughts {
    /// They come, where the model thinks.
    #[default]
    Shown,
    /// They stay with the vendor.
    Hidden,
}

impl Gemini {
    /// Begins to describe a provider for this model. It reads no environment.
    pub fn builder(model: impl Into<Arc<str>>) -> GeminiBuilder {
        GeminiBuilder {
            model: Model::lookup(VENDOR, &model.into()),
            entry: Entry::default(),
            choices: Choices::default(),
        }
    }

    /// A provider with the key of `GEMINI_API_KEY` or `GOOGLE_API_KEY` and, where it is set, the
    /// address of `GOOGLE_GEMINI_BASE_URL`.
    ///
    /// # Errors
    /// `ErrorKind::Auth` when there is no key, `ErrorKind::Config` when the address is none.
    pub fn from_env(model: impl Into<Arc<str>>) -> Result<Self> {
        let mut builder = Self::builder(model);
        builder.entry = Entry::from_env(&DOOR, |name| std::env::var(name).ok());
        builder.build()
    }
}

impl GeminiBuilder {
    /// Another address than Google's own. With it the key becomes optional.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.entry.base_url = Some(url.into());
        self
    }

    /// The key. It is sent in a header, never in the address, and shown nowhere.
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

    /// Whether summaries of the reasoning come with the answer.
    pub fn thoughts(mut self, thoughts: Thoughts) -> Self {
        self.choices.thoughts = thoughts;
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
    pub fn build(self) -> Result<Gemini> {
        let name = &*self.model.name;
        // The name stands in the address, where other characters would mean something.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '@' | '/');
        if name.is_empty() || !name.chars().all(plain) || name.contains("..") {
            let message = format!("not a model's name: `{name}`");
            return Err(Error::new(ErrorKind::Config, message)
                .with_hint("a name looks like `gemini-2.5-flash` or `tunedModels/mine`"));
        }
        Ok(Gemini {
            endpoint: self.entry.open(&DOOR)?,
            model: self.model,
            choices: self.choices,
        })
    }
}

impl Gemini {
    fn call(&self, request: &Request<'_>) -> Result<Call> {
        let name = &*self.model.name;
        let limits = (name, self.model.max_output);
        let body = encode::body(request, limits, self.choices.thoughts)?;
        let mut headers = Vec::with_capacity(1 + self.choices.headers.len());
        if let Some(key) = self.endpoint.key() {
            headers.push(("x-goog-api-key", key.to_owned()));
        }
        headers.extend(self.choices.headers.iter().cloned());
        let base_url = self.endpoint.base_url();
        let base_url = base_url.strip_suffix("/v1beta").unwrap_or(base_url);
        let place = if name.contains('/') { "" } else { "models/" };
        let (verb, framing, first_byte) = match request.options.delivery {
            Delivery::Stream => ("streamGenerateContent?alt=sse", Framing::Sse, FIRST_BYTE),
            Delivery::Whole => ("generateContent", Framing::Whole, WHOLE_FIRST_BYTE),
        };
        Ok(Call {
            url: format!("{base_url}/v1beta/{place}{name}:{verb}"),
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

impl Provider for Gemini {
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
            .field("thoughts", &self.thoughts)
            .field("headers", &names)
            .finish()
    }
}
