//! What others tell an agent while it works or waits: notes, in the order they arrive.
//! Refuses to grow without bound and to forget a note before somebody says that it is safe.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    ops::Deref,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::message::{Note, Urgency};

/// So many notes fit into a mailbox, those in flight included.
pub(crate) const MAX_NOTES: usize = 1_000;
/// So many bytes of notes fit into a mailbox, those in flight included.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;

/// An agent's mailbox. Cheap to clone; every clone is the same box.
///
/// A note leaves the box in two steps: [`drain`](Self::drain) hands it out, and
/// [`Drained::ack`] says that it is kept elsewhere. A reader that is cancelled between the two
/// loses nothing: the notes lie in the box again, in their old order.
///
/// ```
/// use offshoot::{Mailbox, Note, Urgency};
///
/// let mailbox = Mailbox::new();
/// let note = Note { from: "user".into(), text: "faster".into(), urgency: Urgency::NextStep };
/// mailbox.push(note).unwrap();
/// drop(mailbox.drain()); // the reader died
/// let notes = mailbox.drain();
/// assert_eq!(notes[0].text, "faster");
/// notes.ack();
/// assert!(mailbox.is_empty());
/// ```
#[derive(Clone, Default)]
pub struct Mailbox(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    bell: Notify,
}

#[derive(Default)]
struct State {
    /// Numbered by arrival, so that notes that come back find their place.
    notes: VecDeque<(u64, Note)>,
    next: u64,
    /// Everything pushed and not acknowledged.
    count: usize,
    bytes: usize,
    closed: bool,
}

impl Mailbox {
    /// An empty box.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a note in. Never waits.
    ///
    /// # Errors
    /// When the box is full or closed; the error gives the note back.
    pub fn push(&self, note: Note) -> Result<(), MailboxFull> {
        let size = size(&note);
        let mut state = self.state();
        let reason = match () {
            () if state.closed => Some(Reason::Closed),
            () if state.count >= MAX_NOTES => Some(Reason::Notes),
            () if state.bytes.saturating_add(size) > MAX_BYTES => Some(Reason::Bytes),
            () => None,
        };
        if let Some(reason) = reason {
            return Err(MailboxFull {
                reason,
                note: Box::new(note),
            });
        }
        state.count += 1;
        state.bytes += size;
        let number = state.next;
        state.next += 1;
        state.notes.push_back((number, note));
        drop(state);
        self.0.bell.notify_waiters();
        Ok(())
    }

    /// Takes out all notes, in the order they arrived. They count as in the box until they are
    /// acknowledged, and lie in it again when the guard is dropped before that.
    pub fn drain(&self) -> Drained {
        self.drain_until(Urgency::WhenIdle)
    }

    /// As [`drain`](Self::drain), of the notes that are at least so urgent; the others stay.
    pub fn drain_until(&self, least: Urgency) -> Drained {
        let mut state = self.state();
        let all = std::mem::take(&mut state.notes).into_iter();
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            all.partition(|(_, note)| note.urgency <= least);
        state.notes = left;
        drop(state);
        let (numbers, notes) = taken.into_iter().unzip();
        Drained {
            mailbox: self.clone(),
            numbers,
            notes,
        }
    }

    /// Ends when there is mail to drain, or the box is closed. Mail that is there already counts.
    ///
    /// Cancel safety: safe, it takes nothing out; no note can arrive unseen between two calls.
    pub fn arrived(&self) -> impl Future<Output = ()> + Send + use<> {
        self.arrived_until(Urgency::WhenIdle)
    }

    /// As [`arrived`](Self::arrived), for mail that is at least so urgent.
    ///
    /// Cancel safety: safe, as [`arrived`](Self::arrived).
    pub fn arrived_until(&self, least: Urgency) -> impl Future<Output = ()> + Send + use<> {
        let mailbox = self.clone();
        async move {
            loop {
                let mut ring = pin!(mailbox.0.bell.notified());
                // Listen first, look then: a note between the two rings.
                ring.as_mut().enable();
                {
                    let state = mailbox.state();
                    let mut notes = state.notes.iter();
                    if notes.any(|(_, note)| note.urgency <= least) || state.closed {
                        return;
                    }
                }
                ring.await;
            }
        }
    }

    /// Whether there is nothing to drain. Notes in flight are not counted.
    pub fn is_empty(&self) -> bool {
        self.state().notes.is_empty()
    }

    /// How many notes can be drained.
    pub fn len(&self) -> usize {
        self.state().notes.len()
    }

    /// How soon the most urgent note that can be drained wants to be heard.
    pub fn most_urgent(&self) -> Option<Urgency> {
        let state = self.state();
        state.notes.iter().map(|(_, note)| note.urgency).min()
    }

    /// Lets nothing more in and ends every wait. What is in the box can still be drained.
    pub fn close(&self) {
        self.state().closed = true;
        self.0.bell.notify_waiters();
    }

    /// Whether the box was closed.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A note of a single byte costs more than a byte.
fn size(note: &Note) -> usize {
    size_of::<Note>() + note.from.len() + note.text.len()
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Mailbox")
            .field("waiting", &state.notes.len())
            .field("in_flight", &(state.count - state.notes.len()))
            .field("closed", &state.closed)
            .finish()
    }
}

/// Notes that were taken out of a [`Mailbox`]. Dropped unacknowledged, they go back.
#[derive(Debug)]
#[must_use = "dropped unacknowledged, the notes go back into the mailbox"]
pub struct Drained {
    mailbox: Mailbox,
    numbers: Vec<u64>,
    notes: Vec<Note>,
}

impl Drained {
    /// Says that the notes are safe elsewhere, and gives them out.
    pub fn ack(mut self) -> Vec<Note> {
        let notes = std::mem::take(&mut self.notes);
        let bytes: usize = notes.iter().map(size).sum();
        let mut state = self.mailbox.state();
        state.count -= notes.len();
        state.bytes -= bytes;
        drop(state);
        notes
    }
}

impl Deref for Drained {
    type Target = [Note];

    fn deref(&self) -> &[Note] {
        &self.notes
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if self.notes.is_empty() {
            return;
        }
        let notes = std::mem::take(&mut self.notes);
        let back = self.numbers.drain(..).zip(notes);
        let mut state = self.mailbox.state();
        let newest = state.notes.front().map(|(number, _)| *number);
        let before: Vec<_> = back.collect();
        // Two readers may give back out of turn; usually everything goes to the front.
        let sorted = newest > before.last().map(|(number, _)| *number) || newest.is_none();
        for note in before.into_iter().rev() {
            state.notes.push_front(note);
        }
        if !sorted {
            let notes = state.notes.make_contiguous();
            notes.sort_by_key(|(number, _)| *number);
        }
        drop(state);
        self.mailbox.0.bell.notify_waiters();
    }
}

/// A note that did not get into a mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct MailboxFull {
    reason: Reason,
    note: Box<Note>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Notes,
    Bytes,
    Closed,
}

impl MailboxFull {
    /// Whether the box takes no mail any more: trying again does not help.
    pub fn is_closed(&self) -> bool {
        self.reason == Reason::Closed
    }

    /// The note, to be tried again or told in another way.
    pub fn into_note(self) -> Note {
        *self.note
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.reason {
            Reason::Notes => {
                "Wait until the agent has read its mail, or join several notes in one."
            }
            Reason::Bytes => "Send less text: put it into a file and tell where it is.",
            Reason::Closed => "The agent has ended; start another one.",
        }
    }
}

impl fmt::Display for MailboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Notes => write!(f, "mailbox full, unread notes: `{MAX_NOTES}`")?,
            Reason::Bytes => {
                let size = size(&self.note);
                write!(f, "no room in the mailbox for a note of bytes: `{size}`")?;
            }
            Reason::Closed => write!(f, "mailbox closed, note from: `{}`", self.note.from)?,
        }
        write!(f, " ({})", self.hint())
    }
}

impl fmt::Debug for MailboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the text, which may be megabytes.
        f.debug_struct("MailboxFull")
            .field("reason", &self.reason)
            .field("from", &self.note.from)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for MailboxFull {}

#[cfg(test)]
mod tests;
