//! One model call with its retries, restarts and fallbacks, told to watchers as it happens.
//! Refuses to touch the transcript: a message is handed over whole or not at all.

use async_stream::stream;
use futures::{
    Stream, StreamExt,
    future::{Either, select},
};

use super::{
    fold::{Fold, MAX_MESSAGE_BYTES, MAX_PARTS, Reach},
    live::Live,
};
use crate::{
    budget::Spent,
    error::{Error, ErrorKind},
    event::{Event, EventKind},
    hook::Preamble,
    provider::{Delta, Request, Stop},
    scope::{WaitFor, only_when_woken},
};

/// What happens during a model call.
#[expect(
    clippy::large_enum_variant,
    reason = "an event is moved on at once; a box would cost each piece an allocation"
)]
pub(super) enum Step {
    /// Watchers hear this.
    Event(Event),
    /// The message is complete; it stands in `live.fold`.
    Done,
    /// There is no message.
    Failed(Error),
    /// A note broke it off.
    BrokenOff,
    /// A try failed, and the budget does not allow another.
    Spent(Spent),
}

/// Asks the models of the recipe, in order, until one has answered whole.
pub(super) fn answer<'s>(
    live: &'s mut Live<'_>,
    preamble: &'s Preamble,
) -> impl Stream<Item = Step> + Send + 's {
    stream! {
        let agent = live.talk.agent.clone();
        let models = &agent.recipe.models;
        let scope = live.scope.clone();
        let mut interrupted = std::pin::pin!(live.interrupted());
        let mut attempt = 0;
        live.model = 0;
        loop {
            let provider = &models[live.model];
            let request = Request {
                system: &preamble.system,
                tools: agent.recipe.tools.specs(),
                history: live.talk.transcript.to_request(),
                options: &preamble.options,
            };
            live.fold = Some(Fold::default());
            let mut error = None;
            match provider.stream(&request, &scope) {
                Err(refused) => error = Some(refused),
                Ok(mut deltas) => {
                    let _waiting = scope.waiting(WaitFor::Model(provider.model().full_name()));
                    let cancelled = std::pin::pin!(scope.cancelled());
                    // Nearly always asleep, while deltas come and come.
                    let mut stopped =
                        only_when_woken(select(cancelled, interrupted.as_mut()));
                    while error.is_none() {
                        // The stream first: `cancelled` is only polled while nothing comes, and a
                        // flag is looked at for each delta.
                        let next = tokio::select! {
                            biased;
                            next = deltas.next() => next,
                            stopped = &mut stopped => match stopped {
                                Either::Left(_) => break,
                                Either::Right(_) => {
                                    yield Step::BrokenOff;
                                    return;
                                }
                            }
                        };
                        match next {
                            Some(Ok(delta)) => {
                                let stop = matches!(delta, Delta::Stop { .. });
                                let fold = live.fold.get_or_insert_default();
                                if let Some(kind) = fold.take(delta) {
                                    yield Step::Event(live.origin.event(kind));
                                }
                                if stop || scope.is_cancelled() {
                                    break;
                                }
                                if live.fold.as_ref().is_some_and(Fold::is_too_large) {
                                    let text = format!("the answer is larger than the limit: `{MAX_MESSAGE_BYTES}` bytes in `{MAX_PARTS}` parts");
                                    error = Some(Error::new(ErrorKind::Limit, text).possibly_billed());
                                }
                            }
                            Some(Err(broken)) => error = Some(broken),
                            None => {
                                let text = "the answer broke off before its end";
                                error = Some(Error::new(ErrorKind::Disconnected, text));
                            }
                        }
                    }
                }
            }
            let fold = live.fold.get_or_insert_default();
            let error = match (&fold.stop, error) {
                (Some((Stop::BadCall, raw)), _) => {
                    let text = format!("the vendor could not read the model's own call: `{raw}`");
                    Error::new(ErrorKind::Server, text)
                }
                (Some(_), _) => {
                    yield Step::Done;
                    return;
                }
                (None, Some(error)) if !scope.is_cancelled() => error,
                // The half message stays where it is: whoever ends the turn books it and keeps its
                // words, also when the provider heard of the cancel before we did.
                (None, _) => {
                    yield Step::Failed(Error::new(ErrorKind::Cancelled, "cancelled"));
                    return;
                }
            };
            let (shown, dropped) = (fold.reach == Reach::Shown, fold.text());
            live.book_broken(Some(&error));
            attempt += 1;
            let wait = match agent.recipe.retry.delay(attempt, &error) {
                Some(wait) => Some(wait),
                None if live.model + 1 < models.len() && another_may_help(&error) => {
                    live.model += 1;
                    attempt = 0;
                    None
                }
                None => {
                    if shown && error.is_context_too_long() {
                        let model = provider.model().full_name();
                        let kind = EventKind::Restarted { dropped, model, error: error.to_string() };
                        yield Step::Event(live.origin.event(kind));
                    }
                    yield Step::Failed(error);
                    return;
                }
            };
            if let Err(spent) = live.talk.grant.meter.affords() {
                yield Step::Spent(spent);
                return;
            }
            let words = error.to_string();
            // Watchers hear which model goes on, also when there is nothing for them to drop.
            if shown || wait.is_none() {
                let model = models[live.model].model().full_name();
                let kind = EventKind::Restarted { dropped, model, error: words.clone() };
                yield Step::Event(live.origin.event(kind));
            }
            let Some(wait) = wait else { continue };
            let wait_millis = wait.as_millis() as u64;
            let kind = EventKind::Retrying { attempt, wait_millis, error: words };
            yield Step::Event(live.origin.event(kind));
            let _waiting = scope.waiting(WaitFor::Retry);
            tokio::select! {
                biased;
                () = scope.cancelled() => {
                    yield Step::Failed(Error::new(ErrorKind::Cancelled, "cancelled"));
                    return;
                }
                () = &mut interrupted => {
                    yield Step::BrokenOff;
                    return;
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// Whether the next model of the list may do what this one could not.
fn another_may_help(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Cancelled | ErrorKind::ContextTooLong | ErrorKind::BadRequest | ErrorKind::Bug
    )
}
