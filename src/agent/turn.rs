//! The loop: one turn from the submitted message to its one `turn_end`, as a straight path.
//! Refuses detail: each step is one call into a neighbour that says how it is done.

use async_stream::stream;
use futures::{Stream, StreamExt};

use super::{
    call,
    context::{self, Need},
    ending::{self, Ending},
    live::Live,
    log::Heard,
    prepare::{self, Checked},
    steps,
    talk::Talk,
};
use crate::{
    backend::Task,
    dispatch::{self, Board, Plan},
    error::{Error, ErrorKind},
    event::{Event, EventKind, StopReason},
    message::{Outcome, Urgency},
    provider::Stop,
    scope::Scope,
};

/// Steps in a row in which every call was wrong, before the turn gives up.
pub const MAX_WRONG_STEPS: u32 = 3;

/// Answers in a row that were cut off in the middle of a call, before the turn gives up.
pub const MAX_CUT_CALLS: u32 = 2;

/// Runs one turn while it is polled.
pub(super) fn run(
    talk: &mut Talk,
    task: Task,
    scope: Scope,
) -> impl Stream<Item = Event> + Send + '_ {
    stream! {
        let mut live = Live::begin(talk, scope);
        let origin = live.origin.clone();
        let agent = live.talk.agent.clone();
        yield origin.event(EventKind::TurnStart { text: task.text() });
        let mut pushes = 0;
        let mut wrong_steps = 0;
        let mut cut_calls = 0;
        let mut steps = 0;
        let mut need = Need::Usual;
        let mut message = task.message;
        let mut heard = if message.is_some() { Urgency::NextStep } else { Urgency::WhenIdle };
        let stop = 'turn: {
            let mut said = false;
            loop {
                // What a death left open is finished first.
                let left = live.talk.left.take_if(|left| left.has_calls());
                let calls = if left.is_some() {
                    // Without a message of its own, the turn is this one gone on with.
                    said = message.is_none();
                    // The hook that looks at answers may not have had its say.
                    if left.as_ref().is_some_and(|left| left.untouched)
                        && let Some(reason) = steps::after_response(&live).await
                    {
                        break 'turn reason;
                    }
                    live.open_calls()
                } else {
                    // 2: the message, past the hooks, into the transcript
                    if !said {
                        if let Err(stop) = steps::submit(&mut live, message.take()).await {
                            break 'turn stop;
                        }
                        said = true;
                        live.talk.left = None;
                    }
                    // 3: mail
                    if !live.talk.reach.desk.mailbox().is_empty() {
                        for event in Box::pin(ending::deliver_mail(&mut live, heard)).await {
                            yield event;
                        }
                    }
                    heard = Urgency::NextStep;
                    if live.scope.is_cancelled() {
                        break 'turn live.cancelled();
                    }
                    // 4: one more step?
                    if steps >= agent.recipe.max_steps {
                        break 'turn StopReason::BudgetSpent { limit: "turns".into() };
                    }
                    if let Err(spent) = live.talk.grant.meter.admit() {
                        break 'turn steps::budget_spent(&spent);
                    }
                    steps += 1;
                    // 5: room
                    let room = context::make_room(&mut live, need).await;
                    match room {
                        Ok(told) => for kind in told { yield origin.event(kind) },
                        Err(stop) => break 'turn stop,
                    }
                    // 6: a valid history
                    for repair in live.talk.transcript.repair() {
                        tracing::warn!("history repaired before a request: {repair}");
                    }
                    // 7: the request
                    let preamble = match steps::preamble(&live, &task.schema).await {
                        Ok(preamble) => preamble,
                        Err(stop) => break 'turn stop,
                    };
                    if let Some(kind) = steps::prefix_changed(&mut live, &preamble) {
                        yield origin.event(kind);
                    }
                    // What the model will see is safe before it sees it.
                    if let Err(stop) = live.commit().await {
                        break 'turn stop;
                    }
                    // 8, 9: the answer
                    let (mut failed, mut broken_off) = (None, false);
                    {
                        let mut answer = std::pin::pin!(call::answer(&mut live, &preamble));
                        while let Some(step) = answer.next().await {
                            match step {
                                call::Step::Event(event) => yield event,
                                call::Step::Done => break,
                                call::Step::Failed(error) => {
                                    failed = Some(error);
                                    break;
                                }
                                call::Step::BrokenOff => {
                                    broken_off = true;
                                    break;
                                }
                                call::Step::Spent(spent) => break 'turn steps::budget_spent(&spent),
                            }
                        }
                    }
                    if live.scope.is_cancelled() {
                        break 'turn live.cancelled();
                    }
                    if broken_off {
                        if let Some(kind) = live.break_off() {
                            yield origin.event(kind);
                        }
                        continue;
                    }
                    if let Some(error) = failed {
                        if error.is_context_too_long() && need == Need::Usual {
                            need = Need::MustShrink;
                            continue;
                        }
                        break 'turn match error.is_context_too_long() {
                            true => StopReason::ContextFull,
                            false => StopReason::failed(error),
                        };
                    }
                    if need == Need::Usual && live.is_out_of_room() {
                        // The answer is dropped only when there will be more room for another.
                        if let Ok(told) = context::make_room(&mut live, Need::MustShrink).await {
                            for kind in told {
                                yield origin.event(kind);
                            }
                            yield origin.event(live.start_over("the answer ran out of room"));
                            need = Need::Shrunk;
                            continue;
                        }
                        if live.scope.is_cancelled() {
                            break 'turn live.cancelled();
                        }
                    }
                    need = Need::Usual;
                    // 10: charged, then kept, then told
                    let Some(mut fold) = live.fold.take() else {
                        break 'turn steps::bug("an answer ended without a message");
                    };
                    let usage = live.usage_so_far(&fold);
                    let cost = live.charge(live.model, usage);
                    let model = match std::mem::take(&mut fold.model) {
                        name if name.is_empty() => live.model(live.model).name.to_string(),
                        name => name,
                    };
                    for (what, count) in std::mem::take(&mut fold.skipped) {
                        yield origin.event(EventKind::Skipped { what, count });
                    }
                    let (stop, raw) = fold.stop.take().unwrap_or((Stop::Unknown, String::new()));
                    let runs = steps::may_run(&stop);
                let record = Heard { model: &model, stop: &raw, runs, usage, cost };
                    live.heard(fold.into_message(), record);
                    yield origin.event(EventKind::MessageEnd { model, stop: raw.clone(), usage, cost });
                    if let Some(reason) = steps::after_response(&live).await {
                        break 'turn reason;
                    }
                    // 11: calls?
                    let calls = live.open_calls();
                    match stop {
                        Stop::Refused { reason } => {
                            let reason = if reason.is_empty() { raw } else { reason };
                            break 'turn StopReason::Refused { reason };
                        }
                        Stop::ContextFull => break 'turn StopReason::ContextFull,
                        Stop::Length if calls.is_empty() => break 'turn StopReason::Truncated,
                        Stop::Length => {
                            cut_calls += 1;
                            let text = "Your answer was cut off at the output limit before this call \
                                was complete. It did not run. Make smaller calls.";
                            live.close_open(Outcome::NeverStarted, text);
                            if cut_calls > MAX_CUT_CALLS {
                                break 'turn StopReason::Truncated;
                            }
                            continue;
                        }
                        Stop::Paused if calls.is_empty() => continue,
                        _ => cut_calls = 0,
                    }
                    if calls.is_empty() {
                        // 16, 17: may it end?
                        let ending = ending::decide(&mut live, &mut pushes).await;
                        match ending {
                            Ending::GoOn => {
                                heard = Urgency::WhenIdle;
                                continue;
                            }
                            Ending::Over if live.scope.is_cancelled() => break 'turn live.cancelled(),
                            Ending::Over => break 'turn StopReason::Finished,
                        }
                    }
                    calls
                };
                // 12: may they run?
                let board = Board::new(calls);
                if let Some(left) = &left {
                    left.lay_out(&board, &mut live.landed);
                }
                live.board = Some(board.clone());
                let mut plans = Vec::with_capacity(board.calls().len());
                let mut wrong = 0;
                for (index, call) in board.calls().iter().enumerate() {
                    let fate = left.as_ref().and_then(|left| left.fate(&call.id));
                    // Boxed like other large steps that many turns never come to: they would make
                    // every turn larger.
                    let checked = Box::pin(prepare::check(&live, index, call, fate));
                    let Some(checked) = live.scope.race(checked).await else {
                        break 'turn live.cancelled();
                    };
                    let plan = match checked {
                        Checked::Plan(plan) => plan,
                        Checked::Wrong(result) => {
                            wrong += 1;
                            Plan::Answered(result)
                        }
                        Checked::Known => Plan::Landed,
                        Checked::Ask(asking) => {
                            let question = &asking.question;
                            if let Err(stop) = live.asked(question).await {
                                break 'turn stop;
                            }
                            let pending = match left.as_ref() {
                                Some(left) => left.pending(&live, question),
                                None => live.talk.grant.approvals.open(question),
                            };
                            yield origin.event(EventKind::Approval {
                                id: question.id.clone(),
                                call: question.call.clone(),
                                name: question.tool.clone(),
                                input: question.input.clone(),
                                reason: question.reason.clone(),
                            });
                            match Box::pin(prepare::ask(&live, call, asking, pending)).await {
                                Some(plan) => plan,
                                None => break 'turn live.cancelled(),
                            }
                        }
                    };
                    if matches!(plan, Plan::Run { .. }) {
                        board.reopen(index);
                    }
                    plans.push(plan);
                }
                // 13, 14: they run
                let inputs = steps::inputs(&plans);
                let part = live.scope.part();
                let terms = steps::terms(&live, &part, left.as_deref());
                let effects = steps::effects(&plans);
                let mut interrupted = std::pin::pin!(live.interrupted());
                let mut landing = Box::pin(dispatch::run(board.clone(), plans, terms));
                loop {
                    let step = tokio::select! {
                        biased;
                        step = landing.next() => step,
                        // A note broke it off: the tools stop, the turn goes on.
                        () = &mut interrupted, if !part.is_cancelled() => {
                            part.cancel();
                            continue;
                        }
                    };
                    match step {
                        None => break,
                        Some(dispatch::Step::Started(index)) => {
                            // Its intent is safe before its effect begins.
                            let intend =
                                live.intend(&board, index, &inputs[index], effects[index]).await;
                            match intend {
                                Err(_) if live.scope.is_cancelled() => continue,
                                Err(stop) => break 'turn stop,
                                Ok(()) => {}
                            }
                            let call = &board.calls()[index];
                            yield origin.event(EventKind::ToolStart {
                                call: call.id.clone(),
                                name: call.name.clone(),
                                input: inputs[index].clone(),
                            });
                        }
                        Some(dispatch::Step::Landed { index, result, millis }) => {
                            // 15: H after_tool
                            let result = Box::pin(steps::after_tool(&live, &board, index, result)).await;
                            live.landed(&result, millis);
                            yield origin.event(EventKind::ToolEnd {
                                call: result.call.clone(),
                                name: result.name.clone(),
                                outcome: result.outcome,
                                text: result.joined_text(),
                                millis,
                            });
                        }
                    }
                }
                // 15: results, in call order
                live.board = None;
                live.push_results(board.settle());
                if live.scope.is_cancelled() {
                    break 'turn live.cancelled();
                }
                wrong_steps = if wrong == board.calls().len() { wrong_steps + 1 } else { 0 };
                if wrong_steps >= MAX_WRONG_STEPS {
                    let text = format!("the model made only wrong calls {wrong_steps} times in a row");
                    break 'turn StopReason::failed(Error::new(ErrorKind::Limit, text));
                }
            }
        };
        // 18: exactly one end, last
        live.settle();
        let text = match &stop {
            StopReason::Finished | StopReason::Truncated => std::mem::take(&mut live.words),
            _ => String::new(),
        };
        if let Some(kind) = live.abandoned() {
            yield origin.event(kind);
        }
        let stop = live.commit_end(stop).await;
        let end = origin.event(live.end(stop, text));
        drop(live);
        yield end;
    }
}
