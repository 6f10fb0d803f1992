//! The bytes of a request in the pieces they lie in: a long history is sent from where it is kept.
//! Refuses to copy them together; the socket takes several pieces at once.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The body of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payload {
    first: Bytes,
    /// Empty for most requests, which are short.
    rest: VecDeque<Bytes>,
}

impl Payload {
    /// Adds a piece to its end.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.rest.push_back(piece);
        }
    }

    /// Takes the last byte away when it is this one.
    pub(crate) fn pop(&mut self, byte: u8) {
        let last = self.rest.back_mut().unwrap_or(&mut self.first);
        if last.last() == Some(&byte) {
            last.truncate(last.len() - 1);
        }
    }

    /// Everything in one piece.
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.pieces().flatten().copied().collect()
    }

    fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    fn len(&self) -> u64 {
        self.pieces().map(|piece| piece.len() as u64).sum()
    }
}

#[cfg(test)]
impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        let mut payload = Self::default();
        payload.push(bytes);
        payload
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.rest.pop_front().unwrap_or_default();
        let piece = std::mem::replace(&mut self.first, next);
        let piece = (!piece.is_empty()).then_some(piece);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
