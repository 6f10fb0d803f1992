//! How many calls to one address are on their way onto a connection: a rush sets out in turn.
//! Refuses to limit how many are open, and to hold anybody up where little moves.
//!
//! A thousand calls that find no connection would begin to make a thousand, and each would hold all
//! that this takes until it got through. In turn they are through as soon, and what the first of
//! them needed is there for the next.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use super::Payload;

/// Calls to one address that are on their way onto a connection.
pub(super) const SETTING_OUT: usize = 64;
/// In so long all of them get away, and as many more; else whoever waits waits no longer. What keeps
/// them is not the rush then: a server that is gone, or one whose connection has no room.
const PATIENCE: Duration = Duration::from_secs(1);
/// So often a call waits as long.
const WAITS: u32 = 20;

/// The calls to one address that set out.
pub(super) struct Departures {
    room: Arc<Semaphore>,
    at_once: u64,
    /// How many have got away, or given up.
    away: Arc<AtomicU64>,
}

/// A call's turn to set out, until it is dropped.
pub(super) struct Turn {
    /// None for one that was let through because little moved.
    room: Option<OwnedSemaphorePermit>,
    away: Arc<AtomicU64>,
}

impl Departures {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(at_once)),
            at_once: at_once as u64,
            away: Arc::default(),
        }
    }

    /// Waits for those who set out before.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    pub(super) async fn turn(&self) -> Turn {
        let turn = |room| Turn {
            room,
            away: Arc::clone(&self.away),
        };
        let mut room = pin!(Arc::clone(&self.room).acquire_owned());
        for _ in 0..WAITS {
            let before = self.away.load(Relaxed);
            tokio::select! {
                biased;
                room = &mut room => return turn(room.ok()),
                () = sleep(PATIENCE) => {}
            }
            if self.away.load(Relaxed) - before < self.at_once {
                break;
            }
        }
        turn(None)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.room.is_some() {
            self.away.fetch_add(1, Relaxed);
        }
    }
}

/// The body of a call that sets out: once it is asked for, there is a connection.
pub(super) struct Leaving {
    body: Payload,
    turn: Option<Turn>,
}

impl Leaving {
    pub(super) fn new(body: Payload, turn: Turn) -> Self {
        let turn = Some(turn);
        Self { body, turn }
    }
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.turn = None;
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::time::Instant;

    use super::*;

    async fn full(departures: &Departures) -> Vec<Turn> {
        let turns = (0..SETTING_OUT).map(|_| departures.turn().now_or_never());
        turns.map(|turn| turn.expect("there is room")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_all_turns_are_taken_goes_when_one_is_away() {
        let departures = Departures::new(SETTING_OUT);
        let mut before = full(&departures).await;
        let mut late = pin!(departures.turn());
        assert!((&mut late).now_or_never().is_none());
        before.pop();
        let late = late.now_or_never().expect("its turn");
        assert!(late.room.is_some());
        drop((before, late));
        assert_eq!(departures.room.available_permits(), SETTING_OUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_asked_for_is_away() {
        let departures = Departures::new(1);
        let turn = departures.turn().await;
        let mut leaving = Leaving::new(Bytes::from_static(b"{}").into(), turn);
        assert_eq!(departures.room.available_permits(), 0);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut leaving).poll_frame(&mut cx).is_ready());
        assert_eq!(departures.room.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_where_nothing_moves() {
        let departures = Departures::new(SETTING_OUT);
        let _stuck = full(&departures).await;
        let begun = Instant::now();
        let turn = departures.turn().await;
        assert!(turn.room.is_none());
        assert_eq!(begun.elapsed().as_secs(), PATIENCE.as_secs());
        // One that was let through is no sign that the others move.
        drop(turn);
        assert_eq!(departures.away.load(Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_where_little_moves() {
        // Each second some get away, and fewer than four.
        let departures = Departures::new(4);
        let waited = futures::future::join_all((0..40).map(async |number| {
            sleep(PATIENCE / 4 * number).await;
            let begun = Instant::now();
            let turn = departures.turn().await;
            let waited = begun.elapsed();
            sleep(PATIENCE * 3 / 2).await;
            drop(turn);
            waited
        }));
        let longest = waited.await.into_iter().max().unwrap();
        assert_eq!(longest.as_secs(), PATIENCE.as_secs());
        assert!(departures.away.load(Relaxed) > 4);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end_in_a_long_queue() {
        let departures = Departures::new(1);
        let slow = async {
            let mut turn = departures.turn().await;
            loop {
                // The next in the queue always has somebody before it.
                let next = departures.turn();
                sleep(PATIENCE / 2).await;
                drop(turn);
                turn = next.await;
            }
        };
        let crowd = futures::future::join_all((0..100).map(|_| async {
            let begun = Instant::now();
            let turn = departures.turn().await;
            let waited = begun.elapsed();
            sleep(PATIENCE / 2).await;
            drop(turn);
            waited
        }));
        let waited = tokio::select! {
            waited = crowd => waited,
            () = slow => unreachable!("it goes on for ever"),
        };
        let longest = waited.into_iter().max().unwrap();
        assert!(longest > PATIENCE * 15, "some wait: {longest:?}");
        assert!(longest <= PATIENCE * WAITS, "{longest:?}");
    }
}
