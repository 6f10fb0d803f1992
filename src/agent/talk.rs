//! One conversation of a native agent: what it remembers between turns, and how it is reached.
//! Refuses to run anything by itself; a turn borrows it while it is polled.

use std::sync::{Arc, Mutex, PoisonError};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};

use super::{
    Agent, Recipe,
    recall::{self, Left},
    turn,
};
use crate::{
    backend::{Control, Conversation, Grant, Task},
    error::{Error, ErrorKind, Result},
    event::Event,
    hook::Hooks,
    id::TurnId,
    message::{Message, Note},
    permission::{Answer, Approvals},
    registry::Desk,
    scope::{Receipt, Scope},
    transcript::{Breaker, Counter, Transcript},
};

/// One conversation of a native agent.
pub(crate) struct Talk {
    pub(super) agent: Agent,
    /// What it was given, with its own hooks and permissions on top: what its children get.
    pub(super) grant: Arc<Grant>,
    pub(super) hooks: Hooks,
    pub(super) transcript: Transcript,
    pub(super) counter: Counter,
    pub(super) breaker: Breaker,
    pub(super) turns: TurnId,
    /// What the last request's cacheable part looked like.
    pub(super) prefix: Option<u64>,
    /// Whether no turn of this life has begun.
    pub(super) untouched: bool,
    /// What a death left unfinished, until a turn takes it up.
    pub(super) left: Option<Box<Left>>,
    pub(super) reach: Reach,
}

/// What the conversation and its controls share.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) desk: Desk,
    approvals: Approvals,
    current: Arc<Mutex<Option<Scope>>>,
    scope: Scope,
}

impl Talk {
    pub(super) fn new(agent: Agent, grant: Grant) -> Self {
        let (mut transcript, repairs) = Transcript::load(agent.recipe.history.clone());
        let recalled = recall::take(&grant, &mut transcript);
        for repair in repairs {
            tracing::warn!("history repaired: {repair}");
        }
        let counter = Counter::for_model(agent.recipe.models[0].model());
        transcript.set_overhead(agent.recipe.overhead(&counter));
        let grant = Grant {
            hooks: grant.hooks.and(&agent.recipe.hooks),
            rules: grant.rules.and(agent.recipe.rules()),
            ..grant
        };
        Self {
            hooks: grant.hooks.clone(),
            counter,
            transcript,
            breaker: Breaker::default(),
            turns: recalled.turn,
            untouched: true,
            prefix: None,
            left: recalled.left,
            reach: Reach {
                desk: grant.desk.clone(),
                approvals: grant.approvals.clone(),
                current: Arc::default(),
                scope: grant.scope.clone(),
            },
            grant: Arc::new(grant),
            agent,
        }
    }

    pub(super) fn recipe(&self) -> &Recipe {
        &self.agent.recipe
    }
}

impl Conversation for Talk {
    fn turn(&mut self, task: Task, scope: Scope) -> BoxStream<'_, Event> {
        // Now, not at the first poll: a cancel in between is meant for this turn.
        self.reach.set_current(Some(scope.clone()));
        turn::run(self, task, scope).boxed()
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::new(self.reach.clone())
    }

    fn history(&self) -> Vec<Message> {
        self.transcript.messages().cloned().collect()
    }

    fn grant(&self) -> Option<Grant> {
        Some(Grant::clone(&self.grant))
    }

    fn describe(&self) -> String {
        self.agent.model_name()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Receipt> {
        async move {
            let receipt = self.grant.scope.close().await;
            if self.grant.scope.depth() == 0 {
                // What these hooks start lives for itself: everything of the session has ended.
                let mut at = self.grant.at(self.turns);
                at.scope = Scope::root();
                self.hooks.on_session_end(&at).await;
            }
            receipt
        }
        .boxed()
    }
}

impl Reach {
    /// The turn that runs now, or none.
    pub(super) fn set_current(&self, scope: Option<Scope>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = scope;
    }
}

impl Control for Reach {
    fn steer(&self, note: Note) -> Result<()> {
        if self.scope.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "the conversation is over"));
        }
        if note.text.trim().is_empty() {
            return Err(Error::new(ErrorKind::Config, "the note is empty"));
        }
        let pushed = self.desk.mailbox().push(note);
        pushed
            .map(drop)
            .map_err(|full| Error::new(ErrorKind::Limit, full.to_string()).with_hint(full.hint()))
    }

    fn interrupt(&self) -> Receipt {
        let current = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        current.map(|scope| scope.cancel()).unwrap_or_default()
    }

    fn answer(&self, id: &str, answer: Answer) -> Result<()> {
        self.approvals.answer(id, answer)
    }
}
