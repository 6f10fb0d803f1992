//! How many calls to one address are on their way onto a connection: a rush sets out in turn.
//! Refuses to limit how many are open, and to wait for what is not busy with us.
//!
//! A thousand calls that find no connection would begin to make a thousand, and each would hold all
//! that this takes until it got through. In turn, what the first of them needed is there for the
//! next, which costs less memory and less CPU time. It costs no time where connections are made as
//! quickly as they are asked for; where the way is long, only so much as [`Rush::hold`] says.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::Payload;

/// How a rush sets out.
#[derive(Clone, Copy)]
pub(crate) struct Rush {
    /// Calls to one address that are on their way onto a connection.
    pub(crate) at_once: u32,
    /// Those who wait follow in any case, `at_once` in so long: who takes longer than this waits for
    /// the network, and holding others back would not help it.
    pub(crate) hold: Duration,
    /// So long calls wait for one of them that makes a connection they may share.
    #[cfg_attr(not(feature = "rustls"), expect(dead_code, reason = "only TLS shares"))]
    pub(crate) pass: Duration,
}

impl Default for Rush {
    fn default() -> Self {
        Self {
            at_once: 64,
            hold: Duration::from_millis(50),
            pass: Duration::from_secs(3),
        }
    }
}

/// The calls to one address that set out.
pub(super) struct Departures {
    room: Arc<Semaphore>,
    /// When the last of those who wait follows in any case.
    last: Mutex<Instant>,
    /// Between two that follow without room.
    gap: Duration,
}

/// A call's turn to set out, until it is dropped. Without room for one that followed all the same.
pub(super) struct Turn {
    _room: Option<OwnedSemaphorePermit>,
}

impl Departures {
    pub(super) fn new(rush: Rush) -> Self {
        Self {
            room: Arc::new(Semaphore::new(rush.at_once as usize)),
            last: Mutex::new(Instant::now()),
            gap: rush.hold / rush.at_once,
        }
    }

    /// A turn, if there is room.
    pub(super) fn now(&self) -> Option<Turn> {
        let room = Arc::clone(&self.room).try_acquire_owned().ok();
        room.map(|room| Turn { _room: Some(room) })
    }

    /// Waits for a turn: for room, or for as long as the place in the queue says.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    pub(super) async fn turn(&self) -> Turn {
        let place = Place::take(self);
        let _room = tokio::select! {
            biased;
            room = Arc::clone(&self.room).acquire_owned() => room.ok(),
            () = sleep_until(place.due) => None,
        };
        Turn { _room }
    }

    fn last(&self) -> MutexGuard<'_, Instant> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue. Whoever is not polled keeps it no longer than it would have waited.
struct Place<'a> {
    departures: &'a Departures,
    due: Instant,
}

impl<'a> Place<'a> {
    fn take(departures: &'a Departures) -> Self {
        let mut last = departures.last();
        let due = (*last).max(Instant::now()) + departures.gap;
        *last = due;
        Self { departures, due }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut last = self.departures.last();
        // Who goes early leaves the queue that much shorter.
        if Instant::now() < self.due
            && let Some(earlier) = last.checked_sub(self.departures.gap)
        {
            *last = earlier;
        }
    }
}

/// The body of a call that sets out: once it is asked for, there is a connection.
pub(super) struct Leaving {
    body: Payload,
    turn: Option<Turn>,
}

impl Leaving {
    pub(super) fn new(body: Payload, turn: Option<Turn>) -> Self {
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
    use futures::{FutureExt, future::join_all};
    use tokio::time::{advance, sleep};

    use super::*;

    fn full(departures: &Departures) -> Vec<Turn> {
        let turns = std::iter::from_fn(|| departures.now()).collect::<Vec<_>>();
        assert_eq!(turns.len(), Rush::default().at_once as usize);
        turns
    }

    async fn turn(departures: &Departures) -> Turn {
        match departures.now() {
            Some(turn) => turn,
            None => departures.turn().await,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_all_turns_are_taken_goes_when_one_is_away() {
        let departures = Departures::new(Rush::default());
        let mut before = full(&departures);
        let mut late = std::pin::pin!(departures.turn());
        assert!((&mut late).now_or_never().is_none());
        before.pop();
        let late = late.now_or_never().expect("its turn");
        assert!(late._room.is_some());
        drop((before, late));
        assert_eq!(departures.room.available_permits(), 64);
        assert!(*departures.last() <= Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_asked_for_is_away() {
        let departures = Departures::new(Rush::default());
        let turn = departures.now();
        let mut leaving = Leaving::new(Bytes::from_static(b"{}").into(), turn);
        assert_eq!(departures.room.available_permits(), 63);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut leaving).poll_frame(&mut cx).is_ready());
        assert_eq!(departures.room.available_permits(), 64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_way_to_the_server_is_not_gone_one_after_the_other() {
        let departures = Departures::new(Rush::default());
        let begun = Instant::now();
        let far = Duration::from_millis(300);
        join_all((0..1_000).map(async |_| {
            let turn = turn(&departures).await;
            sleep(far).await;
            drop(turn);
        }))
        .await;
        let took = begun.elapsed();
        let most = far + Rush::default().hold * (1_000 / 64) + Duration::from_millis(5);
        assert!(took > far * 2 && took <= most, "{took:?}, {most:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn turns_that_never_end_cost_whoever_follows_next_to_nothing() {
        let departures = Departures::new(Rush::default());
        let _stuck = full(&departures);
        let begun = Instant::now();
        for _ in 0..50 {
            assert!(turn(&departures).await._room.is_none());
        }
        let took = begun.elapsed();
        assert!(took <= Duration::from_millis(100), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_polled_in_the_queue_holds_up_nobody() {
        let departures = Departures::new(Rush::default());
        let stuck = full(&departures);
        let mut idle = Box::pin(departures.turn());
        assert!((&mut idle).now_or_never().is_none());
        // The room that it is given lies idle.
        drop(stuck.into_iter().next());
        let begun = Instant::now();
        let turns = join_all((0..64).map(|_| turn(&departures))).await;
        assert!(begun.elapsed() <= Rush::default().hold * 2);
        drop((idle, turns));
        assert_eq!(departures.room.available_permits(), 64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_that_are_not_polled_make_the_queue_no_longer_for_ever() {
        let departures = Departures::new(Rush::default());
        let stuck = full(&departures);
        let mut idle: Vec<_> = (0..1_000).map(|_| Box::pin(departures.turn())).collect();
        for one in &mut idle {
            assert!(one.now_or_never().is_none());
        }
        drop(stuck);
        advance(Duration::from_secs(2)).await;
        let begun = Instant::now();
        assert!(turn(&departures).await._room.is_none());
        assert!(begun.elapsed() <= Duration::from_millis(5));
    }
}
