//! Notes on their way from a mailbox into a conversation: kept, refused, or back in the box.
//! Refuses to lose one in between, whatever becomes of the reader.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    ops::Deref,
};

use super::{Mailbox, NoteState, Openness, Tag};
use crate::message::Note;

/// Notes that were taken out of a [`Mailbox`]. Dropped unacknowledged, they go back.
#[must_use = "dropped unacknowledged, the notes go back into the mailbox"]
pub struct Drained {
    mailbox: Mailbox,
    notes: Vec<Note>,
    tags: VecDeque<Tag>,
    /// The numbers of those that are settled as refused: neither handed out at the end nor put back.
    refused: BTreeSet<u64>,
}

impl Drained {
    pub(super) fn new(mailbox: Mailbox, notes: VecDeque<Note>, tags: VecDeque<Tag>) -> Self {
        Self {
            mailbox,
            // Nothing is moved, unless some had come back.
            notes: notes.into(),
            tags,
            refused: BTreeSet::new(),
        }
    }

    /// Refuses the note at this place: its sender is told so, and it is neither among those that
    /// [`ack`](Self::ack) gives out nor does it go back. A place that does not exist is no matter.
    pub fn refuse(&mut self, index: usize) {
        if let Some(tag) = self.tags.get(index)
            && self.refused.insert(tag.number)
        {
            tag.slip.settle(NoteState::Refused);
        }
    }

    /// Says that the notes are safe elsewhere, and gives them out, without those refused.
    pub fn ack(mut self) -> Vec<Note> {
        let mut notes = std::mem::take(&mut self.notes);
        let tags = std::mem::take(&mut self.tags);
        if notes.is_empty() {
            return notes;
        }
        self.mailbox.0.leave(notes.iter().zip(&tags));
        if !self.refused.is_empty() {
            let mut kept = tags.iter().map(|tag| !self.refused.contains(&tag.number));
            notes.retain(|_| kept.next().unwrap_or(true));
        }
        for tag in tags {
            if !self.refused.contains(&tag.number) {
                tag.slip.settle(NoteState::Inserted);
            }
        }
        notes
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
            let refused = self.refused.contains(&tag.number);
            if refused || shut {
                state.release(&note, tag.class);
            }
            match refused {
                true => {}
                false if shut => expired.push(tag.slip),
                false => back.push((note, tag)),
            }
        }
        let newest = state.row.as_ref().and_then(|row| row.tags.front());
        let newest = newest.map(|tag| tag.number);
        // Two readers may give back out of turn; usually everything goes to the front.
        let sorted = newest.is_none() || newest > back.last().map(|(_, tag)| tag.number);
        let urgency = back.iter().map(|(note, _)| note.urgency).min();
        state.put_back(back);
        if !sorted {
            state.sort();
        }
        self.mailbox.0.count(&state);
        self.mailbox.tell(state, urgency);
        for slip in expired {
            slip.settle(NoteState::Expired);
        }
    }
}
