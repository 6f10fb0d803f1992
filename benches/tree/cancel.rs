//! A cancel of many descendants in three shapes of tree, beside bare tokens and a tracker.
//! Refuses to count how the tree was made.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use offshoot::Scope;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Descendants that are cancelled.
const CANCELLED: usize = 10_000;

/// Whose child the nth one is.
pub(crate) type Above = fn(usize) -> usize;

pub(crate) const SHAPES: [(&str, Above); 3] = [
    ("flat", |_| 0),
    ("fan-out 10", |n| n / 10),
    ("a chain", |n| n),
];

pub(crate) async fn ours(above: Above) -> Duration {
    let root = Scope::root();
    let mut scopes = vec![root.clone()];
    for n in 0..CANCELLED {
        let child = scopes[above(n)].child("a");
        let inside = child.clone();
        child.spawn(async move { inside.cancelled().await });
        scopes.push(child);
    }
    tokio::task::yield_now().await;
    let began = Instant::now();
    black_box(root.close().await);
    began.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "the floor is tokio without us")]
pub(crate) async fn floor(above: Above) -> Duration {
    let tracker = TaskTracker::new();
    let mut tokens = vec![CancellationToken::new()];
    for n in 0..CANCELLED {
        let child = tokens[above(n)].child_token();
        let inside = child.clone();
        tokio::spawn(tracker.track_future(async move { inside.cancelled().await }));
        tokens.push(child);
    }
    tracker.close();
    tokio::task::yield_now().await;
    let began = Instant::now();
    tokens[0].cancel();
    tracker.wait().await;
    began.elapsed()
}
