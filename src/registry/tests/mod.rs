//! Seats, desks and waits, one at a time and under threads.
//! Refuses sleeps: what is waited for is an event.

use super::*;
use crate::event::Ground;

#[test]
fn a_seat_is_listed_until_it_is_given_up() {
    let registry = AgentRegistry::new();
    let session = SessionId::new("s1");
    let scope = Scope::root();
    let root = registry.root(session.clone(), &scope);
    let newcomer = Newcomer {
        kind: "explore",
        description: "look",
        ground: Ground::Background,
        scope: root.scope(),
    };
    let child = root.enroll(newcomer);
    assert_eq!(child.path().as_str(), "root/explore/1");
    assert_eq!(registry.tree(&session).len(), 2);
    child.leave(Ended::finished("done"));
    assert!(matches!(
        root.desk().reach("root/explore/1"),
        Reached::Ended(stone) if stone.ended.text == "done"
    ));
    drop(root);
    assert!(registry.is_empty());
    assert!(registry.0.trees.is_empty());
}
