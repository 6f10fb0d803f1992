//! What a provider is asked.
//! Refuses to own anything: a question borrows from its conversation.

use std::ops::Deref;

use bytes::Bytes;

use crate::{
    kept::{Dialect, Joined, Kept},
    message::Message,
    options::Options,
    spec::ToolSpec,
};

/// One question to a model. Everything in it is borrowed from the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The system prompt; empty for none.
    pub system: &'a str,
    /// The tools that may be called, in a stable order.
    pub tools: &'a Kept<Vec<ToolSpec>>,
    /// The conversation, oldest first; every call in it is answered.
    pub history: History<'a>,
    /// How to answer.
    pub options: &'a Options,
}

/// The messages of a conversation, oldest first, each with its encoded bytes.
///
/// ```
/// use offshoot::{Kept, Message, provider::History};
///
/// let messages = [Kept::new(Message::user("hello"))];
/// let history = History::from(&messages[..]);
/// assert_eq!(history.len(), 1);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct History<'a> {
    messages: &'a [Kept<Message>],
    /// Where the bytes of its first messages are kept in one piece.
    joined: Option<&'a Joined>,
}

impl<'a> History<'a> {
    pub(crate) fn joined(messages: &'a [Kept<Message>], joined: &'a Joined) -> Self {
        let joined = Some(joined);
        Self { messages, joined }
    }

    /// The messages, for as long as the conversation is borrowed.
    pub fn messages(&self) -> &'a [Kept<Message>] {
        self.messages
    }

    /// The first messages in this dialect, a comma behind each.
    pub(super) fn join(
        &self,
        count: usize,
        dialect: Dialect,
        encode: impl Fn(&Message) -> Vec<u8>,
    ) -> Bytes {
        match self.joined {
            Some(joined) => joined.join(self.messages, count, dialect, encode),
            None => Joined::default().join(self.messages, count, dialect, encode),
        }
    }
}

impl Deref for History<'_> {
    type Target = [Kept<Message>];

    fn deref(&self) -> &[Kept<Message>] {
        self.messages
    }
}

impl<'a> From<&'a [Kept<Message>]> for History<'a> {
    fn from(messages: &'a [Kept<Message>]) -> Self {
        let joined = None;
        Self { messages, joined }
    }
}

impl<'a> From<&'a Vec<Kept<Message>>> for History<'a> {
    fn from(messages: &'a Vec<Kept<Message>>) -> Self {
        Self::from(&messages[..])
    }
}

impl<'a, const N: usize> From<&'a [Kept<Message>; N]> for History<'a> {
    fn from(messages: &'a [Kept<Message>; N]) -> Self {
        Self::from(&messages[..])
    }
}
