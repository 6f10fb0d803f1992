//! A turn that owns its session, for servers that need a `'static` stream.
//! Refuses to lose the session: it comes back at the end, or when the turn is stopped.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use async_stream::stream;
use futures::{Stream, StreamExt, stream::BoxStream};

use super::{Session, SessionHandle};
use crate::{backend::Task, event::Event, scope::Scope};

/// The events of one turn that owns its session.
///
/// Dropping it drops the session, which cancels everything in it. To keep the session, read to the
/// end or call [`stop`](Self::stop).
#[must_use = "a turn runs only while its stream is polled"]
pub struct OwnedTurn {
    inner: BoxStream<'static, Piece>,
    handle: SessionHandle,
    scope: Scope,
    session: Option<Box<Session>>,
}

enum Piece {
    Event(Box<Event>),
    Back(Box<Session>, Option<Box<Event>>),
}

impl OwnedTurn {
    pub(super) fn new(session: Session, task: Task) -> Self {
        let handle = session.handle();
        let scope = session.shared.desk.scope().part();
        session.shared.submitted.set(&scope);
        let turn_scope = scope.clone();
        let mut session = Box::new(session);
        let inner = stream! {
            let mut turn = session.submit_in(task, turn_scope);
            let mut end = None;
            while let Some(event) = turn.next().await {
                if event.is_root_end() {
                    end = Some(Box::new(event));
                    break;
                }
                yield Piece::Event(Box::new(event));
            }
            drop(turn);
            // Together: who stops reading at the end event has the session all the same.
            yield Piece::Back(session, end);
        };
        Self {
            inner: inner.boxed(),
            handle,
            scope,
            session: None,
        }
    }

    /// Reaches into the session while the turn runs.
    pub fn handle(&self) -> SessionHandle {
        self.handle.clone()
    }

    /// The session, once the turn's end was read; before that, the turn.
    pub fn into_session(mut self) -> std::result::Result<Session, Self> {
        match self.session.take() {
            Some(session) => Ok(*session),
            None => Err(self),
        }
    }

    /// Cancels the turn if it still runs, and gives the session back.
    ///
    /// Cancel safety: dropping it drops the session.
    pub async fn stop(mut self) -> Session {
        self.scope.cancel();
        while self.next().await.is_some() {}
        match self.session {
            Some(session) => *session,
            None => unreachable!("the session comes back before the stream ends"),
        }
    }
}

impl Stream for OwnedTurn {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.session.is_some() {
            return Poll::Ready(None);
        }
        match self.inner.poll_next_unpin(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Piece::Event(event))) => Poll::Ready(Some(*event)),
            Poll::Ready(Some(Piece::Back(session, end))) => {
                self.session = Some(session);
                Poll::Ready(end.map(|end| *end))
            }
            Poll::Ready(None) => Poll::Ready(None),
        }
    }
}

impl fmt::Debug for OwnedTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedTurn")
            .field("ended", &self.session.is_some())
            .finish_non_exhaustive()
    }
}
