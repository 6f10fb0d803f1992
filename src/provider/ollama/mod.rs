//! Ollama's own chat API: what can be set, and how one request becomes a stream of deltas.
//! Refuses to pull models or to start a server; it says how.

mod decode;
mod encode;
mod failure;
mod wire;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use futures::TryStreamExt;

use self::decode::Decoder;
use super::{
    Delivery, Deltas, Model, Provider, Request,
    drive::drive,
    endpoint::{Door, Endpoint, Entry},
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Call, Client, Framing, IDLE},
    scope::Scope,
};

/// The vendor's word in models and seals.
const VENDOR: &str = "ollama";

/// The door of their cloud, which wants a key; a server of one's own never does.
const DOOR: Door = Door {
    vendor: "Ollama",
    base_url: "https://ollama.com",
    key_variables: &["OLLAMA_API_KEY"],
    base_variable: "OLLAMA_HOST",
};

/// Where a server listens when nobody says otherwise.
const HERE: &str = "127.0.0.1";
const PORT: &str = "11434";

/// A server may have to read a model of many gigabytes from a disk before it answers.
const FIRST_BYTE: Duration = Duration::from_secs(600);

/// A model that an Ollama runs.
///
/// ```
/// use offshoot::provider::Ollama;
///
/// let model = Ollama::builder("llama3.2").num_ctx(32_768).keep_alive("10m").build().unwrap();
/// # let _ = model;
/// ```
#[derive(Debug)]
pub struct Ollama {
    model: Model,
    endpoint: Endpoint,
    client: Client,
    choices: Choices,
}

/// What can be set on an [`Ollama`].
#[derive(Debug)]
#[must_use]
pub struct OllamaBuilder {
    model: Model,
    entry: Entry,
    choices: Choices,
}

/// The vendor's own options. What a request says of the same thing wins.
#[derive(Clone, Debug, Default, PartialEq)]
struct Choices {
    temperature: Option<f64>,
    num_ctx: Option<u64>,
    num_predict: Option<i64>,
    seed: Option<i64>,
    stop: Vec<String>,
    top_k: Option<u64>,
    top_p: Option<f64>,
    min_p: Option<f64>,
    format: Option<Format>,
    keep_alive: Option<String>,
    think: Option<bool>,
}

/// The shape of every answer.
#[derive(Clone, Debug, PartialEq)]
enum Format {
    Json,
    Schema(serde_json::Value),
}

impl Ollama {
    /// Begins to describe a provider for this model. It reads no environment.
    pub fn builder(model: impl Into<Arc<str>>) -> OllamaBuilder {
        let model = Model::lookup(VENDOR, &model.into());
        // Asked of the server: its own default is smaller, and it drops the start of what does not
        // fit without a word.
        let num_ctx = Some(model.window);
        OllamaBuilder {
            model,
            entry: Entry::default(),
            choices: Choices {
                num_ctx,
                ..Choices::default()
            },
        }
    }

    /// A provider at the address of `OLLAMA_HOST`, or here at the usual port. `OLLAMA_API_KEY` is
    /// sent where it is set; only Ollama's cloud wants one.
    ///
    /// # Errors
    /// `ErrorKind::Config` when the address is none.
    pub fn from_env(model: impl Into<Arc<str>>) -> Result<Self> {
        let mut builder = Self::builder(model);
        builder.entry = Entry::from_env(&DOOR, |name| std::env::var(name).ok());
        builder.build()
    }
}

impl OllamaBuilder {
    /// Where the server listens: a host, a port, both, or a URL, as in `OLLAMA_HOST`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.entry.base_url = Some(url.into());
        self
    }

    /// A key, for Ollama's cloud or a gateway. It is sent in a header and shown nowhere.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.entry.api_key = Some(key.into());
        self
    }

    /// What the model can do, in place of what we know; it also names the model. Its window is
    /// asked of the server, as if by [`num_ctx`](Self::num_ctx).
    pub fn card(mut self, model: Model) -> Self {
        self.choices.num_ctx = Some(model.window);
        self.model = model;
        self
    }

    /// How many tokens the server makes room for. Without this it decides by itself, often for only
    /// 4,096, and silently forgets the start of longer conversations.
    pub fn num_ctx(mut self, tokens: u64) -> Self {
        self.choices.num_ctx = Some(tokens);
        self.model.window = tokens;
        self
    }

    /// Sampling temperature, where a request names none.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.choices.temperature = Some(temperature);
        self
    }

    /// At most so many tokens of answer, where a request names no limit; -1 for no limit.
    pub fn num_predict(mut self, tokens: i64) -> Self {
        self.choices.num_predict = Some(tokens);
        self
    }

    /// The seed of the sampling: the same one gives the same answer.
    pub fn seed(mut self, seed: i64) -> Self {
        self.choices.seed = Some(seed);
        self
    }

    /// Words that end the answer, where a request names none.
    pub fn stop(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.choices.stop = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sample only from so many of the likeliest tokens.
    pub fn top_k(mut self, tokens: u64) -> Self {
        self.choices.top_k = Some(tokens);
        self
    }

    /// Sample only from the likeliest tokens that together have this probability.
    pub fn top_p(mut self, probability: f64) -> Self {
        self.choices.top_p = Some(probability);
        self
    }

    /// Sample only from tokens at least this likely, measured against the likeliest.
    pub fn min_p(mut self, probability: f64) -> Self {
        self.choices.min_p = Some(probability);
        self
    }

    /// Every answer is JSON, where a request has no schema.
    pub fn format_json(mut self) -> Self {
        self.choices.format = Some(Format::Json);
        self
    }

    /// Every answer fits this JSON Schema, where a request has none.
    pub fn format_schema(mut self, schema: serde_json::Value) -> Self {
        self.choices.format = Some(Format::Schema(schema));
        self
    }

    /// How long the model stays loaded: `5m`, `1h30m`, a number of seconds, `-1` for ever, `0` for
    /// not at all.
    pub fn keep_alive(mut self, duration: impl Into<String>) -> Self {
        self.choices.keep_alive = Some(duration.into());
        self
    }

    /// The model thinks first, where a request does not say how hard.
    pub fn think(mut self) -> Self {
        self.choices.think = Some(true);
        self
    }

    /// The model does not think first, where a request does not say how hard.
    pub fn no_think(mut self) -> Self {
        self.choices.think = Some(false);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// `ErrorKind::Config` when the model has no name or something is no number or no address.
    pub fn build(self) -> Result<Ollama> {
        if self.model.name.trim().is_empty() {
            return Err(Error::new(ErrorKind::Config, "the model has no name"));
        }
        let choices = self.choices;
        for (what, number) in [
            ("temperature", choices.temperature),
            ("top_p", choices.top_p),
            ("min_p", choices.min_p),
        ] {
            if number.is_some_and(|number| !number.is_finite()) {
                let message = format!("not a number: `{what}`");
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        let mut entry = self.entry;
        entry.base_url = Some(address(entry.base_url.as_deref().unwrap_or_default()));
        Ok(Ollama {
            model: self.model,
            endpoint: entry.open(&DOOR)?,
            client: Client::shared(),
            choices,
        })
    }
}

/// The address that `OLLAMA_HOST` means: a host, a port, both, a URL, or nothing.
///
/// A URL without a port means its scheme's own, as everywhere; anything else means Ollama's.
pub(super) fn address(host: &str) -> String {
    let host = host.trim().trim_end_matches('/');
    let (scheme, rest, usual) = match host.split_once("://") {
        Some(("https", rest)) => ("https", rest, "443"),
        Some(("http", rest)) => ("http", rest, "80"),
        Some(_) => return host.to_owned(), // for the door to refuse
        None => ("http", host, PORT),
    };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // The colons of a bare IPv6 address are no port.
    let is_bare_six = place.matches(':').count() > 1 && !place.starts_with('[');
    let (name, port) = match place.rsplit_once(':') {
        _ if is_bare_six => (place, usual),
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (place, usual),
    };
    let port = if port.is_empty() { usual } else { port };
    // A server that listens everywhere is asked here.
    let name = match name {
        "" | "0.0.0.0" | "[::]" | "::" => HERE.to_owned(),
        six if is_bare_six => format!("[{six}]"),
        name => name.to_owned(),
    };
    format!("{scheme}://{name}:{port}{path}")
}

impl Ollama {
    fn call(&self, request: &Request<'_>) -> Result<Call> {
        let mut headers = Vec::new();
        if let Some(key) = self.endpoint.key() {
            headers.push(("authorization", format!("Bearer {key}")));
        }
        let options = request.options;
        Ok(Call {
            url: format!("{}/api/chat", self.endpoint.base_url()),
            headers,
            body: encode::body(request, self)?,
            framing: match options.delivery {
                Delivery::Stream => Framing::Lines,
                Delivery::Whole => Framing::Whole,
            },
            first_byte: options.first_byte.unwrap_or(FIRST_BYTE),
            idle: options.idle.unwrap_or(IDLE),
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

impl Provider for Ollama {
    fn model(&self) -> &Model {
        &self.model
    }

    fn stream(&self, request: &Request<'_>, _scope: &Scope) -> Result<Deltas> {
        let deltas = drive(self.client.clone(), self.call(request)?, Decoder::default());
        let hint = Hint {
            model: self.model.name.clone(),
            address: self.endpoint.base_url().to_owned(),
        };
        Ok(Box::pin(deltas.map_err(move |error| hint.add(error))))
    }
}

/// The advice that only this provider can give.
struct Hint {
    model: Arc<str>,
    address: String,
}

impl Hint {
    fn add(&self, error: Error) -> Error {
        let Self { model, address } = self;
        match error.kind() {
            ErrorKind::NotFound => error.with_hint(format!("`ollama pull {model}`")),
            ErrorKind::Connect => error.with_hint(format!(
                "no Ollama runs at {address}: start one with `ollama serve`, or set OLLAMA_HOST"
            )),
            _ => error,
        }
    }
}
