//! Reaches into a session from elsewhere: cancel, steer, answer.
//! Refuses to start turns; that is the session's owner's to do.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Shared, watch::EventWatch};
use crate::{
    backend::Control,
    error::{Error, ErrorKind, Result},
    id::AgentPath,
    message::{Note, Urgency},
    permission::Answer,
    registry::{AgentRow, Reached},
    scope::{Receipt, Scope},
};

/// Reaches into a session from elsewhere, also while a turn runs. Cheap to clone.
#[derive(Clone)]
pub struct SessionHandle {
    control: Arc<dyn Control>,
    shared: Shared,
}

/// The turn that was submitted last. It is known before it is polled, so that no cancel is too early.
#[derive(Default)]
pub(crate) struct Submitted(Mutex<Option<Scope>>);

impl Submitted {
    pub(super) fn set(&self, scope: &Scope) {
        *self.lock() = Some(scope.clone());
    }

    /// The turn in this scope is over, and nothing of it is kept.
    pub(super) fn over(&self, scope: &Scope) {
        self.lock().take_if(|last| last.is(scope));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Scope>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionHandle {
    pub(super) fn new(control: Arc<dyn Control>, shared: Shared) -> Self {
        Self { control, shared }
    }

    /// Cancels the turn that runs or was submitted to be run, if there is one, and says what it waited for. The stream of the turn
    /// then ends with a `turn_end` that says cancelled, and the next message works.
    pub fn cancel(&self) -> Receipt {
        let mut receipt = self.control.interrupt();
        let submitted = self.shared.submitted.lock().clone();
        if let Some(scope) = submitted {
            receipt.merge(scope.cancel());
        }
        receipt
    }

    /// Says something to the agent while a turn runs: it reads it before its next model call.
    ///
    /// # Errors
    /// When the mailbox is full or the session is over.
    pub fn steer(&self, text: impl Into<String>) -> Result<()> {
        let urgency = Urgency::NextStep;
        self.control.steer(Note {
            from: Note::PERSON.into(),
            text: text.into(),
            urgency,
        })
    }

    /// Puts a note into the agent's mailbox.
    ///
    /// # Errors
    /// When the mailbox is full or the session is over.
    pub fn push(&self, note: Note) -> Result<()> {
        self.control.steer(note)
    }

    /// Hears every event of the session from now on, also between turns, without slowing it down.
    pub fn watch(&self) -> EventWatch {
        self.shared.wire.watch()
    }

    /// The agents of this session that live, the root first.
    pub fn agents(&self) -> Vec<AgentRow> {
        let desk = &self.shared.desk;
        desk.registry().tree(desk.session())
    }

    /// Stops one agent of this session and everything below it, and says what was stopped. What is
    /// above and beside it goes on.
    ///
    /// # Errors
    /// When no agent lives at this place.
    pub fn stop(&self, agent: &AgentPath) -> Result<Receipt> {
        match self.shared.desk.reach(agent.as_str()) {
            Reached::Alive(contact) => Ok(contact.scope().cancel()),
            _ => Err(Error::new(
                ErrorKind::NotFound,
                format!("no such agent lives: `{agent}`"),
            )
            .with_hint("`SessionHandle::agents` lists those that do")),
        }
    }

    /// Answers an approval by the id in its event, at whatever depth it was asked.
    ///
    /// # Errors
    /// When no approval of this id is waiting.
    pub fn answer(&self, id: &str, answer: Answer) -> Result<()> {
        self.control.answer(id, answer)
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHandle")
    }
}
