//! What a provider is asked.
//! Refuses to own anything: a question borrows from its conversation.

use crate::{kept::Kept, message::Message, options::Options, spec::ToolSpec};

/// One question to a model. Everything in it is borrowed from the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The system prompt; empty for none.
    pub system: &'a str,
    /// The tools that may be called, in a stable order.
    pub tools: &'a Kept<Vec<ToolSpec>>,
    /// The conversation, oldest first; every call in it is answered.
    pub history: &'a [Kept<Message>],
    /// How to answer.
    pub options: &'a Options,
}
