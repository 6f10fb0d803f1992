//! The details of single steps of a turn: preamble, prefix, hooks around answers and results.
//! Refuses control flow: each function answers one question of the loop.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use serde_json::Value;

use super::{live::Live, recall::Left};
use crate::{
    budget::Spent,
    dispatch::{Board, Plan, Terms},
    error::{Error, ErrorKind},
    event::{EventKind, StopReason},
    hook::{Preamble, Verdict},
    message::{Message, Outcome, Part, ToolResult},
    provider::Stop,
    scope::Scope,
    spec::Effect,
};

/// The message of a turn, past the hooks, into the transcript; an error is why the turn must end.
pub(super) async fn submit(
    live: &mut Live<'_>,
    message: Option<Message>,
) -> Result<(), StopReason> {
    let at = live.at();
    let hooks = live.talk.hooks.clone();
    let mut before = None;
    if std::mem::take(&mut live.talk.untouched) && live.talk.grant.scope.depth() == 0 {
        match live.scope.race(hooks.on_session_start(&at)).await {
            None => return Err(live.cancelled()),
            Some(Verdict::Refuse(reason)) => return Err(StopReason::Refused { reason }),
            Some(Verdict::Keep) => {}
            Some(Verdict::Change(text)) => before = Some(text),
        }
    }
    let Some(message) = message else {
        let mail = !live.talk.reach.desk.mailbox().is_empty();
        let said = before.is_some_and(|text| live.say(text.into()));
        let left = live.talk.left.take().is_some();
        if left && !said && !mail && live.talk.transcript.ends_with_words() {
            // It had its answer, and only its end is missing.
            live.words = live.talk.transcript.last_text();
            return Err(StopReason::Finished);
        }
        // A turn that a death cut short goes on without a word.
        return if said || mail || left {
            Ok(())
        } else {
            Err(nothing_said())
        };
    };
    let mut message = match live.scope.race(hooks.on_submit(&at, &message)).await {
        None => return Err(live.cancelled()),
        Some(Verdict::Refuse(reason)) => return Err(StopReason::Refused { reason }),
        Some(Verdict::Keep) => message,
        Some(Verdict::Change(changed)) => changed,
    };
    if let Some(text) = before {
        message.parts.insert(0, Part::text(format!("{text}\n\n")));
    }
    if live.say(message) {
        Ok(())
    } else {
        Err(nothing_said())
    }
}

/// The system prompt and options, past the hooks, within the budget.
pub(super) async fn preamble(
    live: &Live<'_>,
    schema: &Option<Value>,
) -> Result<Preamble, StopReason> {
    let recipe = live.talk.recipe();
    let mut preamble = Preamble {
        system: recipe.system.clone(),
        options: recipe.options.clone(),
    };
    if schema.is_some() {
        preamble.options.schema = schema.clone();
    }
    if !live.talk.hooks.is_empty() {
        let at = live.at();
        let asked = Box::pin(live.talk.hooks.before_request(&at, &preamble));
        match live.scope.race(asked).await {
            None => return Err(live.cancelled()),
            Some(Verdict::Refuse(reason)) => return Err(StopReason::Refused { reason }),
            Some(Verdict::Change(changed)) => preamble = changed,
            Some(Verdict::Keep) => {}
        }
    }
    // A token budget holds while the answer streams, because the vendor is told where to stop.
    if let Some(left) = live.talk.grant.meter.tokens_left() {
        let own = preamble
            .options
            .max_output
            .unwrap_or(live.model(0).max_output);
        preamble.options.max_output = Some(own.min(left).max(1));
    }
    Ok(preamble)
}

/// An event when the part of the request that vendors cache is not what it was.
pub(super) fn prefix_changed(live: &mut Live<'_>, preamble: &Preamble) -> Option<EventKind> {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&preamble.system);
    let before = live.talk.prefix.replace(hash)?;
    (before != hash).then(|| EventKind::PrefixChanged {
        segment: "system".into(),
        tokens: live.tokens(),
    })
}

pub(super) async fn after_response(live: &Live<'_>) -> Option<StopReason> {
    if live.talk.hooks.is_empty() {
        return None;
    }
    let message = live.talk.transcript.history().last()?.get();
    let at = live.at();
    match live
        .scope
        .race(live.talk.hooks.after_response(&at, message))
        .await
    {
        None => Some(live.cancelled()),
        Some(Verdict::Refuse(reason)) => Some(StopReason::Refused { reason }),
        Some(_) => None,
    }
}

pub(super) async fn after_tool(
    live: &Live<'_>,
    board: &Board,
    index: usize,
    result: ToolResult,
) -> ToolResult {
    if live.talk.hooks.is_empty() {
        return result;
    }
    let call = &board.calls()[index];
    let at = live.at();
    let hooks = live.talk.hooks.after_tool(&at, call, &result);
    let mut changed = match live.linger(hooks).await {
        None | Some(Verdict::Keep) => return result,
        Some(Verdict::Change(changed)) => changed,
        Some(Verdict::Refuse(reason)) => ToolResult::text(call, Outcome::Failed, reason),
    };
    changed.call = call.id.clone();
    changed.name.clone_from(&call.name);
    board.land(index, changed.clone());
    changed
}

pub(super) fn inputs(plans: &[Plan]) -> Vec<Value> {
    let input = |plan: &Plan| match plan {
        Plan::Run { input, .. } => input.clone(),
        Plan::Answered(_) | Plan::Landed => Value::Null,
    };
    plans.iter().map(input).collect()
}

/// Whether the calls of an answer that stopped so are to be run.
pub(super) fn may_run(stop: &Stop) -> bool {
    !matches!(
        stop,
        Stop::Refused { .. } | Stop::ContextFull | Stop::Length
    )
}

/// What a repetition of each call would do.
pub(super) fn effects(plans: &[Plan]) -> Vec<Effect> {
    let effect = |plan: &Plan| match plan {
        Plan::Run { tool, .. } => tool.spec().effect,
        Plan::Answered(_) | Plan::Landed => Effect::Pure,
    };
    plans.iter().map(effect).collect()
}

/// What all calls of a message have in common. Calls that are run again after a death have the key
/// that they had in their own turn.
pub(super) fn terms(live: &Live<'_>, scope: &Scope, left: Option<&Left>) -> Terms {
    let recipe = live.talk.recipe();
    Terms {
        scope: scope.clone(),
        permits: live.talk.grant.permits.clone(),
        sink: live.talk.grant.sink.clone(),
        message: Arc::default(),
        log: live.talk.grant.log.clone(),
        above: live.talk.grant.clone().sealed(),
        origin: live.origin.clone(),
        session: left
            .and_then(|left| left.session.clone())
            .unwrap_or_else(|| live.talk.grant.session.clone()),
        called_in: left.map_or(live.origin.turn, |left| left.turn),
        deadline: recipe.tool_deadline,
        output_cap: recipe.output_cap,
    }
}

pub(super) fn budget_spent(spent: &Spent) -> StopReason {
    StopReason::BudgetSpent {
        limit: spent.limit.as_str().into(),
    }
}

pub(super) fn nothing_said() -> StopReason {
    let error = Error::new(ErrorKind::Config, "the message is empty");
    StopReason::failed(error.with_hint("say something, or attach a picture or a document"))
}

pub(super) fn bug(text: &str) -> StopReason {
    StopReason::failed(Error::new(ErrorKind::Bug, text))
}
