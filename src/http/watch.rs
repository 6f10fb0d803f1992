//! The timers of one answer: first byte, idle, no progress; one sleep for all of them.
//! Refuses to arm a timer for each frame, and to count time in which nobody read.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{Error, ErrorKind, Result};

/// Later than this after a deadline nobody can have been reading: the reader comes back, or the
/// whole process was suspended. The vendor is not blamed for that.
const LATE: Duration = Duration::from_secs(1);
/// After a deadline the connection gets one more moment to hand over what had already come.
const GRACE: Duration = Duration::from_millis(250);
/// Longer timers than this cannot be told from none.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long each of the timers runs.
#[derive(Clone, Copy)]
pub(super) struct Timers {
    pub(super) first_byte: Duration,
    pub(super) idle: Duration,
    pub(super) no_progress: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Timer {
    FirstByte,
    Idle,
    NoProgress,
}

/// Watches one answer. A read that would block asks it whether the wait has been too long; a read
/// that finds bytes never does, so that bytes which are there win over any timer.
pub(super) struct Watch {
    sleep: Pin<Box<Sleep>>,
    timers: Timers,
    host: Arc<str>,
    /// What runs out next, and when; valid while `waiting`.
    timer: Timer,
    deadline: Instant,
    /// When the last wait began.
    since: Instant,
    /// Waiting time since the last sign of progress, in waits that are over.
    stalled: Duration,
    began: bool,
    state: State,
}

/// What happened since the last wait began.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waiting.
    Waiting,
    /// Waiting, the deadline has passed.
    Graced,
    /// Bytes came that were no progress.
    Idled,
    /// Bytes came that were progress.
    Moved,
}

impl Watch {
    /// Starts the first-byte timer.
    pub(super) fn new(timers: Timers, host: Arc<str>) -> Self {
        let timers = Timers {
            first_byte: timers.first_byte.min(LONGEST),
            idle: timers.idle.min(LONGEST),
            no_progress: timers.no_progress.min(LONGEST),
        };
        let since = Instant::now();
        let deadline = since + timers.first_byte;
        Self {
            sleep: Box::pin(sleep_until(deadline)),
            timers,
            host,
            timer: Timer::FirstByte,
            deadline,
            since,
            stalled: Duration::ZERO,
            began: false,
            state: State::Waiting,
        }
    }

    /// Awaits something before the body under the first-byte timer.
    ///
    /// Cancel safety: as the future's own.
    pub(super) async fn guard<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(out) => Poll::Ready(Ok(out)),
            Poll::Pending => self.poll_quiet(cx).map(Err),
        })
        .await
    }

    /// Bytes of the body came.
    pub(super) fn came(&mut self) {
        // The wait for the beginning is no stall.
        self.state = if self.began {
            State::Idled
        } else {
            State::Moved
        };
        self.began = true;
    }

    /// What came was more than a sign of life.
    pub(super) fn moved(&mut self) {
        self.state = State::Moved;
    }

    /// Asked only when there is nothing to read: ready with the error when the wait was too long.
    pub(super) fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if matches!(self.state, State::Idled | State::Moved) {
            self.wait_begins();
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            if now < self.deadline {
                // The usual case: the sleep was armed for an earlier wait.
                self.sleep.as_mut().reset(self.deadline);
            } else if now > self.deadline + LATE {
                self.arm(now);
                self.sleep.as_mut().reset(self.deadline);
                self.state = State::Waiting;
            } else if self.state == State::Waiting {
                self.state = State::Graced;
                let grace = GRACE.min(self.limit() / 100);
                self.sleep.as_mut().reset(now + grace);
            } else {
                return Poll::Ready(self.error());
            }
        }
    }

    #[cfg(test)]
    pub(super) fn armed_for(&self) -> Instant {
        self.sleep.deadline()
    }

    fn wait_begins(&mut self) {
        let now = Instant::now();
        match self.state {
            State::Moved => self.stalled = Duration::ZERO,
            // Half the limit at most: a reader that was away must not be taken for a stall.
            _ => self.stalled += (now - self.since).min(self.timers.no_progress / 2),
        }
        self.state = State::Waiting;
        self.arm(now);
        if self.deadline < self.sleep.deadline() {
            self.sleep.as_mut().reset(self.deadline);
        }
    }

    fn arm(&mut self, now: Instant) {
        self.since = now;
        let left = self.timers.no_progress.saturating_sub(self.stalled);
        (self.timer, self.deadline) = if !self.began {
            (Timer::FirstByte, now + self.timers.first_byte)
        } else if left < self.timers.idle {
            (Timer::NoProgress, now + left)
        } else {
            (Timer::Idle, now + self.timers.idle)
        };
    }

    fn limit(&self) -> Duration {
        match self.timer {
            Timer::FirstByte => self.timers.first_byte,
            Timer::Idle => self.timers.idle,
            Timer::NoProgress => self.timers.no_progress,
        }
    }

    fn error(&self) -> Error {
        let host = &self.host;
        let what = match self.timer {
            Timer::FirstByte => format!("first-byte timer: `{host}` did not begin its answer"),
            Timer::Idle => format!("idle timer: `{host}` stopped in the middle of its answer"),
            Timer::NoProgress => format!("no-progress timer: `{host}` sent nothing but pings"),
        };
        let text = format!("{what} for: `{:?}`", self.limit());
        Error::new(ErrorKind::Timeout, text).possibly_billed()
    }
}
