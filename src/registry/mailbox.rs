//! What others tell an agent while it works or waits: notes, in the order they arrive.
//! Refuses to grow without bound and to forget a note before somebody says that it is safe.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    bell::Sleepers,
    sync::{MutexGuard, Ordering},
};
use crate::message::{Note, Urgency};

mod drained;
mod full;
mod state;
mod ticket;

#[cfg(test)]
use self::state::MAX_BYTES;
pub(crate) use self::state::{MAX_CONTROL, MAX_NOTES};
pub use self::{
    drained::Drained,
    full::MailboxFull,
    ticket::{NoteState, Ticket},
};
use self::{
    full::Reason,
    state::{Class, Observer, Openness, Shared, State, Tag, size},
    ticket::Slip,
};

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

impl Mailbox {
    /// An empty box.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a note in. Never waits. The ticket tells what becomes of it and may be dropped.
    ///
    /// # Errors
    /// When the box is full or closed; the error gives the note back.
    pub fn push(&self, note: Note) -> Result<Ticket, MailboxFull> {
        self.put(note, None, Class::Common)
    }

    /// As [`push`](Self::push), of a note that is worth nothing after this time: it is then not
    /// handed out any more, and its ticket says that it expired once the box is drained.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_for(&self, note: Note, time: Duration) -> Result<Ticket, MailboxFull> {
        // A time beyond all clocks is no limit.
        let until = Instant::now().checked_add(time);
        self.put(note, until, Class::Common)
    }

    /// As [`push`](Self::push), of a note that must not be lost because others filled the box: the
    /// end of a child. It takes no room from them and there is always room for it.
    ///
    /// # Errors
    /// When the box is closed; or when more of these notes lie in it than a tree can have living
    /// agents, which is a bug of the sender.
    pub fn push_control(&self, note: Note) -> Result<Ticket, MailboxFull> {
        self.put(note, None, Class::Control)
    }

    fn put(&self, note: Note, until: Option<Instant>, class: Class) -> Result<Ticket, MailboxFull> {
        let urgency = note.urgency;
        let mut expired = Vec::new();
        let mut state = self.state();
        let mut refusal = state.refusal(&note, class);
        if refusal.is_some() {
            self.0.settle_room(&mut state);
            refusal = state.refusal(&note, class);
        }
        if matches!(refusal, Some(Reason::Notes | Reason::Bytes)) {
            // What nobody will read any more takes no room.
            expired = state.expire();
            self.0.count(&state);
            refusal = state.refusal(&note, class);
        }
        let Some(reason) = refusal else {
            match class {
                Class::Control => state.control += 1,
                Class::Common => {
                    state.count += 1;
                    state.bytes += size(&note);
                }
            }
            let number = state.next;
            state.next += 1;
            let row = state.row.get_or_insert_default();
            row.timed |= until.is_some();
            let slip = row.slips.next();
            let ticket = Ticket::of(&slip);
            row.make_place();
            row.notes.push_back(note);
            row.tags.push_back(Tag {
                number,
                until,
                class,
                slip,
            });
            self.0.count(&state);
            self.tell(state, Some(urgency));
            settle(expired);
            return Ok(ticket);
        };
        drop(state);
        settle(expired);
        let note = Box::new(note);
        Err(MailboxFull { reason, note })
    }

    /// Wakes who waits for mail of this urgency and calls the observer, after giving back the lock.
    fn tell(&self, mut state: MutexGuard<'_, State>, urgency: Option<Urgency>) {
        let Some(urgency) = urgency else {
            return;
        };
        let mut woken = Vec::new();
        if let Some(sleepers) = &mut state.sleepers {
            for sleepers in &mut sleepers[rank(urgency)..] {
                woken.append(&mut sleepers.all());
            }
        }
        let observer = state.observer.clone();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        if let Some(observer) = observer {
            observer();
        }
    }

    /// Calls this after each note that comes into the box or back into it, once the box can be
    /// used again; a later observer takes the place of this one. What it holds lives as long as the
    /// box: let it hold the box, or whatever holds the box, weakly.
    pub fn on_arrival(&self, observer: impl Fn() + Send + Sync + 'static) {
        let observer: Observer = Arc::new(observer);
        let old = self.state().observer.replace(observer);
        // What it held may be anything; it is dropped without the lock.
        drop(old);
    }

    /// Takes out all notes, in the order they arrived. They count as in the box until they are
    /// acknowledged, and lie in it again when the guard is dropped before that.
    pub fn drain(&self) -> Drained {
        self.drain_until(Urgency::WhenIdle)
    }

    /// As [`drain`](Self::drain), of the notes that are at least so urgent; the others stay.
    pub fn drain_until(&self, least: Urgency) -> Drained {
        if self.0.lying.load(Ordering::Acquire) == 0 {
            return Drained::new(self.clone(), VecDeque::new(), VecDeque::new());
        }
        let mut state = self.state();
        let expired = state.expire();
        let wanted = |note: &Note| note.urgency <= least;
        let (mut notes, mut tags) = state.take();
        if least < Urgency::WhenIdle && !notes.iter().all(wanted) {
            let both = std::mem::take(&mut notes).into_iter().zip(tags);
            let (taken, left): (Vec<_>, Vec<_>) = both.partition(|(note, _)| wanted(note));
            (notes, tags) = taken.into_iter().unzip();
            state.put_back(left);
        }
        self.0.count(&state);
        drop(state);
        settle(expired);
        Drained::new(self.clone(), notes, tags)
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
        Arrived {
            mailbox: self.clone(),
            least,
            id: None,
        }
    }

    /// Whether there is nothing to drain. Notes in flight are not counted.
    pub fn is_empty(&self) -> bool {
        self.0.lying.load(Ordering::Acquire) == 0
    }

    /// How many notes can be drained.
    pub fn len(&self) -> usize {
        self.state().notes().len()
    }

    /// How soon the most urgent note that can be drained wants to be heard.
    pub fn most_urgent(&self) -> Option<Urgency> {
        let state = self.state();
        state.notes().map(|note| note.urgency).min()
    }

    /// Lets nothing more in and ends every wait. What is in the box can still be drained.
    pub fn close(&self) {
        let mut state = self.state();
        if state.open == Openness::Open {
            state.open = Openness::Closed;
        }
        self.tell_end(state);
    }

    /// Closes the box and gives up what is unread in it: the tickets say that it expired. Notes in
    /// flight can still be acknowledged. Says how many were given up.
    pub fn shut(&self) -> usize {
        let mut state = self.state();
        state.open = Openness::Shut;
        let (notes, tags) = state.take();
        self.0.leave(notes.iter().zip(&tags));
        self.0.count(&state);
        self.tell_end(state);
        settle(tags.into_iter().map(|tag| tag.slip));
        notes.len()
    }

    fn tell_end(&self, mut state: MutexGuard<'_, State>) {
        let sleepers = state.sleepers.iter_mut().flat_map(|all| all.iter_mut());
        let woken: Vec<_> = sleepers.flat_map(Sleepers::all).collect();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Whether the box was closed.
    pub fn is_closed(&self) -> bool {
        self.state().open != Openness::Open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells senders that their notes were never read. Without the lock: this wakes tasks.
fn settle(expired: impl IntoIterator<Item = Slip>) {
    for slip in expired {
        slip.settle(NoteState::Expired);
    }
}

/// The place among the sleepers of those who wait for mail that is at least so urgent.
fn rank(urgency: Urgency) -> usize {
    match urgency {
        Urgency::Interrupt => 0,
        Urgency::NextStep => 1,
        Urgency::WhenIdle => 2,
    }
}

/// A wait for mail. It looks and lies down under the box's one lock, so no note slips in between.
struct Arrived {
    mailbox: Mailbox,
    least: Urgency,
    id: Option<u64>,
}

impl Future for Arrived {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut state = this.mailbox.state();
        let state = &mut *state;
        let lies = state.notes().any(|note| note.urgency <= this.least);
        let sleepers = &mut state.sleepers.get_or_insert_default()[rank(this.least)];
        if lies || state.open != Openness::Open {
            sleepers.forget(&mut this.id);
            return Poll::Ready(());
        }
        sleepers.lie_down(&mut this.id, cx.waker());
        Poll::Pending
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if self.id.is_some() {
            let mut state = self.mailbox.state();
            if let Some(sleepers) = &mut state.sleepers {
                sleepers[rank(self.least)].forget(&mut self.id);
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (_, tags) = state.take();
        settle(tags.into_iter().map(|tag| tag.slip));
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut state = self.state();
        self.0.settle_room(&mut state);
        let in_flight = (state.count + state.control) as usize - state.notes().len();
        f.debug_struct("Mailbox")
            .field("waiting", &state.notes().len())
            .field("in_flight", &in_flight)
            .field("open", &state.open)
            .finish()
    }
}

#[cfg(test)]
mod tests;
