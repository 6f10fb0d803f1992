//! A request as the bytes of a generateContent body.
//! Refuses to encode a message twice: the body is a concatenation of kept bytes.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Thoughts, VENDOR, thinking,
    wire::{
        Blob, Call, Declaration, File, GenerationConfig, Head, Item, Known, Response, Said, System,
        SystemText, Tools, Turn,
    },
};
use crate::{
    error::{Error, ErrorKind, Result},
    http::Payload,
    id::CallId,
    kept::Dialect,
    message::{Content, Media, MediaSource, Message, Part, Role, Seal, ToolResult},
    provider::{Request, schema, splice::Body},
    spec::ToolSpec,
};

/// How messages are spelt for models that check no signatures.
const LENIENT: Dialect = "gemini";
/// How messages are spelt for models that do: calls of other makers' models get a dummy, and
/// pictures stand inside the results they belong to.
const STRICT: Dialect = "gemini-3";

/// The documented stand-in for the signature of a call that another maker's model made.
const DUMMY: &str = "skip_thought_signature_validator";

/// What stands where a message would otherwise be empty, which the API refuses.
const NOTHING: &str = "(empty)";

/// The body of a request; the same whether the answer is streamed or not.
pub(super) fn body(
    request: &Request<'_>,
    model: (&str, u64),
    thoughts: Thoughts,
) -> Result<Payload> {
    let (name, max_output) = model;
    let head = head(request, name, max_output, thoughts)?;
    let tools = (!request.tools.get().is_empty())
        .then(|| request.tools.encoded(LENIENT, |specs| encode_tools(specs)));
    let dialect = match thinking::checks_signatures(name) {
        true => STRICT,
        false => LENIENT,
    };
    let encode: fn(&Message) -> Vec<u8> = match dialect {
        STRICT => |message| encode_message(message, STRICT),
        _ => |message| encode_message(message, LENIENT),
    };
    let mut body = Body::begin(head, tools.as_deref(), "contents");
    let all = request.history.len();
    body.push_history(&request.history, all, dialect, encode);
    Ok(body.end())
}

fn head(
    request: &Request<'_>,
    model: &str,
    max_output: u64,
    thoughts: Thoughts,
) -> Result<Vec<u8>> {
    let options = request.options;
    if options.temperature.is_some_and(|t| !t.is_finite()) {
        return Err(Error::new(
            ErrorKind::Config,
            "the temperature is not a number",
        ));
    }
    let mut instructions = Vec::new();
    if !request.system.trim().is_empty() {
        let text = request.system.into();
        instructions.push(SystemText { text });
    }
    let mut schema = options.schema.clone();
    if let Some(schema) = &mut schema {
        schema::each(schema, &mut acceptable);
    }
    // Older models refuse tools and a schema together: they are told in words.
    let beside_tools = !request.tools.get().is_empty() && !thinking::answers_beside_tools(model);
    if let Some(schema) = schema.take_if(|_| beside_tools) {
        let text = format!(
            "When you give your final answer, give nothing but JSON that fits this schema:\n{schema}"
        );
        instructions.push(SystemText { text: text.into() });
    }
    let head = Head {
        system_instruction: (!instructions.is_empty()).then_some(System {
            parts: instructions,
        }),
        generation_config: GenerationConfig {
            max_output_tokens: options.max_output.unwrap_or(max_output),
            temperature: options.temperature,
            stop_sequences: &options.stop,
            thinking_config: thinking::ask(model, thoughts, options.effort),
            response_mime_type: schema.is_some().then_some("application/json"),
            response_json_schema: schema,
        },
    };
    Ok(json(&head))
}

fn encode_tools(specs: &[ToolSpec]) -> Vec<u8> {
    let declaration = |spec: &ToolSpec| -> Value {
        let mut schema = spec.schema.clone();
        schema::each(&mut schema, &mut acceptable);
        schema
    };
    let function_declarations = specs
        .iter()
        .map(|spec| Declaration {
            name: &spec.name,
            description: &spec.description,
            parameters_json_schema: declaration(spec),
        })
        .collect();
    json(&[Tools {
        function_declarations,
    }])
}

/// Makes a schema one that the API reads in full. The `…JsonSchema` fields take any JSON Schema but
/// heed only some keywords, and want nothing beside a `$ref`.
fn acceptable(map: &mut Map<String, Value>) {
    schema::plain(map);
    if map.get("allOf").and_then(Value::as_array).map(Vec::len) == Some(1)
        && let Some(list) = map.remove("allOf")
    {
        map.entry("anyOf").or_insert(list);
    }
    let alone = map
        .keys()
        .all(|keyword| keyword.starts_with('$') || keyword == "definitions");
    if !alone
        && !map.contains_key("anyOf")
        && let Some(target) = map.remove("$ref")
    {
        let mut reference = Map::new();
        reference.insert("$ref".into(), target);
        map.insert("anyOf".into(), vec![Value::Object(reference)].into());
    }
}

fn encode_message(message: &Message, dialect: Dialect) -> Vec<u8> {
    let mut parts = Vec::with_capacity(message.parts.len());
    let mut beside = Vec::new();
    let mut dummy = (dialect == STRICT && !message.parts.iter().any(is_own)).then_some(DUMMY);
    for part in &message.parts {
        match part {
            Part::Text { text, seal } => {
                let signature = own(seal);
                if signature.is_some() || !text.trim().is_empty() {
                    parts.push(Item::Known(Known {
                        text: Some(text.into()),
                        thought_signature: signature,
                        ..Known::default()
                    }));
                }
            }
            // Unsigned reasoning is a summary for people, or another maker's.
            Part::Reasoning { text, seal } => {
                if let Some(signature) = own(seal) {
                    parts.push(Item::Known(Known {
                        text: Some(text.into()),
                        thought: true,
                        thought_signature: Some(signature),
                        ..Known::default()
                    }));
                }
            }
            Part::Call(call) => parts.push(Item::Known(Known {
                function_call: Some(Call {
                    id: vendors_id(&call.id),
                    name: &call.name,
                    args: &call.input,
                }),
                // Only the first of several calls has to have one.
                thought_signature: own(&call.seal).or(dummy.take()),
                ..Known::default()
            })),
            Part::Result(result) => {
                let response = response(result, dialect, &mut beside);
                parts.push(Item::Known(Known {
                    function_response: Some(response),
                    ..Known::default()
                }));
            }
            Part::Media(shown) => parts.push(Item::Known(media(shown))),
            Part::Opaque { vendor, json } if &**vendor == VENDOR => {
                parts.push(Item::Verbatim(json));
            }
            Part::Opaque { .. } => {}
        }
    }
    // After the results: the API counts on those to stand together.
    parts.extend(beside.into_iter().map(Item::Known));
    if parts.is_empty() {
        parts.push(Item::Known(Known {
            text: Some(NOTHING.into()),
            ..Known::default()
        }));
    }
    let role = match message.role {
        Role::Assistant => "model",
        Role::User | Role::Tool => "user",
    };
    json(&Turn { role, parts })
}

fn response<'a>(
    result: &'a ToolResult,
    dialect: Dialect,
    beside: &mut Vec<Known<'a>>,
) -> Response<'a> {
    let text = result.joined_text();
    let mut parts = Vec::new();
    for content in &result.content {
        if let Content::Media(shown) = content {
            let inline = matches!(shown.source, MediaSource::Base64(_));
            match dialect == STRICT && inline {
                true => parts.push(media(shown)),
                false => beside.push(media(shown)),
            }
        }
    }
    Response {
        id: vendors_id(&result.call),
        name: &result.name,
        response: match result.outcome.is_error() {
            true => Said::Error(text),
            false => Said::Output(text),
        },
        parts,
    }
}

fn media(media: &Media) -> Known<'_> {
    let mime_type = &media.mime;
    match &media.source {
        MediaSource::Base64(data) => Known {
            inline_data: Some(Blob { mime_type, data }),
            ..Known::default()
        },
        MediaSource::Url(file_uri) => Known {
            file_data: Some(File {
                mime_type,
                file_uri,
            }),
            ..Known::default()
        },
    }
}

/// The seal's value, where this vendor made it.
fn own(seal: &Option<Seal>) -> Option<&str> {
    let seal = seal.as_ref().filter(|seal| &*seal.vendor == VENDOR)?;
    Some(&seal.value)
}

/// Whether a part shows that Gemini wrote the message it is in.
fn is_own(part: &Part) -> bool {
    match part {
        Part::Text { seal, .. } | Part::Reasoning { seal, .. } => own(seal).is_some(),
        Part::Call(call) => own(&call.seal).is_some(),
        Part::Opaque { vendor, .. } => &**vendor == VENDOR,
        _ => false,
    }
}

/// The id, unless it was made here because the vendor gave none: such calls are paired by name and
/// order, which is the order they are sent in.
fn vendors_id(id: &CallId) -> Option<&str> {
    let text = id.as_str();
    let made_here = text.strip_prefix("call_").is_some_and(|rest| {
        rest.len() == 16 && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });
    (!made_here).then_some(text)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the wire types have only string keys and finite numbers")
}
