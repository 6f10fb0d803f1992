//! What a sender holds of a note: whether it was read, and how that ended.
//! Refuses to hold the note or the mailbox; a ticket keeps neither alive.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::registry::{
    bell::Bell,
    sync::{AtomicU8, Ordering},
};

/// What became of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoteState {
    /// It lies in the mailbox, or its reader has not said yet that it is safe elsewhere.
    Queued,
    /// It is in the reader's conversation.
    Inserted,
    /// Its time ran out, or the mailbox ended, before it was read.
    Expired,
    /// Something on the reader's side, a hook for example, did not let it in.
    Refused,
}

impl NoteState {
    /// Whether nothing changes any more.
    pub fn is_final(self) -> bool {
        self != Self::Queued
    }

    fn of(bits: u8) -> Self {
        match bits & !LISTENED {
            0 => Self::Queued,
            1 => Self::Inserted,
            2 => Self::Expired,
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for NoteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Inserted => "inserted",
            Self::Expired => "expired",
            Self::Refused => "refused",
        })
    }
}

/// Set when somebody waits for the end, so that nobody is looked for in vain.
const LISTENED: u8 = 0x80;

/// The sender's hold on a note. Cheap to clone; may be dropped at any time.
#[derive(Clone)]
pub struct Ticket(Slip);

/// What the note and its tickets share: a line of a page.
#[derive(Clone)]
pub(super) struct Slip {
    page: Arc<[Line]>,
    at: usize,
}

#[derive(Default)]
struct Line {
    bits: AtomicU8,
    bell: OnceLock<Bell>,
}

/// Lines of a page at most. It is freed with the last slip of it.
const LONGEST: usize = 32;

/// Where slips come from: pages, each twice as long as the one before, so that a box that gets many
/// notes allocates seldom, and one that gets few holds little.
#[derive(Default)]
pub(super) struct Slips {
    page: Arc<[Line]>,
    used: usize,
}

impl Slips {
    /// A slip that nobody has.
    pub(super) fn next(&mut self) -> Slip {
        if self.used == self.page.len() {
            let longer = (self.used * 2).clamp(1, LONGEST);
            self.page = (0..longer).map(|_| Line::default()).collect();
            self.used = 0;
        }
        let (page, at) = (self.page.clone(), self.used);
        self.used += 1;
        Slip { page, at }
    }
}

impl Ticket {
    pub(super) fn of(slip: &Slip) -> Self {
        Self(slip.clone())
    }

    /// What became of the note so far.
    pub fn state(&self) -> NoteState {
        NoteState::of(self.0.line().bits.load(Ordering::Acquire))
    }

    /// Waits until nothing changes any more, and says how it ended.
    ///
    /// Cancel safety: safe, it can be called again.
    pub async fn settled(&self) -> NoteState {
        let line = self.0.line();
        let bell = line.bell.get_or_init(Bell::default);
        loop {
            // The mark first: who settles after the look rings after the mark.
            let mark = bell.mark();
            let bits = line.bits.fetch_or(LISTENED, Ordering::AcqRel);
            let state = NoteState::of(bits);
            if state.is_final() {
                return state;
            }
            bell.after(mark).await;
        }
    }
}

impl Slip {
    fn line(&self) -> &Line {
        &self.page[self.at]
    }

    /// Says how it ended. Only whoever owns the note does so, and only once.
    pub(super) fn settle(&self, end: NoteState) {
        let bits = match end {
            NoteState::Queued => return,
            NoteState::Inserted => 1,
            NoteState::Expired => 2,
            NoteState::Refused => 3,
        };
        let line = self.line();
        let before = line.bits.swap(bits, Ordering::AcqRel);
        if before & LISTENED != 0
            && let Some(bell) = line.bell.get()
        {
            bell.ring();
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.state()).finish()
    }
}
