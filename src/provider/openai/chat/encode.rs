//! A request as the bytes of a Chat Completions body.
//! Refuses to encode a message twice: the body is a concatenation of kept bytes.

use std::borrow::Cow;

use super::{
    EffortField, Files, Malformed, OpenAiChat, OutputLimit, Quirks, ReasoningReturn, SchemaField,
    UsageReport, VENDOR,
    wire::{
        Address, Call, CallFunction, Content, File, Format, Function, Head, Piece, Reasoning,
        Schema, StreamOptions, Tool, Turn,
    },
};
use crate::{
    error::Result,
    http::Payload,
    kept::Dialect,
    message::{self, Media, MediaSource, Message, Part, Role, ToolCall, ToolResult},
    provider::{
        Delivery, Request,
        openai::{SCHEMA_NAME, check, json, reasoning, strict},
        plainly,
        splice::Body,
    },
    spec::ToolSpec,
};

/// The body of a request.
pub(super) fn body(request: &Request<'_>, provider: &OpenAiChat) -> Result<Payload> {
    check(request)?;
    let quirks = provider.quirks;
    let head = json(&head(request, provider));
    let tools = (!request.tools.get().is_empty())
        .then(|| request.tools.encoded(VENDOR, |specs| tools(specs)));
    let dialect = dialect(quirks);
    let mut body = Body::begin(head, tools.as_deref(), "messages");
    if !request.system.trim().is_empty() {
        let content = request.system;
        body.push(&json(&Turn::System { content }));
    }
    let all = request.history.len();
    body.push_history(&request.history, all, dialect, |message| {
        encode_message(message, quirks)
    });
    Ok(body.end())
}

/// The name of how messages are spelt: one for each set of quirks that changes their bytes.
fn dialect(quirks: Quirks) -> Dialect {
    use Files::{FilePart, TextOnly};
    use Malformed::{AsTheyCame, EmptyObject};
    use ReasoningReturn::{Dropped, Returned};
    match (quirks.reasoning, quirks.malformed, quirks.files) {
        (Dropped, AsTheyCame, FilePart) => "openai-chat",
        (Dropped, AsTheyCame, TextOnly) => "openai-chat+text",
        (Dropped, EmptyObject, FilePart) => "openai-chat+empty",
        (Dropped, EmptyObject, TextOnly) => "openai-chat+empty+text",
        (Returned, AsTheyCame, FilePart) => "openai-chat+reasoning",
        (Returned, AsTheyCame, TextOnly) => "openai-chat+reasoning+text",
        (Returned, EmptyObject, FilePart) => "openai-chat+reasoning+empty",
        (Returned, EmptyObject, TextOnly) => "openai-chat+reasoning+empty+text",
    }
}

fn head<'a>(request: &Request<'a>, provider: &'a OpenAiChat) -> Head<'a> {
    let options = request.options;
    let quirks = provider.quirks;
    let model = &*provider.access.model.name;
    let stream = options.delivery == Delivery::Stream;
    let effort = options.effort.and_then(|e| reasoning::word(model, e));
    let of_limit = |limit| options.max_output.filter(|_| quirks.output_limit == limit);
    let response_format = match (&options.schema, quirks.schema) {
        (None, _) | (_, SchemaField::None) => None,
        (_, SchemaField::JsonObject) => Some(Format::JsonObject),
        (Some(asked), SchemaField::JsonSchema) => {
            let (schema, strict) = strict::fit(asked);
            let name = SCHEMA_NAME;
            let json_schema = Schema {
                name,
                schema,
                strict,
            };
            Some(Format::JsonSchema { json_schema })
        }
    };
    Head {
        model,
        stream,
        stream_options: (stream && quirks.usage == UsageReport::Asked).then_some(StreamOptions {
            include_usage: true,
        }),
        max_completion_tokens: of_limit(OutputLimit::MaxCompletionTokens),
        max_tokens: of_limit(OutputLimit::MaxTokens),
        temperature: options
            .temperature
            .filter(|_| reasoning::takes_temperature(model, options.effort)),
        stop: &options.stop,
        reasoning_effort: effort.filter(|_| quirks.effort == EffortField::ReasoningEffort),
        reasoning: effort
            .filter(|_| quirks.effort == EffortField::ReasoningObject)
            .map(|effort| Reasoning { effort }),
        response_format,
        prompt_cache_key: provider.access.cache_key.as_deref(),
    }
}

fn tools(specs: &[ToolSpec]) -> Vec<u8> {
    let tools: Vec<_> = specs
        .iter()
        .map(|spec| Tool::Function {
            function: Function {
                name: &spec.name,
                description: &spec.description,
                parameters: &spec.schema,
            },
        })
        .collect();
    json(&tools)
}

/// One message as one or more of the API's, joined by commas; empty where nothing of it is left.
fn encode_message(message: &Message, quirks: Quirks) -> Vec<u8> {
    let turns = match message.role {
        Role::User => vec![user(&message.parts, quirks)],
        Role::Assistant => assistant(message, quirks).into_iter().collect(),
        Role::Tool => results(message, quirks),
    };
    let mut out = Vec::new();
    for turn in &turns {
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend(json(turn));
    }
    out
}

fn user(parts: &[Part], quirks: Quirks) -> Turn<'_> {
    let mut pieces: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Text { text, .. } if text.is_empty() => None,
            Part::Text { text, .. } => Some(words(text.as_str())),
            Part::Media(media) => Some(file(media, quirks)),
            _ => None,
        })
        .collect();
    // Plain words as a plain text: some servers know no lists.
    let content = match pieces.pop() {
        None => Content::Text(Cow::Borrowed(plainly::NOTHING)),
        Some(Piece::Text { text }) if pieces.is_empty() => Content::Text(text),
        Some(last) => {
            pieces.push(last);
            Content::List(pieces)
        }
    };
    Turn::User { content }
}

fn assistant(message: &Message, quirks: Quirks) -> Option<Turn<'_>> {
    let tool_calls: Vec<_> = message
        .calls()
        .map(|call| tool_call(call, quirks))
        .collect();
    let content = joined(message.parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } => Some(text.as_str()),
        _ => None,
    }));
    if content.is_none() && tool_calls.is_empty() {
        return None;
    }
    let back = |field: &str| match quirks.reasoning {
        ReasoningReturn::Dropped => None,
        ReasoningReturn::Returned => joined(message.parts.iter().filter_map(|part| match part {
            Part::Reasoning {
                text,
                seal: Some(seal),
            } if &*seal.vendor == VENDOR && seal.value == field => Some(text.as_str()),
            _ => None,
        })),
    };
    Some(Turn::Assistant {
        content,
        reasoning_content: back("reasoning_content"),
        reasoning: back("reasoning"),
        tool_calls,
    })
}

fn joined<'a>(mut texts: impl Iterator<Item = &'a str>) -> Option<Cow<'a, str>> {
    let mut all = Cow::Borrowed(texts.next()?);
    for text in texts {
        all.to_mut().push_str(text);
    }
    (!all.is_empty()).then_some(all)
}

fn tool_call(call: &ToolCall, quirks: Quirks) -> Call<'_> {
    let arguments = match (&call.malformed, quirks.malformed) {
        (Some(malformed), Malformed::AsTheyCame) => malformed,
        _ => call.input.as_str(),
    };
    Call {
        id: call.id.as_str(),
        kind: "function",
        function: CallFunction {
            name: &call.name,
            arguments,
        },
    }
}

/// A message for each result, then the media of all of them: tool messages take only text.
fn results(message: &Message, quirks: Quirks) -> Vec<Turn<'_>> {
    let mut turns: Vec<_> = message.tool_results().map(tool_result).collect();
    let mut shown = Vec::new();
    for result in message.tool_results() {
        let mut media = result.content.iter().filter_map(|content| match content {
            message::Content::Media(media) => Some(file(media, quirks)),
            message::Content::Text(_) => None,
        });
        if let Some(first) = media.next() {
            let (name, id) = (&result.name, result.call.as_str());
            shown.push(words(format!("(shown by the tool {name}, call {id})")));
            shown.push(first);
            shown.extend(media);
        }
    }
    if !shown.is_empty() {
        let content = Content::List(shown);
        turns.push(Turn::User { content });
    }
    turns
}

fn tool_result(result: &ToolResult) -> Turn<'_> {
    let text = match result.content.as_slice() {
        [message::Content::Text(text)] => Cow::Borrowed(text.as_str()),
        _ => Cow::Owned(result.joined_text()),
    };
    let has_media = result
        .content
        .iter()
        .any(|c| matches!(c, message::Content::Media(_)));
    let content = match (plainly::outcome(result.outcome), &*text) {
        (Some(said), _) => Cow::Owned(format!("{said}\n{text}")),
        (None, "") if has_media => Cow::Borrowed("(shown below)"),
        (None, "") => Cow::Borrowed(plainly::NOTHING),
        (None, _) => text,
    };
    Turn::Tool {
        tool_call_id: result.call.as_str(),
        content,
    }
}

fn words<'a>(text: impl Into<Cow<'a, str>>) -> Piece<'a> {
    Piece::Text { text: text.into() }
}

fn file(media: &Media, quirks: Quirks) -> Piece<'_> {
    if media.is_image() {
        let url = plainly::address(media);
        return Piece::ImageUrl {
            image_url: Address { url },
        };
    }
    if let Some(text) = plainly::readable(media) {
        return words(text);
    }
    match (&media.source, quirks.files) {
        (MediaSource::Base64(_), Files::FilePart) => Piece::File {
            file: File {
                filename: media.name.as_deref().unwrap_or(match &*media.mime {
                    "application/pdf" => "document.pdf",
                    _ => "file",
                }),
                file_data: plainly::address(media),
            },
        },
        _ => words(plainly::unreadable(media)),
    }
}
