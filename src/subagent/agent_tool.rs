//! The tool by which a model opens agents.
//! Refuses to run them: it turns a call into an order and an end into a result.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    AGENT,
    child::{Answered, Child},
    group::{GroupPolicy, Groups, Verdict},
    kind::AgentKinds,
    open::{self, Asked, Refusal},
    order::Order,
};
use crate::{
    backend::Grant,
    budget::Budget,
    event::Ground,
    message::Outcome,
    scope::WaitFor,
    spec::{Access, Effect, Lane, ToolSpec},
    tool::{Tool, ToolContext, ToolOutput, schema_of},
};

/// The call itself has no limit: the agent it waits for has one.
const NO_DEADLINE: Duration = Duration::from_secs(7 * 86_400);

/// The longest deadline that a model may ask for.
const MAX_DEADLINE: u64 = 86_400;

/// The tool by which a model opens agents: a child in its parent's likeness, or any backend.
///
/// The model's name for it is `Agent`. It takes no permit, because it waits on other agents; the
/// tools of the child do. See [`subagents`](super::subagents) for the whole set of tools.
pub struct AgentTool {
    kinds: AgentKinds,
    groups: Groups,
    spec: ToolSpec,
}

/// What a child is to the call that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opens {
    /// One of the things that the call does.
    AChild,
    /// All that it does.
    ItsCall,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Input {
    /// What the agent is for, in three to eight words.
    description: String,
    /// The whole task: the agent knows nothing else.
    prompt: String,
    /// Which kind of agent; `general-purpose` when left out.
    #[serde(default)]
    subagent_type: Option<String>,
    /// `true`: do not wait, a note comes when it has ended.
    #[serde(default)]
    run_in_background: Option<bool>,
    /// Another model than your own, as `vendor/name`.
    #[serde(default)]
    model: Option<String>,
    /// Seconds after which it is stopped.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    deadline: Option<u64>,
    /// A name that calls of one message share which belong together.
    #[serde(default)]
    group: Option<String>,
    /// When a group has what it needs.
    #[serde(default)]
    policy: Option<PolicyName>,
    /// How many of a group must succeed, with the policy `quorum`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000))]
    quorum: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum PolicyName {
    All,
    Any,
    FirstGood,
    Quorum,
}

impl AgentTool {
    /// A tool that opens agents of these kinds.
    pub fn new(kinds: AgentKinds) -> Self {
        Self::within(kinds, &Budget::default())
    }

    /// As [`new`](Self::new), telling the model these limits. Which limits hold is the session's
    /// budget's to say; say the same there.
    pub fn within(kinds: AgentKinds, budget: &Budget) -> Self {
        let live = budget.live.unwrap_or(Budget::DEFAULT_LIVE);
        let spawns = budget.spawns.unwrap_or(Budget::DEFAULT_SPAWNS);
        let description = format!(
            "{}\nAt most {live} agents live at once in this tree. At most {spawns} are started in \
             a session.\nKinds:\n{}",
            include_str!("agent_tool.md").trim(),
            kinds.lines()
        );
        let spec = ToolSpec::new(AGENT, description, schema_of::<Input>().0)
            .lane(Lane::Free)
            .effect(Effect::Once)
            .access(Access::Reads)
            .subject("subagent_type")
            .deadline(NO_DEADLINE);
        Self {
            kinds,
            groups: Groups::default(),
            spec,
        }
    }

    /// Opens a child from inside another tool, in the name of the agent that calls it.
    ///
    /// # Errors
    /// When the kind is unknown, a hook refuses, or a limit is reached; the refusal says which.
    ///
    /// Cancel safety: a child that was opened in the foreground is stopped when this is dropped.
    pub async fn open(&self, ctx: &ToolContext, order: Order) -> Result<Child, Refusal> {
        self.open_for(ctx, order, Opens::AChild).await
    }

    async fn open_for(
        &self,
        ctx: &ToolContext,
        order: Order,
        opens: Opens,
    ) -> Result<Child, Refusal> {
        let Some(grant) = Grant::of(ctx) else {
            return Err(Refusal::by_hand());
        };
        let asked = Asked {
            grant,
            foreground: ctx.scope(),
            turn: ctx.turn(),
            call: Some(ctx.call()),
            is_call: opens == Opens::ItsCall,
        };
        open::open(asked, &self.kinds, order).await
    }

    async fn run(&self, ctx: ToolContext, input: Input) -> Result<ToolOutput, Refusal> {
        let policy = policy(&input)?;
        let order = order(&input);
        let background = order.ground == Ground::Background;
        if background {
            if input.group.is_some() {
                return Err(Refusal::usage(
                    "an agent in the background cannot belong to a group",
                    "Leave `group` or `run_in_background` away.",
                ));
            }
            let child = self.open_for(&ctx, order, Opens::ItsCall).await?;
            return Ok(acknowledged(&child));
        }
        let Some(name) = &input.group else {
            let mut child = self.open_for(&ctx, order, Opens::ItsCall).await?;
            let _waiting = ctx.scope().waiting(WaitFor::Agent(child.path().clone()));
            return Ok(child.answered().await.into());
        };
        let mut place = self.groups.join(ctx.message(), name, policy);
        let mut child = self.open_for(&ctx, order, Opens::ItsCall).await?;
        let _waiting = ctx.scope().waiting(WaitFor::Agent(child.path().clone()));
        Ok(match place.ended(&mut child).await {
            Verdict::Counts(answered) => answered.into(),
            Verdict::NotNeeded(answered) => not_needed(name, answered),
        })
    }
}

fn policy(input: &Input) -> Result<GroupPolicy, Refusal> {
    match (input.policy, input.quorum) {
        (None | Some(PolicyName::All), _) => Ok(GroupPolicy::All),
        (Some(PolicyName::Any), _) => Ok(GroupPolicy::Any),
        (Some(PolicyName::FirstGood), _) => Ok(GroupPolicy::FirstGood),
        (Some(PolicyName::Quorum), Some(count)) => Ok(GroupPolicy::Quorum(count)),
        (Some(PolicyName::Quorum), None) => Err(Refusal::usage(
            "the policy `quorum` needs a number",
            "Say in `quorum` how many must succeed.",
        )),
    }
}

fn order(input: &Input) -> Order {
    let kind = input.subagent_type.clone().unwrap_or_default();
    let mut order = Order::new(kind, &*input.prompt).describe(&*input.description);
    if input.run_in_background == Some(true) {
        order = order.in_background();
    }
    if let Some(seconds) = input.deadline {
        order = order.deadline(Duration::from_secs(seconds.clamp(1, MAX_DEADLINE)));
    }
    order.model.clone_from(&input.model);
    order
}

fn acknowledged(child: &Child) -> ToolOutput {
    let path = child.path();
    ToolOutput::ok(format!(
        "Started the agent `{path}` in the background. A note will tell you when it has ended; do \
         not wait for it unless you cannot go on. TaskOutput reads it, TaskStop stops it."
    ))
}

fn not_needed(group: &str, answered: Answered) -> ToolOutput {
    let text = format!(
        "The agent was stopped: the group `{group}` had what it needed.\n{}",
        answered.text
    );
    ToolOutput::ended(Outcome::Interrupted, text)
}

#[async_trait]
impl Tool for AgentTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, ctx: ToolContext, input: Value) -> ToolOutput {
        match serde_json::from_value(input) {
            Ok(input) => self.run(ctx, input).await.unwrap_or_else(Into::into),
            Err(error) => ToolOutput::failed(format!("wrong arguments for `{AGENT}`: {error}")),
        }
    }
}

impl std::fmt::Debug for AgentTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AgentTool").field(&self.kinds).finish()
    }
}

const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Arc<AgentTool>>();
};
