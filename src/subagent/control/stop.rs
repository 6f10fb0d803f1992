//! `TaskStop`: ends an agent and everything below it, and says what was stopped.
//! Refuses to stop the caller itself or an agent above it: whoever is below cannot end its parent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::timeout;

use super::{Found, find, grant};
use crate::{
    message::Outcome,
    registry::AgentState,
    spec::{Effect, Lane, ToolSpec},
    tool::{ToolContext, ToolOutput, TypedTool},
};

/// How long the tool waits for the agent's end after it was told to stop: longer than it takes until
/// one that hears nothing is cut off.
const GRACE: Duration = Duration::from_secs(7);

pub(super) struct TaskStop;

/// Stops an agent that runs in the background, and everything it started.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The agent: its place such as `root/explore/1`, or its id.
    task_id: String,
}

impl TypedTool for TaskStop {
    const NAME: &'static str = super::super::TASK_STOP;
    type Input = Input;

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.reads()
            .lane(Lane::Free)
            .effect(Effect::Idempotent)
            .subject("task_id")
    }

    async fn call(&self, ctx: ToolContext, input: Input) -> ToolOutput {
        let found = grant(&ctx).and_then(|grant| find(grant, &input.task_id));
        let contact = match found {
            Err(refused) => return refused,
            Ok(Found::Ended(tombstone)) => {
                let how = match tombstone.ended.state {
                    AgentState::Finished => "finished",
                    AgentState::Cancelled => "was stopped",
                    _ => "failed",
                };
                return ToolOutput::ok(format!(
                    "`{}` has ended already: it {how}.",
                    tombstone.path
                ));
            }
            Ok(Found::Alive(contact)) => contact,
        };
        let path = contact.path();
        if ctx.agent() == path || path.is_above(ctx.agent()) {
            return ToolOutput::ended(
                Outcome::Denied,
                format!("`{path}` is you or stands above you; to end your own work, just answer."),
            );
        }
        let receipt = contact.scope().cancel();
        match timeout(GRACE, contact.ended()).await {
            Ok(tombstone) => {
                let text = format!("Stopped `{path}`: {receipt}.\n{}", tombstone.ended.text);
                ToolOutput::ok(text)
            }
            Err(_) => ToolOutput::failed(format!(
                "`{path}` was told to stop and has not ended after {} s; it is cut off from \
                 everything and will end when its last tool does. {receipt}",
                GRACE.as_secs()
            )),
        }
    }
}
