//! One request that the model server received, and the door for each vendor's paths.
//! Refuses to understand bodies beyond what routing needs: a model's name and whether to stream.

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

/// The wire format of one vendor's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Anthropic Messages: `POST /v1/messages`.
    Anthropic,
    /// OpenAI Responses: `POST /v1/responses`.
    Responses,
    /// OpenAI Chat Completions and whatever is compatible: `POST /v1/chat/completions`.
    Chat,
    /// Gemini: `POST /v1beta/models/{model}:streamGenerateContent` and `:generateContent`.
    Gemini,
    /// Ollama's own API: `POST /api/chat`.
    Ollama,
}

/// One request to a [`ModelServer`](super::ModelServer).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Received {
    /// Which request to a model this was, from 1.
    pub number: u64,
    /// Whose API was asked.
    pub format: Format,
    /// The method, such as `POST`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without its question mark; empty for none.
    pub query: String,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// When the last byte of it had come.
    pub at: Instant,
}

impl Received {
    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The model that is asked; empty when none is named.
    pub fn model(&self) -> String {
        self.model_in(&self.json())
    }

    /// Whether the answer should come as a stream.
    pub fn wants_stream(&self) -> bool {
        self.wants_stream_in(&self.json())
    }

    /// As [`model`](Self::model), with the body parsed already.
    pub(super) fn model_in(&self, body: &Value) -> String {
        let name = match self.format {
            Format::Gemini => gemini_model(&self.path),
            _ => body["model"].as_str(),
        };
        name.unwrap_or_default().to_owned()
    }

    /// As [`wants_stream`](Self::wants_stream), with the body parsed already.
    pub(super) fn wants_stream_in(&self, body: &Value) -> bool {
        match self.format {
            Format::Gemini => self.path.ends_with(GEMINI_STREAM),
            // The only vendor that streams unless told otherwise.
            Format::Ollama => body["stream"].as_bool().unwrap_or(true),
            _ => body["stream"].as_bool().unwrap_or(false),
        }
    }
}

const GEMINI_STREAM: &str = ":streamGenerateContent";
const GEMINI_WHOLE: &str = ":generateContent";

impl Format {
    /// Whose API this path belongs to. Anything may stand before it, as behind a gateway.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        if path.ends_with("/v1/messages") {
            Some(Self::Anthropic)
        } else if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with("/api/chat") {
            Some(Self::Ollama)
        } else {
            gemini_model(path).map(|_| Self::Gemini)
        }
    }
}

fn gemini_model(path: &str) -> Option<&str> {
    let rest = path
        .strip_suffix(GEMINI_STREAM)
        .or_else(|| path.strip_suffix(GEMINI_WHOLE))?;
    let (_, model) = rest.rsplit_once("/models/")?;
    (!model.is_empty()).then_some(model)
}

/// The first header of this name.
pub(super) fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let named = headers
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_the_format() {
        let check = |path, format| assert_eq!(Format::of_path(path), format, "{path}");
        check("/v1/messages", Some(Format::Anthropic));
        check("/gateway/v1/messages", Some(Format::Anthropic));
        check("/v1/messages/count_tokens", None);
        check("/v1/responses", Some(Format::Responses));
        check("/v1/chat/completions", Some(Format::Chat));
        check("/openai/chat/completions", Some(Format::Chat));
        check("/api/chat", Some(Format::Ollama));
        check(
            "/v1beta/models/gemini-x:streamGenerateContent",
            Some(Format::Gemini),
        );
        check(
            "/v1beta/models/gemini-x:generateContent",
            Some(Format::Gemini),
        );
        check("/v1beta/models/:generateContent", None);
        check("/v1beta/models/gemini-x:countTokens", None);
        check("/", None);
        assert_eq!(
            gemini_model("/v1beta/models/a/b:generateContent"),
            Some("a/b")
        );
    }
}
