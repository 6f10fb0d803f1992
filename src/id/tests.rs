//! Names differ; paths and their texts are the same thing.
//! Refuses nothing that can be built.

use super::*;

#[test]
fn paths_know_their_parents() {
    let path = AgentPath::root().child("explore").child("a/b");
    assert_eq!(path.as_str(), "root/explore/a-b");
    assert_eq!(path.depth(), 2);
    assert_eq!(path.parent().unwrap().as_str(), "root/explore");
    assert_eq!(AgentPath::root().parent(), None);
}

#[test]
fn names_differ() {
    let names: std::collections::HashSet<_> =
        (0..1000).map(|_| AgentId::random().to_string()).collect();
    assert_eq!(names.len(), 1000);
    assert!(names.iter().all(|n| n.len() == 17 && n.starts_with('a')));
}
