//! One line of Claude Code's transcripts, and the blocks of the message that it holds.
//! Refuses to read what a vendor wants back unread: signatures and unknown blocks keep their bytes.

use serde::Deserialize;

use super::{Parent, VENDOR};
use crate::{
    id::CallId,
    message::{
        Content, Media, MediaSource, Outcome, Part, RawJson, Role, Seal, ToolCall, ToolResult,
    },
};

/// A line, as far as it matters here.
#[expect(clippy::struct_excessive_bools, reason = "they are fields of the file")]
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) uuid: Option<String>,
    #[serde(default)]
    pub(super) parent_uuid: Parent,
    #[serde(default)]
    pub(super) is_sidechain: bool,
    #[serde(default, rename = "parent_tool_use_id")]
    pub(super) parent_tool_use_id: Option<String>,
    #[serde(default)]
    is_api_error_message: bool,
    /// Shown to the person, but not to the model.
    #[serde(default)]
    is_visible_in_transcript_only: bool,
    #[serde(default)]
    is_compact_summary: bool,
    #[serde(default)]
    message: Option<Spoken>,
    #[serde(default)]
    pub(super) cwd: Option<String>,
    #[serde(default)]
    pub(super) session_id: Option<String>,
    #[serde(default)]
    pub(super) message_id: Option<String>,
    #[serde(default)]
    pub(super) leaf_uuid: Option<String>,
    #[serde(default)]
    pub(super) summary: Option<String>,
    #[serde(default)]
    pub(super) ai_title: Option<String>,
    #[serde(default)]
    pub(super) custom_title: Option<String>,
}

#[derive(Deserialize)]
struct Spoken {
    #[serde(default)]
    id: Option<String>,
    role: Role,
    #[serde(default)]
    model: Option<String>,
    content: RawJson,
}

/// What a line says.
pub(super) struct Said {
    /// The vendor's name for the message, which several lines share.
    pub(super) id: Option<String>,
    pub(super) role: Role,
    pub(super) model: Option<String>,
    pub(super) is_error: bool,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Part(Part),
    Result(ToolResult),
    Unknown,
}

impl Line {
    /// What it says; `None` where it says nothing that can be read.
    pub(super) fn said(&mut self) -> Option<Said> {
        let spoken = self.message.take()?;
        if spoken.role == Role::Tool {
            return None;
        }
        let hidden = self.is_visible_in_transcript_only && !self.is_compact_summary;
        Some(Said {
            blocks: blocks(spoken.role, &spoken.content)?,
            id: spoken.id.filter(|_| spoken.role == Role::Assistant),
            role: spoken.role,
            model: spoken.model,
            is_error: self.is_api_error_message || hidden,
        })
    }
}

impl Said {
    /// The calls that it makes.
    pub(super) fn calls(&self) -> Vec<&CallId> {
        let calls = self.blocks.iter().filter_map(|block| match block {
            Block::Part(Part::Call(call)) => Some(&call.id),
            _ => None,
        });
        calls.collect()
    }

    /// The calls that it answers.
    pub(super) fn answered(&self) -> Vec<&CallId> {
        let answered = self.blocks.iter().filter_map(|block| match block {
            Block::Result(result) => Some(&result.call),
            _ => None,
        });
        answered.collect()
    }
}

/// A block, whatever its kind: which fields it has depends on that.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    citations: Option<RawJson>,
    thinking: Option<String>,
    signature: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<RawJson>,
    caller: Option<RawJson>,
    tool_use_id: Option<String>,
    content: Option<RawJson>,
    is_error: Option<bool>,
    source: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
}

/// Words, or blocks; `None` for anything else.
fn blocks(role: Role, content: &RawJson) -> Option<Vec<Block>> {
    if let Ok(words) = serde_json::from_str::<String>(content.as_str()) {
        return Some(vec![Block::Part(Part::text(words))]);
    }
    let raws: Vec<RawJson> = serde_json::from_str(content.as_str()).ok()?;
    Some(raws.into_iter().map(|raw| block(role, raw)).collect())
}

fn block(role: Role, json: RawJson) -> Block {
    let Ok(raw) = serde_json::from_str::<Raw>(json.as_str()) else {
        return Block::Unknown;
    };
    let part = match (raw.kind.as_str(), role) {
        ("text", _) => raw.text.map(|text| Part::Text {
            text,
            seal: raw.citations.and_then(|json| seal(json.as_str())),
        }),
        ("thinking", Role::Assistant) => Some(Part::Reasoning {
            text: raw.thinking.unwrap_or_default(),
            seal: raw.signature.and_then(|value| seal(&value)),
        }),
        ("tool_use", Role::Assistant) => raw.id.zip(raw.name).map(|(id, name)| {
            let input = raw.input.unwrap_or_else(RawJson::empty_object);
            let mut call = ToolCall::new(CallId::new(id), name, input.as_str());
            call.seal = raw.caller.and_then(|json| seal(json.as_str()));
            Part::Call(call)
        }),
        ("tool_result", Role::User) => {
            let Some(call) = raw.tool_use_id else {
                return Block::Unknown;
            };
            return Block::Result(ToolResult {
                call: CallId::new(call),
                name: String::new(),
                outcome: match raw.is_error {
                    Some(true) => Outcome::Failed,
                    _ => Outcome::Ok,
                },
                content: raw.content.as_ref().map(contents).unwrap_or_default(),
            });
        }
        ("image" | "document", Role::User) => raw.source.and_then(media).map(Part::Media),
        (_, Role::Assistant) => Some(Part::Opaque {
            vendor: VENDOR.into(),
            json,
        }),
        _ => None,
    };
    part.map_or(Block::Unknown, Block::Part)
}

fn seal(value: &str) -> Option<Seal> {
    let empty = matches!(value, "" | "null" | "[]");
    (!empty).then(|| Seal {
        vendor: VENDOR.into(),
        value: value.to_owned(),
    })
}

fn contents(content: &RawJson) -> Vec<Content> {
    if let Ok(words) = serde_json::from_str::<String>(content.as_str()) {
        return vec![Content::Text(words)];
    }
    let raws: Vec<RawJson> = serde_json::from_str(content.as_str()).unwrap_or_default();
    let contents = raws.into_iter().map(|json| {
        let raw: Raw = serde_json::from_str(json.as_str()).unwrap_or_default();
        let known = match raw.kind.as_str() {
            "text" => raw.text.map(Content::Text),
            _ => raw.source.and_then(media).map(Content::Media),
        };
        // What the model had read it reads again, if only as it was written.
        known.unwrap_or_else(|| Content::Text(json.as_str().to_owned()))
    });
    contents.collect()
}

fn media(source: Source) -> Option<Media> {
    let mime = source.media_type;
    match (source.data, source.url) {
        (Some(data), _) => Some(Media {
            mime: mime?,
            source: MediaSource::Base64(data.into()),
            name: None,
        }),
        (None, Some(url)) => Some(Media::url(mime.unwrap_or_else(|| "image/*".into()), url)),
        (None, None) => None,
    }
}
