//! From `vendor/name` to a provider, and the search for one that works here.
//! Refuses to know wire formats: a vendor is one row that says how its provider is opened.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use super::{Anthropic, Gemini, Offline, Ollama, OpenAi, OpenAiChat, Provider};
use crate::{
    error::{Error, ErrorKind, Result},
    http::probe,
};

/// How long the search waits for an Ollama that may not be there.
const OLLAMA_WAIT: Duration = Duration::from_millis(300);
const OLLAMA_HOST: &str = "OLLAMA_HOST";
const OLLAMA_PORT: u16 = 11_434;
/// The variables that name a model outright; the first that is set wins.
const MODEL_VARIABLES: [&str; 2] = ["OFFSHOOT_MODEL", "AGENT_MODEL"];

type Opened = Result<Arc<dyn Provider>>;

/// One vendor: what its models are called, and how to open one.
struct Vendor {
    /// The word before the slash.
    word: &'static str,
    /// How bare names of its models begin.
    prefixes: &'static [&'static str],
    /// The variables with its key; the first that is set counts.
    keys: &'static [&'static str],
    /// The model that the search takes when it finds a key.
    default: &'static str,
    open: fn(&str) -> Opened,
}

/// Every vendor, in the order of the search.
#[rustfmt::skip]
const VENDORS: &[Vendor] = &[
    Vendor { word: "anthropic", prefixes: &["claude-"], keys: &["ANTHROPIC_API_KEY"],
             default: "claude-sonnet-4-5", open: |model| Ok(Arc::new(Anthropic::from_env(model)?)) },
    Vendor { word: "openai", prefixes: &["gpt-", "o1", "o3", "o4-", "chatgpt-", "codex-"], keys: &["OPENAI_API_KEY"],
             default: "gpt-5", open: |model| Ok(Arc::new(OpenAi::from_env(model)?)) },
    Vendor { word: "openai-chat", prefixes: &[], keys: &[],
             default: "gpt-5", open: |model| Ok(Arc::new(OpenAiChat::from_env(model)?)) },
    Vendor { word: "gemini", prefixes: &["gemini-"], keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
             default: "gemini-2.5-flash", open: |model| Ok(Arc::new(Gemini::from_env(model)?)) },
    Vendor { word: "ollama", prefixes: &[], keys: &[],
             default: "llama3.2", open: |model| Ok(Arc::new(Ollama::from_env(model)?)) },
    Vendor { word: "offline", prefixes: &[], keys: &[],
             default: "rules", open: open_offline },
];

fn open_offline(name: &str) -> Opened {
    match name {
        "rules" => Ok(Arc::new(Offline::new())),
        other => Err(Error::new(
            ErrorKind::Config,
            format!("unknown offline model: `{other}`"),
        )
        .with_hint("its only model is `offline`, also called `offline/rules`")),
    }
}

/// Opens the model of a name such as `anthropic/claude-sonnet-4-5`, `ollama/llama3.2` or `offline`.
///
/// A vendor alone means its default model. A bare model name is understood where it tells its
/// vendor: `claude-sonnet-4-5`, `gpt-5`, `gemini-2.5-pro`. Keys and base URLs come from the
/// vendor's usual variables.
///
/// ```
/// use offshoot::provider;
///
/// let model = provider::connect("offline")?;
/// assert_eq!(model.model().full_name(), "offline/rules");
/// assert!(provider::connect("no-such-vendor/x").is_err());
/// # Ok::<(), offshoot::Error>(())
/// ```
///
/// # Errors
/// An unknown vendor, a name that tells no vendor, and whatever opening the vendor says, such as a
/// missing key.
pub fn connect(name: &str) -> Result<Arc<dyn Provider>> {
    let (vendor, model) = resolve(name)?;
    (vendor.open)(model)
}

/// The vendor and the model that a name means.
fn resolve(name: &str) -> Result<(&'static Vendor, &str)> {
    let name = name.trim();
    let bad = |what: &str| Error::new(ErrorKind::Config, format!("{what}: `{name}`"));
    let vendor = |word: &str| {
        VENDORS
            .iter()
            .find(|vendor| vendor.word.eq_ignore_ascii_case(word))
    };
    if let Some((word, model)) = name.split_once('/') {
        let Some(vendor) = vendor(word) else {
            return Err(bad("unknown vendor").with_hint(format!(
                "vendors are {}; a compatible server that names models with a slash is `openai-chat/{name}`",
                words()
            )));
        };
        if model.trim().is_empty() {
            return Err(bad("no model after the vendor")
                .with_hint(format!("for example `{}/{}`", vendor.word, vendor.default)));
        }
        return Ok((vendor, model.trim()));
    }
    if let Some(vendor) = vendor(name) {
        return Ok((vendor, vendor.default));
    }
    let lower = name.to_ascii_lowercase();
    let knows = |vendor: &&Vendor| vendor.prefixes.iter().any(|p| lower.starts_with(p));
    match VENDORS.iter().find(knows) {
        Some(vendor) => Ok((vendor, name)),
        None if name.is_empty() => {
            Err(bad("no model name").with_hint("say `vendor/name`, or `offline`"))
        }
        None => Err(bad("this name does not tell its vendor").with_hint(format!(
            "say `vendor/{name}`, for example `ollama/{name}`; vendors are {}",
            words()
        ))),
    }
}

/// The vendors' words, for people.
fn words() -> String {
    let quoted = VENDORS.iter().map(|vendor| format!("`{}`", vendor.word));
    quoted.collect::<Vec<_>>().join(", ")
}

/// A provider and why it was chosen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Found {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// One line for people, without a full stop: what was chosen and for which reason.
    pub why: String,
}

impl Found {
    /// Whether this is the offline provider, chosen for want of a better one.
    pub fn is_offline(&self) -> bool {
        &*self.provider.model().vendor == "offline"
    }
}

/// Finds a model that works here: `OFFSHOOT_MODEL` or `AGENT_MODEL` if set; else the vendor of the
/// first key among `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`, `GEMINI_API_KEY` and `GOOGLE_API_KEY`;
/// else an Ollama that listens at `OLLAMA_HOST` or its usual port; else the offline provider.
///
/// Cancel safety: safe, nothing is left behind. It waits at most 300 ms.
///
/// # Errors
/// When the model that a variable asks for cannot be opened. What somebody asked for is never
/// silently replaced.
pub async fn from_env() -> Result<Found> {
    let choice = choose(&|name| std::env::var(name).ok()).await;
    let (why, hint) = (choice.why, choice.from);
    let provider = connect(&choice.name).map_err(|error| match (error.hint(), hint) {
        (None, Some(variable)) => error.with_hint(format!("it is named by `{variable}`")),
        _ => error,
    })?;
    Ok(Found { provider, why })
}

/// What the search decided.
#[derive(Debug)]
struct Choice {
    name: String,
    why: String,
    /// The variable that named the model.
    from: Option<&'static str>,
}

type Variables<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

async fn choose(variables: Variables<'_>) -> Choice {
    let set = |name: &str| variables(name).filter(|value| !value.trim().is_empty());
    for variable in MODEL_VARIABLES {
        if let Some(name) = set(variable) {
            let name = name.trim().to_owned();
            let why = format!("`{name}`, named by `{variable}`");
            return Choice {
                name,
                why,
                from: Some(variable),
            };
        }
    }
    for vendor in VENDORS {
        if let Some(key) = vendor.keys.iter().find(|key| set(key).is_some()) {
            let name = format!("{}/{}", vendor.word, vendor.default);
            let why = format!("`{name}`, because `{key}` is set");
            return Choice {
                name,
                why,
                from: None,
            };
        }
    }
    let address = address(&set(OLLAMA_HOST).unwrap_or_default());
    let neighbour = ask_ollama(&address).await;
    let offline = |because: String| Choice {
        name: "offline".into(),
        why: format!(
            "the offline model, because {because}; for a real one set `ANTHROPIC_API_KEY`, \
             `OPENAI_API_KEY` or `GEMINI_API_KEY`, or run Ollama"
        ),
        from: None,
    };
    match neighbour {
        Neighbour::Has(model) => Choice {
            name: format!("ollama/{model}"),
            why: format!("`ollama/{model}`, because an Ollama listens at `{address}`"),
            from: None,
        },
        Neighbour::Bare => offline(format!(
            "no key is set and the Ollama at `{address}` has no model of its own \
             (`ollama pull {}`)",
            default_of("ollama")
        )),
        Neighbour::Absent => offline("no key is set and no Ollama answers".into()),
    }
}

fn default_of(word: &str) -> &'static str {
    let row = VENDORS.iter().find(|vendor| vendor.word == word);
    row.map_or("", |vendor| vendor.default)
}

/// The address of an Ollama from what `OLLAMA_HOST` may say: nothing, a host, a port, both, a URL.
fn address(host: &str) -> String {
    let host = host.trim().trim_end_matches('/');
    let (scheme, rest) = match host.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("http", host),
    };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_port = place
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let (name, port) = match place.rsplit_once(':') {
        Some((name, port)) if has_port => (name, port.to_owned()),
        _ if host.contains("://") => (place, if scheme == "https" { "443" } else { "80" }.into()),
        _ => (place.trim_end_matches(':'), OLLAMA_PORT.to_string()),
    };
    // A server that listens everywhere is asked here.
    let name = match name {
        "" | "0.0.0.0" | "[::]" => "127.0.0.1",
        name => name,
    };
    format!("{scheme}://{name}:{port}{path}")
}

/// What stands at the Ollama address.
enum Neighbour {
    Has(String),
    Bare,
    Absent,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    /// Set where the model does not run on that machine.
    #[serde(default)]
    remote_host: Option<String>,
}

async fn ask_ollama(address: &str) -> Neighbour {
    let Ok(body) = probe(&format!("{address}/api/tags"), OLLAMA_WAIT).await else {
        return Neighbour::Absent;
    };
    let Ok(tags) = serde_json::from_slice::<Tags>(&body) else {
        return Neighbour::Absent; // somebody else's server
    };
    // Embedding models cannot talk, and a model that runs elsewhere is not for us to choose.
    let talks = |tag: &Tag| {
        tag.remote_host.as_deref().unwrap_or("").is_empty() && !tag.name.contains("embed")
    };
    match tags.models.into_iter().find(talks) {
        Some(tag) => Neighbour::Has(tag.name),
        None => Neighbour::Bare,
    }
}

#[cfg(test)]
mod tests;
