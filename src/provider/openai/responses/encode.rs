//! A request as the bytes of a Responses API body.
//! Refuses to encode a message twice: the body is a concatenation of kept bytes.

use std::borrow::Cow;

use super::{
    OpenAi, Summary, VENDOR,
    wire::{Content, Format, Head, Input, Known, Output, Reasoning, TextConfig, Tool},
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::Payload,
    kept::Dialect,
    message::{self, Media, MediaSource, Message, Part, Role, Seal, ToolResult},
    provider::{
        Delivery, Request,
        openai::{SCHEMA_NAME, check, json, reasoning, strict},
        plainly,
        splice::Body,
    },
    spec::ToolSpec,
};

/// How messages and tools are spelt; nothing that can be set changes it.
const DIALECT: Dialect = "openai";

/// Without this a conversation that is not stored there could not have its reasoning back.
const ENCRYPTED: &[&str] = &["reasoning.encrypted_content"];

/// The body of a request.
pub(super) fn body(request: &Request<'_>, provider: &OpenAi) -> Result<Payload> {
    check(request)?;
    if let Some(word) = request.options.stop.first() {
        let message = format!("the Responses API has no stop words: `{word}`");
        return Err(Error::new(ErrorKind::Config, message)
            .with_hint("the same model as `openai-chat/…` has them"));
    }
    let head = json(&head(request, provider));
    let tools = (!request.tools.get().is_empty())
        .then(|| request.tools.encoded(DIALECT, |specs| tools(specs)));
    let mut body = Body::begin(head, tools.as_deref(), "input");
    let all = request.history.len();
    body.push_history(&request.history, all, DIALECT, encode_message);
    Ok(body.end())
}

fn head<'a>(request: &Request<'a>, provider: &'a OpenAi) -> Head<'a> {
    let options = request.options;
    let model = &*provider.access.model.name;
    let plain = reasoning::is_plain(model);
    let effort = options.effort.and_then(|e| reasoning::word(model, e));
    let summary = provider
        .summary
        .filter(|_| !plain)
        .map(|summary| match summary {
            Summary::Auto => "auto",
            Summary::Concise => "concise",
            Summary::Detailed => "detailed",
        });
    let reasoning =
        (effort.is_some() || summary.is_some()).then_some(Reasoning { effort, summary });
    let text = options.schema.as_ref().map(|asked| {
        let (schema, strict) = strict::fit(asked);
        let name = SCHEMA_NAME;
        let format = Format::JsonSchema {
            name,
            schema,
            strict,
        };
        TextConfig { format }
    });
    Head {
        model,
        stream: options.delivery == Delivery::Stream,
        store: false,
        include: if plain { &[] } else { ENCRYPTED },
        instructions: (!request.system.trim().is_empty()).then_some(request.system),
        max_output_tokens: options.max_output,
        temperature: options
            .temperature
            .filter(|_| reasoning::takes_temperature(model, options.effort)),
        reasoning,
        text,
        prompt_cache_key: provider.access.cache_key.as_deref(),
    }
}

fn tools(specs: &[ToolSpec]) -> Vec<u8> {
    let tools: Vec<_> = specs
        .iter()
        .map(|spec| Tool::Function {
            name: &spec.name,
            description: &spec.description,
            parameters: &spec.schema,
            // Strict tools must have all properties required, which most schemas do not.
            strict: false,
        })
        .collect();
    json(&tools)
}

/// The items of one message, joined by commas; empty where the vendor would take none of it.
fn encode_message(message: &Message) -> Vec<u8> {
    let items = match message.role {
        Role::User => vec![Input::Known(user(&message.parts))],
        Role::Assistant => assistant(&message.parts),
        Role::Tool => message
            .tool_results()
            .map(|r| Input::Known(result(r)))
            .collect(),
    };
    let mut out = Vec::new();
    for item in &items {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend(json(item));
    }
    out
}

fn user(parts: &[Part]) -> Known<'_> {
    let mut content: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } if text.is_empty() => None,
            Part::Text { text, .. } => Some(words(text.as_str())),
            Part::Media(media) => Some(file(media)),
            _ => None,
        })
        .collect();
    if content.is_empty() {
        content.push(words(plainly::NOTHING));
    }
    Known::Message {
        role: "user",
        phase: None,
        content,
    }
}

/// The model's own items. Messages and calls go back without their ids: an id binds them to a
/// reasoning item, and history that was shortened may not have that any more.
fn assistant(parts: &[Part]) -> Vec<Input<'_>> {
    let mut items: Vec<Input<'_>> = parts.iter().filter_map(item).collect();
    // A reasoning item that nothing follows is refused. It is left where an answer was cut off.
    let used = parts
        .iter()
        .rposition(|part| !matches!(part, Part::Reasoning { .. }) && item(part).is_some());
    let trailing = parts[used.map_or(0, |at| at + 1)..].iter();
    items.truncate(items.len() - trailing.filter_map(item).count());
    items
}

/// `None` for what is empty or another vendor's.
fn item(part: &Part) -> Option<Input<'_>> {
    Some(match part {
        Part::Text { text, .. } if text.is_empty() => return None,
        Part::Text { text, seal } => Input::Known(Known::Message {
            role: "assistant",
            phase: own(seal),
            content: vec![Content::OutputText { text }],
        }),
        Part::Reasoning { seal, .. } => Input::Verbatim(serde_json::from_str(own(seal)?).ok()?),
        Part::Call(call) => Input::Known(Known::FunctionCall {
            call_id: call.id.as_str(),
            name: &call.name,
            arguments: call.malformed.as_deref().unwrap_or(call.input.as_str()),
        }),
        Part::Opaque { vendor, json } if &**vendor == VENDOR => Input::Kept(json),
        Part::Opaque { .. } | Part::Media(_) | Part::Result(_) => return None,
    })
}

/// The seal's value, where this vendor made it.
fn own(seal: &Option<Seal>) -> Option<&str> {
    let seal = seal.as_ref().filter(|seal| &*seal.vendor == VENDOR)?;
    Some(&seal.value)
}

fn result(result: &ToolResult) -> Known<'_> {
    let said = plainly::outcome(result.outcome);
    let only_text = |content: &message::Content| matches!(content, message::Content::Text(_));
    let output = if result.content.iter().all(only_text) {
        let text = match (said, result.content.as_slice()) {
            (None, []) => Cow::Borrowed(""),
            (None, [message::Content::Text(text)]) => Cow::Borrowed(text.as_str()),
            (None, _) => Cow::Owned(result.joined_text()),
            (Some(said), _) => Cow::Owned(format!("{said}\n{}", result.joined_text())),
        };
        Output::Text(text)
    } else {
        let said = said.map(words);
        let content = result.content.iter().map(|content| match content {
            message::Content::Text(text) => words(text.as_str()),
            message::Content::Media(media) => file(media),
        });
        Output::List(said.into_iter().chain(content).collect())
    };
    Known::FunctionCallOutput {
        call_id: result.call.as_str(),
        output,
    }
}

fn words<'a>(text: impl Into<Cow<'a, str>>) -> Content<'a> {
    Content::InputText { text: text.into() }
}

fn file(media: &Media) -> Content<'_> {
    if media.is_image() {
        return Content::InputImage {
            detail: "auto",
            image_url: plainly::address(media),
        };
    }
    if let Some(text) = plainly::readable(media) {
        return words(text);
    }
    match &media.source {
        MediaSource::Url(url) => Content::InputFile {
            filename: None,
            file_data: None,
            file_url: Some(url),
        },
        MediaSource::Base64(_) => Content::InputFile {
            // The API wants a name with the bytes, and takes the kind of file from it.
            filename: Some(media.name.as_deref().unwrap_or(match &*media.mime {
                "application/pdf" => "document.pdf",
                _ => "file",
            })),
            file_data: Some(plainly::address(media)),
            file_url: None,
        },
    }
}
