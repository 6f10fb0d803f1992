//! From an order to a living child: the kind, the hooks, the limits, the place, in this order.
//! Refuses without a trace: what was taken before a refusal is given back.

use std::{fmt, sync::Arc};

use super::{
    GENERAL,
    child::{Child, Parts},
    kind::{AgentKind, AgentKinds, Body},
    order::{DEFAULT_CHILD_DEADLINE, Order},
};
use crate::{
    backend::{Backend, Grant, OnChildren, Shape, ToolCustody},
    budget::{Limit, Spent},
    environment::Environment,
    event::Ground,
    hook::{Spawn, Verdict},
    id::{AgentPath, CallId, TurnId},
    message::Outcome,
    permission::{Permissions, Rulebook},
    registry::Newcomer,
    scope::{Scope, WaitFor},
    tool::ToolOutput,
};

/// Why no child was opened, in words that a model can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was refused and by which limit.
    pub reason: String,
    /// What to do instead.
    pub hint: String,
    /// The limit of the budget, when it was one.
    pub limit: Option<Limit>,
    /// How the call that asked for it ends.
    pub outcome: Outcome,
}

impl Refusal {
    /// A tool that was called without an agent.
    pub(super) fn by_hand() -> Self {
        Self::failed(
            "the tool was called by hand",
            "Only an agent can open agents.",
        )
    }

    /// Arguments that do not go together.
    pub(super) fn usage(reason: &str, hint: &str) -> Self {
        Self::failed(reason, hint)
    }

    fn failed(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hint: hint.into(),
            limit: None,
            outcome: Outcome::Failed,
        }
    }

    fn denied(reason: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Denied,
            ..Self::failed(
                reason,
                "Do it in another way, or tell the person who asked.",
            )
        }
    }

    fn spent(spent: &Spent) -> Self {
        let reason = format!("{spent} (`{}`)", spent.limit.as_str());
        Self {
            limit: Some(spent.limit),
            ..Self::failed(reason, sentence(spent.hint()))
        }
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "No agent was started: {}. {}", self.reason, self.hint)?;
        f.write_str(if self.hint.ends_with(['.', '!', '?']) {
            ""
        } else {
            "."
        })
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for ToolOutput {
    fn from(refusal: Refusal) -> Self {
        Self::ended(refusal.outcome, refusal.to_string())
    }
}

/// Who asks for a child, and by what.
pub(super) struct Asked<'a> {
    /// What the child's parent hands down.
    pub(super) grant: &'a Grant,
    /// Where a child lives whose parent waits for it.
    pub(super) foreground: &'a Scope,
    pub(super) turn: TurnId,
    /// The call that asks; `None` when the program does.
    pub(super) call: Option<&'a CallId>,
    /// Whether that call is this child and nothing else.
    pub(super) is_call: bool,
}

impl Child {
    /// Opens one agent below `grant`, for a program that drives its children by itself.
    ///
    /// # Errors
    /// When the kind is unknown, a hook refuses, or a limit is reached; the refusal says which.
    ///
    /// Cancel safety: a child in the foreground is stopped when what this returns is dropped.
    pub async fn open(grant: &Grant, kinds: &AgentKinds, order: Order) -> Result<Self, Refusal> {
        let asked = Asked {
            grant,
            foreground: &grant.scope,
            turn: TurnId(0),
            call: None,
            is_call: false,
        };
        open(asked, kinds, order).await
    }
}

/// Opens a child, which runs from now on.
pub(super) async fn open(
    asked: Asked<'_>,
    kinds: &AgentKinds,
    mut order: Order,
) -> Result<Child, Refusal> {
    let grant = asked.grant;
    if order.kind.is_empty() {
        order.kind = GENERAL.into();
    }
    let Some(kind) = kinds.get(&order.kind) else {
        let names: Vec<_> = kinds.names().collect();
        return Err(Refusal::failed(
            format!("unknown kind of agent: `{}`", order.kind),
            format!("The kinds are: {}.", names.join(", ")),
        ));
    };
    if order.prompt.trim().is_empty() {
        let hint = "Say what the agent is to do; it knows nothing of this conversation.";
        return Err(Refusal::failed("the prompt is empty", hint));
    }
    let backend = backend(grant, kinds, kind, &order)?;
    let (rules, environment) = narrowed(grant, kind);
    let custody = grant.needs_custody() || rules.restricts();
    if backend.capabilities().tools == ToolCustody::Foreign && custody {
        let text = format!(
            "`{}` runs its own tools, and hooks or rules of this session would not hold for them",
            order.kind
        );
        return Err(Refusal::denied(text));
    }
    // One that a death cut short goes on at its own place.
    let opened = |call| grant.log.lost_child(grant.scope.path(), call);
    let again = asked.call.filter(|_| asked.is_call).and_then(opened);
    let again = again
        .filter(|lost| lost.goes_on)
        .and_then(|lost| Some((lost, grant.log.left_off(&lost.path)?)));
    let (path, before, goes_on) = match again {
        Some((lost, (spent, asked))) => (lost.path.clone(), Some(spent), asked),
        None => (grant.desk.next_place(&kind.name), None, false),
    };
    if !grant.hooks.is_empty() {
        // By itself: what asks for a child is as large as this otherwise, also without hooks.
        Box::pin(past_hooks(&asked, &path, &mut order)).await?;
    }
    let home = match order.ground {
        Ground::Background => &grant.scope,
        _ => asked.foreground,
    };
    if home.is_cancelled() {
        let hint = "Nothing more can be started here.";
        return Err(Refusal::failed("the agent that asks was stopped", hint));
    }
    let mut budget = kind.budget.and(&order.budget);
    // What it spent before it died stays spent.
    if let Some(before) = before {
        budget = budget.without(&before.usage, before.cost);
    }
    let tool = if asked.call.is_some() {
        super::AGENT
    } else {
        ""
    };
    let (meter, place) = grant
        .meter
        .reserve(&path, tool, budget)
        .map_err(|spent| Refusal::spent(&spent))?;
    let newcomer = Newcomer {
        kind: &kind.name,
        description: &order.description,
        ground: order.ground,
        scope: home,
    };
    let seat = grant.desk.enroll_at(path, newcomer);
    let given = Grant {
        scope: seat.scope().clone(),
        meter,
        desk: seat.desk(),
        rules,
        environment,
        on_children: OnChildren::Wait,
        backend: backend.clone(),
        ..grant.clone()
    };
    let life = order
        .deadline
        .or(kind.deadline)
        .unwrap_or(DEFAULT_CHILD_DEADLINE);
    Ok(Child::begin(Parts {
        order,
        life,
        seat,
        place,
        given,
        backend,
        home: home.clone(),
        parent: grant.clone(),
        turn: asked.turn,
        call: asked.call.cloned(),
        is_call: asked.is_call,
        goes_on,
    }))
}

/// The rules and the environment of a child: its parent's, and its kind's on top.
fn narrowed(grant: &Grant, kind: &AgentKind) -> (Rulebook, Environment) {
    let rules = match &kind.paths {
        Some(paths) => grant.rules.with(&Permissions::within(paths.clone())),
        None => grant.rules.clone(),
    };
    let environment = match &kind.environment {
        Some(names) => grant.environment.narrowed(names.iter().cloned()),
        None => grant.environment.clone(),
    };
    (rules, environment)
}

/// What answers.
fn backend(
    grant: &Grant,
    kinds: &AgentKinds,
    kind: &AgentKind,
    order: &Order,
) -> Result<Arc<dyn Backend>, Refusal> {
    let shapes = match &kind.body {
        Body::Other(backend) => return Ok(backend.clone()),
        Body::Shaped(shapes) => shapes,
    };
    // A child that may not open agents is not offered the tool for it.
    let mut shape = match grant.meter.left().depth {
        0..=1 => shapes.leaf.clone(),
        _ => shapes.branch.clone(),
    };
    if let Some(name) = order.model.as_ref().or(kind.model.as_ref()) {
        let model = kinds.open_model(name).map_err(|error| {
            let hint = error
                .hint()
                .unwrap_or("Leave `model` away to use this agent's own.");
            Refusal::failed(format!("no such model: {error}"), hint)
        })?;
        if grant.meter.left().micros.is_some() && model.model().price.is_none() {
            let text = format!("the price of `{name}` is not known, and there is a limit in money");
            return Err(Refusal::failed(text, "Use a model whose price is known."));
        }
        let mut own = Shape::clone(&shape);
        own.model = Some(model);
        shape = Arc::new(own);
    }
    grant.backend.derive(&shape).ok_or_else(|| {
        let text = format!("`{}` needs an agent of this crate above it", order.kind);
        Refusal::failed(text, "Name a kind that has a backend of its own.")
    })
}

async fn past_hooks(asked: &Asked<'_>, path: &AgentPath, order: &mut Order) -> Result<(), Refusal> {
    let hooks = &asked.grant.hooks;
    let mut spawn = Spawn::new(path.clone(), order.kind.clone(), order.prompt.clone());
    spawn.description.clone_from(&order.description);
    spawn.ground = order.ground;
    let _waiting = asked.foreground.waiting(WaitFor::Hook("on_spawn".into()));
    let at = asked.grant.at(asked.turn);
    match asked.foreground.race(hooks.on_spawn(&at, &spawn)).await {
        None => Err(Refusal::failed("the agent that asks was stopped", "")),
        Some(Verdict::Keep) => Ok(()),
        Some(Verdict::Change(prompt)) => {
            order.prompt = prompt;
            Ok(())
        }
        Some(Verdict::Refuse(reason)) => Err(Refusal::denied(reason)),
    }
}
