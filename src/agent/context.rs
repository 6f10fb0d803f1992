//! Makes room before a model call: trims old tool output, then summarises, then refuses.
//! Refuses to loop: each step is tried once for a call, and failures open a breaker.

use super::live::Live;
use crate::{
    event::{Compaction, EventKind, StopReason},
    hook::Verdict,
    store::Body,
    transcript::{Change, Summarising, Thresholds, Trimming, summarise_charged},
    usage::Usage,
};

/// How full the history may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Below the threshold it may stay as it is.
    Usual,
    /// The vendor said that it is too long: it must get shorter.
    MustShrink,
    /// It was made shorter for this call: if that does not help, nothing does.
    Shrunk,
}

/// Makes the history fit. Says what it did; an error is why the turn must end.
pub(super) async fn make_room(
    live: &mut Live<'_>,
    need: Need,
) -> Result<Vec<EventKind>, StopReason> {
    let settings = live.talk.recipe().compaction.clone();
    let lines = settings.thresholds(live.model(0));
    let mut told = Vec::new();
    let mut tokens = live.tokens();
    let due = |tokens| need == Need::MustShrink || tokens >= lines.compact;
    let early = settings.trimming == Trimming::Early && tokens >= lines.warning;
    if (due(tokens) || early)
        && let Some((change, calls)) = live
            .talk
            .transcript
            .trim_named(&settings, &live.talk.counter)
    {
        live.write(|| Body::Trimmed { calls });
        told.push(compacted(Compaction::Trimmed, change));
        tokens = live.tokens();
    }
    // After a vendor's refusal our own count cannot be trusted, so trimming alone is not enough.
    if due(tokens) && settings.summarising == Summarising::Automatic {
        if let Some(change) = Box::pin(summarise(live, &lines)).await? {
            told.push(compacted(Compaction::Summarised, change));
        }
        tokens = live.tokens();
    }
    let stuck = need == Need::MustShrink && told.is_empty();
    if stuck || tokens >= lines.refuse {
        Err(StopReason::ContextFull)
    } else {
        Ok(told)
    }
}

/// Replaces the history by a summary; `None` when none could be made.
async fn summarise(live: &mut Live<'_>, lines: &Thresholds) -> Result<Option<Change>, StopReason> {
    if !live.talk.breaker.allows() {
        return Ok(None);
    }
    let tokens = live.tokens();
    let at = live.at();
    let hook = live
        .scope
        .race(live.talk.hooks.before_compact(&at, tokens))
        .await;
    let instructions = match hook {
        None => return Err(live.cancelled()),
        Some(Verdict::Keep) => None,
        Some(Verdict::Change(words)) => Some(words),
        Some(Verdict::Refuse(_)) => return Ok(None),
    };
    // What the model will see is safe before it sees it.
    live.commit().await?;
    // A summary is a model call like any other: admitted before, charged after.
    if let Err(spent) = live.talk.grant.meter.admit() {
        return Err(StopReason::BudgetSpent {
            limit: spent.limit.as_str().into(),
        });
    }
    let agent = live.talk.agent.clone();
    let scope = live.scope.clone();
    let mut usage = Usage::default();
    let made = {
        let provider = &*agent.recipe.models[0];
        let transcript = &live.talk.transcript;
        let words = instructions.as_deref();
        let call = summarise_charged(provider, transcript, words, &scope, &mut usage);
        scope.race(call).await
    };
    if usage != Usage::default() {
        live.book(0, usage);
    }
    match made {
        None => Err(live.cancelled()),
        Some(Err(error)) => {
            tracing::warn!("the history could not be summarised: {error}");
            live.talk.breaker.failed();
            Ok(None)
        }
        Some(Ok(text)) => {
            let change = live.talk.transcript.replace_with_summary(&text, true);
            live.write(|| Body::Summarised {
                text,
                automatic: true,
            });
            live.talk.breaker.succeeded(change.after, lines);
            Ok(Some(change))
        }
    }
}

fn compacted(how: Compaction, change: Change) -> EventKind {
    EventKind::Compacted {
        how,
        before: change.before,
        after: change.after,
    }
}
