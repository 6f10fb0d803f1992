//! The body of a request from kept bytes: a head, with tools and messages put in before its end.
//! Refuses to encode anything; every vendor here sends one object with a list in it.

use crate::{
    kept::{Dialect, Kept},
    message::Message,
};

/// What a message takes that was not encoded yet, as a guess.
const NEW: usize = 1 << 10;

/// A body that grows. History is copied into it once for each request, so that there is little to
/// do for each message.
pub(super) struct Body(Vec<u8>);

impl Body {
    /// The object `head` with a member `tools`, where there are any, and the beginning of `list`;
    /// with room for this history.
    pub(super) fn begin(
        head: &[u8],
        tools: Option<&[u8]>,
        list: &str,
        (history, dialect): (&[Kept<Message>], Dialect),
    ) -> Self {
        const TOOLS: &[u8] = b",\"tools\":";
        let size = |message: &Kept<Message>| message.kept(dialect).map_or(NEW, <[u8]>::len) + 1;
        let room = head.len()
            + tools.map_or(0, |tools| TOOLS.len() + tools.len())
            + list.len()
            + history.iter().map(size).sum::<usize>()
            + NEW;
        let mut out = Vec::with_capacity(room);
        out.extend_from_slice(&head[..head.len() - 1]);
        if let Some(tools) = tools {
            out.extend_from_slice(TOOLS);
            out.extend_from_slice(tools);
        }
        out.extend_from_slice(b",\"");
        out.extend_from_slice(list.as_bytes());
        out.extend_from_slice(b"\":[");
        Self(out)
    }

    /// Adds an item to the list; an empty one is none.
    pub(super) fn push(&mut self, item: &[u8]) {
        if !item.is_empty() {
            self.0.extend_from_slice(item);
            self.0.push(b',');
        }
    }

    /// Adds an item that comes in three parts.
    pub(super) fn push_joined(&mut self, parts: [&[u8]; 3]) {
        for part in parts {
            self.0.extend_from_slice(part);
        }
        self.0.push(b',');
    }

    /// The whole body.
    pub(super) fn end(self) -> Vec<u8> {
        let mut out = self.0;
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.extend_from_slice(b"]}");
        out
    }
}
