//! Watching agents come and leave, as changes in the order in which they were told.
//! Refuses to slow agents down or to grow: who reads too slowly is told how much was missed.

use std::{fmt, sync::OnceLock};

use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

use super::AgentRow;

/// So many changes are kept for a watcher that does not read.
pub(crate) const MAX_CHANGES: usize = 1_024;

/// An agent came or left.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AgentChange {
    /// It took a seat.
    Entered(AgentRow),
    /// It gave up its seat; the row says how it ended.
    Left(AgentRow),
}

/// Hears of every agent that comes or leaves.
pub struct RegistryWatch {
    receiver: Receiver<AgentChange>,
    missed: u64,
}

impl RegistryWatch {
    /// The next change; `None` when the registry is gone.
    ///
    /// Cancel safety: safe, no change is lost.
    pub async fn next(&mut self) -> Option<AgentChange> {
        loop {
            match self.receiver.recv().await {
                Ok(change) => return Some(change),
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many changes were missed so far because they were not read in time. It grows in
    /// [`next`](Self::next), before the change that comes after the gap is given out.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl fmt::Debug for RegistryWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryWatch")
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

/// The telling end. Costs nothing until somebody watches.
#[derive(Default)]
pub(super) struct Watchers(OnceLock<Sender<AgentChange>>);

impl Watchers {
    pub(super) fn watch(&self) -> RegistryWatch {
        let sender = self.0.get_or_init(|| broadcast::channel(MAX_CHANGES).0);
        RegistryWatch {
            receiver: sender.subscribe(),
            missed: 0,
        }
    }

    pub(super) fn tell(&self, change: impl FnOnce() -> AgentChange) {
        if let Some(sender) = self.0.get()
            && sender.receiver_count() > 0
        {
            // Nobody may be listening any more, which is no matter.
            sender.send(change()).ok();
        }
    }
}
