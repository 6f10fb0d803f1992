//! Questions that wait for a person, each under an id of its own.
//! Refuses to answer: it joins an answer with its question and remembers nothing afterwards.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    error::{Error, ErrorKind, Result},
    permission::Answer,
};

/// The questions of one conversation that wait. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Approvals {
    waiting: Arc<Mutex<HashMap<String, oneshot::Sender<Answer>>>>,
}

/// One question that waits; forgotten when this is dropped.
pub(super) struct Pending {
    id: String,
    receiver: oneshot::Receiver<Answer>,
    approvals: Approvals,
}

impl Approvals {
    /// From now on the id can be answered.
    pub(super) fn open(&self, id: &str) -> Pending {
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(id.to_owned(), sender);
        Pending {
            id: id.to_owned(),
            receiver,
            approvals: self.clone(),
        }
    }

    /// Hands an answer to its question.
    pub(super) fn answer(&self, id: &str, answer: Answer) -> Result<()> {
        let sender = self.lock().remove(id);
        sender
            .and_then(|sender| sender.send(answer).ok())
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    format!("no approval is waiting: `{id}`"),
                )
                .with_hint("it was answered already, or its turn is over")
            })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Waits for the answer. Cancel safety: safe, it can be called again.
    pub(super) async fn answer(&mut self) -> Answer {
        let gone = || Answer::Deny("the question was dropped".into());
        (&mut self.receiver).await.unwrap_or_else(|_| gone())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.approvals.lock().remove(&self.id);
    }
}
