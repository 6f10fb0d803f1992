//! Objects that go back to the vendor unread: one field may change, no other byte does.
//! Refuses to know which blocks those are.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::wire::Text;

/// The same object with one field changed, every other byte as it was.
pub(super) fn with_field(object: &RawValue, name: &str, value: &RawValue) -> Box<RawValue> {
    let Ok(fields) = serde_json::from_str::<Fields<'_>>(object.get()) else {
        return object.to_owned();
    };
    let mut text = object.get().to_owned();
    match fields.0.iter().find(|(field, _)| field == name) {
        Some((_, old)) => {
            let at = old.get().as_ptr() as usize - object.get().as_ptr() as usize;
            text.replace_range(at..at + old.get().len(), value.get());
        }
        None => {
            let comma = if fields.0.is_empty() { "" } else { "," };
            let end = text.len() - 1;
            text.insert_str(end, &format!("{comma}\"{name}\":{}", value.get()));
        }
    }
    RawValue::from_string(text).unwrap_or_else(|_| object.to_owned())
}

/// The fields of an object, in order, each a slice of the text it was read from.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A>(self, mut map: A) -> Result<Self::Value, A::Error>
            where
                A: MapAccess<'de>,
            {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    fields.push((name.0, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_changes_and_no_other_byte() {
        let change = |object: &str| {
            let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
            with_field(&raw(object), "input", &raw("[ 1 ]"))
                .get()
                .to_owned()
        };
        let rows = [
            (
                r#"{"a":1.0, "input" : {}, "z":[ ]}"#,
                r#"{"a":1.0, "input" : [ 1 ], "z":[ ]}"#,
            ),
            (r#"{"a":{"input":2}}"#, r#"{"a":{"input":2},"input":[ 1 ]}"#),
            (r#"{ }"#, r#"{ "input":[ 1 ]}"#),
            (r#"[7]"#, r#"[7]"#),
        ];
        for (object, expected) in rows {
            assert_eq!(change(object), expected);
        }
    }
}
