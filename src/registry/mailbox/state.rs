//! What lies in a mailbox and how much room it takes: notes beside their tags, under one lock.
//! Refuses to wake anybody; whoever gives the lock back does that.

use std::{collections::VecDeque, sync::Arc};

use tokio::time::Instant;

use super::{
    full::Reason,
    ticket::{Slip, Slips},
};
use crate::{
    message::Note,
    registry::{
        bell::Sleepers,
        sync::{AtomicUsize, Mutex, Ordering},
    },
};

/// So many notes fit into a mailbox, those in flight included.
pub(crate) const MAX_NOTES: usize = 1_000;
/// Notes for which a place is made ahead, at most.
const PLACES: usize = 16;
/// So many bytes of notes fit into a mailbox, those in flight included.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// So many control notes fit into a mailbox beside the others. Each tells of the end of a child,
/// so a tree within its limits never comes near.
pub(crate) const MAX_CONTROL: usize = 65_536;

#[derive(Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// How many notes lie in the box, so that who looks into an empty one need not lock.
    pub(super) lying: AtomicUsize,
    /// What has left the box and is not yet taken off in its state, so that who is done with notes
    /// need not lock.
    pub(super) left: Left,
}

/// See [`Shared::left`].
#[derive(Default)]
pub(super) struct Left {
    pub(super) count: AtomicUsize,
    pub(super) bytes: AtomicUsize,
    pub(super) control: AtomicUsize,
}

#[derive(Default)]
pub(super) struct State {
    /// By itself, because most boxes never hold a note.
    pub(super) row: Option<Box<Row>>,
    pub(super) next: u64,
    /// Everything pushed and not acknowledged, control notes excepted.
    pub(super) count: u32,
    pub(super) control: u32,
    pub(super) bytes: usize,
    pub(super) open: Openness,
    /// Who waits for mail, by the least urgency that it waits for.
    pub(super) sleepers: Option<Box<[Sleepers; 3]>>,
    pub(super) observer: Option<Observer>,
}

/// The notes of a box, each beside its tag.
#[derive(Default)]
pub(super) struct Row {
    pub(super) notes: VecDeque<Note>,
    pub(super) tags: VecDeque<Tag>,
    pub(super) slips: Slips,
    /// Whether a note may lie here whose time runs out.
    pub(super) timed: bool,
    /// How many lay here when they were last taken out.
    pub(super) batch: usize,
}

pub(super) type Observer = Arc<dyn Fn() + Send + Sync>;

/// What the box knows of a note, beside it, so that the notes stand together.
pub(super) struct Tag {
    /// By arrival, so that notes that come back find their place.
    pub(super) number: u64,
    /// Handed out no later than this.
    pub(super) until: Option<Instant>,
    pub(super) class: Class,
    pub(super) slip: Slip,
}

/// Whether a note has to fit in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Common,
    Control,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Openness {
    #[default]
    Open,
    /// Nothing comes in; what is in can be read.
    Closed,
    /// Nothing comes in and nothing is read any more.
    Shut,
}

impl Shared {
    /// Takes off what has left.
    pub(super) fn settle_room(&self, state: &mut State) {
        state.count -= self.left.count.swap(0, Ordering::Relaxed) as u32;
        state.bytes -= self.left.bytes.swap(0, Ordering::Relaxed);
        state.control -= self.left.control.swap(0, Ordering::Relaxed) as u32;
    }

    /// These notes take no room any more.
    pub(super) fn leave<'a>(&self, notes: impl Iterator<Item = (&'a Note, &'a Tag)>) {
        let (mut count, mut bytes, mut control) = (0, 0, 0);
        for (note, tag) in notes {
            match tag.class {
                Class::Control => control += 1,
                Class::Common => {
                    count += 1;
                    bytes += size(note);
                }
            }
        }
        self.left.count.fetch_add(count, Ordering::Relaxed);
        self.left.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.left.control.fetch_add(control, Ordering::Relaxed);
    }

    /// Says how many notes lie here; under the lock, before it is given back.
    pub(super) fn count(&self, state: &State) {
        self.lying.store(state.notes().len(), Ordering::Release);
    }
}

impl Row {
    /// Room at once for about as many as came together of late.
    pub(super) fn make_place(&mut self) {
        if self.notes.capacity() == 0 && self.batch > 1 {
            let places = self.batch.min(PLACES);
            self.notes.reserve_exact(places);
            self.tags.reserve_exact(places);
        }
    }
}

impl State {
    pub(super) fn notes(&self) -> impl ExactSizeIterator<Item = &Note> {
        static NONE: VecDeque<Note> = VecDeque::new();
        self.row.as_ref().map_or(&NONE, |row| &row.notes).iter()
    }

    /// Takes out everything.
    pub(super) fn take(&mut self) -> (VecDeque<Note>, VecDeque<Tag>) {
        let Some(row) = &mut self.row else {
            return Default::default();
        };
        row.batch = row.notes.len();
        (
            std::mem::take(&mut row.notes),
            std::mem::take(&mut row.tags),
        )
    }

    /// Puts notes before those that lie here.
    pub(super) fn put_back(&mut self, notes: Vec<(Note, Tag)>) {
        if notes.is_empty() {
            return;
        }
        let row = self.row.get_or_insert_default();
        row.timed |= notes.iter().any(|(_, tag)| tag.until.is_some());
        for (note, tag) in notes.into_iter().rev() {
            row.notes.push_front(note);
            row.tags.push_front(tag);
        }
    }

    /// Sorts by arrival.
    pub(super) fn sort(&mut self) {
        let (notes, tags) = self.take();
        let mut both: Vec<_> = notes.into_iter().zip(tags).collect();
        both.sort_by_key(|(_, tag)| tag.number);
        self.put_back(both);
    }

    /// Why this note may not come in.
    pub(super) fn refusal(&self, note: &Note, class: Class) -> Option<Reason> {
        match class {
            _ if self.open != Openness::Open => Some(Reason::Closed),
            Class::Control => (self.control as usize >= MAX_CONTROL).then_some(Reason::Control),
            Class::Common if self.count as usize >= MAX_NOTES => Some(Reason::Notes),
            Class::Common => {
                let full = self.bytes.saturating_add(size(note)) > MAX_BYTES;
                full.then_some(Reason::Bytes)
            }
        }
    }

    /// Throws out the notes whose time has run out.
    pub(super) fn expire(&mut self) -> Vec<Slip> {
        let mut slips = Vec::new();
        match &mut self.row {
            Some(row) if row.timed => row.timed = false,
            _ => return slips,
        }
        let now = Instant::now();
        let mut left = Vec::new();
        let (notes, tags) = self.take();
        for (note, tag) in notes.into_iter().zip(tags) {
            if tag.until.is_some_and(|until| until <= now) {
                self.release(&note, tag.class);
                slips.push(tag.slip);
            } else {
                left.push((note, tag));
            }
        }
        self.put_back(left);
        slips
    }

    /// This note takes no room any more.
    pub(super) fn release(&mut self, note: &Note, class: Class) {
        match class {
            Class::Control => self.control -= 1,
            Class::Common => {
                self.count -= 1;
                self.bytes -= size(note);
            }
        }
    }
}

/// A note of a single byte costs more than a byte.
pub(super) fn size(note: &Note) -> usize {
    size_of::<Note>() + note.from.len() + note.text.len()
}
