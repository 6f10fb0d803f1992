//! Decides which reply a request gets.
//! Refuses to make one up: when the list is empty it says how long it was.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use super::{super::Answer, Received, Reply};
use crate::error::{Error, ErrorKind};

/// What a [`ModelServer`](super::ModelServer) answers.
pub struct Script(Mode);

enum Mode {
    List {
        replies: Mutex<VecDeque<Reply>>,
        total: usize,
    },
    Repeat(Arc<Reply>),
    With(Box<dyn Fn(&Received) -> Reply + Send + Sync>),
}

impl Script {
    /// These replies, one for each request to a model, in the order the requests come. One request
    /// more is answered with an error of status 400, which no client repeats.
    pub fn replies(replies: impl IntoIterator<Item = impl Into<Reply>>) -> Self {
        let replies: VecDeque<_> = replies.into_iter().map(Into::into).collect();
        let total = replies.len();
        let replies = Mutex::new(replies);
        Self(Mode::List { replies, total })
    }

    /// The same reply for every request.
    pub fn repeat(reply: impl Into<Reply>) -> Self {
        Self(Mode::Repeat(Arc::new(reply.into())))
    }

    /// Asks the test for each reply. It runs on the server's task, so it must not block.
    pub fn with<R: Into<Reply>>(reply: impl Fn(&Received) -> R + Send + Sync + 'static) -> Self {
        Self(Mode::With(Box::new(move |request| reply(request).into())))
    }

    /// Takes the reply of a list. Called in the order of the requests' numbers.
    pub(super) fn take(&self) -> Option<Arc<Reply>> {
        match &self.0 {
            Mode::List { replies, .. } => {
                let mut replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
                replies.pop_front().map(Arc::new)
            }
            Mode::Repeat(reply) => Some(reply.clone()),
            Mode::With(_) => None,
        }
    }

    /// The reply when none could be taken.
    pub(super) fn make(&self, request: &Received) -> Arc<Reply> {
        let wrong = match &self.0 {
            Mode::With(reply) => match catch_unwind(AssertUnwindSafe(|| reply(request))) {
                Ok(reply) => return Arc::new(reply),
                Err(_) => format!("the script panicked at request: `{}`", request.number),
            },
            Mode::List { total, .. } => {
                let number = request.number;
                format!("the script of {total} replies has none for request: `{number}`")
            }
            Mode::Repeat(reply) => return reply.clone(),
        };
        let error = Answer::error(Error::new(ErrorKind::BadRequest, wrong));
        Arc::new(Reply::answer(error).header("x-should-retry", "false"))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Mode::List { .. } => "Script(list)",
            Mode::Repeat(_) => "Script(repeat)",
            Mode::With(_) => "Script(with)",
        })
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self::replies([reply])
    }
}

impl From<Answer> for Script {
    fn from(answer: Answer) -> Self {
        Self::replies([answer])
    }
}

impl<R: Into<Reply>> From<Vec<R>> for Script {
    fn from(replies: Vec<R>) -> Self {
        Self::replies(replies)
    }
}

impl<R: Into<Reply>, const N: usize> From<[R; N]> for Script {
    fn from(replies: [R; N]) -> Self {
        Self::replies(replies)
    }
}
