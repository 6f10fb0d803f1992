//! What is remembered of agents that have ended, within a number and a size.
//! Refuses to remember without bound: the oldest go first, and a long text is cut.

use std::{collections::VecDeque, fmt, sync::Arc, time::Duration};

use super::AgentState;
use crate::{
    event::Ground,
    id::{AgentId, AgentPath},
    usage::{Cost, Usage},
};

/// So many tombstones of one tree are kept.
pub(crate) const MAX_TOMBSTONES: usize = 1_000;
/// So many bytes of texts and reasons of one tree's tombstones are kept.
pub(crate) const MAX_TOMBSTONE_BYTES: usize = 4 * 1024 * 1024;
/// So many bytes of a text or a reason are kept.
pub(crate) const MAX_TOMBSTONE_TEXT: usize = 128 * 1024;

/// How an agent ended, said when it gives up its seat.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ended {
    /// Finished, failed or cancelled. Anything else is taken for cancelled.
    pub state: AgentState,
    /// What it said at the end.
    pub text: String,
    /// Why it did not finish.
    pub reason: Option<String>,
    /// What its model calls used.
    pub usage: Usage,
    /// What they cost.
    pub cost: Cost,
}

impl Ended {
    /// It did what it was to do, and says this.
    pub fn finished(text: impl Into<String>) -> Self {
        Self::of(AgentState::Finished, text.into(), None)
    }

    /// It could not, for this reason.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::of(AgentState::Failed, String::new(), Some(reason.into()))
    }

    /// It was stopped.
    pub fn cancelled() -> Self {
        Self::of(AgentState::Cancelled, String::new(), None)
    }

    /// The same, with its last words.
    #[must_use]
    pub fn saying(self, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..self
        }
    }

    fn of(state: AgentState, text: String, reason: Option<String>) -> Self {
        Self {
            state,
            text,
            reason,
            usage: Usage::default(),
            cost: Cost::default(),
        }
    }

    /// The same, with what was used and what it cost.
    #[must_use]
    pub fn spent(self, usage: Usage, cost: Cost) -> Self {
        Self {
            usage,
            cost,
            ..self
        }
    }
}

/// What is remembered of an agent that has ended. Gone with the last agent of its tree.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tombstone {
    /// Its name.
    pub id: AgentId,
    /// The order in which agents came.
    pub seq: u64,
    /// Where it was.
    pub path: AgentPath,
    /// The agent above it.
    pub parent: Option<AgentId>,
    /// What kind of agent it was.
    pub kind: Arc<str>,
    /// What it was to do.
    pub description: Arc<str>,
    /// Whether somebody waited for its answer.
    pub ground: Ground,
    /// How it ended.
    pub ended: Ended,
    /// How long it lived.
    pub lived: Duration,
    /// How many notes it never read.
    pub unread: usize,
}

impl Tombstone {
    fn bytes(&self) -> usize {
        self.ended.text.len() + self.ended.reason.as_ref().map_or(0, String::len)
    }
}

/// Cuts what is too long to be remembered, and takes no other end for an end.
pub(super) fn bounded(mut ended: Ended) -> Ended {
    if !ended.state.is_ended() {
        ended.state = AgentState::Cancelled;
    }
    cut(&mut ended.text);
    if let Some(reason) = &mut ended.reason {
        cut(reason);
    }
    ended
}

fn cut(text: &mut String) {
    let whole = text.len();
    if whole <= MAX_TOMBSTONE_TEXT {
        return;
    }
    let mut end = MAX_TOMBSTONE_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(&format!(
        "\n[cut: {whole} bytes, {MAX_TOMBSTONE_TEXT} kept]"
    ));
    text.shrink_to_fit();
}

/// The tombstones of one tree, oldest first.
#[derive(Default)]
pub(super) struct Graves(Option<Box<Yard>>);

/// Made with the first of them.
#[derive(Default)]
struct Yard {
    stones: VecDeque<Arc<Tombstone>>,
    bytes: usize,
}

impl Graves {
    /// Adds a tombstone and gives back those that had to make room.
    #[must_use]
    pub(super) fn add(&mut self, stone: Arc<Tombstone>) -> Vec<Arc<Tombstone>> {
        let yard = self.0.get_or_insert_default();
        yard.bytes += stone.bytes();
        yard.stones.push_back(stone);
        let mut out = Vec::new();
        while yard.stones.len() > MAX_TOMBSTONES || yard.bytes > MAX_TOMBSTONE_BYTES {
            let Some(oldest) = yard.stones.pop_front() else {
                break;
            };
            yard.bytes -= oldest.bytes();
            out.push(oldest);
        }
        out
    }

    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Arc<Tombstone>> {
        self.0.iter().flat_map(|yard| yard.stones.iter())
    }
}

impl fmt::Debug for Graves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graves")
            .field("stones", &self.all().count())
            .field("bytes", &self.0.as_ref().map_or(0, |yard| yard.bytes))
            .finish()
    }
}
