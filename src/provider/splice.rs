//! The body of a request from kept bytes: a head, with tools and messages put in before its end.
//! Refuses to encode anything; every vendor here sends one object with a list in it.

use super::History;
use crate::{http::Payload, kept::Dialect, message::Message};

/// Bytes of a history that are copied into the body; more of them are sent from where they lie.
const COPIED: usize = 8 * 1024;

/// Room for the end of the head and a short message.
const ROOM: usize = 512;

/// A body that grows: what lies elsewhere already, and behind it what is written here.
pub(super) struct Body {
    before: Payload,
    here: Vec<u8>,
}

impl Body {
    /// The object `head` with a member `tools`, where there are any, and the beginning of `list`.
    pub(super) fn begin(head: Vec<u8>, tools: Option<&[u8]>, list: &str) -> Self {
        let mut here = head;
        here.pop();
        here.reserve(tools.map_or(0, <[u8]>::len) + ROOM);
        if let Some(tools) = tools {
            here.extend_from_slice(b",\"tools\":");
            here.extend_from_slice(tools);
        }
        here.extend_from_slice(b",\"");
        here.extend_from_slice(list.as_bytes());
        here.extend_from_slice(b"\":[");
        let before = Payload::default();
        Self { before, here }
    }

    /// Adds the first messages of a history to the list.
    pub(super) fn push_history(
        &mut self,
        history: &History<'_>,
        count: usize,
        dialect: Dialect,
        encode: impl Fn(&Message) -> Vec<u8>,
    ) {
        if count == 0 {
            return;
        }
        let joined = history.join(count, dialect, encode);
        if joined.len() <= COPIED {
            self.here.extend_from_slice(&joined);
            return;
        }
        self.before.push(std::mem::take(&mut self.here).into());
        self.before.push(joined);
    }

    /// Adds an item to the list; an empty one is none.
    pub(super) fn push(&mut self, item: &[u8]) {
        self.push_in_parts(&[item]);
    }

    /// As [`push`](Self::push), of an item in parts.
    pub(super) fn push_in_parts(&mut self, parts: &[&[u8]]) {
        let before = self.here.len();
        parts
            .iter()
            .for_each(|part| self.here.extend_from_slice(part));
        if self.here.len() > before {
            self.here.push(b',');
        }
    }

    /// The whole body.
    pub(super) fn end(self) -> Payload {
        let Self {
            mut before,
            mut here,
        } = self;
        match here.last() {
            Some(b',') => drop(here.pop()),
            Some(_) => {}
            None => before.pop(b','),
        }
        here.extend_from_slice(b"]}");
        before.push(here.into());
        before
    }
}
