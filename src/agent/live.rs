//! A turn while it runs: what must be put in order however the turn ends, also by a drop.
//! Refuses to decide anything; the loop decides, this keeps the books.

use std::{
    collections::HashSet,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use super::{
    fold::{Fold, Reach},
    log::Heard,
    talk::Talk,
};
use crate::{
    backend::OnChildren,
    dispatch::{Board, CANCEL_GRACE},
    error::Error,
    event::{EventKind, StopReason},
    hook::HookContext,
    id::{AgentPath, CallId, TurnId},
    kept::Kept,
    message::{Message, Outcome, Part, Role, Urgency},
    provider::{Model, Stop},
    scope::Scope,
    sink::Origin,
    store::Body,
    usage::{Cost, Usage},
};

/// A turn while it runs. Dropping it leaves a valid transcript and nothing running.
pub(super) struct Live<'a> {
    pub(super) talk: &'a mut Talk,
    pub(super) scope: Scope,
    pub(super) origin: Origin,
    /// The message that is being received.
    pub(super) fold: Option<Fold>,
    /// Which model it comes from.
    pub(super) model: usize,
    /// The calls that are being run.
    pub(super) board: Option<Arc<Board>>,
    /// Which of them have their result in the log.
    pub(super) landed: HashSet<CallId>,
    pub(super) usage: Usage,
    pub(super) cost: Cost,
    /// What the model said last in this turn.
    pub(super) words: String,
    /// Whether the log has its end.
    pub(super) ended: bool,
    out_of_time: Arc<AtomicBool>,
    /// When the hooks that still run after a cancel are given up, all together.
    patience: OnceLock<Instant>,
}

impl<'a> Live<'a> {
    pub(super) fn begin(talk: &'a mut Talk, scope: Scope) -> Self {
        talk.turns = TurnId(talk.turns.0 + 1);
        let origin = Origin::new(talk.grant.scope.path(), talk.turns);
        let live = Self {
            talk,
            scope,
            origin,
            fold: None,
            model: 0,
            board: None,
            landed: HashSet::new(),
            usage: Usage::default(),
            cost: Cost::default(),
            words: String::new(),
            ended: false,
            out_of_time: Arc::default(),
            patience: OnceLock::new(),
        };
        live.watch_the_clock();
        live
    }

    /// One timer for the whole turn, on a task of its own: nothing is armed for each delta.
    fn watch_the_clock(&self) {
        let Some(end) = self.talk.grant.meter.deadline() else {
            return;
        };
        let (scope, flag) = (self.scope.clone(), self.out_of_time.clone());
        self.scope.spawn(async move {
            if scope.race(tokio::time::sleep_until(end)).await.is_some() {
                flag.store(true, Relaxed);
                scope.cancel();
            }
        });
    }

    /// Why a turn ends whose scope was cancelled.
    pub(super) fn cancelled(&self) -> StopReason {
        if self.out_of_time.load(Relaxed) {
            StopReason::BudgetSpent {
                limit: "time".into(),
            }
        } else {
            StopReason::Cancelled
        }
    }

    pub(super) fn at(&self) -> HookContext {
        self.talk.grant.at(self.origin.turn)
    }

    pub(super) fn model(&self, index: usize) -> &Model {
        self.talk.recipe().models[index].model()
    }

    /// How large the next request is.
    pub(super) fn tokens(&self) -> u64 {
        self.talk.transcript.tokens(&self.talk.counter)
    }

    /// Runs a hook that a cancel must not skip; `None` once the grace of a cancelled turn is over.
    pub(super) async fn linger<F: Future>(&self, hook: F) -> Option<F::Output> {
        let mut hook = std::pin::pin!(hook);
        tokio::select! {
            biased;
            verdict = &mut hook => return Some(verdict),
            () = self.scope.cancelled() => {}
        }
        let end = self.patience.get_or_init(|| Instant::now() + CANCEL_GRACE);
        tokio::time::timeout_at(*end, hook).await.ok()
    }

    /// Puts a message of the user's side into the transcript; `false` when there is nothing in it,
    /// and a request would end with the model's own words.
    pub(super) fn say(&mut self, message: Message) -> bool {
        let counts = |part: &Part| match part {
            Part::Text { text, .. } => !text.trim().is_empty(),
            Part::Media(_) | Part::Opaque { .. } => true,
            _ => false,
        };
        let said = message.parts.iter().any(counts);
        if said {
            self.write(|| Body::User {
                message: message.clone(),
            });
            self.talk.transcript.push_user(message);
        }
        said
    }

    /// Puts the model's message into the transcript.
    pub(super) fn heard(&mut self, message: Message, heard: Heard<'_>) {
        let usage = heard.usage;
        self.write(|| heard.body(message.clone(), Some(usage)));
        self.talk.transcript.push_assistant(message, Some(usage));
        let last = self.talk.transcript.history().last().map(Kept::get);
        let text = match last {
            Some(last) if last.role == Role::Assistant => last.text(),
            _ => return,
        };
        if !text.is_empty() {
            self.words = text;
        }
    }

    /// Books what a model call used: charged before told.
    pub(super) fn charge(&mut self, index: usize, usage: Usage) -> Cost {
        let cost = self.model(index).cost(&usage);
        self.talk.grant.meter.charge(&usage, cost);
        self.usage += usage;
        self.cost += cost;
        cost
    }

    /// As [`charge`](Self::charge), for what no message stands for.
    pub(super) fn book(&mut self, index: usize, usage: Usage) {
        let cost = self.charge(index, usage);
        self.write(|| Body::Charge { usage, cost });
    }

    /// The usage of the message that is being received; counted by us where the vendor's is missing.
    pub(super) fn usage_so_far(&self, fold: &Fold) -> Usage {
        match fold.usage {
            Some(usage) if fold.stop.is_some() => Usage {
                requests: 1,
                ..usage
            },
            Some(usage) => {
                let output = usage.output.max(fold.estimate());
                Usage {
                    output,
                    requests: 1,
                    estimated: 1,
                    ..usage
                }
            }
            None => Usage {
                input: self.tokens(),
                output: fold.estimate(),
                requests: 1,
                estimated: 1,
                ..Usage::default()
            },
        }
    }

    /// Books a message that broke off, when the vendor may have charged for it.
    pub(super) fn book_broken(&mut self, error: Option<&Error>) {
        let Some(fold) = self.fold.take() else { return };
        if fold.reach > Reach::Nothing || error.is_some_and(Error::is_possibly_billed) {
            let usage = self.usage_so_far(&fold);
            self.book(self.model, usage);
        }
    }

    /// Ends when a note has come that breaks off what the agent is doing.
    pub(super) fn interrupted(&self) -> impl Future<Output = ()> + Send + use<> {
        let mailbox = self.talk.reach.desk.mailbox().clone();
        async move {
            mailbox.arrived_until(Urgency::Interrupt).await;
            // A box that was closed rings too; that is no reason to break anything off.
            if mailbox.most_urgent() != Some(Urgency::Interrupt) {
                std::future::pending().await
            }
        }
    }

    /// Whether the message that was received ended because the window is full.
    pub(super) fn is_out_of_room(&self) -> bool {
        let stop = self.fold.as_ref().and_then(|fold| fold.stop.as_ref());
        matches!(stop, Some((Stop::ContextFull, _)))
    }

    /// Drops the message that was received, and says so: it is asked for again.
    pub(super) fn start_over(&mut self, why: &str) -> EventKind {
        let dropped = self.fold.as_ref().map(Fold::text).unwrap_or_default();
        self.book_broken(None);
        EventKind::Restarted {
            dropped,
            model: self.model(self.model).full_name(),
            error: why.into(),
        }
    }

    /// Keeps the words of a message that a note broke off, and says where it ended.
    pub(super) fn break_off(&mut self) -> Option<EventKind> {
        let fold = self.fold.take_if(|fold| fold.reach > Reach::Nothing)?;
        let usage = self.usage_so_far(&fold);
        let cost = self.charge(self.model, usage);
        let model = self.model(self.model).name.to_string();
        let stop = "interrupted";
        match fold.words_only() {
            Some(message) => {
                let heard = Heard {
                    model: &model,
                    stop,
                    runs: false,
                    usage,
                    cost,
                };
                self.write(|| heard.body(message.clone(), None));
                self.talk.transcript.push_assistant(message, None);
            }
            None => self.write(|| Body::Charge { usage, cost }),
        }
        Some(EventKind::MessageEnd {
            model,
            stop: stop.into(),
            usage,
            cost,
        })
    }

    /// Puts everything in order after a cancel: words are kept, calls are answered.
    pub(super) fn settle(&mut self) {
        if let Some(fold) = &self.fold {
            let words = fold.words_only();
            self.book_broken(None);
            if let Some(message) = words {
                let model = self.model(self.model).name.to_string();
                self.write(|| Heard::cut(&model).body(message.clone(), None));
                self.talk.transcript.push_assistant(message, None);
            }
        }
        if let Some(board) = self.board.take() {
            self.push_results(board.settle());
        }
        let text = "The turn was stopped before this tool could start. It did not run.";
        self.close_open(Outcome::NeverStarted, text);
    }

    /// Children that the turn should have waited for and did not.
    pub(super) fn abandoned(&self) -> Option<EventKind> {
        let waits = self.talk.grant.on_children == OnChildren::Wait;
        let agents = if waits { self.children() } else { Vec::new() };
        (!agents.is_empty()).then_some(EventKind::Abandoned { agents })
    }

    fn children(&self) -> Vec<AgentPath> {
        let desk = &self.talk.reach.desk;
        if !desk.has_children() {
            return Vec::new();
        }
        desk.children().into_iter().map(|row| row.path).collect()
    }

    pub(super) fn end(&self, stop: StopReason, text: String) -> EventKind {
        EventKind::TurnEnd {
            stop,
            text,
            usage: self.usage,
            cost: self.cost,
            children: self.children(),
            spent_by: Vec::new(),
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.settle();
        if !self.ended {
            self.write(|| Body::TurnEnd {
                stop: StopReason::Cancelled,
            });
        }
        self.talk.transcript.rest();
        self.talk.reach.set_current(None);
        self.scope.cancel();
    }
}
