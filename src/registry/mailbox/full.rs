//! The refusal of a mailbox: why, what to do, and the note itself, given back.
//! Refuses to print the note's text, which may be megabytes.

use std::fmt;

use super::{MAX_CONTROL, MAX_NOTES, size};
use crate::message::Note;

/// A note that did not get into a mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct MailboxFull {
    pub(super) reason: Reason,
    pub(super) note: Box<Note>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Notes,
    Bytes,
    Control,
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
            Reason::Notes | Reason::Control => {
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
            Reason::Control => write!(f, "mailbox full, unread ends of agents: `{MAX_CONTROL}`")?,
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
