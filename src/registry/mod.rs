//! Living agents and how they are reached; for now, the mailbox that each of them has.
//! Refuses to run agents and to know what they do with their mail.

mod mailbox;

pub use self::mailbox::{Drained, Mailbox, MailboxFull};
