//! Validators of JSON Schemas, made cheaply for the plain ones that tools and answers mostly have.
//! Refuses a schema that is none; what is valid is the same whichever way a validator is made.

use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;

/// Keywords that say the same in draft 7 and in 2020-12 and have no schema in them.
const FLAT: &[&str] = &[
    "type",
    "required",
    "enum",
    "const",
    "title",
    "description",
    "default",
    "examples",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// The validator of a schema.
///
/// Every schema is checked against the schema of schemas, which is made once for a process: that of
/// 2020-12 costs several times that of draft 7, and more than the first request of a program.
pub(crate) fn validator(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    if !is_plain(schema) {
        return jsonschema::validator_for(schema);
    }
    let options = jsonschema::options().with_draft(Draft::Draft7);
    // As in 2020-12, where a format is a remark.
    options.should_validate_formats(false).build(schema)
}

/// Whether draft 7 and 2020-12 read it alike.
fn is_plain(schema: &Value) -> bool {
    let Value::Object(schema) = schema else {
        return schema.is_boolean();
    };
    schema.iter().all(|(keyword, value)| match &**keyword {
        "properties" => match value {
            Value::Object(properties) => properties.values().all(is_plain),
            _ => false,
        },
        // A list of them means something else in each.
        "items" | "additionalProperties" | "not" => is_plain(value),
        "anyOf" | "oneOf" | "allOf" => match value {
            Value::Array(schemas) => schemas.iter().all(is_plain),
            _ => false,
        },
        flat => FLAT.contains(&flat),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3i64..12).prop_map(Value::from),
            prop_oneof![Just(1.0), Just(2.5)].prop_map(Value::from),
            "[a-c]{0,4}".prop_map(Value::from),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        leaf().prop_recursive(2, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<Value>()),
            ]
        })
    }

    fn schema() -> impl Strategy<Value = Value> {
        let flat = prop_oneof![
            prop::sample::select(vec![
                "object", "array", "string", "integer", "number", "null"
            ])
            .prop_map(|kind| json!({ "type": kind })),
            Just(json!({"type": ["string", "null"]})),
            (0..5).prop_map(|n| json!({"minimum": n, "exclusiveMaximum": n + 3})),
            (0..3).prop_map(|n| json!({"minLength": n, "maxItems": n, "minProperties": n})),
            Just(json!({"enum": ["a", 1, null]})),
            Just(json!({"const": {"a": 1}})),
            Just(json!({"pattern": "^a", "format": "date"})),
            Just(json!({"uniqueItems": true, "multipleOf": 2})),
            Just(json!(true)),
            Just(json!(false)),
        ];
        flat.prop_recursive(3, 24, 3, |inner| {
            prop_oneof![
                (
                    prop::collection::btree_map("[a-c]", inner.clone(), 0..3),
                    any::<bool>()
                )
                    .prop_map(|(map, open)| {
                        let properties: Value = map.into_iter().collect();
                        json!({"type": "object", "properties": properties, "required": ["a"],
                            "additionalProperties": open, "default": {"$ref": "#/x"}})
                    }),
                inner
                    .clone()
                    .prop_map(|one| json!({"type": "array", "items": one})),
                inner.clone().prop_map(|one| json!({ "not": one })),
                (
                    prop::sample::select(vec!["anyOf", "oneOf", "allOf"]),
                    prop::collection::vec(inner, 1..3)
                )
                    .prop_map(|(word, all)| json!({ word: all })),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn a_plain_schema_means_the_same_either_way(schema in schema(), values in prop::collection::vec(value(), 8)) {
            prop_assert!(is_plain(&schema), "{schema}");
            let (ours, theirs) = (validator(&schema).unwrap(), jsonschema::validator_for(&schema).unwrap());
            let said = |validator: &Validator, value: &Value| -> Vec<String> {
                validator.iter_errors(value).map(|error| error.to_string()).collect()
            };
            for value in values {
                prop_assert_eq!(said(&ours, &value), said(&theirs, &value), "{} of {}", value, schema);
            }
        }
    }

    #[test]
    fn what_the_drafts_read_differently_is_not_plain() {
        for schema in [
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": true}}),
            json!({"prefixItems": [true]}),
            json!({"items": [{"type": "string"}]}),
            json!({"properties": {"a": {"unevaluatedProperties": false}}}),
            json!({"anyOf": [{"dependentRequired": {"a": ["b"]}}]}),
            json!({"nullable": true}),
        ] {
            assert!(!is_plain(&schema), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_is_none_is_refused_either_way() {
        for schema in [
            json!({"type": 5}),
            json!({"type": "text"}),
            json!({"required": "a"}),
            json!({"properties": {"a": 3}}),
            json!({"properties": {"a": {"minLength": -1}}}),
            json!({"anyOf": []}),
            json!({"pattern": "("}),
            json!(7),
        ] {
            assert!(validator(&schema).is_err(), "{schema}");
            assert!(jsonschema::validator_for(&schema).is_err(), "{schema}");
        }
    }
}
