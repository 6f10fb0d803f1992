//! One gate: open, shut, letting one probe through, or letting the crowd through at a growing pace.
//! Refuses to wait and to know the clock: it is told the time and says who may go when.

use std::time::Duration;

use tokio::time::Instant;

use crate::id::random_unit;

/// The figures of the governor. One set for every gate; tests use a faster one.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// How long the gate stays shut the first time nobody says how long.
    pub(crate) backoff: Duration,
    /// The longest such time when the vendor is overloaded: nobody is blamed, so look often.
    pub(crate) load_cap: Duration,
    /// The longest such time when our own quota is used up: looking costs quota.
    pub(crate) quota_cap: Duration,
    /// A probe that has not been answered after this time does not hold up the next one.
    pub(crate) probe: Duration,
    /// The time between two requests right after the first probe came through.
    pub(crate) first_gap: Duration,
    /// What each success leaves of that time.
    pub(crate) shrink: f64,
    /// At full pace so large a share of the crowd goes in each `window`.
    pub(crate) share: f64,
    /// See `share`.
    pub(crate) window: Duration,
    /// So long after the last refusal the gate is open again, whoever has not come back.
    pub(crate) relax: Duration,
    /// Nobody waits at a gate that is known to stay shut for longer than this.
    pub(crate) longest_shut: Duration,
    /// Nobody waits at a gate for longer than this.
    pub(crate) patience: Duration,
    /// Whoever is first in the queue and does not come so long after it might have gone is passed:
    /// its stream is not being read.
    pub(crate) asleep: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self {
            backoff: millis(500),
            load_cap: millis(8_000),
            quota_cap: millis(30_000),
            probe: millis(15_000),
            first_gap: millis(200),
            shrink: 0.8,
            share: 0.04,
            window: millis(100),
            relax: millis(30_000),
            longest_shut: super::MAX_RETRY_AFTER,
            patience: millis(600_000),
            asleep: millis(1_000),
        }
    }
}

/// Between two of those who wait, while they look for themselves.
const LOOK: Duration = Duration::from_millis(1);

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// This account has used up its share.
    Quota,
    /// The vendor has more requests than it can take, from all the world.
    Load,
}

/// What the one at the head of the queue may do.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Go, and report back under this number.
    Go(u64),
    /// Ask again then, or when the gate changes.
    Until(Instant),
    /// Do not wait: the gate stays shut for so long.
    Shut(Duration, Cause),
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Open,
    Shut {
        until: Instant,
    },
    /// One at a time until the first success; the time is when the probe's lease ends.
    Probing {
        lease: Option<Instant>,
    },
    Paced {
        gap: Duration,
        next: Instant,
    },
}

/// Whoever stands first in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Comes when it may go, as far as is known.
    Comes,
    /// Was passed and has not come since.
    Asleep,
}

/// The state of one gate.
#[derive(Debug)]
pub(super) struct State {
    mode: Mode,
    /// Counts closings. A report about a request from before the last closing is no news.
    epoch: u64,
    failures: u32,
    /// What the last probe that was answered made of `failures` no more.
    forgiven: u32,
    cause: Cause,
    /// How many wait in the queue.
    pub(super) waiting: usize,
    /// How many were refused and have not come back yet.
    owed: usize,
    /// The largest crowd since the gate was last open.
    crowd: usize,
    refused_at: Instant,
    pub(super) used_at: Instant,
    /// When somebody of the queue last asked whether it may go.
    stepped_at: Instant,
    pub(super) first: First,
    /// All who wait should hear of the mode.
    turned: bool,
}

impl State {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            mode: Mode::Open,
            epoch: 0,
            failures: 0,
            forgiven: 0,
            cause: Cause::Load,
            waiting: 0,
            owed: 0,
            crowd: 0,
            refused_at: now,
            used_at: now,
            stepped_at: now,
            first: First::Comes,
            turned: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.mode, Mode::Open)
    }

    /// Whether nothing is lost when this gate is forgotten.
    pub(super) fn is_idle(&self, now: Instant, pace: &Pace) -> bool {
        let quiet = now > self.refused_at + pace.relax;
        match self.mode {
            Mode::Open => true,
            Mode::Shut { until } => quiet && now > until,
            Mode::Probing { .. } | Mode::Paced { .. } => quiet,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When the first in the queue will have been passed, unless it comes.
    pub(super) fn passed_at(&self, pace: &Pace) -> Instant {
        let due = match self.mode {
            Mode::Open | Mode::Probing { lease: None } => self.stepped_at,
            Mode::Shut { until } => until,
            Mode::Probing { lease: Some(end) } => end,
            Mode::Paced { next, .. } => next,
        };
        match self.first {
            First::Asleep => due,
            First::Comes => due.max(self.stepped_at) + pace.asleep,
        }
    }

    /// How much later than that one of those who wait looks, so that a thousand do not look at once.
    pub(super) fn spread(&self) -> Duration {
        match self.first {
            First::Asleep => LOOK.mul_f64(self.waiting as f64 * random_unit()),
            First::Comes => Duration::ZERO,
        }
    }

    /// Whether what those who wait are waiting for has changed since this was asked last: not only
    /// its pace.
    pub(super) fn has_turned(&mut self) -> bool {
        std::mem::take(&mut self.turned)
    }

    pub(super) fn step(&mut self, now: Instant, pace: &Pace) -> Step {
        self.used_at = now;
        self.stepped_at = now;
        self.crowd = self.crowd.max(self.waiting).max(self.owed);
        match self.mode {
            Mode::Open => return Step::Go(self.epoch),
            Mode::Shut { until } if now < until => {
                let left = until - now;
                return if left > pace.longest_shut {
                    Step::Shut(left, self.cause)
                } else {
                    Step::Until(until)
                };
            }
            // Nobody came for so long that nobody is left to be held back.
            Mode::Shut { until } if now > until + pace.relax => {
                self.open();
                return Step::Go(self.epoch);
            }
            Mode::Probing { lease: Some(end) } if now < end => return Step::Until(end),
            Mode::Shut { .. } | Mode::Probing { .. } => {
                let end = now + pace.probe;
                self.mode = Mode::Probing { lease: Some(end) };
            }
            Mode::Paced { .. } if now > self.refused_at + pace.relax => self.open(),
            Mode::Paced { next, .. } if now < next => return Step::Until(next),
            Mode::Paced { gap, next } => {
                // Lateness is made up for, but not more of it than a little: no burst after a pause.
                let from = next.max(now.checked_sub(pace.window / 4).unwrap_or(now));
                let next = from + gap.mul_f64(0.5 + random_unit());
                self.mode = Mode::Paced { gap, next };
            }
        }
        self.owed = self.owed.saturating_sub(1);
        Step::Go(self.epoch)
    }

    /// The vendor took the request. True when those who wait should look again.
    pub(super) fn answered(&mut self, epoch: u64, now: Instant, pace: &Pace) -> bool {
        if epoch != self.epoch {
            return false;
        }
        match self.mode {
            Mode::Open | Mode::Shut { .. } => return false,
            Mode::Probing { .. } | Mode::Paced { .. } if self.waiting + self.owed == 0 => {
                self.forgiven = self.failures;
                self.open();
            }
            Mode::Probing { .. } => {
                self.forgiven = self.failures;
                self.failures /= 2;
                self.turned = true;
                let gap = pace.first_gap;
                self.mode = Mode::Paced {
                    gap,
                    next: now + gap,
                };
            }
            Mode::Paced { gap, next } => {
                let shorter = gap.mul_f64(pace.shrink).max(self.full_pace(pace));
                // Only while the pace grows, or each success would bring the next request forward.
                let next = if shorter < gap {
                    next.min(now + shorter)
                } else {
                    next
                };
                self.mode = Mode::Paced { gap: shorter, next };
            }
        }
        true
    }

    /// The vendor wants fewer requests. True when this is news for others too.
    pub(super) fn refused(
        &mut self,
        epoch: u64,
        cause: Cause,
        wait: Option<Duration>,
        now: Instant,
        pace: &Pace,
    ) -> bool {
        self.owed = self.owed.saturating_add(1);
        self.crowd = self.crowd.max(self.waiting).max(self.owed);
        self.refused_at = now;
        if epoch == self.epoch {
            self.failures = self.failures.saturating_add(1);
            let wait = wait.unwrap_or_else(|| self.backoff(cause, pace));
            self.shut(now + jittered(wait), cause);
            return true;
        }
        // Sent before the gate was shut: no news, unless the vendor says how long.
        if let (Mode::Shut { until }, Some(wait)) = (&mut self.mode, wait) {
            *until = (*until).max(now + wait);
        }
        false
    }

    /// No answer, or one that says that the vendor is not well.
    pub(super) fn failed(&mut self, epoch: u64, now: Instant, pace: &Pace) {
        if epoch == self.epoch && matches!(self.mode, Mode::Probing { .. }) {
            self.failures = self.failures.saturating_add(1);
            let wait = self.backoff(self.cause, pace);
            self.shut(now + jittered(wait), self.cause);
        }
    }

    /// Whether the next answer decides if the crowd may follow.
    pub(super) fn is_probing(&self) -> bool {
        matches!(self.mode, Mode::Probing { .. })
    }

    /// The answer to a probe had begun well and is an error after all: what it counted for is taken
    /// back, unless others were answered meanwhile.
    pub(super) fn recant(&mut self, epoch: u64, pace: &Pace) {
        if epoch != self.epoch {
            return;
        }
        match self.mode {
            Mode::Paced { gap, .. } if gap >= pace.first_gap => {
                self.failures = self.forgiven;
                self.turned = true;
                self.mode = Mode::Probing { lease: None };
            }
            Mode::Open => self.failures = self.forgiven,
            _ => {}
        }
    }

    /// Nothing is left until then, although this request was taken.
    pub(super) fn exhausted(&mut self, epoch: u64, until: Instant) {
        match &mut self.mode {
            Mode::Shut { until: old } => *old = (*old).max(until),
            _ if epoch == self.epoch => self.shut(until, Cause::Quota),
            _ => {}
        }
    }

    /// Another account of the same vendor was told that it is overloaded.
    pub(super) fn neighbour_shut(&mut self, wait: Option<Duration>, now: Instant, pace: &Pace) {
        if self.is_open() {
            let wait = wait.unwrap_or_else(|| self.backoff(Cause::Load, pace));
            self.refused_at = now;
            self.shut(now + jittered(wait), Cause::Load);
        }
    }

    /// The request was given up before it was answered. True when those who wait should look.
    pub(super) fn released(&mut self, epoch: u64) -> bool {
        if epoch != self.epoch {
            return false;
        }
        match &mut self.mode {
            Mode::Probing { lease } => {
                let was_taken = lease.take().is_some();
                self.turned |= was_taken;
                was_taken
            }
            _ => false,
        }
    }

    fn shut(&mut self, until: Instant, cause: Cause) {
        self.mode = Mode::Shut { until };
        self.turned = true;
        self.cause = cause;
        self.epoch += 1;
    }

    fn open(&mut self) {
        self.mode = Mode::Open;
        self.turned = true;
        self.failures = 0;
        self.owed = 0;
        self.crowd = 0;
    }

    fn backoff(&self, cause: Cause, pace: &Pace) -> Duration {
        let cap = match cause {
            Cause::Load => pace.load_cap,
            Cause::Quota => pace.quota_cap,
        };
        let doublings = self.failures.saturating_sub(1).min(31);
        pace.backoff.saturating_mul(1 << doublings).min(cap)
    }

    /// The time between two requests at full pace, which depends on how many there are: what is
    /// a trickle for a thousand agents is everything for ten.
    fn full_pace(&self, pace: &Pace) -> Duration {
        let in_window = (self.crowd as f64 * pace.share).max(f64::MIN_POSITIVE);
        let gap = pace.window.as_secs_f64() / in_window;
        Duration::from_secs_f64(gap.min(pace.first_gap.as_secs_f64()))
    }
}

/// A little longer, by chance, so that not every process in the world comes back at once.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(1.0 + 0.1 * random_unit())
}
