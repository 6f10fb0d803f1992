//! What a parent reads of a child that has ended: its words, and the note about its end.
//! Refuses to decide how it ended.

use super::{
    child::{Answered, Turned},
    order::Order,
    watchdog::Overdue,
};
use crate::{
    event::StopReason,
    message::{Message, Note, Outcome, Role, Urgency},
};

/// Bytes of a child's words that the note about its end carries; the rest is told on demand.
pub const MAX_NOTE_TEXT: usize = 32 * 1024;

/// How a child's turn reads to whoever asked for it.
pub(super) fn words(turned: Turned, order: &Order) -> (Outcome, String) {
    let Turned {
        stop,
        text,
        overdue,
    } = turned;
    let said = |why: String| {
        if text.is_empty() {
            why
        } else {
            format!("{why} What it had said until then:\n\n{text}")
        }
    };
    match (&overdue, &stop) {
        (Some(Overdue::Deadline), _) => {
            let text = said("The agent ran past its deadline and was stopped.".into());
            (Outcome::TimedOut, text)
        }
        (Some(Overdue::Silent(_)), _) => {
            let limit = order.no_progress;
            let text = said(format!(
                "Nothing came from the agent for {limit:?}; it was stopped."
            ));
            (Outcome::TimedOut, text)
        }
        (None, StopReason::Finished) if text.trim().is_empty() => {
            (Outcome::Ok, "(The agent finished without words.)".into())
        }
        (None, StopReason::Finished) => (Outcome::Ok, text),
        (None, StopReason::Cancelled) => {
            (Outcome::Interrupted, said("The agent was stopped.".into()))
        }
        (None, StopReason::Truncated) => {
            let text = said("The agent's answer was cut off at its output limit.".into());
            (Outcome::Failed, text)
        }
        (None, stop) => {
            let why = stop.clone().into_error();
            let hint = why
                .hint()
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            (
                Outcome::Failed,
                said(format!("The agent did not finish: {why}{hint}.")),
            )
        }
    }
}

pub(super) fn last_words(history: &[Message]) -> String {
    let mut said = history.iter().rev().filter(|m| m.role == Role::Assistant);
    said.next().map(Message::text).unwrap_or_default()
}

/// What the parent's mailbox is told. The engine escapes it into a frame that it cannot forge.
pub(super) fn note(answered: &Answered, order: &Order) -> Note {
    let (path, outcome) = (&answered.agent, answered.outcome.as_str());
    let about = if order.description.is_empty() {
        &order.kind
    } else {
        &order.description
    };
    let (seconds, tokens) = (answered.time.as_secs_f64(), answered.usage.total());
    let mut text = format!(
        "The background agent `{path}` ({about}) has ended: {outcome}, after {seconds:.1} s and \
         {tokens} tokens.\n\n{}",
        answered.text
    );
    if text.len() > MAX_NOTE_TEXT {
        let ends = (0..=MAX_NOTE_TEXT).rev();
        let end = ends.into_iter().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push_str(&format!(
            "\n[cut here; TaskOutput of `{path}` has the rest]"
        ));
    }
    Note {
        from: path.to_string(),
        text,
        urgency: Urgency::NextStep,
    }
}
