//! One pace for all agents of a process: behind a refusal they queue, one probes, the rest follow.
//! Refuses to retry, and to hold a map guard across a wait.

use std::{
    pin::pin,
    sync::{Arc, Mutex as Lock, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use dashmap::DashMap;
use reqwest::header::HeaderMap;
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    gate::{Cause, First, Pace, State, Step},
    limits,
};
use crate::error::{Error, ErrorKind, Result};

/// So many gates are kept; the longest unused idle ones make room.
const MAX_GATES: usize = 1024;

/// The gates of a process, by origin and account.
pub(crate) struct Governor {
    pace: Pace,
    gates: DashMap<(Arc<str>, u64), Arc<Gate>>,
}

struct Gate {
    origin: Arc<str>,
    state: Lock<State>,
    /// The queue: fair, so that the head is the one who waited longest. Only the head looks at the
    /// gate, so that a change wakes one waiter and not a thousand.
    turn: Mutex<()>,
    changed: Notify,
    /// The same for all of the queue, while its head is asleep: then each looks for itself.
    moved: Notify,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits should look again. Not under the lock of the state.
    fn changed(&self) {
        self.changed.notify_one();
        let mut state = self.state();
        if state.first == First::Asleep && state.has_turned() {
            self.moved.notify_waiters();
        }
    }
}

impl Governor {
    pub(crate) fn new(pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            pace,
            gates: DashMap::new(),
        })
    }

    /// Forgets what an origin had asked for: somebody else listens there now.
    #[cfg(feature = "testing")]
    pub(crate) fn forget(&self, origin: &str) {
        self.gates.retain(|(known, _), _| **known != *origin);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.gates.len()
    }

    /// Waits until a request may be sent.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    pub(super) async fn admit(
        self: &Arc<Self>,
        origin: impl Into<Arc<str>>,
        account: u64,
    ) -> Result<Ticket> {
        let gate = self.gate(origin.into(), account);
        {
            let mut state = gate.state();
            if state.is_open() {
                state.used_at = Instant::now();
                let epoch = state.epoch();
                drop(state);
                return Ok(self.ticket(gate, epoch));
            }
        }
        let patience = Instant::now() + self.pace.patience;
        let too_long = || {
            let text = format!("no room for a request within `{:?}`", self.pace.patience);
            Error::new(ErrorKind::Overloaded, text).not_worth_retrying()
        };
        let queued = Queued::enter(&gate);
        let mut turn = pin!(timeout_at(patience, gate.turn.lock()));
        let _turn = loop {
            let moved = gate.moved.notified();
            let passed = {
                let state = gate.state();
                state.passed_at(&self.pace) + state.spread()
            };
            tokio::select! {
                biased;
                turn = &mut turn => break turn.map_err(|_| too_long())?,
                () = moved => continue,
                () = sleep_until(passed) => {}
            }
            // The first in the queue has not come when it could: its owner does not read. Whoever
            // sees it first goes instead.
            let mut state = gate.state();
            let now = Instant::now();
            if state.passed_at(&self.pace) > now {
                continue;
            }
            let was = std::mem::replace(&mut state.first, First::Asleep);
            let step = state.step(now, &self.pace);
            drop(state);
            if was == First::Comes {
                gate.moved.notify_waiters();
            }
            match step {
                Step::Go(epoch) => {
                    drop(queued);
                    return Ok(self.ticket(Arc::clone(&gate), epoch));
                }
                Step::Until(_) => {}
                Step::Shut(wait, cause) => return Err(shut(wait, cause)),
            }
        };
        let epoch = loop {
            let step = {
                let mut state = gate.state();
                state.first = First::Comes;
                state.step(Instant::now(), &self.pace)
            };
            match step {
                Step::Go(epoch) => break epoch,
                Step::Until(_) if Instant::now() >= patience => return Err(too_long()),
                Step::Until(then) => tokio::select! {
                    () = sleep_until(then.min(patience)) => {}
                    () = gate.changed.notified() => {}
                },
                Step::Shut(wait, cause) => return Err(shut(wait, cause)),
            }
        };
        drop(queued);
        let gate = Arc::clone(&gate);
        Ok(self.ticket(gate, epoch))
    }

    fn ticket(self: &Arc<Self>, gate: Arc<Gate>, epoch: u64) -> Ticket {
        Ticket {
            governor: Arc::clone(self),
            gate,
            epoch,
            reported: false,
        }
    }

    fn gate(&self, origin: Arc<str>, account: u64) -> Arc<Gate> {
        let key = (origin.clone(), account);
        if let Some(gate) = self.gates.get(&key) {
            return Arc::clone(&gate);
        }
        if self.gates.len() >= MAX_GATES {
            self.make_room();
        }
        let gate = || {
            Arc::new(Gate {
                origin: origin.clone(),
                state: Lock::new(State::new(Instant::now())),
                turn: Mutex::new(()),
                changed: Notify::new(),
                moved: Notify::new(),
            })
        };
        if self.gates.len() >= MAX_GATES {
            // Every gate is in use: this request is on its own, the map stays bounded.
            return gate();
        }
        Arc::clone(&self.gates.entry(key).or_insert_with(gate))
    }

    /// Forgets the half of the idle gates that was not used for longest.
    fn make_room(&self) {
        let mut idle: Vec<_> = self
            .gates
            .iter()
            .filter(|gate| self.is_idle(gate))
            .map(|gate| gate.state().used_at)
            .collect();
        idle.sort_unstable();
        let Some(middle) = idle.get(idle.len() / 2).copied() else {
            return;
        };
        self.gates
            .retain(|_, gate| !self.is_idle(gate) || gate.state().used_at > middle);
    }

    fn is_idle(&self, gate: &Arc<Gate>) -> bool {
        Arc::strong_count(gate) == 1 && gate.state().is_idle(Instant::now(), &self.pace)
    }

    fn told(&self, gate: &Arc<Gate>, epoch: u64, fault: Fault, wait: Option<Duration>) {
        match fault {
            Fault::Refused(cause) => self.refused(gate, epoch, cause, wait),
            Fault::Unwell => {
                gate.state().failed(epoch, Instant::now(), &self.pace);
                gate.changed();
            }
        }
    }

    fn refused(&self, gate: &Arc<Gate>, epoch: u64, cause: Cause, wait: Option<Duration>) {
        let now = Instant::now();
        let news = gate.state().refused(epoch, cause, wait, now, &self.pace);
        gate.changed();
        if !news || cause == Cause::Quota {
            return;
        }
        // Their load concerns every account; our quota only this one.
        for other in &self.gates {
            if other.origin == gate.origin && !Arc::ptr_eq(&other, gate) {
                other.state().neighbour_shut(wait, now, &self.pace);
            }
        }
    }
}

/// The error for who need not wait.
fn shut(wait: Duration, cause: Cause) -> Error {
    let (kind, who) = match cause {
        Cause::Quota => (ErrorKind::RateLimited, "too many requests with this key"),
        Cause::Load => (ErrorKind::Overloaded, "the vendor is overloaded"),
    };
    let seconds = wait.as_secs();
    let text = format!("{who}, it wants no request for: `{seconds} s`");
    Error::new(kind, text).with_retry_after(wait)
}

/// A place in the queue, given back by drop.
struct Queued<'a>(&'a Gate);

impl<'a> Queued<'a> {
    fn enter(gate: &'a Gate) -> Self {
        gate.state().waiting += 1;
        Self(gate)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

/// The right to send one request. Whoever has it reports how it went; dropping it gives it back.
#[must_use]
pub(super) struct Ticket {
    governor: Arc<Governor>,
    gate: Arc<Gate>,
    epoch: u64,
    reported: bool,
}

impl Ticket {
    /// Whether the gate was shut since: who is not on the way yet should ask again.
    pub(super) fn is_stale(&self) -> bool {
        self.gate.state().epoch() != self.epoch
    }

    /// The vendor took the request, and said what is left.
    pub(super) fn answered(mut self, headers: &HeaderMap) -> Afterword {
        self.reported = true;
        let now = Instant::now();
        let mut state = self.gate.state();
        let part = match state.is_probing() {
            true => Part::Probe,
            false => Part::Crowd,
        };
        let changed = state.answered(self.epoch, now, &self.governor.pace);
        if let Some(wait) = limits::exhausted(headers) {
            state.exhausted(self.epoch, now + wait);
        }
        drop(state);
        if changed {
            self.gate.changed();
        }
        Afterword {
            governor: Arc::clone(&self.governor),
            gate: Arc::clone(&self.gate),
            epoch: self.epoch,
            part,
        }
    }

    /// There is no good answer: the error says why.
    pub(super) fn failed(mut self, error: &Error, headers: Option<&HeaderMap>) {
        let wait = || error.retry_after().or_else(|| limits::exhausted(headers?));
        match Fault::of(error) {
            Some(fault) => {
                self.reported = true;
                self.governor.told(&self.gate, self.epoch, fault, wait());
            }
            // The request is at fault, not the vendor: that is an answer too.
            None => {
                if let Some(headers) = headers {
                    self.answered(headers);
                }
            }
        }
    }
}

/// What an error says of the vendor.
#[derive(Clone, Copy)]
enum Fault {
    Refused(Cause),
    Unwell,
}

impl Fault {
    fn of(error: &Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::RateLimited => Some(Self::Refused(Cause::Quota)),
            ErrorKind::Overloaded => Some(Self::Refused(Cause::Load)),
            ErrorKind::Server | ErrorKind::Connect | ErrorKind::Timeout => Some(Self::Unwell),
            _ => None,
        }
    }
}

/// What a request was for those who waited behind it.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Probe,
    Crowd,
}

/// What there may still be to say of a request whose answer had begun well.
pub(super) struct Afterword {
    governor: Arc<Governor>,
    gate: Arc<Gate>,
    epoch: u64,
    part: Part,
}

impl Afterword {
    fn failed(&self, error: &Error) {
        let Some(fault) = Fault::of(error) else {
            return;
        };
        if self.part == Part::Probe {
            self.gate.state().recant(self.epoch, &self.governor.pace);
        }
        let wait = error.retry_after();
        self.governor.told(&self.gate, self.epoch, fault, wait);
    }
}

/// Lets whoever reads an answer say that it is an error after all. An `overloaded` in the middle of
/// a stream holds the others back as the same status would have done.
#[derive(Clone, Default)]
pub(crate) struct Hindsight(Arc<OnceLock<Afterword>>);

impl Hindsight {
    pub(super) fn allow(&self, afterword: Afterword) {
        self.0.set(afterword).ok();
    }

    /// The answer is this error. Nothing happens when its head said so already.
    pub(crate) fn failed(&self, error: &Error) {
        if let Some(afterword) = self.0.get() {
            afterword.failed(error);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.reported && self.gate.state().released(self.epoch) {
            self.gate.changed();
        }
    }
}
