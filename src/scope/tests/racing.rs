//! Cancels under threads: what lived at the cancel is on the receipt, exactly; and what it costs.
//! Refuses to guess who lived: places say under their own lock whether a cancel came first.

#![expect(clippy::print_stdout, reason = "a proof prints the figures it saw")]

use std::{
    collections::HashMap,
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use super::*;

#[test]
fn a_receipt_is_exactly_what_lived_at_the_cancel() {
    const TRIALS: usize = 300;
    let mut stopped_in_the_middle = 0;
    for trial in 0..TRIALS {
        let root = Scope::root();
        let top = root.child("top");
        let barrier = Barrier::new(4);
        let (receipt, lives) = thread::scope(|threads| {
            let workers: Vec<_> = (0..3)
                .map(|worker| {
                    let (top, barrier) = (&top, &barrier);
                    threads.spawn(move || {
                        barrier.wait();
                        let mut lives = Vec::new();
                        for n in 0..40 {
                            let below = top.child_at(top.path().nth("w", worker * 1000 + n));
                            let (life, wait) = (below.occupy(), below.part());
                            let waiting = (n % 3 == 0).then(|| wait.waiting(WaitFor::Permit));
                            if (n as usize + trial).is_multiple_of(4) {
                                thread::yield_now();
                            }
                            drop(waiting);
                            let lived = life.life.clone();
                            drop(life);
                            lives.push((below.path().clone(), lived.lived().unwrap()));
                        }
                        lives
                    })
                })
                .collect();
            barrier.wait();
            for _ in 0..trial % 50 {
                thread::yield_now();
            }
            let receipt = root.cancel();
            let lives = workers
                .into_iter()
                .flat_map(|w| w.join().unwrap())
                .collect::<Vec<_>>();
            (receipt, lives)
        });
        let lived: HashMap<_, _> = lives.into_iter().collect();
        let told = receipt.agents();
        assert_eq!(told.len(), receipt.stopped.len(), "one phase each");
        for agent in &told {
            assert_eq!(lived[agent], Lived::CutShort, "{agent} is told of");
        }
        let cut = lived
            .values()
            .filter(|life| **life == Lived::CutShort)
            .count();
        assert_eq!(cut, told.len(), "whoever was cut short is told of");
        assert!(cut <= 3, "a worker lives in one place at a time");
        let late = lived.values().filter(|life| **life == Lived::Late).count();
        stopped_in_the_middle += usize::from(cut > 0 && late > 0);
    }
    assert!(stopped_in_the_middle > 0, "the races must be races");
}

/// The parent of the nth place.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Flat,
    TenEach,
    Chain,
}

impl Shape {
    fn above(self, n: usize) -> usize {
        match self {
            Self::Flat => 0,
            Self::TenEach => (n - 1) / 10,
            Self::Chain => n - 1,
        }
    }
}

const PLACES: usize = 10_000;

/// Bare tokens and a tracker, the least that could do it.
async fn bare(shape: Shape) -> Duration {
    let tracker = TaskTracker::new();
    let mut tokens = vec![CancellationToken::new()];
    for n in 1..=PLACES {
        let token = tokens[shape.above(n)].child_token();
        let watched = token.clone();
        #[expect(clippy::disallowed_methods, reason = "the floor has no scopes")]
        tokio::spawn(tracker.track_future(async move { watched.cancelled().await }));
        tokens.push(token);
    }
    tokio::task::yield_now().await;
    let start = Instant::now();
    tokens[0].cancel();
    tracker.close();
    tracker.wait().await;
    start.elapsed()
}

async fn ours(shape: Shape) -> Duration {
    let mut scopes = vec![Scope::root()];
    let mut lives = Vec::new();
    for n in 1..=PLACES {
        let above: &Scope = &scopes[shape.above(n)];
        let scope = above.child_at(above.path().nth("a", n as u64));
        let inside = scope.clone();
        lives.push(scope.occupy());
        scope.spawn(async move { inside.cancelled().await });
        scopes.push(scope);
    }
    tokio::task::yield_now().await;
    let start = Instant::now();
    let receipt = scopes[0].cancel();
    scopes[0].wait().await;
    let took = start.elapsed();
    assert_eq!(black_box(receipt).stopped.len(), PLACES);
    assert!(scopes.iter().all(Scope::is_cancelled));
    took
}

/// Printed for whoever wants the figure; the bound here is loose, because it is a debug build
/// beside other tests.
#[tokio::test]
async fn cancelling_ten_thousand_costs_little_more_than_bare_tokens() {
    for shape in [Shape::Flat, Shape::TenEach, Shape::Chain] {
        let mut best = (Duration::MAX, Duration::MAX);
        for _ in 0..5 {
            best.0 = best.0.min(bare(shape).await);
            best.1 = best.1.min(ours(shape).await);
        }
        let ratio = best.1.as_secs_f64() / best.0.as_secs_f64();
        println!(
            "{shape:?}: bare {:?}, ours {:?}, ratio {ratio:.2}",
            best.0, best.1
        );
        assert!(ratio < 5.0, "{shape:?}: {ratio:.2}");
    }
}
