//! The line in front of a thread of the store: bounded, taken in groups.
//! Refuses to keep anybody waiting at its door: who does not fit is told so at once.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::error::{Error, ErrorKind, Result};

/// What waits for a thread, each thing with its weight.
pub(super) struct Queue<T> {
    line: Mutex<Line<T>>,
    arrived: Condvar,
    limit: usize,
}

struct Line<T> {
    things: VecDeque<(usize, T)>,
    weight: usize,
    closed: bool,
}

impl<T> Queue<T> {
    /// An empty one that holds this weight.
    pub(super) fn new(limit: usize) -> Self {
        let line = Line {
            things: VecDeque::new(),
            weight: 0,
            closed: false,
        };
        Self {
            line: Mutex::new(line),
            arrived: Condvar::new(),
            limit,
        }
    }

    fn line(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something at the end.
    ///
    /// # Errors
    /// When it is full, or nobody takes from it any more.
    pub(super) fn push(&self, weight: usize, thing: T) -> Result<()> {
        let mut line = self.line();
        if line.closed {
            return Err(Error::new(ErrorKind::Io, "the session log is closed"));
        }
        if line.weight > 0 && line.weight + weight > self.limit {
            let text = format!(
                "too much waits for the session log: `{}` bytes",
                line.weight
            );
            let hint = "the disk is slower than what is written to it; nothing is lost, try again";
            return Err(Error::new(ErrorKind::Limit, text).with_hint(hint));
        }
        line.weight += weight;
        line.things.push_back((weight, thing));
        drop(line);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits until there is something. `false` when it is closed and empty.
    pub(super) fn wait(&self) -> bool {
        let mut line = self.line();
        while line.things.is_empty() {
            if line.closed {
                return false;
            }
            let waited = self.arrived.wait(line);
            line = waited.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Whether nothing waits and more is taken.
    pub(super) fn is_idle(&self) -> bool {
        let line = self.line();
        line.things.is_empty() && !line.closed
    }

    /// Takes the first thing and all that wait with it, up to a weight.
    pub(super) fn take(&self, most: usize) -> Vec<T> {
        let mut line = self.line();
        let (mut taken, mut heavy) = (Vec::new(), 0);
        while let Some((weight, _)) = line.things.front()
            && (taken.is_empty() || heavy + weight <= most)
        {
            heavy += weight;
            taken.extend(line.things.pop_front().map(|(_, thing)| thing));
        }
        line.weight -= heavy;
        taken
    }

    /// Nothing more is put into it; what waits is still taken.
    pub(super) fn close(&self) {
        self.line().closed = true;
        self.arrived.notify_all();
    }

    /// Nobody takes from it any more: what waits is dropped, and whoever waits for it hears of it.
    fn abandon(&self) {
        let mut line = self.line();
        line.closed = true;
        let left = std::mem::take(&mut line.things);
        line.weight = 0;
        drop(line);
        self.arrived.notify_all();
        drop(left);
    }
}

/// Held by a thread that takes: lets go of those who wait when the thread ends or panics.
#[derive(Debug)]
pub(super) struct Taker<T>(pub(super) Arc<Queue<T>>);

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line();
        f.debug_struct("Queue")
            .field("things", &line.things.len())
            .field("weight", &line.weight)
            .finish_non_exhaustive()
    }
}
