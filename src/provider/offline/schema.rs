//! Structured answers: a schema's properties are filled from the facts of a folder.
//! Refuses to fill a property that it does not understand; a required one of that kind ends the answer.

use serde_json::{Map, Value, json};

use super::facts::Facts;

/// Entries of a list in a structured answer.
const MAX_ITEMS: usize = 100;
/// How deep schemas may refer to others.
const MAX_DEPTH: usize = 16;

/// What a property asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Files,
    Folders,
    Bytes,
    Lines,
    Name,
    About,
    What,
    Largest,
    LargestBytes,
    Longest,
    LongestLines,
    Kinds,
    Top,
    HasReadme,
    Path,
}

/// A row: the words a property name may be made of, those of which it must have one, the field.
type Row = (&'static [&'static str], &'static [&'static str], Field);

#[rustfmt::skip]
const FIELDS: &[Row] = &[
    (&["largest", "biggest", "file", "path", "name"], &["largest", "biggest"], Field::Largest),
    (&["largest", "biggest", "file", "files"], &["largest", "biggest"], Field::Largest),
    (&["largest", "biggest", "file", "size", "bytes", "byte"], &["largest", "biggest"], Field::LargestBytes),
    (&["longest", "file", "files", "path", "name"], &["longest"], Field::Longest),
    (&["longest", "file", "lines", "line"], &["longest"], Field::LongestLines),
    (&["kinds", "kind", "file", "files", "by", "extension", "extensions", "types", "counts"],
        &["kinds", "extension", "extensions", "types"], Field::Kinds),
    (&["files", "file", "number", "num", "n", "of", "count", "total"], &["files", "file"], Field::Files),
    (&["folders", "folder", "directories", "directory", "dirs", "dir", "subfolders", "number", "num", "n", "of", "count", "total"],
        &["folders", "directories", "dirs", "subfolders", "count", "number", "num"], Field::Folders),
    (&["bytes", "byte", "size", "total", "in", "number", "num", "of", "count"], &["bytes", "size"], Field::Bytes),
    (&["lines", "line", "number", "num", "n", "of", "count", "total", "code", "loc"], &["lines", "loc", "line"], Field::Lines),
    (&["name", "title", "project", "package", "crate", "repo", "repository"], &["name", "title"], Field::Name),
    (&["summary", "description", "about", "purpose", "project", "short", "overview"],
        &["summary", "description", "about", "purpose", "overview"], Field::About),
    (&["kind", "type", "what", "project", "folder", "language", "is", "it"], &["kind", "type", "what", "language"], Field::What),
    (&["entries", "top", "level", "contents"], &["entries", "top", "contents"], Field::Top),
    (&["has", "readme"], &["readme"], Field::HasReadme),
    (&["path", "folder", "directory", "root"], &["path", "root", "folder", "directory"], Field::Path),
];

/// Phrases of a description that say what a property asks for, where its name does not.
const PHRASES: &[(&str, Field)] = &[
    ("number of files", Field::Files),
    ("how many files", Field::Files),
    ("number of folders", Field::Folders),
    ("number of directories", Field::Folders),
    ("how many folders", Field::Folders),
    ("number of lines", Field::Lines),
    ("how many lines", Field::Lines),
    ("total lines", Field::Lines),
    ("size in bytes", Field::Bytes),
    ("number of bytes", Field::Bytes),
    ("total size", Field::Bytes),
    ("largest file", Field::Largest),
    ("name of the project", Field::Name),
    ("name of the package", Field::Name),
    ("what the folder is", Field::About),
    ("what this folder is", Field::About),
];

/// Words that narrow a figure to something that no tool result says.
const NARROWER: &[&str] = &[
    "test",
    "tests",
    "changed",
    "modified",
    "deleted",
    "hidden",
    "binary",
    "failed",
    "new",
    "open",
    "duplicate",
    "empty",
    "unused",
    "generated",
    "blank",
    "comment",
    "source",
    "average",
    "average",
    "per",
    "author",
    "excluding",
    "without",
    "except",
    "only",
    "unique",
];

/// The answer as JSON text.
///
/// # Errors
/// What cannot be filled, in words.
pub(super) fn fill(schema: &Value, facts: &Facts, path: &str) -> Result<String, String> {
    let Some(object) = object_of(schema, schema, 0) else {
        return Err("the schema is not that of an object".into());
    };
    let filled = fill_object(schema, object, facts, path)?;
    match crate::schema::validator(schema) {
        Ok(validator) => match validator.validate(&filled) {
            Ok(()) => Ok(filled.to_string()),
            Err(error) => Err(format!("what I know does not fit the schema: {error}")),
        },
        Err(error) => Err(format!("the schema is not valid: {error}")),
    }
}

fn fill_object(root: &Value, object: &Value, facts: &Facts, path: &str) -> Result<Value, String> {
    let empty = Map::new();
    let properties = object["properties"].as_object().unwrap_or(&empty);
    let required = object["required"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let is_required = |name: &str| required.iter().any(|one| one == name);
    let mut out = Map::new();
    let mut beyond = Vec::new();
    for (name, schema) in properties {
        let value = field(name, schema, root)
            .and_then(|field| value(field, schema, root, facts, path))
            .filter(|value| fits(root, schema, value));
        match value {
            Some(value) => {
                out.insert(name.clone(), value);
            }
            None if is_required(name) && fits(root, schema, &Value::Null) => {
                out.insert(name.clone(), Value::Null); // it may say that it is not known
            }
            None if is_required(name) => beyond.push(format!("`{name}`")),
            None => {}
        }
    }
    let declared = |name: &&Value| {
        name.as_str()
            .is_some_and(|name| !properties.contains_key(name))
    };
    beyond.extend(
        required
            .iter()
            .filter(declared)
            .map(|name| format!("`{name}`").replace('"', "")),
    );
    match beyond.is_empty() {
        true => Ok(Value::Object(out)),
        false => Err(format!("these are beyond me: {}", beyond.join(", "))),
    }
}

/// What a property asks for, by its name, else by its description.
fn field(name: &str, schema: &Value, root: &Value) -> Option<Field> {
    let tokens = tokens(name);
    let says = description(schema, root).to_lowercase();
    let mut words = says.split(|c: char| !c.is_alphanumeric());
    if words.any(|word| NARROWER.contains(&word)) {
        return None;
    }
    let by_name = FIELDS.iter().find(|(may, must, _)| {
        tokens.iter().all(|token| may.contains(&token.as_str()))
            && tokens.iter().any(|token| must.contains(&token.as_str()))
    });
    match by_name {
        Some((_, _, field)) => Some(*field),
        None if tokens
            .iter()
            .any(|token| NARROWER.contains(&token.as_str())) =>
        {
            None
        }
        None => PHRASES
            .iter()
            .find(|(phrase, _)| says.contains(phrase))
            .map(|(_, field)| *field),
    }
}

/// `largestFile_bytes` → largest, file, bytes.
fn tokens(name: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut low = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            out.push(String::new());
        } else {
            if c.is_uppercase() && low {
                out.push(String::new());
            }
            if let Some(last) = out.last_mut() {
                last.extend(c.to_lowercase());
            }
        }
        low = c.is_lowercase();
    }
    out.retain(|token| !token.is_empty());
    out
}

/// The value of a field in the shape that the property wants.
fn value(field: Field, schema: &Value, root: &Value, facts: &Facts, path: &str) -> Option<Value> {
    let listing = facts.listing.as_ref();
    let number = |n: Option<u64>| n.map(|n| json!(n));
    let text = |t: Option<String>| t.map(|t| json!(t));
    let wants = |kind| takes(schema, root, kind);
    match field {
        Field::Files if wants("array") => names(facts),
        Field::Files => number(facts.files()),
        Field::Folders => number(listing?.folders),
        Field::Bytes => number(listing?.bytes),
        Field::Lines => number(facts.lines.as_ref()?.matches),
        Field::Name => text(facts.name().map(|(name, _)| name)),
        Field::About => {
            let said = facts.about().into_iter().next();
            text(said.map(|(about, _)| about).or_else(|| described(facts)))
        }
        Field::What => text(facts.what().map(|(what, _)| what.to_owned())),
        Field::Path => Some(json!(path)),
        Field::HasReadme => {
            let entries = &listing?.entries;
            let is_readme = |name: &str| name.to_lowercase().starts_with("readme");
            Some(json!(
                entries
                    .iter()
                    .any(|entry| entry.is_top() && is_readme(&entry.path))
            ))
        }
        Field::Largest => ranked(facts.largest(), schema, root, &["bytes", "size"]),
        Field::Longest => ranked(facts.longest(), schema, root, &["lines", "line_count"]),
        Field::LargestBytes => first(facts.largest()).map(|(_, n)| json!(n)),
        Field::LongestLines => first(facts.longest()).map(|(_, n)| json!(n)),
        Field::Kinds if wants("object") => {
            let rows = facts
                .kinds
                .iter()
                .map(|(ending, n)| (ending.clone(), json!(n)));
            facts.paths.as_ref()?.total?;
            Some(Value::Object(rows.collect()))
        }
        Field::Kinds if wants("array") => {
            facts.paths.as_ref()?.total?;
            Some(
                facts
                    .kinds
                    .iter()
                    .map(|(ending, _)| json!(ending))
                    .collect(),
            )
        }
        Field::Kinds => None,
        Field::Top if wants("array") => {
            let entries = listing?.entries.iter().filter(|entry| entry.is_top());
            Some(
                entries
                    .take(MAX_ITEMS)
                    .map(|entry| json!(entry.path))
                    .collect(),
            )
        }
        Field::Top => None,
    }
}

fn described(facts: &Facts) -> Option<String> {
    match (facts.what(), facts.mostly()) {
        (Some((what, _)), _) => Some(what.to_owned()),
        (None, Some(ending)) => Some(format!("a folder of mostly .{ending} files")),
        (None, None) if facts.files() == Some(0) => Some("a folder without files".into()),
        _ => None,
    }
}

/// The names of all files, where all are known.
fn names(facts: &Facts) -> Option<Value> {
    let paths = facts.paths.as_ref().filter(|paths| paths.is_whole())?;
    Some(paths.shown.iter().map(|path| json!(path)).collect())
}

/// The first of a ranking that ranks everything; otherwise nobody knows who is first.
fn first((rows, whole): (Vec<(&str, u64)>, bool)) -> Option<(&str, u64)> {
    rows.first().copied().filter(|_| whole)
}

/// A ranking as a text, a list, or objects with a name and a figure.
fn ranked(
    ranking: (Vec<(&str, u64)>, bool),
    schema: &Value,
    root: &Value,
    figures: &[&str],
) -> Option<Value> {
    let (rows, whole) = ranking;
    if !whole {
        return None;
    }
    let row = |schema: &Value, (name, n): &(&str, u64)| -> Value {
        let Some(object) = object_of(schema, root, 0) else {
            return json!(name);
        };
        let properties = object["properties"].as_object();
        let keys = properties.into_iter().flat_map(|map| map.keys());
        let filled = keys.filter_map(|key| match key.as_str() {
            "path" | "name" | "file" => Some((key.clone(), json!(name))),
            other if figures.contains(&other) => Some((key.clone(), json!(n))),
            _ => None,
        });
        Value::Object(filled.collect())
    };
    if takes(schema, root, "array") {
        let items = &resolve(schema, root, 0)["items"];
        let most = resolve(schema, root, 0)["maxItems"].as_u64().unwrap_or(3) as usize;
        let rows = rows.iter().take(most.min(MAX_ITEMS));
        return Some(rows.map(|pair| row(items, pair)).collect());
    }
    rows.first().map(|pair| row(schema, pair))
}

/// Whether a value is allowed here. The definitions of the whole schema stay in reach.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let mut part = schema.clone();
    let Some(map) = part.as_object_mut() else {
        return schema == &json!(true);
    };
    for key in ["$defs", "definitions"] {
        if let Some(defs) = root.get(key) {
            map.insert(key.into(), defs.clone());
        }
    }
    crate::schema::validator(&part).is_ok_and(|validator| validator.is_valid(value))
}

/// Whether the schema names this type.
fn takes(schema: &Value, root: &Value, kind: &str) -> bool {
    let schema = resolve(schema, root, 0);
    let named = match &schema["type"] {
        Value::String(one) => one == kind,
        Value::Array(many) => many.iter().any(|one| one == kind),
        _ => false,
    };
    named || branches(schema).any(|branch| takes(branch, root, kind))
}

fn branches(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["anyOf", "oneOf"]
        .iter()
        .filter_map(|key| schema[*key].as_array());
    lists.flatten()
}

/// The schema a reference leads to.
fn resolve<'a>(schema: &'a Value, root: &'a Value, depth: usize) -> &'a Value {
    let target = schema["$ref"]
        .as_str()
        .and_then(|link| root.pointer(link.strip_prefix('#')?));
    match target {
        Some(target) if depth < MAX_DEPTH => resolve(target, root, depth + 1),
        _ => schema,
    }
}

/// The schema of an object, through references and choices.
fn object_of<'a>(schema: &'a Value, root: &'a Value, depth: usize) -> Option<&'a Value> {
    let schema = resolve(schema, root, depth);
    if schema["properties"].is_object() {
        return Some(schema);
    }
    if depth >= MAX_DEPTH {
        return None;
    }
    branches(schema).find_map(|branch| object_of(branch, root, depth + 1))
}

fn description(schema: &Value, root: &Value) -> String {
    let own = schema["description"].as_str();
    let linked = resolve(schema, root, 0)["description"].as_str();
    own.or(linked).unwrap_or_default().to_owned()
}
