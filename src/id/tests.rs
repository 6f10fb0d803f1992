//! Names differ; paths and their texts are the same thing.
//! Refuses nothing that can be built.

use std::{
    cmp::Ordering,
    collections::{HashSet, hash_map::DefaultHasher},
    hash::Hash,
};

use proptest::{collection::vec, prelude::*};

use super::*;

#[test]
fn names_differ() {
    let names: HashSet<_> = (0..1000).map(|_| AgentId::random().to_string()).collect();
    assert_eq!(names.len(), 1000);
    assert!(names.iter().all(|n| n.len() == 17 && n.starts_with('a')));
}

#[test]
fn paths_know_their_parents_and_their_numbers() {
    let path = AgentPath::root().child("explore").child("a/b");
    assert_eq!(path.as_str(), "root/explore/a-b");
    assert_eq!(path.depth(), 2);
    assert_eq!(path.parent().unwrap().as_str(), "root/explore");
    assert_eq!(AgentPath::root().parent(), None);

    let second = AgentPath::root().nth("explore", 2);
    assert_eq!(second.as_str(), "root/explore/2");
    assert_eq!(second.parent(), Some(AgentPath::root()));
    assert_eq!(
        (second.step(), second.name(), second.depth()),
        ("explore/2", "explore", 1)
    );
    let below = second.child("deep");
    assert_eq!((below.as_str(), below.depth()), ("root/explore/2/deep", 2));
    assert_eq!((below.step(), below.name()), ("deep", "deep"));
    assert_ne!(
        AgentPath::root().nth("explore", 2),
        AgentPath::root().child("explore")
    );
    let root = AgentPath::root();
    assert_eq!(
        (root.as_str(), root.step(), root.name()),
        ("root", "root", "root")
    );
}

#[test]
fn names_in_paths_are_tame() {
    let step = |name: &str| AgentPath::root().child(name).step().to_owned();
    assert_eq!(step(""), "_");
    assert_eq!(step("7"), "_7", "digits alone would be a number");
    assert_eq!(step("a/b\n\u{1b}[31mc"), "a-b--[31mc");
    assert_eq!(step(&"ä".repeat(100)), "ä".repeat(64));
    let digits = step(&format!("{}x", "1".repeat(64)));
    assert_eq!(
        digits,
        format!("_{}", "1".repeat(63)),
        "only digits are left of it"
    );
    assert_eq!(AgentPath::root().nth("", 1).as_str(), "root/_/1");
}

#[test]
fn what_no_agent_can_be_called_is_no_path() {
    for text in [
        "",
        "/",
        "explore",
        "root/",
        "root//a",
        "root/1",
        "root/a/1/2",
        "root/a/01",
        "Root",
        "root/a\n",
        "root/a/99999999999999999999999",
    ] {
        let error = text.parse::<AgentPath>().unwrap_err();
        assert!(
            error.to_string().contains("not the path of an agent"),
            "{text}: {error}"
        );
        assert!(
            serde_json::from_value::<AgentPath>(text.into()).is_err(),
            "{text}"
        );
    }
    let long = format!("root/{}", "x".repeat(65));
    assert!(long.parse::<AgentPath>().is_err());
    let huge = "x".repeat(1_000_000).parse::<AgentPath>().unwrap_err();
    assert!(
        huge.to_string().len() < 1_000,
        "the error does not repeat it all"
    );
}

#[test]
fn a_chain_of_ten_thousand_is_built_compared_printed_and_freed() {
    const LONG: usize = 10_000;
    let chain = || {
        let mut chain = vec![AgentPath::root()];
        for n in 0..LONG {
            let above = chain.last().unwrap();
            chain.push(above.nth("link", n as u64));
        }
        chain
    };
    let (one, other) = (chain(), chain());
    let places: HashSet<_> = one.iter().cloned().collect();
    assert_eq!(places.len(), LONG + 1);
    assert!(places.contains(&other[LONG]));
    assert_eq!(one[LONG].cmp(&other[LONG]), Ordering::Equal);
    assert!(one[LONG - 1] < one[LONG]);
    let text = one[LONG].to_string();
    assert_eq!(text, other[LONG].as_str());
    assert_eq!(text.parse::<AgentPath>().unwrap(), one[LONG]);
    assert_eq!(
        serde_json::to_string(&one[LONG]).unwrap(),
        format!("\"{text}\"")
    );
    // The remembered texts of all of them would be half a gigabyte.
    for path in one.iter().take(1_000) {
        let short = path.to_string().len() <= 1024;
        assert_eq!(path.remembers(), path.depth() > 0 && short);
    }
    drop((one, places));
    let leaf = other[LONG].clone();
    drop(other);
    drop(leaf); // the last link frees all of them
}

fn built() -> impl Strategy<Value = AgentPath> {
    let name = prop_oneof![
        "[ab]{0,2}",
        "[0-9]{0,3}",
        "[-./_a0]{0,3}",
        "\\PC{0,70}",
        any::<String>()
    ];
    let step = (name, prop::option::of(prop_oneof![0..3u64, any::<u64>()]));
    vec(step, 0..5).prop_map(|steps| {
        let below = |path: AgentPath, (name, n): (String, Option<u64>)| match n {
            None => path.child(&name),
            Some(n) => path.nth(&name, n),
        };
        steps.into_iter().fold(AgentPath::root(), below)
    })
}

fn hash(path: &AgentPath) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #[test]
    fn every_path_that_can_be_built_is_its_text(path in built()) {
        let text = path.as_str().to_owned();
        let back: AgentPath = text.parse().unwrap();
        prop_assert_eq!(&back, &path);
        prop_assert_eq!(back.as_str(), &text);
        prop_assert_eq!(hash(&back), hash(&path));
        prop_assert_eq!((back.depth(), back.step(), back.name()), (path.depth(), path.step(), path.name()));
        prop_assert_eq!(back.parent(), path.parent());
        let json = serde_json::to_string(&path).unwrap();
        prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
        prop_assert_eq!(serde_json::from_str::<AgentPath>(&json).unwrap(), path);
    }

    #[test]
    fn paths_compare_as_their_texts(one in built(), other in built(), name in "[-./0a]{0,2}") {
        for (one, other) in [(&one, &other), (&one, &one.child(&name)), (&one.child(&name), &one.nth(&name, 1))] {
            prop_assert_eq!(one.cmp(other), one.as_str().cmp(other.as_str()));
            prop_assert_eq!(one == other, one.as_str() == other.as_str());
        }
    }
}
