//! The events of a session as its log holds them: told again, in the same order, offline.
//! Refuses to run anything, and to keep pieces of messages apart that were said in a row.

use std::{collections::HashMap, sync::Arc};

use futures::StreamExt;

use super::{Body, Record, Store, walk};
use crate::{
    error::Result,
    event::{Event, EventKind},
    id::{AgentPath, SessionId},
};

/// Bytes of one part of a message that are joined to one piece; a longer part has several.
const MAX_JOINED: usize = 1024 * 1024;

/// Joins neighbouring pieces of a part, agent by agent. An agent's pieces come out before the next
/// thing that happens to it; everything else keeps its place.
#[derive(Debug, Default)]
pub(super) struct Joiner(HashMap<AgentPath, Vec<Event>>);

impl Joiner {
    /// Takes one event, and gives those that are complete to `out`.
    pub(super) fn take(&mut self, event: &Event, mut out: impl FnMut(Event)) {
        if !event.kind.is_delta() {
            for joined in self.0.remove(&event.agent).into_iter().flatten() {
                out(joined);
            }
            out(event.clone());
            return;
        }
        let growing = self.0.entry(event.agent.clone()).or_default();
        let joined = growing
            .last_mut()
            .is_some_and(|last| append(&mut last.kind, &event.kind));
        if !joined {
            growing.push(event.clone());
        }
    }

    /// What has not come to an end.
    fn rest(self) -> Vec<Event> {
        let mut rest: Vec<_> = self.0.into_values().flatten().collect();
        rest.sort_by_key(|event| event.seq);
        rest
    }
}

/// Adds a piece to the one before it, when both are of the same part.
fn append(last: &mut EventKind, next: &EventKind) -> bool {
    use EventKind as K;
    let (part, words, next_part, next_words) = match (last, next) {
        (K::TextDelta { part, text }, K::TextDelta { part: p, text: t }) => (part, text, p, t),
        (K::ThinkingDelta { part, text }, K::ThinkingDelta { part: p, text: t }) => {
            (part, text, p, t)
        }
        (
            K::CallDelta {
                part, arguments, ..
            },
            K::CallDelta {
                part: p,
                name: None,
                arguments: a,
            },
        ) => (part, arguments, p, a),
        _ => return false,
    };
    let fits = *part == *next_part && words.len() + next_words.len() <= MAX_JOINED;
    if fits {
        words.push_str(next_words);
    }
    fits
}

/// Events with the neighbouring pieces of each part joined: as [`replay`] gives them.
///
/// ```
/// use offshoot::store::joined;
///
/// assert!(joined(&[]).is_empty());
/// ```
pub fn joined(events: &[Event]) -> Vec<Event> {
    let mut joiner = Joiner::default();
    let mut out = Vec::with_capacity(events.len());
    for event in events {
        joiner.take(event, |event| out.push(event));
    }
    out.extend(joiner.rest());
    out
}

/// The events that watchers of a session were told, from its log: the same list as
/// [`joined`] makes of what they heard, except for what a death did not let be written.
///
/// # Errors
/// `NotFound`; `Corrupt` when a record is not what was written.
///
/// Cancel safety: safe, it holds no state.
pub async fn replay(store: &Arc<dyn Store>, id: &SessionId) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut rows = walk(store, id);
    while let Some(row) = rows.next().await {
        let row = row?;
        if row.told
            && let Body::Told(event) = Record::decode(&row.body)?.body
        {
            events.push(event);
        }
    }
    Ok(events)
}
