//! May the turn end? Mail first, then the hooks that may push it on.
//! Refuses to end a turn that still has something to read.

use super::live::Live;
use crate::{
    event::{Event, EventKind},
    hook::Verdict,
    message::{Note, Urgency},
};

/// What the end of an answer leads to.
pub(super) enum Ending {
    /// The turn goes on.
    GoOn,
    /// It is over.
    Over,
}

/// Puts the mail that is at least so urgent into the transcript and says so; empty when there is
/// none.
pub(super) fn deliver_mail(live: &mut Live<'_>, least: Urgency) -> Vec<Event> {
    let drained = live.talk.reach.mailbox.drain_until(least);
    let mut events = Vec::new();
    for note in drained.iter() {
        live.talk.transcript.push_user(note_message(note).into());
        let kind = EventKind::Note {
            from: note.from.clone(),
            text: note.text.clone(),
        };
        events.push(live.origin.event(kind));
    }
    drained.ack();
    events
}

/// Decides at the end of an answer without calls.
pub(super) async fn decide(live: &mut Live<'_>, pushes: &mut u32) -> Ending {
    if !live.talk.reach.mailbox.is_empty() {
        return Ending::GoOn;
    }
    if *pushes >= live.talk.recipe().max_pushes || live.talk.hooks.is_empty() {
        return Ending::Over;
    }
    let at = live.at();
    let verdict = live
        .scope
        .race(live.talk.hooks.on_stop(&at, &live.words))
        .await;
    match verdict {
        Some(Verdict::Change(message)) if live.say(message.clone()) => {
            *pushes += 1;
            Ending::GoOn
        }
        // Mail may have come while the hook thought.
        Some(_) if !live.talk.reach.mailbox.is_empty() => Ending::GoOn,
        _ => Ending::Over,
    }
}

/// A note as the model reads it. What a person says stands as it is; what others say stands in a
/// frame that its text cannot forge.
fn note_message(note: &Note) -> String {
    if note.from == Note::PERSON {
        return note.text.clone();
    }
    format!(
        "<note from=\"{}\">\n{}\n</note>",
        escape(&note.from).replace(char::is_control, " "),
        escape(&note.text)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
