//! Questions that wait for a person, each under an id of its own, for a whole tree of agents.
//! Refuses to answer: it joins an answer with its question and remembers nothing afterwards.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{Answer, Question};
use crate::error::{Error, ErrorKind, Result};

/// The questions of one tree that wait. Cheap to clone; every clone is the same desk.
///
/// Whoever must ask opens its question here and tells an `approval` event with the same id; a
/// person answers by that id, at whatever depth the question was asked.
#[derive(Clone, Default)]
pub struct Approvals {
    waiting: Arc<Mutex<BTreeMap<String, Waiting>>>,
}

struct Waiting {
    question: Question,
    answer: oneshot::Sender<Answer>,
}

/// One question that waits; forgotten when this is dropped.
#[must_use = "a question that nobody waits for is forgotten"]
pub struct Pending {
    id: String,
    receiver: oneshot::Receiver<Answer>,
    approvals: Approvals,
}

impl Approvals {
    /// A desk without questions.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the question can be answered by its id.
    pub fn open(&self, question: &Question) -> Pending {
        let (answer, receiver) = oneshot::channel();
        let waiting = Waiting {
            question: question.clone(),
            answer,
        };
        self.lock().insert(question.id.clone(), waiting);
        Pending {
            id: question.id.clone(),
            receiver,
            approvals: self.clone(),
        }
    }

    /// Hands an answer to its question.
    ///
    /// # Errors
    /// When no question of this id waits.
    pub fn answer(&self, id: &str, answer: Answer) -> Result<()> {
        let waiting = self.lock().remove(id);
        waiting
            .and_then(|waiting| waiting.answer.send(answer).ok())
            .ok_or_else(|| {
                let text = format!("no approval is waiting: `{id}`");
                Error::new(ErrorKind::NotFound, text)
                    .with_hint("it was answered already, or its turn is over")
            })
    }

    /// Every question that waits, in no order.
    pub fn waiting(&self) -> Vec<Question> {
        let waiting = self.lock();
        waiting.values().map(|w| w.question.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

impl Pending {
    /// Waits for the answer.
    ///
    /// Cancel safety: safe, it can be called again.
    pub async fn answer(&mut self) -> Answer {
        let gone = || Answer::Deny("the question was dropped".into());
        (&mut self.receiver).await.unwrap_or_else(|_| gone())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.approvals.lock().remove(&self.id);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({})", self.id)
    }
}
