//! Watching a registry: every change in order, within a limit, and the questions it answers.
//! Refuses to let a slow watcher slow agents down.

use super::{super::watch::MAX_CHANGES, *};
use crate::scope::WaitFor;

#[tokio::test]
async fn a_watcher_hears_of_each_change_with_its_row() {
    let (registry, root) = planted();
    let mut watch = registry.watch();
    let one = child(&root, "one");
    let id = one.id().clone();
    one.leave(Ended::failed("x"));
    drop(root);
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(match soon(watch.next()).await.unwrap() {
            AgentChange::Entered(row) => (row.path.to_string(), row.state),
            AgentChange::Left(row) => (row.path.to_string(), row.state),
        });
    }
    let one = "root/one/1".to_owned();
    assert_eq!(
        heard,
        [
            // The row is as it was when the change was told.
            (one.clone(), AgentState::Running),
            (one, AgentState::Failed),
            ("root".to_owned(), AgentState::Cancelled),
        ]
    );
    assert!(registry.get(&id).is_none());
    assert_eq!(watch.missed(), 0);
    drop(registry);
    assert_eq!(soon(watch.next()).await, None, "the registry is gone");
}

#[tokio::test]
async fn a_slow_watcher_is_told_how_much_it_missed() {
    let (registry, root) = planted();
    let mut watch = registry.watch();
    for _ in 0..MAX_CHANGES {
        drop(child(&root, "x"));
    }
    let Some(AgentChange::Entered(row)) = soon(watch.next()).await else {
        panic!("the oldest that is kept");
    };
    assert_eq!(row.path.as_str(), "root/x/513", "the older half is gone");
    assert_eq!(watch.missed(), MAX_CHANGES as u64);
    drop(watch);
    drop(child(&root, "unwatched"));
}

#[test]
fn why_says_who_waits_for_what() {
    let (registry, root) = planted();
    let (one, two) = (child(&root, "one"), child(&root, "two"));
    let wait = one.desk().wait_on(&contact(&one, &two)).unwrap();
    let _permit = two.scope().part().waiting(WaitFor::Permit);
    let why = registry.why(root.session());
    let row = |why: &Why| {
        (
            why.agent.clone(),
            why.waits.clone(),
            why.on.clone(),
            why.children.clone(),
        )
    };
    let path = |seat: &Seat| seat.path().clone();
    assert_eq!(
        why.iter().map(row).collect::<Vec<_>>(),
        [
            (path(&root), vec![], vec![], vec![path(&one), path(&two)]),
            (
                path(&one),
                vec![WaitFor::Agent(path(&two))],
                vec![path(&two)],
                vec![]
            ),
            (path(&two), vec![WaitFor::Permit], vec![], vec![]),
        ]
    );
    drop(wait);
    assert!(registry.why(root.session())[1].on.is_empty());
}

#[test]
fn the_registry_of_the_process_is_one() {
    let session = SessionId::random();
    let root = AgentRegistry::global().root(session.clone(), &Scope::root());
    assert_eq!(AgentRegistry::default().tree(&session).len(), 1);
    drop(root);
    assert!(AgentRegistry::global().tree(&session).is_empty());
}
