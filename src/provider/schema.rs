//! A walk over every schema inside a JSON Schema, for the vendors that take only some of it.
//! Refuses to know vendors: what is changed on the way is theirs to say.

use serde_json::{Map, Value};

/// Keywords whose value is one schema.
const ONE: [&str; 9] = [
    "items",
    "additionalProperties",
    "additionalItems",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
];
/// Keywords whose value is a list of schemas.
const MANY: [&str; 5] = ["anyOf", "oneOf", "allOf", "prefixItems", "items"];
/// Keywords whose value has a schema under every name; the names are the user's own.
const NAMED: [&str; 5] = [
    "properties",
    "$defs",
    "definitions",
    "patternProperties",
    "dependentSchemas",
];

/// Schemas inside schemas are followed this far; deeper ones are left as they are.
const MAX_DEPTH: usize = 64;

/// Visits every schema, the innermost first. Data (`enum`, `default`, …) is not entered.
pub(crate) fn each(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    walk(schema, visit, MAX_DEPTH);
}

fn walk(schema: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>), depth: usize) {
    let Value::Object(map) = schema else { return };
    if depth == 0 {
        return;
    }
    for (keyword, value) in map.iter_mut() {
        let keyword = keyword.as_str();
        match value {
            Value::Object(named) if NAMED.contains(&keyword) => {
                for schema in named.values_mut() {
                    walk(schema, visit, depth - 1);
                }
            }
            Value::Object(_) if ONE.contains(&keyword) => walk(value, visit, depth - 1),
            Value::Array(list) if MANY.contains(&keyword) => {
                for schema in list {
                    walk(schema, visit, depth - 1);
                }
            }
            _ => {}
        }
    }
    visit(map);
}

/// `oneOf` becomes `anyOf`, `const` becomes an `enum` of one, `$schema` goes: what both vendors
/// with a dialect of their own ask for, and what no model would notice.
pub(crate) fn plain(map: &mut Map<String, Value>) {
    map.remove("$schema");
    if let Some(value) = map.remove("const") {
        map.entry("enum")
            .or_insert_with(|| Value::Array(vec![value]));
    }
    if let Some(list) = map.remove("oneOf") {
        map.entry("anyOf").or_insert(list);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_are_changed_and_data_is_not() {
        let mut schema = json!({
            "$schema": "x",
            "type": "object",
            "properties": {
                "const": {"const": {"const": 1}},
                "oneOf": {"items": {"oneOf": [{"const": 2}]}, "default": {"const": 3}},
            },
            "enum": [{"const": 4}],
        });
        each(&mut schema, &mut plain);
        let expected = json!({
            "type": "object",
            "properties": {
                "const": {"enum": [{"const": 1}]},
                "oneOf": {"items": {"anyOf": [{"enum": [2]}]}, "default": {"const": 3}},
            },
            "enum": [{"const": 4}],
        });
        assert_eq!(schema, expected);
    }

    #[test]
    fn a_bottomless_schema_ends_the_walk() {
        let mut schema = json!({});
        for _ in 0..100 {
            schema = json!({"items": schema});
        }
        let mut count = 0;
        each(&mut schema, &mut |_| count += 1);
        assert_eq!(count, MAX_DEPTH);
    }
}
