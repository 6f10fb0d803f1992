//! Structured answers: what is filled, what is refused.
//! Refuses to look at prose; the JSON is parsed and compared with the folder.

use serde_json::{Value, json};

use super::{Folder, Talk, schema};
use crate::provider::Stop;

async fn answer(folder: &Folder, schema: Value) -> Result<Value, String> {
    let mut talk = Talk::new();
    talk.options.schema = Some(schema.clone());
    let heard = talk
        .ask("Survey this folder", |call| folder.run(call))
        .await;
    match heard.stop {
        Stop::Done => {
            let value = serde_json::from_str::<Value>(&heard.text).expect("JSON and nothing else");
            let validator = jsonschema::validator_for(&schema).unwrap();
            assert!(validator.is_valid(&value), "{value}");
            let first = talk.history[1].get();
            assert!(
                first.text().is_empty() && first.calls().count() > 0,
                "tools first, no words"
            );
            Ok(value)
        }
        Stop::Refused { reason } => {
            assert_eq!(reason, heard.text);
            Err(reason)
        }
        other => panic!("{other:?}"),
    }
}

fn package() -> Folder {
    let folder = Folder::empty();
    folder.write(
        "package.json",
        "{\n  \"name\": \"kite\",\n  \"description\": \"Flies\"\n}\n",
    );
    folder.write("src/a.ts", "one\ntwo\n");
    folder
}

#[tokio::test]
async fn known_properties_are_filled() {
    let folder = package();
    let truth = folder.truth();
    let number = json!({ "type": "integer" });
    let text = json!({ "type": "string" });
    let value = answer(
        &folder,
        schema(json!({
            "files": number, "numberOfFolders": number, "total_bytes": number, "line_count": number,
            "name": text, "summary": text, "kind": text, "largest_file": text,
            "has_readme": { "type": "boolean" },
            "kinds": { "type": "object", "additionalProperties": { "type": "integer" } },
            "longest": { "type": "array", "maxItems": 1, "items": { "$ref": "#/$defs/row" } },
            "amount": { "type": "integer", "description": "How many files there are" },
            "licence": { "type": ["string", "null"] },
        }))
        .as_object()
        .map(|map| {
            let mut map = map.clone();
            let row = json!({ "type": "object", "properties": { "path": text, "lines": number }, "required": ["path", "lines"] });
            map.insert("$defs".into(), json!({ "row": row }));
            Value::Object(map)
        })
        .unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(
        value,
        json!({
            "files": 2, "numberOfFolders": 1, "total_bytes": truth.bytes, "line_count": truth.lines,
            "name": "kite", "summary": "Flies", "kind": "a JavaScript or TypeScript package",
            "largest_file": "package.json", "has_readme": false,
            "kinds": { "json": 1, "ts": 1 },
            "longest": [{ "path": "package.json", "lines": 4 }],
            "amount": 2, "licence": null,
        })
    );
}

#[tokio::test]
async fn what_is_beyond_it_is_refused_by_name() {
    let folder = package();
    let text = json!({ "type": "string" });
    let why = answer(
        &folder,
        schema(json!({ "name": text, "author_name": text, "mood": text })),
    )
    .await;
    let why = why.unwrap_err();
    assert!(
        why.contains("`author_name`") && why.contains("`mood`") && !why.contains("`name`"),
        "{why}"
    );
    // A narrower figure is not the figure.
    let tests = json!({ "files": { "type": "integer", "description": "How many test files" } });
    assert!(
        answer(&folder, schema(tests))
            .await
            .unwrap_err()
            .contains("`files`")
    );
    // What does not fit is not forced to.
    let bound = json!({ "files": { "type": "integer", "minimum": 100 } });
    assert!(answer(&folder, schema(bound)).await.is_err());
    assert!(answer(&folder, json!({ "type": "array" })).await.is_err());
    // Optional properties beyond it are left out.
    let mut open = schema(json!({ "files": { "type": "integer" }, "mood": text }));
    open["required"] = json!(["files"]);
    assert_eq!(answer(&folder, open).await.unwrap(), json!({ "files": 2 }));
}

#[tokio::test]
async fn a_correction_gets_the_same_answer_without_new_calls() {
    let folder = package();
    let mut talk = Talk::new();
    talk.options.schema = Some(schema(json!({ "files": { "type": "integer" } })));
    let first = talk
        .ask("Survey this folder", |call| folder.run(call))
        .await
        .text;
    let before = talk.calls().len();
    let again = talk
        .ask("That does not fit the schema, try again", |call| {
            folder.run(call)
        })
        .await;
    assert_eq!(again.text, first);
    assert_eq!(talk.calls().len(), before);
}
