//! A request as the bytes of a Messages API body.
//! Refuses to encode a message twice: the body is a concatenation of kept bytes.

use std::{borrow::Cow, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    CachePolicy, Thinking, VENDOR, thinking,
    wire::{
        Block, CacheControl, Head, Known, OutputConfig, OutputFormat, Source, SystemBlock, Tool,
        Turn,
    },
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::Payload,
    kept::{Dialect, Kept},
    message::{Content, Media, MediaSource, Message, Part, Role, Seal, ToolCall, ToolResult},
    provider::{Delivery, Effort, Model, Request, schema, splice::Body},
    spec::ToolSpec,
};

/// How messages are spelt; nothing that a request can ask for changes it.
const MESSAGES: Dialect = "anthropic";

/// What stands where a message would otherwise be empty, which the API refuses.
const NOTHING: &str = "(empty)";

/// Every message ends with these bytes; see [`Turn`].
const END: &[u8] = b"}]}";

/// What the user said when the provider was built.
pub(super) struct Settings<'a> {
    pub(super) model: &'a Model,
    pub(super) cache: CachePolicy,
    pub(super) thinking: Thinking,
}

/// The body of a request.
pub(super) fn body(request: &Request<'_>, settings: &Settings<'_>) -> Result<Payload> {
    let head = head(request, settings)?;
    let tools = (!request.tools.get().is_empty()).then(|| tools(request.tools, settings.cache));
    let marker = marker(settings.cache);
    let marked = marked(&request.history, settings.cache);
    // Marks go on from request to request: what stands before them stays as it is.
    let settled = marked.iter().flatten().min().copied();
    let settled = settled.unwrap_or(request.history.len());
    let mut body = Body::begin(head, tools.as_deref(), "messages");
    body.push_history(&request.history, settled, MESSAGES, encode_message);
    for (at, message) in request.history.iter().enumerate().skip(settled) {
        let bytes = message.encoded(MESSAGES, encode_message);
        match bytes
            .strip_suffix(END)
            .filter(|_| marked.contains(&Some(at)))
        {
            Some(start) => body.push_in_parts(&[start, marker, END]),
            None => body.push(&bytes),
        }
    }
    Ok(body.end())
}

fn head(request: &Request<'_>, settings: &Settings<'_>) -> Result<Vec<u8>> {
    let options = request.options;
    if options.temperature.is_some_and(|t| !t.is_finite()) {
        return Err(Error::new(
            ErrorKind::Config,
            "the temperature is not a number",
        ));
    }
    let max_tokens = options.max_output.unwrap_or(settings.model.max_output);
    let model = &*settings.model.name;
    let (thinking, effort) = thinking::ask(model, settings.thinking, options.effort, max_tokens);
    let format = options.schema.as_ref().map(|asked| {
        let mut schema = asked.clone();
        schema::each(&mut schema, &mut answerable);
        OutputFormat::JsonSchema { schema }
    });
    let effort = effort.and_then(effort_word);
    let output_config =
        (effort.is_some() || format.is_some()).then_some(OutputConfig { effort, format });
    let system = (!request.system.trim().is_empty()).then(|| {
        [SystemBlock {
            kind: "text",
            text: request.system,
            cache_control: control(settings.cache),
        }]
    });
    // The API takes no temperature beside thinking.
    let thinks = thinking.is_some_and(|config| config.is_on());
    let head = Head {
        model,
        max_tokens,
        stream: options.delivery == Delivery::Stream,
        temperature: options.temperature.filter(|_| !thinks),
        stop_sequences: &options.stop,
        thinking,
        output_config,
        system,
    };
    Ok(json(&head))
}

fn effort_word(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
        Effort::Max => Some("max"),
    }
}

fn tools(tools: &Kept<Vec<ToolSpec>>, cache: CachePolicy) -> Cow<'_, [u8]> {
    let dialect = match cache {
        CachePolicy::Off => "anthropic",
        CachePolicy::FiveMinutes => "anthropic+5m",
        CachePolicy::OneHour => "anthropic+1h",
    };
    tools.encoded(dialect, |specs| {
        let last = specs.len().saturating_sub(1);
        let tools: Vec<_> = specs
            .iter()
            .enumerate()
            .map(|(at, spec)| Tool {
                name: &spec.name,
                description: &spec.description,
                input_schema: &spec.schema,
                cache_control: control(cache).filter(|_| at == last),
            })
            .collect();
        json(&tools)
    })
}

fn control(cache: CachePolicy) -> Option<CacheControl> {
    match cache {
        CachePolicy::Off => None,
        CachePolicy::FiveMinutes => Some(CacheControl::Ephemeral { ttl: None }),
        CachePolicy::OneHour => Some(CacheControl::Ephemeral { ttl: Some("1h") }),
    }
}

fn marker(cache: CachePolicy) -> &'static [u8] {
    fn made(cache: CachePolicy) -> Vec<u8> {
        let mut marker = b",\"cache_control\":".to_vec();
        marker.extend(json(&control(cache)));
        marker
    }
    static FIVE_MINUTES: LazyLock<Vec<u8>> = LazyLock::new(|| made(CachePolicy::FiveMinutes));
    static ONE_HOUR: LazyLock<Vec<u8>> = LazyLock::new(|| made(CachePolicy::OneHour));
    match cache {
        CachePolicy::Off => &[],
        CachePolicy::FiveMinutes => &FIVE_MINUTES,
        CachePolicy::OneHour => &ONE_HOUR,
    }
}

/// Which messages end in a breakpoint: the last two that are not the model's own.
///
/// The last one writes the cache. The one before is where the call before this one wrote it: the
/// vendor looks back only twenty blocks from a breakpoint, and one step can have more than that.
/// With tools and system these make the four that are allowed. Markers are spliced into kept bytes
/// instead of asked for with the request's own `cache_control`, which gateways often do not know.
fn marked(history: &[Kept<Message>], cache: CachePolicy) -> [Option<usize>; 2] {
    if cache == CachePolicy::Off {
        return [None; 2];
    }
    let mut places = history
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, message)| {
            let message = message.get();
            // A verbatim block may have a breakpoint of its own.
            message.role != Role::Assistant
                && !matches!(message.parts.last(), Some(Part::Opaque { .. }))
        })
        .map(|(at, _)| at);
    let last = places.next();
    let before = places.find(|at| last.is_some_and(|last| at + 1 < last));
    [last, before]
}

fn encode_message(message: &Message) -> Vec<u8> {
    let mut content: Vec<_> = message.parts.iter().filter_map(block).collect();
    if content.is_empty() {
        content.push(Block::Known(words(NOTHING)));
    }
    let role = match message.role {
        Role::Assistant => "assistant",
        Role::User | Role::Tool => "user",
    };
    json(&Turn { role, content })
}

/// `None` for what the API would refuse or is another vendor's.
fn block(part: &Part) -> Option<Block<'_>> {
    let known = match part {
        Part::Text { text, .. } if text.trim().is_empty() => return None,
        Part::Text { text, seal } => Known::Text {
            text: text.into(),
            citations: raw(seal),
        },
        Part::Media(media) => document(media),
        Part::Reasoning { text, seal } => Known::Thinking {
            thinking: text,
            signature: own(seal)?,
        },
        Part::Call(call) => tool_use(call),
        Part::Result(result) => tool_result(result),
        Part::Opaque { vendor, json } if &**vendor == VENDOR => return Some(Block::Verbatim(json)),
        Part::Opaque { .. } => return None,
    };
    Some(Block::Known(known))
}

/// The seal's value, where this vendor made it.
fn own(seal: &Option<Seal>) -> Option<&str> {
    let seal = seal.as_ref().filter(|seal| &*seal.vendor == VENDOR)?;
    Some(&seal.value)
}

/// A seal whose value is JSON: the citations of a text, the caller of a call.
fn raw(seal: &Option<Seal>) -> Option<&RawValue> {
    serde_json::from_str(own(seal)?).ok()
}

fn words(text: &str) -> Known<'_> {
    Known::Text {
        text: text.into(),
        citations: None,
    }
}

fn tool_use(call: &ToolCall) -> Known<'_> {
    Known::ToolUse {
        id: call.id.as_str(),
        name: &call.name,
        input: &call.input, // `{}` where the arguments were malformed
        caller: raw(&call.seal),
    }
}

fn tool_result(result: &ToolResult) -> Known<'_> {
    let content = result.content.iter().filter_map(|content| match content {
        Content::Text(text) if text.trim().is_empty() => None,
        Content::Text(text) => Some(words(text)),
        Content::Media(media) => Some(document(media)),
    });
    Known::ToolResult {
        tool_use_id: result.call.as_str(),
        content: content.collect(),
        is_error: result.outcome.is_error(),
    }
}

fn document(media: &Media) -> Known<'_> {
    let title = media.name.as_deref();
    let source = match &media.source {
        MediaSource::Url(url) => Source::Url { url },
        MediaSource::Base64(data) if media.is_image() || media.mime == "application/pdf" => {
            let media_type = &media.mime;
            Source::Base64 { media_type, data }
        }
        MediaSource::Base64(data) => match readable(&media.mime, data) {
            Some(data) => Source::Text {
                media_type: "text/plain",
                data,
            },
            None => {
                let text = format!("(a file of the type `{}`, not readable here)", media.mime);
                let (text, citations) = (text.into(), None);
                return Known::Text { text, citations };
            }
        },
    };
    if media.is_image() {
        Known::Image { source }
    } else {
        Known::Document { source, title }
    }
}

/// The text of a text document; `None` for anything that is no text.
fn readable(mime: &str, data: &str) -> Option<String> {
    let texts = ["application/json", "application/xml", "application/yaml"];
    if !mime.starts_with("text/") && !texts.contains(&mime) {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
    (!text.trim().is_empty()).then_some(text)
}

/// Makes a schema one that the API can hold a model to: objects are closed, and keywords that it
/// refuses are told to the model in the description instead.
fn answerable(map: &mut serde_json::Map<String, serde_json::Value>) {
    const KNOWN: [&str; 13] = [
        "$defs",
        "definitions",
        "type",
        "anyOf",
        "allOf",
        "enum",
        "description",
        "title",
        "properties",
        "additionalProperties",
        "required",
        "items",
        "default",
    ];
    const FORMATS: [&str; 10] = [
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    ];
    schema::plain(map);
    if map.contains_key("$ref") {
        map.retain(|keyword, _| keyword.starts_with('$') || keyword == "definitions");
        return;
    }
    if map.get("type").is_some_and(|kind| kind == "object") || map.contains_key("properties") {
        map.insert("additionalProperties".into(), false.into());
    }
    let mut told = Vec::new();
    map.retain(|keyword, value| {
        let kept = KNOWN.contains(&keyword.as_str())
            || (keyword == "format" && value.as_str().is_some_and(|f| FORMATS.contains(&f)))
            || (keyword == "minItems" && value.as_u64().is_some_and(|n| n <= 1));
        if !kept {
            told.push(format!("{keyword}: {value}"));
        }
        kept
    });
    if told.is_empty() {
        return;
    }
    let told = format!("{{{}}}", told.join(", "));
    let text = match map.get("description").and_then(|text| text.as_str()) {
        Some(text) => format!("{text}\n\n{told}"),
        None => told,
    };
    map.insert("description".into(), text.into());
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the wire types have only string keys and finite numbers")
}
