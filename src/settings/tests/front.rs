//! Front matter: what is read, what is refused, and kinds made of it.
//! Refuses files; these are texts.

use super::super::{
    KindRow,
    front::{self, Field},
    kind,
};
use crate::permission::Paths;

fn fields(matter: &str) -> Vec<(String, Field)> {
    let text = format!("---\n{matter}\n---\nbody");
    front::split(&text)
        .unwrap_or_else(|why| panic!("{matter}: {why}"))
        .0
}

fn text(value: &str) -> Field {
    Field::Text(value.into())
}

fn list(items: &[&str]) -> Field {
    Field::List(items.iter().map(|item| (*item).into()).collect())
}

#[test]
fn the_flat_part_of_yaml_is_read() {
    let table = [
        ("k: plain words", text("plain words")),
        ("k: with: a colon", text("with: a colon")),
        ("k: words # comment", text("words")),
        ("k: a#b", text("a#b")),
        ("k:\ttab", text("tab")),
        ("k: \"a\\n\\\"b\\\" \\u00e9\"  # c", text("a\n\"b\" é")),
        ("k: 'it''s # here'", text("it's # here")),
        ("k:", Field::Empty),
        ("k: # nothing", Field::Empty),
        ("k: over\n  several\n\n  lines", text("over several lines")),
        ("k:\n  below", text("below")),
        (
            "k: |\n  one\n    two\n\n  three\n",
            text("one\n  two\n\nthree"),
        ),
        ("k: >-\n  one\n  two\n\n  three", text("one two\nthree")),
        (
            "k: [a, \"b, c\", 'd''e' , f]",
            list(&["a", "b, c", "d'e", "f"]),
        ),
        ("k: [\n  a,\n  b ]", list(&["a", "b"])),
        ("k: []", list(&[])),
        ("k:\n  - a\n  # c\n  - \"b\" # d", list(&["a", "b"])),
        ("k:\n- a\n- b", list(&["a", "b"])),
        ("k:\n  a: 1\n  b: 2", Field::Other),
        ("k: {a: 1}", Field::Other),
        ("k: &anchor x", Field::Other),
        ("k: !tag x", Field::Other),
        ("k: \"open", Field::Other),
        ("k: \"a\" b", Field::Other),
        ("k: [a", Field::Other),
        ("k: [a]]", Field::Other),
        ("k: [[a]]", Field::Other),
    ];
    for (matter, expected) in table {
        assert_eq!(fields(matter), [("k".into(), expected)], "{matter}");
    }
    // A list in a list keeps its inner dash as a word; no key that is read is such a list.
    assert_eq!(fields("k:\n  - - a")[0].1, list(&["- a"]));
    let two = fields("# first\na: 1\n\nb_c-D: x\r\n  y\r");
    assert_eq!(
        two,
        [("a".into(), text("1")), ("b_c-D".into(), text("x y"))]
    );
}

#[test]
fn what_is_no_front_matter_says_why() {
    let table = [
        ("", "does not begin"),
        ("# Title", "does not begin"),
        (" ---\na: 1\n---", "does not begin"),
        ("---\na: 1\n", "does not end"),
        ("---\na: 1\na: 2\n---", "said twice: `a`"),
        ("---\nno key\n---", "line 2"),
        ("---\na:b\n---", "line 2"),
        ("---\n  a: 1\n---", "line 2"),
        ("---\n- a\n---", "line 2"),
        ("---\na b: 1\n---", "line 2"),
        ("---\na: [\n  b\n]\n---", "line 4"),
    ];
    for (text, why) in table {
        let got = front::split(text).unwrap_err();
        assert!(got.contains(why), "{text:?}: {got}");
    }
    let many: String = (0..65).map(|n| format!("k{n}: 1\n")).collect();
    assert!(
        front::split(&format!("---\n{many}---"))
            .unwrap_err()
            .contains("64 keys")
    );
    assert_eq!(
        front::split("---\n---\nbody\n").unwrap(),
        (vec![], "body\n")
    );
}

#[test]
fn no_bytes_make_the_reader_panic_or_wait() {
    let pieces = [
        "---\n", "k:", " ", "\n", "\"", "'", "\\", "[", "]", ",", "- ", "|", ">", "é", "#", "\r",
    ];
    let mut seed = 7u64;
    for _ in 0..20_000 {
        let mut text = String::from("---\n");
        for _ in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        text.push_str("\n---\n");
        let _ = kind::of(&text, "f", &mut |_| {});
    }
}

fn kind(text: &str) -> (Option<KindRow>, Vec<String>) {
    let mut wrong = Vec::new();
    let kind = kind::of(text, "f.md", &mut |text| wrong.push(text));
    (kind, wrong)
}

#[test]
fn a_kind_is_made_of_its_file() {
    let (reviewer, wrong) = kind(
        "---\nname: reviewer\ndescription: Use when code: changed\ntools: Read, Grep, Bash(git *, x)\n\
         model: sonnet\ncolor: red\nmcpServers:\n  a: 1\n---\n\nYou review.\n\nBe kind.\n",
    );
    let reviewer = reviewer.unwrap();
    assert_eq!(reviewer.name, "reviewer");
    assert_eq!(reviewer.description, "Use when code: changed");
    assert_eq!(reviewer.tools.unwrap(), ["Read", "Grep", "Bash(git *, x)"]);
    assert_eq!(reviewer.model.as_deref(), Some("sonnet"));
    assert_eq!(reviewer.prompt, "You review.\n\nBe kind.");
    assert_eq!(reviewer.file, "f.md");
    assert_eq!(wrong, ["these keys are not used: `color`, `mcpServers`"]);
    let tools = |line: &str| {
        let text = format!("---\nname: n\ndescription: d\n{line}\n---\np");
        kind(&text).0.map(|kind| kind.tools)
    };
    assert_eq!(tools(""), Some(None));
    assert_eq!(tools("tools:"), Some(None));
    assert_eq!(tools("tools: \"*\""), Some(None));
    assert_eq!(tools("tools: *"), Some(None));
    assert_eq!(tools("tools: []"), Some(Some(vec![])));
    assert_eq!(tools("tools:\n  - Read"), Some(Some(vec!["Read".into()])));
    assert_eq!(tools("tools:\n  a: b"), None);
    let narrow = |lines: &str| {
        let text = format!("---\nname: n\ndescription: d\n{lines}\n---\np");
        let kind = kind(&text).0?;
        Some((kind.paths, kind.environment))
    };
    let paths = |entries: &[&str]| Some(Paths::new(entries.iter().copied()).unwrap());
    assert_eq!(narrow(""), Some((None, None)));
    assert_eq!(
        narrow("paths: src, {docs,tests}/**\nenvironment: [PATH, HOME]"),
        Some((
            paths(&["src", "{docs,tests}/**"]),
            Some(vec!["PATH".into(), "HOME".into()])
        ))
    );
    assert_eq!(
        narrow("paths:\n  - \"**/*.rs\"\nenvironment: []"),
        Some((paths(&["**/*.rs"]), Some(vec![])))
    );
    // What should narrow and cannot be read must not widen.
    for slip in [
        "paths:",
        "paths: ..",
        "paths: /etc",
        "paths: src, ../x",
        "paths:\n  a: b",
        "environment:",
        "environment: A=1",
    ] {
        assert_eq!(narrow(slip), None, "{slip}");
    }
    assert_eq!(
        kind("---\nname: n\ndescription: d\nmodel: inherit\n---\np")
            .0
            .unwrap()
            .model,
        None
    );
}

#[test]
fn half_a_kind_is_none() {
    let table = [
        ("description: d\n---\np", "it has no name"),
        ("name: n\n---\np", "it has no description"),
        ("name: n\ndescription: d\n---\n \n", "it has no prompt"),
        ("name: a b\ndescription: d\n---\np", "bad name of an agent"),
        (
            "name: \"a\\u001b[31m\"\ndescription: d\n---\np",
            "bad name of an agent",
        ),
        ("name: ../x\ndescription: d\n---\np", "bad name of an agent"),
        ("name: [n]\ndescription: d\n---\np", "`name` is no text"),
        (
            "name: n\ndescription: d\ntools: [\"a\\u0007\"]\n---\np",
            "bad name of a tool",
        ),
    ];
    for (rest, why) in table {
        let (kind, wrong) = kind(&format!("---\n{rest}"));
        assert!(
            kind.is_none() && wrong[0].contains(why),
            "{rest}: {wrong:?}"
        );
    }
}
