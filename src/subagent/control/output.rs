//! `TaskOutput`: what an agent said, or how far it is.
//! Refuses to wait for ever, and to join a ring of agents that wait for each other.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Found, find, grant, one_line};
use crate::{
    backend::Grant,
    event::EventKind,
    message::Outcome,
    registry::{AgentState, Contact, Stalled, Tombstone},
    sink::Origin,
    spec::{Effect, Lane, ToolSpec},
    tool::{ToolContext, ToolOutput, TypedTool},
};

/// How long the tool waits when the model does not say.
const DEFAULT_WAIT: u64 = 30_000;
/// How long it waits at most.
const MAX_WAIT: u64 = 600_000;

pub(super) struct TaskOutput;

/// Reads what a background agent said. Waits for its end unless `block` is false. You are told by a
/// note when a background agent ends, so use this only when you cannot go on without it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The agent: its place such as `root/explore/1`, or its id.
    task_id: String,
    /// Whether to wait for its end; `true` when left out.
    #[serde(default)]
    block: Option<bool>,
    /// Milliseconds to wait at most; 30,000 when left out.
    #[serde(default)]
    #[schemars(range(min = 0, max = 600_000))]
    timeout: Option<u64>,
}

impl TypedTool for TaskOutput {
    const NAME: &'static str = super::super::TASK_OUTPUT;
    type Input = Input;

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        // A minute more than it may wait: the wait must end it, not the deadline.
        let deadline = Duration::from_millis(MAX_WAIT + 60_000);
        spec.reads()
            .lane(Lane::Free)
            .effect(Effect::Pure)
            .deadline(deadline)
            .subject("task_id")
    }

    async fn call(&self, ctx: ToolContext, input: Input) -> ToolOutput {
        let found = grant(&ctx).and_then(|grant| Ok((grant, find(grant, &input.task_id)?)));
        match found {
            Err(refused) => refused,
            Ok((_, Found::Ended(tombstone))) => ended(&tombstone),
            Ok((_, Found::Alive(contact))) if input.block == Some(false) => {
                alive(&contact, "it still runs")
            }
            Ok((grant, Found::Alive(contact))) => {
                let limit = input.timeout.unwrap_or(DEFAULT_WAIT).min(MAX_WAIT);
                wait(&ctx, grant, &contact, Duration::from_millis(limit)).await
            }
        }
    }
}

async fn wait(ctx: &ToolContext, grant: &Grant, contact: &Contact, limit: Duration) -> ToolOutput {
    let wait = match grant.desk.wait_on(contact) {
        Ok(wait) => wait,
        Err(ring) => return stalled(ctx, grant, &ring).await,
    };
    let waited = ctx.scope().race(timeout(limit, wait.ended())).await;
    match waited {
        Some(Ok(Ok(tombstone))) => ended(&tombstone),
        Some(Ok(Err(ring))) => stalled(ctx, grant, &ring).await,
        Some(Err(_)) => alive(contact, "the wait is over and it still runs"),
        None => ToolOutput::ended(Outcome::Interrupted, "The wait was stopped."),
    }
}

/// A ring of agents that wait for each other: told to everybody, and an error to the one who must
/// give way.
async fn stalled(ctx: &ToolContext, grant: &Grant, ring: &Stalled) -> ToolOutput {
    let agents = ring.cycle.clone();
    let reason = format!("{ring}; the wait of `{}` was refused", ctx.agent());
    let event = Origin::new(ctx.agent(), ctx.turn()).event(EventKind::Stalled { agents, reason });
    grant.sink.send(event).await;
    ToolOutput::failed(format!(
        "Not waited: {ring}. Finish with what you have; others wait for you."
    ))
}

fn alive(contact: &Contact, note: &str) -> ToolOutput {
    let row = contact.row();
    ToolOutput::ok(format!(
        "task_id: {}\nstatus: {}\ndescription: {}\nduration_ms: {}\nnote: {note}",
        row.path,
        row.state,
        one_line(&row.description),
        row.age.as_millis()
    ))
}

fn ended(tombstone: &Tombstone) -> ToolOutput {
    let (status, head) = match tombstone.ended.state {
        AgentState::Finished => ("completed", "result"),
        AgentState::Cancelled => ("killed", "result"),
        _ => ("failed", "error"),
    };
    ToolOutput::ok(format!(
        "task_id: {}\nstatus: {status}\ndescription: {}\nduration_ms: {}\n--- {head} ---\n{}",
        tombstone.path,
        one_line(&tombstone.description),
        tombstone.lived.as_millis(),
        tombstone.ended.text
    ))
}
