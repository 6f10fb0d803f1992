//! `SendMessage`: a note from one agent of a tree to another.
//! Refuses to say that a note arrived which did not: a full box and an ended agent are told.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Found, find, grant};
use crate::{
    message::{Note, Urgency},
    spec::{Effect, Lane, ToolSpec},
    tool::{ToolContext, ToolOutput, TypedTool},
};

/// Characters of a message that the answer repeats.
const PREVIEW: usize = 60;

pub(super) struct SendMessage;

/// Sends a message to another agent of this tree: a child of yours, a sibling, or the agent that
/// started you. It is read before that agent's next step.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// The agent: its place such as `root/explore/1`, or its id. `root` is the first agent.
    to: String,
    /// What it should read.
    message: String,
    /// A few words on what it is about.
    #[serde(default)]
    summary: Option<String>,
    /// How soon it should be read; `next_step` when left out.
    #[serde(default)]
    urgency: Option<When>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum When {
    /// At once: what it is doing is broken off.
    Interrupt,
    /// Before its next step.
    NextStep,
    /// When it has nothing else to do.
    WhenIdle,
}

impl TypedTool for SendMessage {
    const NAME: &'static str = super::super::SEND_MESSAGE;
    type Input = Input;

    fn manners(&self, spec: ToolSpec) -> ToolSpec {
        spec.reads()
            .lane(Lane::Free)
            .effect(Effect::Once)
            .subject("to")
    }

    async fn call(&self, ctx: ToolContext, input: Input) -> ToolOutput {
        if input.message.trim().is_empty() {
            return ToolOutput::failed("Nothing was sent: the message is empty.");
        }
        let found = grant(&ctx).and_then(|grant| find(grant, &input.to));
        let contact = match found {
            Err(refused) => return refused,
            Ok(Found::Ended(tombstone)) => {
                return ToolOutput::failed(format!(
                    "Not sent: `{}` has ended. TaskOutput says how; start another agent for more.",
                    tombstone.path
                ));
            }
            Ok(Found::Alive(contact)) => contact,
        };
        if contact.path() == ctx.agent() {
            return ToolOutput::failed("Not sent: that is you.");
        }
        let text = match &input.summary {
            Some(summary) => format!("{summary}\n\n{}", input.message),
            None => input.message.clone(),
        };
        let urgency = match input.urgency {
            Some(When::Interrupt) => Urgency::Interrupt,
            Some(When::WhenIdle) => Urgency::WhenIdle,
            Some(When::NextStep) | None => Urgency::NextStep,
        };
        let note = Note {
            from: ctx.agent().to_string(),
            text,
            urgency,
        };
        match contact.mailbox().push(note) {
            Err(full) => ToolOutput::failed(format!("Not sent to `{}`: {full}", contact.path())),
            Ok(ticket) => {
                let about = input.summary.as_ref().unwrap_or(&input.message);
                let preview: String = about.chars().take(PREVIEW).collect();
                let state = ticket.state();
                let path = contact.path();
                ToolOutput::ok(format!("Sent to `{path}` ({state}): {preview}"))
            }
        }
    }
}
