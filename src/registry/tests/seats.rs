//! Taking a seat and giving it up: what others see before, between and after.
//! Refuses a state in which an agent is neither alive nor remembered.

use std::sync::Barrier;

use futures::FutureExt;

use super::{
    super::grave::{MAX_TOMBSTONE_BYTES, MAX_TOMBSTONE_TEXT, MAX_TOMBSTONES},
    *,
};
use crate::{
    message::{Note, Urgency},
    scope::{Phase, WaitFor},
    usage::{Cost, Usage},
};

fn paths(rows: &[AgentRow]) -> Vec<&str> {
    rows.iter().map(|row| row.path.as_str()).collect()
}

#[test]
fn a_seat_is_listed_until_it_is_given_up() {
    let (registry, root) = planted();
    let session = root.session().clone();
    let one = child(&root, "explore");
    let plan = child(&root, "plan");
    let two = child(&root, "explore");
    let below = two.enroll(newcomer("explore", root.scope()));
    assert_eq!(below.path().as_str(), "root/explore/2/explore/1");
    assert_eq!(
        below.scope().path(),
        below.path(),
        "also when it lives elsewhere"
    );
    let all = [
        "root",
        "root/explore/1",
        "root/plan/1",
        "root/explore/2",
        "root/explore/2/explore/1",
    ];
    assert_eq!(paths(&registry.list()), all);
    assert_eq!(paths(&registry.tree(&session)), all);
    assert_eq!(paths(&root.desk().children()), all[1..4]);
    assert_eq!(registry.tree(&SessionId::new("other")), []);

    let row = registry.find(&session, two.path()).unwrap();
    assert_eq!(registry.get(two.id()).unwrap().id, row.id);
    assert_eq!(
        (&row.parent, &*row.kind),
        (&Some(root.id().clone()), "explore")
    );
    assert_eq!(
        (row.seq, row.unread, &row.state),
        (two.seq(), 0, &AgentState::Running)
    );
    let wait = two.scope().part().waiting(WaitFor::Permit);
    let state = registry.get(two.id()).unwrap().state;
    assert_eq!(state.to_string(), "waiting for a free tool slot");
    drop(wait);

    one.leave(Ended::finished("done").spent(Usage::default(), Cost::UNKNOWN));
    assert!(registry.find(&session, &all[1].parse().unwrap()).is_none());
    assert_eq!(
        child(&root, "explore").path().as_str(),
        "root/explore/3",
        "no number twice"
    );
    drop((plan, two, below));
    let ended = registry.ended(&session);
    let ended: Vec<_> = ended
        .iter()
        .map(|s| (s.path.as_str(), &s.ended.state))
        .collect();
    assert_eq!(
        ended,
        [
            ("root/explore/1", &AgentState::Finished),
            ("root/explore/3", &AgentState::Cancelled),
            ("root/plan/1", &AgentState::Cancelled),
            ("root/explore/2", &AgentState::Cancelled),
            ("root/explore/2/explore/1", &AgentState::Cancelled),
        ]
    );
    assert!(!root.desk().has_children());
    let desk = root.desk();
    drop(root);
    assert!(registry.is_empty() && registry.0.trees.is_empty());
    assert!(
        registry.ended(&session).is_empty(),
        "forgotten with the last one"
    );
    assert!(matches!(desk.reach("root"), Reached::Unknown));
}

#[test]
fn names_that_look_the_same_in_a_path_share_their_numbers() {
    let (_registry, root) = planted();
    let seats = ["a/b", "a-b", "7", "_7", ""].map(|kind| child(&root, kind));
    let paths = seats.each_ref().map(|seat| seat.path().as_str());
    assert_eq!(
        paths,
        [
            "root/a-b/1",
            "root/a-b/2",
            "root/_7/1",
            "root/_7/2",
            "root/_/1"
        ]
    );
}

#[test]
fn others_are_reached_by_path_or_id_while_they_live_and_after() {
    let (registry, root) = planted();
    let one = child(&root, "one");
    let id = one.id().clone();
    let found = [one.path().as_str(), id.as_str()].map(|name| root.desk().reach(name));
    for found in &found {
        assert!(matches!(found, Reached::Alive(contact) if contact.id() == one.id()));
    }
    // Another tree's agents are nobody here.
    let stranger = registry.root(SessionId::new("s2"), &Scope::root());
    assert!(matches!(
        stranger.desk().reach(id.as_str()),
        Reached::Unknown
    ));
    assert!(matches!(
        stranger.desk().reach("root/one/1"),
        Reached::Unknown
    ));
    for name in ["", "root/two/1", "one", "a0000000000000000"] {
        assert!(
            matches!(root.desk().reach(name), Reached::Unknown),
            "{name}"
        );
    }

    one.leave(Ended::failed("no luck"));
    for name in ["root/one/1", id.as_str()] {
        let Reached::Ended(stone) = root.desk().reach(name) else {
            panic!("{name}");
        };
        assert_eq!(stone.ended.reason.as_deref(), Some("no luck"));
    }
    let [Reached::Alive(contact), _] = found else {
        panic!("it lived");
    };
    assert_eq!(contact.row().state, AgentState::Failed);
    assert!(
        contact.ended().now_or_never().is_some(),
        "nobody waits for what has happened"
    );
}

#[test]
fn mail_to_an_agent_that_left_is_refused_and_what_it_did_not_read_has_expired() {
    let (_registry, root) = planted();
    let one = child(&root, "one");
    let note = Note {
        from: "test".into(),
        text: "hello".into(),
        urgency: Urgency::NextStep,
    };
    let contact = contact(&root, &one);
    let ticket = contact.mailbox().push(note.clone()).unwrap();
    assert_eq!(contact.row().unread, 1);
    one.leave(Ended::finished(""));
    assert_eq!(ticket.state(), NoteState::Expired);
    assert!(contact.mailbox().push(note).unwrap_err().is_closed());
    let Reached::Ended(stone) = root.desk().reach("root/one/1") else {
        panic!("it has ended");
    };
    assert_eq!(stone.unread, 1);
}

#[test]
fn tombstones_are_few_and_small() {
    let (registry, root) = planted();
    for n in 0..MAX_TOMBSTONES + 10 {
        child(&root, "short").leave(Ended::finished(n.to_string()));
    }
    let stones = registry.ended(root.session());
    assert_eq!(stones.len(), MAX_TOMBSTONES);
    assert_eq!(stones[0].ended.text, "10", "the oldest went");

    let long = "ä".repeat(MAX_TOMBSTONE_TEXT);
    let fit = MAX_TOMBSTONE_BYTES / MAX_TOMBSTONE_TEXT;
    for _ in 0..fit + 1 {
        child(&root, "long").leave(Ended::failed(long.clone()));
    }
    let stones = registry.ended(root.session());
    let kept = |stone: &Arc<Tombstone>| stone.ended.reason.clone().unwrap_or_default();
    let reason = kept(stones.last().unwrap());
    assert!(reason.len() < MAX_TOMBSTONE_TEXT + 100);
    assert!(
        reason.ends_with("[cut: 262144 bytes, 131072 kept]"),
        "{}",
        &reason[131_000..]
    );
    let bytes: usize = stones.iter().map(|stone| kept(stone).len()).sum();
    assert!(bytes <= MAX_TOMBSTONE_BYTES, "{bytes}");
    assert!(stones.len() >= fit - 1, "{}", stones.len());
}

#[test]
fn an_end_that_is_none_counts_as_cancelled() {
    let (_registry, root) = planted();
    let mut ended = Ended::finished("");
    ended.state = AgentState::Running;
    let one = child(&root, "one");
    let contact = contact(&root, &one);
    one.leave(ended);
    assert_eq!(contact.row().state, AgentState::Cancelled);
}

#[test]
fn a_desk_outlives_its_seat_and_a_tree_can_be_entered_again() {
    let (registry, root) = planted();
    let (desk, scope) = (root.desk(), root.scope().clone());
    drop(root);
    let late = desk.enroll(newcomer("late", &scope));
    assert_eq!(registry.tree(desk.session()).len(), 1);
    assert!(desk.has_children());
    drop(late);
    assert!(!desk.has_children());
    assert!(registry.is_empty() && registry.0.trees.is_empty());
}

#[test]
fn two_trees_of_one_session_do_not_mix() {
    let (registry, root) = planted();
    let again = registry.root(root.session().clone(), &Scope::root());
    let (mine, other) = (child(&root, "x"), child(&again, "x"));
    assert_eq!(mine.path(), other.path());
    let reached = |seat: &Seat| match seat.desk().reach("root/x/1") {
        Reached::Alive(contact) => contact.id().clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        [reached(&root), reached(&again)],
        [mine.id().clone(), other.id().clone()]
    );
    assert_eq!(registry.tree(root.session()).len(), 4);
    drop((root, mine));
    assert_eq!(registry.tree(again.session()).len(), 2);
}

#[test]
fn a_seat_lives_in_its_scope() {
    let (_registry, root) = planted();
    let (one, two) = (child(&root, "one"), child(&root, "two"));
    drop(two);
    let receipt = root.scope().cancel();
    let phases: Vec<_> = receipt
        .stopped
        .iter()
        .map(|s| (s.agent.as_str(), &s.phase))
        .collect();
    assert_eq!(
        phases,
        [("root", &Phase::Working), ("root/one/1", &Phase::Working)]
    );
    let late = child(&one, "late");
    assert!(late.scope().is_cancelled() && root.scope().cancel().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_child_that_leaves_is_never_missed_and_never_lost() {
    for round in 0..size(500, 10_000) {
        let (registry, root) = planted();
        let seat = child(&root, "one");
        let (desk, contact) = (root.desk(), contact(&root, &seat));
        let leaver = root.scope().spawn(async move {
            if round % 2 == 0 {
                tokio::task::yield_now().await;
            }
            seat.leave(Ended::finished("done"));
        });
        let looker = {
            let desk = desk.clone();
            root.scope().spawn(async move {
                // Alive or ended, never neither.
                loop {
                    match desk.reach("root/one/1") {
                        Reached::Alive(_) => tokio::task::yield_now().await,
                        Reached::Ended(stone) => break stone,
                        Reached::Unknown => panic!("lost between life and tombstone"),
                    }
                }
            })
        };
        soon(async {
            loop {
                let changed = desk.children_changed();
                if !desk.has_children() {
                    break;
                }
                changed.await;
            }
        })
        .await;
        let stone = soon(contact.ended()).await;
        assert_eq!(soon(looker).await.unwrap(), stone);
        soon(leaver).await.unwrap();
        assert_eq!(registry.len(), 1);
    }
}

#[test]
fn opening_trees_on_several_threads_loses_none() {
    let registry = AgentRegistry::new();
    let barrier = Barrier::new(4);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                barrier.wait();
                for _ in 0..500 {
                    // All of one session, so that trees come and go under the same key.
                    let root = registry.root(SessionId::new("s"), &Scope::root());
                    let desk = root.desk();
                    let one = child(&root, "x");
                    assert!(
                        registry
                            .tree(desk.session())
                            .iter()
                            .any(|row| row.id == *one.id())
                    );
                    drop((root, one));
                    let late = desk.enroll(newcomer("late", desk.scope()));
                    let session = desk.session();
                    assert!(
                        registry
                            .tree(session)
                            .iter()
                            .any(|row| row.id == *late.id())
                    );
                }
            });
        }
    });
    assert!(registry.is_empty() && registry.0.trees.is_empty());
}
