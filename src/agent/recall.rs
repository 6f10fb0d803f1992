//! What an agent remembers of an earlier life: its history, and what became of calls left open.
//! Refuses to guess about effects: a call that may have run is said to be in doubt.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::live::Live;
use crate::{
    backend::Grant,
    id::{CallId, TurnId},
    message::{Outcome, RawJson, ToolCall, ToolResult},
    permission::{Pending, Question},
    store::{Body, Doubt, LoggedEffect, LostChild, LostChildren},
    transcript::Transcript,
};

/// What an agent takes up from an earlier life.
#[derive(Default)]
pub(super) struct Recalled {
    /// The turn that was last.
    pub(super) turn: TurnId,
    /// What of it was not finished.
    pub(super) left: Option<Left>,
}

/// A turn that a death cut short.
pub(super) struct Left {
    /// The turn by which the keys of its calls are known.
    pub(super) turn: TurnId,
    /// Calls that have no result in the conversation yet.
    open: bool,
    fates: HashMap<CallId, Fate>,
    /// Questions that wait for a person again, from now on.
    waiting: Mutex<HashMap<String, Pending>>,
}

/// What is known of a call from an earlier life. One without a fate may run as if it were new: it
/// never began, or beginning again does no harm.
pub(super) enum Fate {
    /// It has its result.
    Landed(ToolResult),
    /// It will not run again; this is what the model reads.
    Lost(ToolResult),
    /// It may have run, and somebody must decide: this is why.
    Doubtful(String),
    /// A person has said yes, maybe to other arguments, and it did not begin.
    Allowed(Option<RawJson>),
    /// A person was asked and has not answered.
    Asked(Question),
}

impl Left {
    pub(super) fn has_calls(&self) -> bool {
        self.open
    }

    pub(super) fn fate(&self, call: &CallId) -> Option<&Fate> {
        self.fates.get(call)
    }

    /// The question, which may have been answered since the session was opened again.
    pub(super) fn pending(&self, live: &Live<'_>, question: &Question) -> Pending {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let known = waiting.remove(&question.id);
        known.unwrap_or_else(|| live.talk.grant.approvals.open(question))
    }
}

/// What is known of one call while the log is read.
#[derive(Default)]
struct Known {
    effect: Option<LoggedEffect>,
    asked: Option<Question>,
    answered: Option<(bool, Option<RawJson>)>,
    result: Option<ToolResult>,
}

/// Puts what the log holds of an agent into its transcript.
pub(super) fn take(grant: &Grant, transcript: &mut Transcript) -> Recalled {
    let Some(memory) = grant.log.recollect(grant.scope.path()) else {
        return Recalled::default();
    };
    // The log is the truth, and what the recipe began with is in it.
    *transcript = Transcript::new();
    let mut known: HashMap<CallId, Known> = HashMap::new();
    let mut running = false;
    let mut called_in = memory.turn;
    for record in memory.records {
        match record.body {
            Body::User { message } | Body::Note { message, .. } => {
                land(transcript, &mut known);
                running = true;
                transcript.push_user(message);
            }
            Body::Assistant { message, usage, .. } => {
                land(transcript, &mut known);
                transcript.push_assistant(message, usage);
                (running, called_in) = (true, record.turn);
            }
            Body::Intent { call, effect, .. } => {
                known.entry(call).or_default().effect = Some(effect);
            }
            Body::Result { result, .. } => {
                let call = result.call.clone();
                known.entry(call).or_default().result = Some(result);
            }
            Body::Asked {
                id,
                call,
                tool,
                input,
                reason,
            } => {
                let question = Question {
                    id,
                    agent: record.agent,
                    call: call.clone(),
                    tool,
                    input: serde_json::from_str(input.as_str()).unwrap_or_default(),
                    reason,
                };
                known.entry(call).or_default().asked = Some(question);
            }
            Body::Answered {
                call,
                allowed,
                input,
                ..
            } => known.entry(call).or_default().answered = Some((allowed, input)),
            Body::Trimmed { calls } => {
                land(transcript, &mut known);
                transcript.clear(&calls);
            }
            Body::Summarised { text, automatic } => {
                land(transcript, &mut known);
                transcript.replace_with_summary(&text, automatic);
            }
            Body::TurnEnd { .. } => {
                land(transcript, &mut known);
                running = false;
            }
            _ => {}
        }
    }
    // A child lives for one turn: one that had its end and was not buried yet has it again.
    running |= grant.scope.depth() > 0 && transcript.ends_with_words();
    let left = running.then(|| left(grant, transcript, known, called_in));
    Recalled {
        turn: memory.turn,
        left,
    }
}

/// Gives the open calls the results that are known: what follows says that no more will come.
fn land(transcript: &mut Transcript, known: &mut HashMap<CallId, Known>) {
    if known.is_empty() {
        return;
    }
    let results = known.drain().filter_map(|(_, known)| known.result);
    let results = results.collect::<Vec<_>>();
    if !transcript.open_calls().is_empty() {
        transcript.push_results(results);
    }
}

fn left(
    grant: &Grant,
    transcript: &Transcript,
    mut known: HashMap<CallId, Known>,
    turn: TurnId,
) -> Left {
    let open = transcript.open_calls();
    let mut fates = HashMap::new();
    let mut waiting = HashMap::new();
    for &call in &open {
        let Some(fate) = known
            .remove(&call.id)
            .and_then(|known| fate(grant, call, known))
        else {
            continue;
        };
        if let Fate::Asked(question) = &fate {
            waiting.insert(question.id.clone(), grant.approvals.open(question));
        }
        fates.insert(call.id.clone(), fate);
    }
    Left {
        turn,
        open: !open.is_empty(),
        fates,
        waiting: Mutex::new(waiting),
    }
}

fn fate(grant: &Grant, call: &ToolCall, known: Known) -> Option<Fate> {
    if let Some(result) = known.result {
        return Some(Fate::Landed(result));
    }
    let policies = grant.log.policies();
    if let Some(effect) = known.effect {
        let child = grant.log.lost_child(&call.id);
        return match (&child, policies.children, policies.doubt) {
            _ if effect.may_repeat() => None,
            // It goes on where it was, so nothing it did is done a second time.
            (Some(_), LostChildren::Restart, _) => None,
            (Some(child), LostChildren::Report, _) => Some(Fate::Lost(lost_agent(call, child))),
            (None, _, Doubt::Report) => Some(Fate::Lost(in_doubt(call))),
            (None, _, Doubt::Ask) => Some(Fate::Doubtful(format!(
                "the program stopped while `{}` ran, and nobody knows whether it took effect; \
                 yes runs it once more",
                call.name
            ))),
        };
    }
    match (known.answered, known.asked) {
        (Some((true, input)), _) => Some(Fate::Allowed(input)),
        (Some((false, _)), _) => {
            let text = "Permission denied: the person who was asked said no. The tool did not run.";
            Some(Fate::Lost(ToolResult::text(call, Outcome::Denied, text)))
        }
        (None, Some(question)) => Some(Fate::Asked(question)),
        (None, None) => None,
    }
}

fn in_doubt(call: &ToolCall) -> ToolResult {
    let text = "The program stopped while this tool ran. Whether it took effect is not known, and \
        it was not run again: look before you repeat it.";
    ToolResult::text(call, Outcome::Interrupted, text)
}

fn lost_agent(call: &ToolCall, child: &LostChild) -> ToolResult {
    ToolResult::text(call, Outcome::Interrupted, child.report())
}
