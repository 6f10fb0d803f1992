//! A request as the bytes of an Ollama chat body.
//! Refuses to encode a message twice: the body is a concatenation of kept bytes.

use std::borrow::Cow;

use super::{
    Format as AskedFormat, Ollama, VENDOR,
    wire::{Call, CallFunction, Format, Function, Head, KeepAlive, Sampling, Think, Tool, Turn},
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::Payload,
    kept::Dialect,
    message::{Content, Media, MediaSource, Message, Part, Role, ToolResult},
    provider::{Delivery, Effort, Request, plainly, splice::Body},
    spec::ToolSpec,
};

/// How messages and tools are spelt; nothing that can be set changes it.
const DIALECT: Dialect = "ollama";

/// The family that knows levels of thinking; others know only whether.
const LEVELLED: &str = "gpt-oss";

/// The body of a request.
pub(super) fn body(request: &Request<'_>, provider: &Ollama) -> Result<Payload> {
    if let Some(t) = request.options.temperature.filter(|t| !t.is_finite()) {
        let message = format!("the temperature is not a number: `{t}`");
        return Err(Error::new(ErrorKind::Config, message));
    }
    let head = json(&head(request, provider));
    let tools = (!request.tools.get().is_empty())
        .then(|| request.tools.encoded(DIALECT, |specs| tools(specs)));
    let mut body = Body::begin(head, tools.as_deref(), "messages");
    if !request.system.trim().is_empty() {
        body.push(&json(&turn("system", request.system)));
    }
    let all = request.history.len();
    body.push_history(&request.history, all, DIALECT, encode_message);
    Ok(body.end())
}

fn head<'a>(request: &Request<'a>, provider: &'a Ollama) -> Head<'a> {
    let asked = request.options;
    let own = &provider.choices;
    let model = &*provider.model.name;
    let think = match (asked.effort, own.think) {
        (Some(effort), _) => Some(think(model, effort)),
        (None, think) => think.map(Think::Switch),
    };
    let format = match (&asked.schema, &own.format) {
        (Some(schema), _) | (None, Some(AskedFormat::Schema(schema))) => {
            Some(Format::Schema(schema))
        }
        (None, Some(AskedFormat::Json)) => Some(Format::Word("json")),
        (None, None) => None,
    };
    let keep_alive = own
        .keep_alive
        .as_deref()
        .map(|text| match text.trim().parse() {
            Ok(seconds) => KeepAlive::Seconds(seconds),
            Err(_) => KeepAlive::Duration(text),
        });
    let limit = asked
        .max_output
        .map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    Head {
        model,
        stream: asked.delivery == Delivery::Stream,
        think,
        format,
        keep_alive,
        options: Sampling {
            temperature: asked.temperature.or(own.temperature),
            num_ctx: own.num_ctx,
            num_predict: limit.or(own.num_predict),
            seed: own.seed,
            stop: match asked.stop.is_empty() {
                true => &own.stop,
                false => &asked.stop,
            },
            top_k: own.top_k,
            top_p: own.top_p,
            min_p: own.min_p,
        },
    }
}

fn think(model: &str, effort: Effort) -> Think {
    let name = model.rsplit('/').next().unwrap_or(model);
    match effort {
        Effort::None => Think::Switch(false),
        _ if !name.starts_with(LEVELLED) => Think::Switch(true),
        Effort::Low => Think::Level("low"),
        Effort::Medium => Think::Level("medium"),
        Effort::High | Effort::Max => Think::Level("high"),
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
fn encode_message(message: &Message) -> Vec<u8> {
    let turns = match message.role {
        Role::User => vec![user(&message.parts)],
        Role::Assistant => assistant(message).into_iter().collect(),
        Role::Tool => message.tool_results().map(result).collect(),
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

fn turn<'a>(role: &'static str, content: impl Into<Cow<'a, str>>) -> Turn<'a> {
    Turn {
        role,
        content: content.into(),
        thinking: None,
        images: Vec::new(),
        tool_calls: Vec::new(),
        tool_name: None,
        tool_call_id: None,
    }
}

fn user(parts: &[Part]) -> Turn<'_> {
    let mut turn = turn("user", "");
    for part in parts {
        match part {
            Part::Text { text, .. } => paragraph(&mut turn.content, text.into()),
            Part::Media(media) => show(&mut turn, media),
            _ => {}
        }
    }
    if turn.content.is_empty() && turn.images.is_empty() {
        turn.content = Cow::Borrowed(plainly::NOTHING);
    }
    turn
}

fn assistant(message: &Message) -> Option<Turn<'_>> {
    let mut turn = turn("assistant", "");
    let mut thinking = Cow::Borrowed("");
    for part in &message.parts {
        match part {
            Part::Text { text, .. } => append(&mut turn.content, text),
            Part::Reasoning {
                text,
                seal: Some(seal),
            } if &*seal.vendor == VENDOR => append(&mut thinking, text),
            Part::Call(call) => turn.tool_calls.push(Call {
                id: call.id.as_str(),
                function: CallFunction {
                    name: &call.name,
                    arguments: &call.input, // `{}` where the arguments were malformed
                },
            }),
            _ => {}
        }
    }
    turn.thinking = (!thinking.is_empty()).then_some(thinking);
    (!turn.content.is_empty() || !turn.tool_calls.is_empty()).then_some(turn)
}

fn result(result: &ToolResult) -> Turn<'_> {
    let mut turn = turn("tool", "");
    if let Some(said) = plainly::outcome(result.outcome) {
        turn.content = Cow::Owned(said + "\n");
    }
    for content in &result.content {
        match content {
            Content::Text(text) => append(&mut turn.content, text),
            Content::Media(media) => show(&mut turn, media),
        }
    }
    if turn.content.is_empty() && turn.images.is_empty() {
        turn.content = Cow::Borrowed(plainly::NOTHING);
    }
    turn.tool_name = Some(&result.name);
    turn.tool_call_id = Some(result.call.as_str());
    turn
}

/// Pictures go beside the words, texts among them; of anything else only a word.
fn show<'a>(turn: &mut Turn<'a>, media: &'a Media) {
    match &media.source {
        MediaSource::Base64(data) if media.is_image() => turn.images.push(data),
        _ => {
            let words = plainly::readable(media).unwrap_or_else(|| plainly::unreadable(media));
            paragraph(&mut turn.content, words.into());
        }
    }
}

fn append<'a>(all: &mut Cow<'a, str>, text: &'a str) {
    match all.is_empty() {
        true => *all = Cow::Borrowed(text),
        false => all.to_mut().push_str(text),
    }
}

fn paragraph<'a>(all: &mut Cow<'a, str>, text: Cow<'a, str>) {
    if all.is_empty() {
        *all = text;
    } else if !text.is_empty() {
        let all = all.to_mut();
        all.push_str("\n\n");
        all.push_str(&text);
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the wire types have only string keys and finite numbers")
}
