//! Paths and their texts: the same order, the same equality, there and back.
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
