//! A body cut in the way that its call asked for, whatever its bytes come from.
//! Refuses to know where they come from; it only picks the framer.

use std::task::{Context, Poll};

use super::{Frames, Framing, body::Chunks, lines::Lines, sse::Events, whole::Whole};
use crate::error::Result;

/// The frames of a body.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all bodies are of the largest kind"
)]
pub(super) enum Framed<S> {
    Events(Events<S>),
    Lines(Lines<S>),
    Whole(Whole<S>),
}

impl<S: Chunks> Framed<S> {
    pub(super) fn new(framing: Framing, source: S) -> Self {
        match framing {
            Framing::Sse => Self::Events(Events::new(source)),
            Framing::Lines => Self::Lines(Lines::new(source)),
            Framing::Whole => Self::Whole(Whole::new(source)),
        }
    }
}

impl<S: Chunks> Frames for Framed<S> {
    fn poll_frame<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&str, &str) -> T,
    ) -> Poll<Option<Result<T>>> {
        match self {
            Self::Events(events) => events.poll_frame(cx, take),
            Self::Lines(lines) => lines.poll_frame(cx, take),
            Self::Whole(whole) => whole.poll_frame(cx, take),
        }
    }
}
