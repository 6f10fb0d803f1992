//! Notes on their way from a mailbox into a conversation: kept, refused, or back in the box.
//! Refuses to lose one in between, whatever becomes of the reader.

use std::{fmt, ops::Deref, sync::Arc};

use tokio::time::Instant;

use super::{Class, Item, Mailbox, NoteState, Openness, Slip};
use crate::message::Note;

/// Notes that were taken out of a [`Mailbox`]. Dropped unacknowledged, they go back.
#[must_use = "dropped unacknowledged, the notes go back into the mailbox"]
pub struct Drained {
    mailbox: Mailbox,
    notes: Vec<Note>,
    tags: Vec<Tag>,
}

/// What the box knows of a note, beside it, so that the notes stand together.
struct Tag {
    number: u64,
    until: Option<Instant>,
    class: Class,
    slip: Arc<Slip>,
    /// Settled as refused: neither handed out at the end nor put back.
    refused: Option<Refused>,
}

struct Refused;

impl Drained {
    pub(super) fn new(mailbox: Mailbox, items: impl ExactSizeIterator<Item = Item>) -> Self {
        let mut notes = Vec::with_capacity(items.len());
        let mut tags = Vec::with_capacity(items.len());
        for item in items {
            notes.push(item.note);
            tags.push(Tag {
                number: item.number,
                until: item.until,
                class: item.class,
                slip: item.slip,
                refused: None,
            });
        }
        Self {
            mailbox,
            notes,
            tags,
        }
    }

    /// Refuses the note at this place: its sender is told so, and it is neither among those that
    /// [`ack`](Self::ack) gives out nor does it go back. A place that does not exist is no matter.
    pub fn refuse(&mut self, index: usize) {
        if let Some(tag) = self.tags.get_mut(index)
            && tag.refused.is_none()
        {
            tag.refused = Some(Refused);
            tag.slip.settle(NoteState::Refused);
        }
    }

    /// Says that the notes are safe elsewhere, and gives them out, without those refused.
    pub fn ack(mut self) -> Vec<Note> {
        let notes = std::mem::take(&mut self.notes);
        let tags = std::mem::take(&mut self.tags);
        let mut state = self.mailbox.state();
        for (note, tag) in notes.iter().zip(&tags) {
            state.release(note, tag.class);
        }
        drop(state);
        let mut kept = Vec::with_capacity(notes.len());
        for (note, tag) in notes.into_iter().zip(tags) {
            if tag.refused.is_none() {
                tag.slip.settle(NoteState::Inserted);
                kept.push(note);
            }
        }
        kept
    }
}

impl Deref for Drained {
    type Target = [Note];

    fn deref(&self) -> &[Note] {
        &self.notes
    }
}

impl fmt::Debug for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained")
            .field("notes", &self.notes)
            .finish_non_exhaustive()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if self.tags.is_empty() {
            return;
        }
        let notes = std::mem::take(&mut self.notes);
        let tags = std::mem::take(&mut self.tags);
        let mut back = Vec::with_capacity(tags.len());
        let mut state = self.mailbox.state();
        let shut = state.open == Openness::Shut;
        let mut expired = Vec::new();
        for (note, tag) in notes.into_iter().zip(tags) {
            if tag.refused.is_some() || shut {
                state.release(&note, tag.class);
            }
            match tag.refused {
                Some(Refused) => {}
                None if shut => expired.push(tag.slip),
                None => back.push(Item {
                    number: tag.number,
                    note,
                    until: tag.until,
                    class: tag.class,
                    slip: tag.slip,
                }),
            }
        }
        let newest = state.notes.front().map(|item| item.number);
        // Two readers may give back out of turn; usually everything goes to the front.
        let sorted = newest.is_none() || newest > back.last().map(|item| item.number);
        let urgency = back.iter().map(|item| item.note.urgency).min();
        for item in back.into_iter().rev() {
            state.notes.push_front(item);
        }
        if !sorted {
            let notes = state.notes.make_contiguous();
            notes.sort_by_key(|item| item.number);
        }
        self.mailbox.tell(state, urgency);
        for slip in expired {
            slip.settle(NoteState::Expired);
        }
    }
}
