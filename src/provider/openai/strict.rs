//! JSON Schemas in the subset that OpenAI can hold a model to.
//! Refuses to change what a schema means: one that does not fit is sent as it is, unenforced.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::provider::schema;

/// Keywords that the strict mode takes.
const KNOWN: [&str; 19] = [
    "$defs",
    "$ref",
    "definitions",
    "type",
    "anyOf",
    "enum",
    "const",
    "description",
    "title",
    "properties",
    "additionalProperties",
    "required",
    "items",
    "pattern",
    "minimum",
    "maximum",
    "multipleOf",
    "minItems",
    "maxItems",
];

/// Keywords that only tell people something; they are left out.
const REMARKS: [&str; 6] = [
    "$schema",
    "$id",
    "default",
    "examples",
    "deprecated",
    "format",
];

/// What goes under `schema`, and whether the vendor can enforce it.
pub(super) fn fit(schema: &Value) -> (Cow<'_, Value>, bool) {
    let mut closed = schema.clone();
    let mut fits = schema.get("type").is_some_and(|kind| kind == "object");
    schema::each(&mut closed, &mut |map| fits &= close(map));
    match fits {
        true => (Cow::Owned(closed), true),
        false => (Cow::Borrowed(schema), false),
    }
}

/// Closes one object; `false` when the strict mode would refuse it.
///
/// Closing an object only narrows it, so every answer still fits the schema that was asked for.
/// Making an optional property required would not.
fn close(map: &mut Map<String, Value>) -> bool {
    map.retain(|keyword, _| !REMARKS.contains(&keyword.as_str()));
    if map.keys().any(|keyword| !KNOWN.contains(&keyword.as_str())) {
        return false;
    }
    let is_object = map.get("type").is_some_and(|kind| kind == "object");
    if !is_object && !map.contains_key("properties") {
        return true;
    }
    let open = map.insert("additionalProperties".into(), false.into());
    if open.is_some_and(|value| value != false) {
        return false; // a map with free keys
    }
    let required: Vec<&str> = match map.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match map.get("properties") {
        Some(Value::Object(properties)) => properties
            .keys()
            .all(|name| required.contains(&name.as_str())),
        Some(_) => false,
        None => false, // an object without properties: any object
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_is_closed_and_enforced() {
        let schema = json!({
            "$schema": "x", "title": "T", "type": "object", "required": ["a", "b"],
            "properties": {
                "a": {"type": ["string", "null"], "default": null},
                "b": {"type": "array", "items": {"$ref": "#/$defs/B"}},
            },
            "$defs": {"B": {"type": "object", "properties": {"n": {"type": "integer", "format": "uint32"}}, "required": ["n"]}},
        });
        let (fitted, strict) = fit(&schema);
        assert!(strict);
        assert_eq!(
            *fitted,
            json!({
                "title": "T", "type": "object", "required": ["a", "b"], "additionalProperties": false,
                "properties": {
                    "a": {"type": ["string", "null"]},
                    "b": {"type": "array", "items": {"$ref": "#/$defs/B"}},
                },
                "$defs": {"B": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}},
            })
        );
    }

    #[test]
    fn what_does_not_fit_is_left_alone() {
        for schema in [
            json!({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]}),
            json!({"type": "object", "properties": {"a": {"oneOf": []}}, "required": ["a"]}),
            json!({"type": "object", "properties": {}, "additionalProperties": true}),
            json!({"type": "object"}),
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"anyOf": []}),
            json!(true),
        ] {
            assert_eq!(fit(&schema), (Cow::Borrowed(&schema), false), "{schema}");
        }
    }
}
