//! What of a turn is written to the session's log, and where the turn waits until it is safe.
//! Refuses to decide what happens: it writes down what the loop has decided, in that order.

use serde_json::Value;

use super::live::Live;
use crate::{
    dispatch::Board,
    error::{Error, ErrorKind, Result},
    event::StopReason,
    id::CallId,
    message::{Message, Outcome, RawJson, ToolCall, ToolResult},
    permission::{Answer, Question},
    spec::Effect,
    store::{Body, Moment},
    usage::{Cost, Usage},
};

/// What is known of a model's message beside its words.
#[derive(Clone, Copy)]
pub(super) struct Heard<'a> {
    pub(super) model: &'a str,
    pub(super) stop: &'a str,
    /// Whether its calls are to be run.
    pub(super) runs: bool,
    pub(super) usage: Usage,
    pub(super) cost: Cost,
}

impl<'a> Heard<'a> {
    /// A message that a cancel cut off; what it cost was booked by itself.
    pub(super) fn cut(model: &'a str) -> Self {
        Self {
            model,
            stop: "cancelled",
            runs: false,
            usage: Usage::default(),
            cost: Cost::default(),
        }
    }

    pub(super) fn body(self, message: Message, usage: Option<Usage>) -> Body {
        Body::Assistant {
            message,
            model: self.model.into(),
            stop: self.stop.into(),
            runs: self.runs,
            usage,
            charged: self.usage,
            cost: self.cost,
        }
    }
}

impl Live<'_> {
    /// Writes a record; it is safe once [`commit`](Self::commit) says so.
    pub(super) fn write(&self, body: impl FnOnce() -> Body) {
        let log = &self.talk.grant.log;
        log.write(&self.origin.agent, self.origin.turn, body);
    }

    /// Waits until what was written is as safe as a step wants it; an error is why the turn ends.
    pub(super) async fn commit(&self) -> Result<(), StopReason> {
        let commit = self.talk.grant.log.commit(Moment::Step);
        match self.scope.race(commit).await {
            None => Err(self.cancelled()),
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(StopReason::failed(unsaved(&error))),
        }
    }

    /// Writes the turn's end and waits for it; gives the end as it then is.
    pub(super) async fn commit_end(&mut self, stop: StopReason) -> StopReason {
        self.write(|| Body::TurnEnd { stop: stop.clone() });
        self.ended = true;
        match self.talk.grant.log.commit(Moment::Turn).await {
            Ok(()) => stop,
            Err(_) if !stop.is_finished() => stop,
            Err(error) => StopReason::failed(unsaved(&error)),
        }
    }

    /// A call is about to run. Calls whose repetition does no harm need not wait for the disk.
    pub(super) async fn intend(
        &self,
        board: &Board,
        index: usize,
        input: &Value,
        effect: Effect,
    ) -> Result<(), StopReason> {
        if !self.talk.grant.log.is_on() {
            return Ok(());
        }
        let call = &board.calls()[index];
        self.write(|| Body::Intent {
            call: call.id.clone(),
            tool: call.name.clone(),
            input: RawJson::of(input).unwrap_or_else(RawJson::empty_object),
            effect: effect.into(),
        });
        match effect {
            Effect::Pure | Effect::Idempotent => Ok(()),
            Effect::Keyed | Effect::Once => self.commit().await,
        }
    }

    /// A call has its result, as the model will read it.
    pub(super) fn landed(&mut self, result: &ToolResult, millis: u64) {
        if self.talk.grant.log.is_on() {
            self.landed.insert(result.call.clone());
            self.write(|| Body::Result {
                result: result.clone(),
                millis,
            });
        }
    }

    /// The calls of the last message that have no result yet.
    pub(super) fn open_calls(&self) -> Vec<ToolCall> {
        let open = self.talk.transcript.open_calls();
        open.into_iter().cloned().collect()
    }

    /// Puts the results of the open calls into the transcript; those that are not in the log yet
    /// come into it.
    pub(super) fn push_results(&mut self, results: Vec<ToolResult>) {
        if self.talk.grant.log.is_on() {
            for result in &results {
                if !self.landed.contains(&result.call) {
                    self.landed(result, 0);
                }
            }
            self.landed.clear();
        }
        self.talk.transcript.push_results(results);
    }

    /// Answers every open call in the same way.
    pub(super) fn close_open(&mut self, outcome: Outcome, text: &str) {
        let open = self.talk.transcript.open_calls().into_iter();
        let results: Vec<_> = open
            .map(|call| ToolResult::text(call, outcome, text))
            .collect();
        if !results.is_empty() {
            self.push_results(results);
        }
    }

    /// A person is asked.
    pub(super) async fn asked(&self, question: &Question) -> Result<(), StopReason> {
        self.write(|| Body::Asked {
            id: question.id.clone(),
            call: question.call.clone(),
            tool: question.tool.clone(),
            input: RawJson::of(&question.input).unwrap_or_else(RawJson::empty_object),
            reason: question.reason.clone(),
        });
        self.commit().await
    }

    /// A question was answered.
    pub(super) fn answered(&self, id: &str, call: &CallId, answer: &Answer) {
        self.write(|| Body::Answered {
            id: id.into(),
            call: call.clone(),
            allowed: !matches!(answer, Answer::Deny(_)),
            input: match answer {
                Answer::AllowWith(input) => RawJson::of(input),
                _ => None,
            },
        });
    }
}

/// The failure of the log, as the end of a turn tells it.
fn unsaved(error: &Error) -> Error {
    let text = format!("the session's log cannot be written: {error}");
    let told = Error::new(error.kind(), text);
    let hint = match error.kind() {
        ErrorKind::StorageFull => "make room on the disk and say it again: nothing is lost",
        _ => match error.hint() {
            Some(hint) => hint,
            None => return told.with_source(error.clone()),
        },
    };
    told.with_hint(hint).with_source(error.clone())
}
