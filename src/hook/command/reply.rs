//! What a command said, read into a wish, a refusal or a failure.
//! Refuses to guess: half a decision and an unknown decision are failures, never a yes.

use serde_json::{Map, Value};

use super::{MAX_REASON, event::Event};
use crate::process::{Captured, Exit, Finished, Stopped};

/// What a command answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    /// Go on, perhaps with changes.
    Wish(Wish),
    /// Do not take this step.
    Block(String),
    /// Do not take this step, and let the turn end.
    End(String),
    /// It failed.
    Broken(String),
}

/// What a command would have changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wish {
    /// Other arguments for a tool.
    pub(super) input: Option<Value>,
    /// Other words in the place of those it was shown.
    pub(super) text: Option<String>,
    /// Words to add.
    pub(super) more: Option<String>,
}

impl Wish {
    /// The words it was shown as it wants them; `None` when it wants nothing.
    pub(super) fn reword(self, shown: &str) -> Option<String> {
        match (self.text, self.more) {
            (None, None) => None,
            (Some(text), None) => Some(text),
            (text, Some(more)) => {
                let text = text.as_deref().unwrap_or(shown);
                Some(format!("{text}\n\n{more}"))
            }
        }
    }
}

impl Reply {
    pub(super) fn of(event: &Event, done: &Finished) -> Self {
        match (done.stopped, done.exit) {
            (Some(Stopped::Deadline), _) => Self::Broken("ran past its deadline".into()),
            (Some(_), _) => Self::Broken("was cancelled".into()),
            (None, Exit::Code(0)) => said(event, &done.stdout),
            (None, Exit::Code(2)) => Self::Block(reason(&done.stderr)),
            (None, Exit::Code(code)) => Self::Broken(with_words(
                format!("failed with the exit code {code}"),
                &done.stderr,
            )),
            (None, Exit::Signal(signal)) => Self::Broken(with_words(
                format!("was ended by the signal {signal}"),
                &done.stderr,
            )),
            (None, Exit::Unknown) => Self::Broken("cannot be ended".into()),
        }
    }
}

/// What a command that succeeded said: a JSON object decides, other words are words.
fn said(event: &Event, stdout: &Captured) -> Reply {
    let text = stdout.text();
    let text = text.trim();
    if text.starts_with('{') {
        if !stdout.is_whole() {
            return Reply::Broken(format!("said more than {} bytes", stdout.bytes.len()));
        }
        return serde_json::from_slice(stdout.bytes.trim_ascii())
            .map_err(|error| format!("said no valid JSON: {error}"))
            .and_then(|object| decided(&object))
            .unwrap_or_else(Reply::Broken);
    }
    let mut wish = Wish::default();
    if event.adds_plain_words() && !text.is_empty() {
        let mut words = text.to_owned();
        if !stdout.is_whole() {
            words.push_str(&format!("\n[{} more bytes were cut]", stdout.dropped));
        }
        wish.more = Some(words);
    }
    Reply::Wish(wish)
}

/// A JSON answer: to end the turn is stronger than to refuse, and that is stronger than to change.
fn decided(object: &Map<String, Value>) -> Result<Reply, String> {
    let empty = Map::new();
    let specific = match object.get("hookSpecificOutput") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(specific)) => specific,
        Some(_) => return Err(wrong("hookSpecificOutput")),
    };
    if let Some(message) = words(object, "systemMessage")? {
        tracing::info!("a hook says: {message}");
    }
    let wish = Wish {
        input: specific
            .get("updatedInput")
            .filter(|v| !v.is_null())
            .cloned(),
        text: words(specific, "updatedText")?,
        more: words(specific, "additionalContext")?,
    };
    let why = |key, map: &Map<String, Value>| {
        let said = words(map, key)?.unwrap_or_default();
        Ok::<_, String>(cut(said.trim()))
    };
    let go_on = match object.get("continue") {
        None | Some(Value::Null) => Value::Bool(true),
        Some(Value::Bool(go_on)) => Value::Bool(*go_on),
        Some(_) => return Err(wrong("continue")),
    };
    let decision = words(object, "decision")?;
    let permission = words(specific, "permissionDecision")?;
    let blocks = match decision.as_deref() {
        None | Some("approve") => None,
        Some("block") => Some(why("reason", object)?),
        Some(_) => return Err(wrong("decision")),
    };
    let denies = match permission.as_deref() {
        None | Some("allow") => None,
        Some("deny") => Some(why("permissionDecisionReason", specific)?),
        Some("ask") => {
            let why = why("permissionDecisionReason", specific)?;
            Some(format!(
                "{ASKS}{}{why}",
                if why.is_empty() { "" } else { ": " }
            ))
        }
        Some(_) => return Err(wrong("permissionDecision")),
    };
    if go_on == Value::Bool(false) {
        return Ok(Reply::End(why("stopReason", object)?));
    }
    Ok(match denies.or(blocks) {
        Some(reason) => Reply::Block(reason),
        None => Reply::Wish(wish),
    })
}

/// A hook can refuse or let pass, and to let pass what was to be asked about would be wider.
const ASKS: &str =
    "a hook wants a person to be asked, which an `ask` rule can do and a hook cannot";

fn words(map: &Map<String, Value>, key: &'static str) -> Result<Option<String>, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(key)),
    }
}

fn wrong(key: &str) -> String {
    format!("said a `{key}` that is not understood")
}

fn reason(stderr: &Captured) -> String {
    cut(stderr.text().trim())
}

fn with_words(what: String, stderr: &Captured) -> String {
    match reason(stderr) {
        said if said.is_empty() => what,
        said => format!("{what}: {said}"),
    }
}

/// The beginning of a reason, at most [`MAX_REASON`] characters.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_REASON) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
