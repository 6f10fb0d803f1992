//! The contract of a tracer: it hears every event.
//! Refuses to alter anything: it can fail nothing and delay nothing.

#[cfg(feature = "local")]
mod jsonl;

#[cfg(feature = "local")]
pub use self::jsonl::JsonLines;

use std::{fmt, panic::AssertUnwindSafe, sync::Arc};

use crate::event::Event;

/// Hears every event of a session, in order, also those whose watcher is gone.
///
/// Called by the engine on the turn's own task, so it must return at once: put the event into a
/// channel if it has far to go. The tempting mistake is to write to a network here. A panic is
/// caught and logged; the run goes on.
pub trait Tracer: Send + Sync + 'static {
    /// Hears one event.
    fn hear(&self, event: &Event);
}

/// The tracers of one session, in order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tracers {
    list: Arc<[Arc<dyn Tracer>]>,
}

impl Tracers {
    /// These tracers, in this order.
    pub fn new(tracers: impl IntoIterator<Item = Arc<dyn Tracer>>) -> Self {
        Self {
            list: tracers.into_iter().collect(),
        }
    }

    /// Tells all of them.
    pub fn hear(&self, event: &Event) {
        for tracer in self.list.iter() {
            let heard = std::panic::catch_unwind(AssertUnwindSafe(|| tracer.hear(event)));
            if heard.is_err() {
                tracing::warn!("a tracer panicked");
            }
        }
    }
}

impl fmt::Debug for Tracers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tracers({})", self.list.len())
    }
}
