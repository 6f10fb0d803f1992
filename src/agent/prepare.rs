//! What becomes of a call before it may run: its arguments, hooks, rules and the person asked.
//! Refuses to run it, and to turn a refusal into an error: the model reads it as a result.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use serde_json::Value;

use super::{
    live::Live,
    recall::{Fate, in_doubt},
};
use crate::{
    dispatch::Plan,
    hook::Verdict,
    id::random_u64,
    message::{Outcome, ToolCall, ToolResult},
    permission::{Answer, Pending, Question, Ruling, Unasked},
    scope::WaitFor,
    tool::Tool,
};

/// Calls that one message may make; more are answered unrun.
pub const MAX_CALLS: usize = 128;

/// What the checks say.
pub(super) enum Checked {
    /// Nobody need be asked.
    Plan(Plan),
    /// The arguments are wrong, or the tool is unknown.
    Wrong(ToolResult),
    /// A person decides.
    Ask(Asking),
    /// It ran in an earlier life, and its result is on the board.
    Known,
}

/// A call that waits for a person.
pub(super) struct Asking {
    pub(super) question: Question,
    tool: Arc<dyn Tool>,
    /// It may have run in an earlier life.
    doubtful: bool,
}

/// Checks one call. What became of it in an earlier life counts for more than anything else.
pub(super) async fn check(
    live: &Live<'_>,
    index: usize,
    call: &ToolCall,
    fate: Option<&Fate>,
) -> Checked {
    match fate {
        Some(Fate::Landed(_)) => return Checked::Known,
        Some(Fate::Lost(result)) => return Checked::Plan(Plan::Answered(result.clone())),
        _ => {}
    }
    let checked = judge(live, index, call, fate).await;
    match (fate, checked) {
        // Nobody says of a call that may have run that it did not.
        (Some(Fate::Doubtful), Checked::Plan(Plan::Answered(_)) | Checked::Wrong(_)) => {
            Checked::Plan(Plan::Answered(in_doubt(call)))
        }
        (_, checked) => checked,
    }
}

/// Arguments, hooks, then the rules on what the hooks made of it.
async fn judge(live: &Live<'_>, index: usize, call: &ToolCall, fate: Option<&Fate>) -> Checked {
    let talk = &live.talk;
    let answered = |outcome, text: String| ToolResult::text(call, outcome, text);
    if index >= MAX_CALLS {
        let text = format!("only {MAX_CALLS} calls of one message are run; make fewer at once");
        return Checked::Wrong(answered(Outcome::Failed, text));
    }
    let (tool, input) = match talk.recipe().tools.check(call) {
        Ok(checked) => checked,
        Err(text) => return Checked::Wrong(answered(Outcome::Failed, text)),
    };
    let (tool, input) = match past_hooks(live, call, tool, input).await {
        Ok(passed) => passed,
        Err(refusal) => return Checked::Plan(Plan::Answered(refusal)),
    };
    let ruling = match (ruling(live, &*tool, &input), fate) {
        (Ruling::Allow | Ruling::Ask(_), Some(Fate::Doubtful)) => Ruling::Ask(format!(
            "the program stopped while `{}` ran, and nobody knows whether it took effect; yes runs \
             it once more",
            call.name
        )),
        // A person's yes is not asked for twice, where it was to these arguments.
        (Ruling::Allow | Ruling::Ask(_), Some(Fate::Allowed { asked, changed }))
            if *asked == input =>
        {
            match changed {
                None => Ruling::Allow,
                Some(changed) => {
                    let changed = serde_json::from_str(changed.as_str()).unwrap_or(Value::Null);
                    return Checked::Plan(answered_with(live, call, changed).await);
                }
            }
        }
        (ruling, _) => ruling,
    };
    match ruling {
        Ruling::Allow => Checked::Plan(Plan::Run { tool, input }),
        Ruling::Deny(reason) => {
            Checked::Plan(Plan::Answered(answered(Outcome::Denied, denied(&reason))))
        }
        Ruling::Ask(reason) => match (talk.grant.rules.unasked(), &talk.grant.asker) {
            (Unasked::Allow, None) if matches!(fate, Some(Fate::Doubtful)) => {
                Checked::Plan(Plan::Answered(in_doubt(call)))
            }
            (Unasked::Allow, None) => Checked::Plan(Plan::Run { tool, input }),
            (Unasked::Deny, None) => {
                let reason = format!("{reason}, and nobody is there to ask");
                Checked::Plan(Plan::Answered(answered(Outcome::Denied, denied(&reason))))
            }
            (_, Some(_)) | (Unasked::Wait, None) => Checked::Ask(Asking {
                question: Question {
                    id: match fate {
                        Some(Fate::Asked(asked)) => asked.id.clone(),
                        _ => format!("ask_{:016x}", random_u64()),
                    },
                    agent: live.origin.agent.clone(),
                    call: call.id.clone(),
                    tool: call.name.clone(),
                    input,
                    reason,
                },
                tool,
                doubtful: matches!(fate, Some(Fate::Doubtful)),
            }),
        },
    }
}

/// What the hooks make of the arguments, or the answer of a call that may not run.
async fn past_hooks(
    live: &Live<'_>,
    call: &ToolCall,
    tool: Arc<dyn Tool>,
    input: Value,
) -> Result<(Arc<dyn Tool>, Value), ToolResult> {
    match live.talk.hooks.before_tool(&live.at(), call, &input).await {
        Verdict::Keep => Ok((tool, input)),
        Verdict::Refuse(reason) => Err(ToolResult::text(call, Outcome::Denied, denied(&reason))),
        Verdict::Change(changed) => {
            let checked = live.talk.recipe().tools.check_value(&call.name, changed);
            checked.map_err(|text| {
                let text = format!("a hook changed the arguments, and now {text}");
                ToolResult::text(call, Outcome::Failed, text)
            })
        }
    }
}

/// The rules from above and the agent's own; the narrower one counts.
fn ruling(live: &Live<'_>, tool: &dyn Tool, input: &Value) -> Ruling {
    let subjects = tool.subjects(input);
    live.talk.grant.rules.rule_on(tool.spec(), &subjects)
}

/// Waits for whoever answers first: the asker, or a handle. `None` when the turn is cancelled.
pub(super) async fn ask(
    live: &Live<'_>,
    call: &ToolCall,
    asking: Asking,
    mut pending: Pending,
) -> Option<Plan> {
    let _waiting = live.scope.waiting(WaitFor::Approval(call.name.clone()));
    let asker = live.talk.grant.asker.clone();
    let question = asking.question.clone();
    let asked = async move {
        let Some(asker) = asker else {
            return std::future::pending().await;
        };
        let asked = AssertUnwindSafe(asker.ask(question)).catch_unwind().await;
        asked.unwrap_or_else(|_| Answer::Deny("the asker panicked".into()))
    };
    let either = async {
        tokio::select! {
            biased;
            answer = pending.answer() => Some(answer),
            answer = asked => Some(answer),
            () = live.interrupted() => None,
        }
    };
    let Some(answer) = live.scope.race(either).await? else {
        if asking.doubtful {
            return Some(Plan::Answered(in_doubt(call)));
        }
        let text = "A more urgent message came before anybody had answered. It did not run.";
        return Some(Plan::Answered(ToolResult::text(
            call,
            Outcome::NeverStarted,
            text,
        )));
    };
    live.answered(&asking.question.id, &call.id, &answer);
    let plan = match answer {
        Answer::Allow => Plan::Run {
            tool: asking.tool,
            input: asking.question.input,
        },
        Answer::Deny(reason) => {
            Plan::Answered(ToolResult::text(call, Outcome::Denied, denied(&reason)))
        }
        Answer::AllowWith(input) => live.scope.race(answered_with(live, call, input)).await?,
    };
    Some(match plan {
        Plan::Answered(_) if asking.doubtful => Plan::Answered(in_doubt(call)),
        plan => plan,
    })
}

/// Arguments that a person changed are checked again, against the schema, the hooks and the deny
/// rules: a yes from a person is not a yes from whoever wrote those.
async fn answered_with(live: &Live<'_>, call: &ToolCall, input: Value) -> Plan {
    let (tool, input) = match live.talk.recipe().tools.check_value(&call.name, input) {
        Ok(checked) => checked,
        Err(text) => {
            let text = format!("the arguments were changed, and now {text}");
            return Plan::Answered(ToolResult::text(call, Outcome::Failed, text));
        }
    };
    let (tool, input) = match past_hooks(live, call, tool, input).await {
        Ok(passed) => passed,
        Err(refusal) => return Plan::Answered(refusal),
    };
    match ruling(live, &*tool, &input) {
        Ruling::Deny(reason) => {
            Plan::Answered(ToolResult::text(call, Outcome::Denied, denied(&reason)))
        }
        Ruling::Allow | Ruling::Ask(_) => Plan::Run { tool, input },
    }
}

fn denied(reason: &str) -> String {
    format!("Permission denied: {reason}. The tool did not run.")
}
