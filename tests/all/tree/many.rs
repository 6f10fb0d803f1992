//! A cancel of ten thousand agents in three shapes: nobody is left, nothing is held, all are named.
//! Refuses to time it: the benchmark of the tree does that, beside bare tokens of the same shape.

use std::{collections::HashSet, sync::Arc};

use offshoot::{AgentRegistry, Ended, Ground, Newcomer, Scope, Seat, SessionId};
use tokio::sync::Semaphore;

const AGENTS: usize = 10_000;

/// Cancels a tree in which the nth agent is the child of the one that `above` says.
async fn cancel(shape: &str, above: fn(usize) -> usize) {
    let registry = AgentRegistry::new();
    let scope = Scope::root();
    let root = registry.root(SessionId::random(), &scope);
    let permits = Arc::new(Semaphore::new(AGENTS));
    let mut desks = vec![root.desk()];
    let mut paths = HashSet::from([root.path().clone()]);
    for n in 0..AGENTS {
        let parent = &desks[above(n)];
        let seat: Seat = parent.enroll(Newcomer {
            kind: "a",
            description: "one of many",
            ground: Ground::Foreground,
            scope: parent.scope(),
        });
        desks.push(seat.desk());
        paths.insert(seat.path().clone());
        let (inside, permit) = (seat.scope().clone(), permits.clone());
        seat.scope().clone().spawn(async move {
            let _permit = permit.acquire_owned().await.unwrap();
            inside.cancelled().await;
            seat.leave(Ended::cancelled());
        });
    }
    while permits.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(registry.len(), AGENTS + 1, "{shape}");
    let receipt = scope.close().await;
    let named: HashSet<_> = receipt.agents().into_iter().collect();
    assert!(named.is_subset(&paths), "{shape}");
    assert!(named.len() >= AGENTS, "{shape}: {} are named", named.len());
    assert_eq!(registry.len(), 1, "{shape}: only the root is left");
    assert_eq!(permits.available_permits(), AGENTS, "{shape}");
    let alive = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(alive, 0, "{shape}: tasks");
    drop((root, desks));
    assert_eq!(registry.len(), 0, "{shape}");
}

#[tokio::test]
async fn invariant_11_a_cancel_of_ten_thousand_leaves_nobody_whatever_their_shape() {
    cancel("flat", |_| 0).await;
    cancel("fan-out 10", |n| n / 10).await;
    cancel("a chain", |n| n).await;
}
