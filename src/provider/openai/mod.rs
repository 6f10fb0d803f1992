//! OpenAI's two APIs, and what their settings have in common: door, key, headers, cache key.
//! Refuses to mix the two: each folder below encodes and decodes for itself.

mod chat;
mod failure;
mod reasoning;
mod responses;
mod strict;

use std::{fmt, sync::Arc, time::Duration};

#[cfg(test)]
pub(super) use self::{chat::decoder as chat_decoder, responses::decoder as responses_decoder};
pub use self::{
    chat::{
        EffortField, Files, Malformed, OpenAiChat, OpenAiChatBuilder, OutputLimit, Quirks,
        ReasoningReturn, SchemaField, UsageReport,
    },
    responses::{OpenAi, OpenAiBuilder, Summary},
};

use super::{
    Delivery, Model, Request,
    endpoint::{Door, Endpoint, Entry},
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::{Call, Client, FIRST_BYTE, Framing, IDLE, Payload},
};

const DOOR: Door = Door {
    vendor: "OpenAI",
    base_url: "https://api.openai.com/v1",
    key_variables: &["OPENAI_API_KEY"],
    base_variable: "OPENAI_BASE_URL",
};

/// How long an answer that comes all at once may take to begin.
const WHOLE_FIRST_BYTE: Duration = Duration::from_secs(600);

/// The name under which an answer's schema is sent; the API wants one.
const SCHEMA_NAME: &str = "answer";

/// What both builders collect; nothing is checked before [`Settings::open`].
struct Settings {
    model: Model,
    entry: Entry,
    headers: Vec<(&'static str, String)>,
    cache_key: Option<String>,
}

/// A checked address, key and model.
struct Access {
    model: Model,
    endpoint: Endpoint,
    client: Client,
    headers: Vec<(&'static str, String)>,
    cache_key: Option<String>,
}

impl Settings {
    fn new(vendor: &str, model: impl Into<Arc<str>>) -> Self {
        Self {
            model: Model::lookup(vendor, &model.into()),
            entry: Entry::default(),
            headers: Vec::new(),
            cache_key: None,
        }
    }

    fn read_env(&mut self) {
        self.entry = Entry::from_env(&DOOR, |name| std::env::var(name).ok());
    }

    fn open(self) -> Result<Access> {
        if self.model.name.trim().is_empty() {
            return Err(Error::new(ErrorKind::Config, "the model has no name"));
        }
        Ok(Access {
            model: self.model,
            endpoint: self.entry.open(&DOOR)?,
            client: Client::shared(),
            headers: self.headers,
            cache_key: self.cache_key,
        })
    }
}

impl Access {
    /// The call that sends this body to this path below the base URL.
    fn call(&self, path: &str, request: &Request<'_>, body: Payload) -> Call {
        let mut headers = self.headers.clone();
        if let Some(key) = self.endpoint.key() {
            headers.push(("authorization", format!("Bearer {key}")));
        }
        let (framing, first_byte) = match request.options.delivery {
            Delivery::Stream => (Framing::Sse, FIRST_BYTE),
            Delivery::Whole => (Framing::Whole, WHOLE_FIRST_BYTE),
        };
        Call {
            url: format!("{}{path}", versioned(self.endpoint.base_url())),
            headers,
            body,
            framing,
            first_byte: request.options.first_byte.unwrap_or(first_byte),
            idle: request.options.idle.unwrap_or(IDLE),
            classify: failure::of_reply,
            account: self.endpoint.account(),
        }
    }
}

/// The base URL with the version that everybody means who gives only a host.
fn versioned(base_url: &str) -> String {
    let place = base_url
        .split_once("://")
        .map_or(base_url, |(_, rest)| rest);
    match place.contains('/') {
        true => base_url.to_owned(),
        false => format!("{base_url}/v1"),
    }
}

/// What every body checks before it is written.
fn check(request: &Request<'_>) -> Result<()> {
    match request.options.temperature {
        Some(t) if !t.is_finite() => {
            let message = format!("the temperature is not a number: `{t}`");
            Err(Error::new(ErrorKind::Config, message))
        }
        _ => Ok(()),
    }
}

/// The value as JSON.
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the wire types have only string keys and finite numbers")
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("model", &self.model)
            .field("entry", &self.entry)
            .field("headers", &names(&self.headers))
            .field("cache_key", &self.cache_key)
            .finish()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("model", &self.model)
            .field("endpoint", &self.endpoint)
            .field("headers", &names(&self.headers))
            .field("cache_key", &self.cache_key)
            .finish()
    }
}

/// Headers without their values, which may be keys.
fn names(headers: &[(&'static str, String)]) -> Vec<&'static str> {
    headers.iter().map(|(name, _)| *name).collect()
}

/// The settings that both builders have; each keeps them in a field `settings`.
macro_rules! shared_settings {
    ($builder:ident) => {
        impl $builder {
            /// Another address than OpenAI's own, such as `http://127.0.0.1:8000/v1`. With it the
            /// key becomes optional. A host without a path gets `/v1`.
            pub fn base_url(mut self, url: impl Into<String>) -> Self {
                self.settings.entry.base_url = Some(url.into());
                self
            }

            /// The key. It is sent in a header and shown nowhere.
            pub fn api_key(mut self, key: impl Into<String>) -> Self {
                self.settings.entry.api_key = Some(key.into());
                self
            }

            /// What the model can do and costs, in place of what we know; it also names the model.
            pub fn card(mut self, model: $crate::provider::Model) -> Self {
                self.settings.model = model;
                self
            }

            /// The organization that pays, for keys that belong to several.
            pub fn organization(self, id: impl Into<String>) -> Self {
                self.extra_header("openai-organization", id)
            }

            /// The project that pays, for keys that belong to several.
            pub fn project(self, id: impl Into<String>) -> Self {
                self.extra_header("openai-project", id)
            }

            /// One more header, such as a gateway's own authorization. Its value is shown nowhere.
            pub fn extra_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
                self.settings.headers.push((name, value.into()));
                self
            }

            /// Requests with the same key are sent to the machine that has their start in its
            /// cache. One key for each conversation is right.
            pub fn prompt_cache_key(mut self, key: impl Into<String>) -> Self {
                self.settings.cache_key = Some(key.into());
                self
            }
        }
    };
}
use shared_settings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_host_gets_the_version() {
        for (given, expected) in [
            ("http://localhost:8000", "http://localhost:8000/v1"),
            (
                "https://openrouter.ai/api/v1",
                "https://openrouter.ai/api/v1",
            ),
            ("http://h/openai", "http://h/openai"),
        ] {
            assert_eq!(versioned(given), expected);
        }
    }

    #[test]
    fn keys_are_wanted_by_openai_only_and_never_shown() {
        let error = OpenAi::builder("gpt-5").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(error.hint().unwrap().contains("OPENAI_API_KEY"));
        let error = OpenAiChat::builder("gpt-5").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        OpenAiChat::builder("qwen3")
            .base_url("http://127.0.0.1:8000")
            .build()
            .unwrap();
        assert_eq!(
            OpenAi::builder(" ")
                .api_key("k")
                .build()
                .unwrap_err()
                .kind(),
            ErrorKind::Config
        );

        let builder = OpenAi::builder("gpt-5")
            .api_key("sk-secret")
            .extra_header("x-gate", "secret2");
        let shown = format!("{builder:?}");
        let shown = format!("{shown} {:?}", builder.build().unwrap());
        assert!(!shown.contains("secret"), "{shown}");
        let chat = OpenAiChat::builder("m")
            .api_key("sk-secret")
            .extra_header("x-gate", "secret2");
        let shown = format!("{chat:?} ");
        let shown = format!("{shown} {:?}", chat.build().unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
