//! The body of a request from kept bytes: a head, with tools and messages put in before its end.
//! Refuses to encode anything; every vendor here sends one object with a list in it.

use super::History;
use crate::{
    kept::{self, Dialect},
    message::Message,
};

/// What stands between the parts.
const ROOM: usize = 32;

/// A body that grows.
pub(super) struct Body(Vec<u8>);

impl Body {
    /// The object `head` with a member `tools`, where there are any, and the beginning of `list`.
    pub(super) fn begin(head: &[u8], tools: Option<&[u8]>, list: &str) -> Self {
        let mut out =
            Vec::with_capacity(head.len() + tools.map_or(0, <[u8]>::len) + list.len() + ROOM);
        out.extend_from_slice(&head[..head.len() - 1]);
        if let Some(tools) = tools {
            out.extend_from_slice(b",\"tools\":");
            out.extend_from_slice(tools);
        }
        out.extend_from_slice(b",\"");
        out.extend_from_slice(list.as_bytes());
        out.extend_from_slice(b"\":[");
        Self(out)
    }

    /// Adds the first messages of a history to the list.
    pub(super) fn push_history(
        &mut self,
        history: &History<'_>,
        count: usize,
        dialect: Dialect,
        encode: impl Fn(&Message) -> Vec<u8>,
    ) {
        history.append(count, dialect, encode, &mut self.0);
    }

    /// Adds an item to the list; an empty one is none.
    pub(super) fn push(&mut self, item: &[u8]) {
        kept::push(&mut self.0, item);
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
