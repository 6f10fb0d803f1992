//! When a failed model call is tried again, and after which wait: a pure policy for the engine.
//! Refuses to sleep, to send, and to retry what cannot get better.

use std::time::Duration;

use super::limits::MAX_RETRY_AFTER;
use crate::{error::Error, id::random_unit};

/// Backoff loses at most this share to jitter.
const LESS: f64 = 0.25;
/// A wait that the vendor named grows at most by this share, so that not all come back at once.
const MORE: f64 = 0.15;

/// When a failed model call is tried again.
///
/// Only errors that may pass are retried (`Error::is_transient`), each after the wait that the
/// vendor asked for, or after a backoff that doubles from `base` to `cap`. A model call is not
/// idempotent: what was possibly billed may be billed again.
///
/// ```
/// use offshoot::{Error, ErrorKind, RetryPolicy};
///
/// let policy = RetryPolicy::default();
/// let busy = Error::new(ErrorKind::Overloaded, "busy");
/// assert!(policy.delay(1, &busy).is_some());
/// assert!(policy.delay(3, &busy).is_none(), "two retries are the default");
/// let denied = Error::new(ErrorKind::Auth, "no such key");
/// assert!(policy.delay(1, &denied).is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many times a call is tried again after the first try.
    pub max_retries: u32,
    /// The first wait.
    pub base: Duration,
    /// The longest wait of our own choice.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 2,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(8),
        }
    }
}

impl RetryPolicy {
    /// Never tries again.
    pub fn never() -> Self {
        Self {
            max_retries: 0,
            ..Self::default()
        }
    }

    /// How long to wait before retry number `attempt` (the first is 1), or that there is none:
    /// the tries are used up, the error does not pass, or the vendor wants a longer wait than
    /// `MAX_RETRY_AFTER`.
    pub fn delay(&self, attempt: u32, error: &Error) -> Option<Duration> {
        if attempt > self.max_retries || !error.is_transient() {
            return None;
        }
        match error.retry_after() {
            Some(wait) if wait > MAX_RETRY_AFTER => None,
            Some(wait) => Some(wait.mul_f64(1.0 + MORE * random_unit())),
            None => Some(self.backoff(attempt).mul_f64(1.0 - LESS * random_unit())),
        }
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }
}
