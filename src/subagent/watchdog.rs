//! When a child has lived too long or nothing comes from it any more.
//! Refuses to stop it: it says when, the child's driver does.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

use crate::scope::{Scope, WaitFor};

/// Watches one child: one timer, armed again only when it has rung.
pub(super) struct Watchdog {
    deadline: Instant,
    limit: Duration,
    heard: Instant,
    timer: Pin<Box<Sleep>>,
}

/// Why a child must be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It lived as long as it may.
    Deadline,
    /// Nothing came from it for too long; what it waits for, where that is known.
    Silent(Option<WaitFor>),
}

impl Watchdog {
    pub(super) fn new(life: Duration, limit: Duration) -> Self {
        let now = Instant::now();
        let far = now + Duration::from_secs(86_400 * 365);
        let deadline = now.checked_add(life).unwrap_or(far);
        let first = now.checked_add(limit).unwrap_or(far).min(deadline);
        Self {
            deadline,
            limit,
            heard: now,
            timer: Box::pin(tokio::time::sleep_until(first)),
        }
    }

    /// Something came from the child.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Whether the child has lived as long as it may, when something came from it last.
    pub(super) fn is_due(&self) -> bool {
        self.heard >= self.deadline
    }

    /// Ends when the child has lived as long as it may.
    pub(super) fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        tokio::time::sleep_until(self.deadline)
    }

    /// Ready when the child must be stopped.
    pub(super) fn poll_overdue(&mut self, scope: &Scope, cx: &mut Context<'_>) -> Poll<Overdue> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if now >= self.deadline {
                return Poll::Ready(Overdue::Deadline);
            }
            let silent = self.heard + self.limit;
            let next = if now < silent {
                silent
            } else {
                let waits = scope.agent_waits();
                if !waits.iter().any(has_a_limit_of_its_own) {
                    return Poll::Ready(Overdue::Silent(waits.into_iter().next()));
                }
                now + self.limit
            };
            self.timer.as_mut().reset(next.min(self.deadline));
        }
    }
}

/// Waits that somebody else ends: tools, hooks and programs have deadlines, other agents have
/// watchdogs of their own, a person may take all night.
fn has_a_limit_of_its_own(wait: &WaitFor) -> bool {
    !matches!(wait, WaitFor::Model(_) | WaitFor::Mail)
}
