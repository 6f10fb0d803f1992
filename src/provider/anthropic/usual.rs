//! A delta as nearly all are spelt, read where it lies: reading it as JSON costs ten times as much.
//! Refuses whatever is spelt otherwise by one byte; that is JSON like any other, and read as such.

use std::borrow::Cow;

use memchr::memchr2;

use super::wire::{AnyDelta, BlockDelta};

/// What stands before the number of the block, and what behind it.
const HEAD: &str = r#"{"type":"content_block_delta","index":"#;
const NECK: &str = r#","delta":{"type":""#;

/// The delta in this payload, where it is one of words without an escape.
pub(super) fn read(data: &str) -> Option<BlockDelta<'_>> {
    let rest = data.strip_prefix(HEAD)?;
    let (index, rest) = rest.split_at(rest.find(',')?);
    let is_number = index == "0" || index.starts_with(|c: char| matches!(c, '1'..='9'));
    let index = index.parse().ok().filter(|_| is_number)?;
    let rest = rest.strip_prefix(NECK)?;
    let mut delta = AnyDelta::default();
    let (kind, field, rest) = if let Some(rest) = rest.strip_prefix(r#"text_delta","text":""#) {
        ("text_delta", &mut delta.text, rest)
    } else if let Some(rest) = rest.strip_prefix(r#"input_json_delta","partial_json":""#) {
        ("input_json_delta", &mut delta.partial_json, rest)
    } else {
        let rest = rest.strip_prefix(r#"thinking_delta","thinking":""#)?;
        ("thinking_delta", &mut delta.thinking, rest)
    };
    let end = memchr2(b'"', b'\\', rest.as_bytes())?;
    let (words, rest) = rest.split_at(end);
    if words.bytes().any(|byte| byte < b' ') {
        return None;
    }
    // Some of these are padded with blanks, so that their length tells nobody what they say.
    let end = rest.strip_prefix("\"}")?.trim_start_matches(' ');
    if end.trim_end_matches(' ') != "}" {
        return None;
    }
    *field = Cow::Borrowed(words);
    delta.kind = Cow::Borrowed(kind);
    Some(BlockDelta { index, delta })
}

#[cfg(test)]
mod tests {
    use proptest::{
        prelude::*,
        test_runner::{TestError, TestRunner},
    };

    use super::*;

    /// Payloads that are usual, nearly so, or not at all.
    fn payloads() -> impl Strategy<Value = String> {
        let pieces = [
            HEAD,
            HEAD,
            HEAD,
            "0",
            "7",
            "07",
            "-1",
            "1.0",
            "99999999999999999999",
            NECK,
            NECK,
            NECK,
            r#"text_delta","text":""#,
            r#"thinking_delta","thinking":""#,
            r#"input_json_delta","partial_json":""#,
            r#"text_delta","thinking":""#,
            "words",
            "漢👍",
            r"\n",
            r"\u00e4",
            "\t",
            r#"""#,
            r#""}}"#,
            r#""}   } "#,
            r#""},"x":1}"#,
            "}",
            " ",
        ];
        let odd = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..9);
        let odd = odd.prop_map(|pieces| pieces.concat());
        let usual = (0usize..3, "[ -~äß漢]{0,12}", 0u32..12, " {0,9}");
        let usual = usual.prop_map(|(kind, words, index, pad)| {
            let kind = [
                r#"text_delta","text":""#,
                r#"thinking_delta","thinking":""#,
                r#"input_json_delta","partial_json":""#,
            ][kind];
            format!("{HEAD}{index}{NECK}{kind}{words}\"}}{pad}}}")
        });
        prop_oneof![odd, usual]
    }

    /// Whether what is read so is what JSON says, over any payloads; and how often it was read.
    fn agrees(read: impl Fn(&str) -> Option<BlockDelta<'_>>) -> Result<usize, TestError<String>> {
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(4_000)
        };
        let found = std::cell::Cell::new(0);
        TestRunner::new(config).run(&payloads(), |payload| {
            if let Some(usual) = read(&payload) {
                let json: BlockDelta<'_> = serde_json::from_str(&payload)
                    .map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(usual.index, json.index);
                prop_assert_eq!(&usual.delta.kind, &json.delta.kind);
                prop_assert_eq!(&usual.delta.text, &json.delta.text);
                prop_assert_eq!(&usual.delta.thinking, &json.delta.thinking);
                prop_assert_eq!(&usual.delta.partial_json, &json.delta.partial_json);
                found.set(found.get() + 1);
            }
            Ok(())
        })?;
        Ok(found.get())
    }

    #[test]
    fn what_is_read_without_json_is_what_json_says() {
        assert!(agrees(read).unwrap() > 1_000);
    }

    #[test]
    fn twin_a_reader_that_forgets_escapes_disagrees() {
        fn careless(data: &str) -> Option<BlockDelta<'_>> {
            let (_, words) = data.strip_prefix(HEAD)?.split_once(NECK)?;
            let words = words.strip_prefix(r#"text_delta","text":""#)?;
            let delta = AnyDelta {
                kind: "text_delta".into(),
                text: words.rsplit_once("\"}")?.0.into(),
                ..AnyDelta::default()
            };
            let index = data[HEAD.len()..].split(',').next()?.parse().ok()?;
            Some(BlockDelta { index, delta })
        }
        agrees(careless).unwrap_err();
    }

    #[test]
    fn padded_deltas_are_usual() {
        let padded = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" hi"}     }"#;
        assert_eq!(read(padded).unwrap().delta.text, " hi");
    }
}
