//! What an agent remembers of an earlier life: its history, and what became of calls left open.
//! Refuses to guess about effects: a call that may have run is said to be in doubt.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

use super::live::Live;
use crate::{
    backend::Grant,
    dispatch::Board,
    event::Ground,
    id::{CallId, SessionId, TurnId},
    message::{Note, Outcome, RawJson, ToolCall, ToolResult, Urgency},
    permission::{Pending, Question},
    redact::REDACTED,
    store::{Body, Doubt, LoggedEffect, LostChild},
    transcript::Transcript,
};

/// What an agent takes up from an earlier life.
#[derive(Default)]
pub(super) struct Recalled {
    /// The turn that was last.
    pub(super) turn: TurnId,
    /// What of it was not finished.
    pub(super) left: Option<Box<Left>>,
}

/// A turn that a death cut short.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, asked for by name"
)]
pub(super) struct Left {
    /// The turn by which the keys of its calls are known.
    pub(super) turn: TurnId,
    /// The session by which they are known, where it is not this one.
    pub(super) session: Option<SessionId>,
    /// Calls that have no result in the conversation yet.
    open: bool,
    /// None of them was begun, answered or asked about.
    pub(super) untouched: bool,
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
    /// It may have run, and somebody must decide whether it runs once more.
    Doubtful,
    /// A person has said yes to these arguments, or to others in their place.
    Allowed {
        asked: Value,
        changed: Option<RawJson>,
    },
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

    /// Puts what is known of the calls on the board before anything else is asked about any of them:
    /// however the turn ends, nothing that may have run is said not to have.
    pub(super) fn lay_out(&self, board: &Board, logged: &mut HashSet<CallId>) {
        for (index, call) in board.calls().iter().enumerate() {
            let result = match self.fate(&call.id) {
                Some(Fate::Landed(result)) => {
                    logged.insert(call.id.clone());
                    result.clone()
                }
                Some(Fate::Lost(result)) => result.clone(),
                Some(Fate::Doubtful) => in_doubt(call),
                _ => continue,
            };
            board.land(index, result);
        }
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
    for place in grant.log.places(grant.scope.path()) {
        // No place is given twice.
        grant.desk.next_place(place.name());
    }
    hear_of_lost(grant);
    let mut known: HashMap<CallId, Known> = HashMap::new();
    let (mut running, mut runnable) = (false, true);
    let mut called_in = memory.turn;
    for record in memory.records {
        match record.body {
            Body::User { message } | Body::Note { message, .. } => {
                land(transcript, &mut known);
                running = true;
                transcript.push_user(message);
            }
            Body::Assistant {
                message,
                usage,
                runs,
                ..
            } => {
                land(transcript, &mut known);
                transcript.push_assistant(message, usage);
                runnable = runs;
                (running, called_in) = (true, record.turn);
            }
            Body::Intent { call, effect, .. } => {
                known.entry(call).or_default().effect = Some(effect);
            }
            Body::Result { result, .. } => {
                let call = result.call.clone();
                // The first one stands: what comes after it was not known better.
                known.entry(call).or_default().result.get_or_insert(result);
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
    if !runnable {
        let text = "This answer was cut off or refused before its calls could run. They did not.";
        transcript.close_open(Outcome::NeverStarted, text);
    }
    let left = running.then(|| {
        Box::new(Left {
            session: memory.session,
            ..left(grant, transcript, known, called_in)
        })
    });
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

/// Children in the background of whose end the agent has not heard.
fn hear_of_lost(grant: &Grant) {
    let mine = |child: &&LostChild| {
        child.ground == Ground::Background && child.is_child_of(grant.scope.path())
    };
    for child in grant.log.lost().iter().filter(mine) {
        let note = Note {
            from: child.path.to_string(),
            text: child.report(),
            urgency: Urgency::NextStep,
        };
        grant.desk.mailbox().push_control(note).ok();
    }
}

fn left(
    grant: &Grant,
    transcript: &Transcript,
    mut known: HashMap<CallId, Known>,
    turn: TurnId,
) -> Left {
    let open = transcript.open_calls();
    let untouched = known.is_empty();
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
        session: None,
        open: !open.is_empty(),
        untouched,
        fates,
        waiting: Mutex::new(waiting),
    }
}

fn fate(grant: &Grant, call: &ToolCall, known: Known) -> Option<Fate> {
    if let Some(result) = known.result {
        return Some(Fate::Landed(result));
    }
    if call.input.as_str().contains(REDACTED) {
        let text = "The program stopped before this call was done, and its arguments held a secret \
            that is not kept. It was not run again.";
        return Some(Fate::Lost(ToolResult::text(
            call,
            Outcome::Interrupted,
            text,
        )));
    }
    let repeats = known.effect.is_none_or(LoggedEffect::may_repeat);
    if !repeats {
        let child = grant.log.lost_child(grant.scope.path(), &call.id);
        return match child {
            // It goes on where it was, so nothing it did is done a second time.
            Some(child) if child.goes_on => None,
            Some(child) if child.is_call || child.ended.is_some() => {
                let outcome = child.ended.unwrap_or(Outcome::Interrupted);
                Some(Fate::Lost(ToolResult::text(call, outcome, child.report())))
            }
            _ if grant.log.policies().doubt == Doubt::Ask => Some(Fate::Doubtful),
            _ => Some(Fate::Lost(in_doubt(call))),
        };
    }
    match (known.answered, known.asked) {
        (Some((true, changed)), asked) => Some(Fate::Allowed {
            asked: asked.map(|asked| asked.input).unwrap_or_default(),
            changed,
        }),
        (Some((false, _)), _) => {
            let text = "Permission denied: the person who was asked said no. The tool did not run.";
            Some(Fate::Lost(ToolResult::text(call, Outcome::Denied, text)))
        }
        (None, Some(question)) => Some(Fate::Asked(question)),
        (None, None) => None,
    }
}

/// What the model reads of a call that may have run.
pub(super) fn in_doubt(call: &ToolCall) -> ToolResult {
    let text = "The program stopped while this tool ran. Whether it took effect is not known, and \
        it was not run again: look before you repeat it.";
    ToolResult::text(call, Outcome::Interrupted, text)
}
