//! A kind of agent as a Markdown file describes it: front matter, then the system prompt.
//! Refuses a kind without a name, a description or a prompt; what it may do, its parent decides.

use super::{
    MAX_VARIABLES,
    front::{self, Field},
};
use crate::{error::Error, permission::Paths};

/// Characters of a kind's name.
const MAX_NAME: usize = 64;

/// Characters of a kind's description.
const MAX_DESCRIPTION: usize = 10_000;

/// Tools that one kind may name.
const MAX_TOOLS: usize = 200;

/// A kind of agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindRow {
    /// What it is called by: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// When it is to be used.
    pub description: String,
    /// The tools it may use; `None` for all that its parent has.
    pub tools: Option<Vec<String>>,
    /// Which files it may reach; `None` for all that its parent may.
    pub paths: Option<Paths>,
    /// Which variables its programs see; `None` for all that its parent's do.
    pub environment: Option<Vec<String>>,
    /// The model that answers; `None` for its parent's.
    pub model: Option<String>,
    /// Its system prompt.
    pub prompt: String,
    /// The file it comes from.
    pub file: String,
}

/// The kind that a file describes.
pub(super) fn of(text: &str, file: &str, wrong: &mut dyn FnMut(String)) -> Option<KindRow> {
    match parse(text, file) {
        Ok((kind, unknown)) => {
            if !unknown.is_empty() {
                wrong(format!(
                    "these keys are not used: `{}`",
                    unknown.join("`, `")
                ));
            }
            Some(kind)
        }
        Err(text) => {
            wrong(text);
            None
        }
    }
}

fn parse(text: &str, file: &str) -> Result<(KindRow, Vec<String>), String> {
    let (fields, body) = front::split(text)?;
    let (mut name, mut description, mut model, mut tools) = (None, None, None, None);
    let (mut paths, mut environment) = (None, None);
    let mut unknown = Vec::new();
    for (key, field) in fields {
        match key.as_str() {
            "name" => name = Some(words(&key, field)?),
            "description" => description = Some(words(&key, field)?),
            "model" => model = Some(words(&key, field)?),
            "tools" => tools = names(field)?,
            "paths" => {
                let list = listed(&key, field)?;
                paths = Some(Paths::new(list).map_err(|error| spoken(&error))?);
            }
            "environment" => environment = Some(variables(listed(&key, field)?)?),
            _ => unknown.push(key),
        }
    }
    let filled = |field: Option<String>, key: &str| {
        let text = field.unwrap_or_default().trim().to_owned();
        if text.is_empty() {
            Err(format!("it has no {key}"))
        } else {
            Ok(text)
        }
    };
    let name = filled(name, "name")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() > MAX_NAME || !name.chars().all(plain) {
        return Err(format!(
            "bad name of an agent: `{name}`; use at most {MAX_NAME} letters, digits, `-`, `_` and `.`"
        ));
    }
    let description = filled(description, "description")?;
    if description.chars().count() > MAX_DESCRIPTION {
        return Err(format!(
            "its description has more than {MAX_DESCRIPTION} characters"
        ));
    }
    let kind = KindRow {
        name,
        description,
        tools,
        paths,
        environment,
        model: model.filter(|model| !matches!(model.as_str(), "" | "inherit")),
        prompt: filled(Some(body.to_owned()), "prompt")?,
        file: file.to_owned(),
    };
    Ok((kind, unknown))
}

fn words(key: &str, field: Field) -> Result<String, String> {
    match field {
        Field::Text(text) => Ok(text),
        Field::Empty => Ok(String::new()),
        Field::List(_) | Field::Other => Err(format!("`{key}` is no text")),
    }
}

/// The tools it names; nothing and `*` stand for all.
fn names(field: Field) -> Result<Option<Vec<String>>, String> {
    let names = match field {
        Field::Empty => return Ok(None),
        Field::List(names) => names,
        Field::Text(text) => at_commas(&text),
        Field::Other => return Err("`tools` is no list".into()),
    };
    if names.iter().any(|name| name == "*") {
        return Ok(None);
    }
    if names.len() > MAX_TOOLS {
        return Err(format!("it names more than {MAX_TOOLS} tools"));
    }
    match names.iter().find(|name| name.chars().any(char::is_control)) {
        Some(bad) => Err(format!("bad name of a tool: `{bad}`")),
        None => Ok(Some(names)),
    }
}

/// What a key lists that narrows: nothing behind it is a slip and not the widest of lists.
fn listed(key: &str, field: Field) -> Result<Vec<String>, String> {
    match field {
        Field::List(names) => Ok(names),
        Field::Text(text) => Ok(at_commas(&text)),
        Field::Empty => Err(format!("`{key}` names nothing; write `[]` for none at all")),
        Field::Other => Err(format!("`{key}` is no list")),
    }
}

fn variables(names: Vec<String>) -> Result<Vec<String>, String> {
    if names.len() > MAX_VARIABLES {
        return Err(format!("it names more than {MAX_VARIABLES} variables"));
    }
    let bad =
        |name: &&String| name.is_empty() || name.contains(|c: char| c == '=' || c.is_control());
    match names.iter().find(bad) {
        Some(bad) => Err(format!("bad name of a variable: `{bad}`")),
        None => Ok(names),
    }
}

fn spoken(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

/// The parts between commas; a comma in brackets belongs to its part, as in `Bash(a, b)` and
/// `{src,docs}/**`.
fn at_commas(text: &str) -> Vec<String> {
    let mut depth = 0usize;
    let parts = text.split(|c| {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let parts = parts.map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}
