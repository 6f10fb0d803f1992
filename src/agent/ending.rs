//! May the turn end? Children first, then mail, then the hooks that may push it on.
//! Refuses to end a turn that still has something to read or somebody to wait for.

use super::live::Live;
use crate::{
    backend::OnChildren,
    event::{Event, EventKind},
    hook::Verdict,
    message::{Message, Note, Urgency},
    scope::WaitFor,
    store::Body,
};

/// What the end of an answer leads to.
pub(super) enum Ending {
    /// The turn goes on.
    GoOn,
    /// It is over.
    Over,
}

/// Puts the mail that is at least so urgent into the transcript, past the hooks, and says so; empty
/// when there is none.
pub(super) async fn deliver_mail(live: &mut Live<'_>, least: Urgency) -> Vec<Event> {
    let mut drained = live.talk.reach.desk.mailbox().drain_until(least);
    let mut notes = drained.to_vec();
    if !live.talk.hooks.is_empty() {
        let at = live.at();
        let mut refused = Vec::new();
        for (index, note) in notes.iter_mut().enumerate() {
            // A cancel here leaves all of them in the box: none is in the transcript yet.
            match live.scope.race(live.talk.hooks.on_note(&at, note)).await {
                None => return Vec::new(),
                Some(Verdict::Keep) => {}
                Some(Verdict::Change(text)) => note.text = text,
                Some(Verdict::Refuse(reason)) => {
                    tracing::warn!("a note from `{}` was refused: {reason}", note.from);
                    refused.push(index);
                }
            }
        }
        for index in refused.into_iter().rev() {
            drained.refuse(index);
            notes.remove(index);
        }
    }
    let mut events = Vec::new();
    for Note { from, text, .. } in notes {
        let message = Message::from(note_message(&from, &text));
        live.write(|| Body::Note {
            from: from.clone(),
            text: text.clone(),
            message: message.clone(),
        });
        live.talk.transcript.push_user(message);
        events.push(live.origin.event(EventKind::Note { from, text }));
    }
    drained.ack();
    events
}

/// Decides at the end of an answer without calls.
pub(super) async fn decide(live: &mut Live<'_>, pushes: &mut u32) -> Ending {
    if wait_for_children(live).await {
        return Ending::GoOn;
    }
    if live.scope.is_cancelled()
        || *pushes >= live.talk.recipe().max_pushes
        || live.talk.hooks.is_empty()
    {
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
        Some(_) if !live.talk.reach.desk.mailbox().is_empty() => Ending::GoOn,
        _ => Ending::Over,
    }
}

/// Waits until there is mail, which is `true`, or nobody who could send any.
async fn wait_for_children(live: &Live<'_>) -> bool {
    let desk = live.talk.reach.desk.clone();
    loop {
        // Children before mail, for a child puts its note into the box before it gives up its seat:
        // the other order would lose the note of one that ends in between.
        let changed = desk.children_changed();
        let alive = desk.has_children();
        if !desk.mailbox().is_empty() {
            return true;
        }
        if !alive || live.talk.grant.on_children == OnChildren::Yield {
            return false;
        }
        let children = desk.children();
        let _waiting: Vec<_> = children
            .into_iter()
            .map(|child| live.scope.waiting(WaitFor::Agent(child.path)))
            .collect();
        tokio::select! {
            biased;
            () = live.scope.cancelled() => return false,
            () = desk.mailbox().arrived() => {}
            () = changed => {}
        }
    }
}

/// A note as the model reads it. What a person says stands as it is; what others say stands in a
/// frame that its text cannot forge.
fn note_message(from: &str, text: &str) -> String {
    if from == Note::PERSON {
        return text.to_owned();
    }
    format!(
        "<note from=\"{}\">\n{}\n</note>",
        escape(from).replace(char::is_control, " "),
        escape(text)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
