//! From the command line to a session: model, tools, rules, budget.
//! Refuses to print; what a person should know comes back as a note.

use std::{sync::Arc, time::Duration};

use clap::ArgMatches;

use super::{run::Ear, terminal::TerminalAsker};
use crate::{
    agent::Agent,
    backend::OnChildren,
    budget::Budget,
    error::{Error, ErrorKind, Result},
    permission::{Permissions, Unasked},
    provider::{self, Provider},
    redact::Redactor,
    session::Session,
    subagent::{AGENT, AgentKinds, AgentTool, subagents},
    tool::Tool,
    tools,
    trace::JsonLines,
    transcript::CompactionSettings,
};

/// The system prompt when none is given.
const SYSTEM: &str = include_str!("system.md");

/// A session, and what a person should know about it.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) model: String,
    /// One line for people, such as that no key is set.
    pub(super) note: Option<String>,
}

/// Opens the session that the command line asks for.
pub(super) async fn open(
    matches: &ArgMatches,
    ear: Option<Ear>,
    on_children: OnChildren,
) -> Result<Opened> {
    let (model, note) = choose(matches.get_one::<String>("model")).await?;
    if matches.contains_id("max-budget-usd") && model.model().price.is_none() {
        let name = model.model().full_name();
        let text = format!("a limit in dollars cannot hold, for the price is not known: `{name}`");
        return Err(Error::new(ErrorKind::Config, text)
            .with_hint("use --max-turns or --timeout, or a model of known price"));
    }
    let budget = budget(matches)?;
    let cwd = matches.get_one::<String>("cwd").map_or(".", String::as_str);
    let mut agent = Agent::builder_for(model)
        .system(
            matches
                .get_one::<String>("system")
                .map_or(SYSTEM.trim(), String::as_str),
        )
        .tools(tools::read_only(cwd)?)
        .tools(helpers(AgentKinds::builtin(), &budget))
        .permissions(permissions(matches)?)
        .compaction(CompactionSettings::from_env()?);
    let steps = matches.get_one::<u64>("max-turns").copied();
    if let Some(steps) = steps.or(number("AGENT_MAX_TURNS", 1)?) {
        agent = agent.max_steps(steps);
    }
    if let Some(seconds) = number("AGENT_TOOL_TIMEOUT_SECONDS", 1)? {
        agent = agent.tool_deadline(Duration::from_secs(seconds));
    }
    let agent = agent.build()?;
    let model = agent.model_name();
    let mut session = Session::builder(agent)
        .budget(budget)
        .on_children(on_children);
    if let Some(tools) = number("AGENT_MAX_CONCURRENT_TOOLS", 1)? {
        session = session.parallel_tools(usize::try_from(tools).unwrap_or(usize::MAX));
    }
    if TerminalAsker::possible() {
        session = session.asker(TerminalAsker::default());
    }
    if let Some(ear) = ear {
        session = session.tracer(ear);
    }
    if let Some(path) = matches.get_one::<String>("trace") {
        session = session.tracer(JsonLines::open(path)?.redacting(Redactor::from_env()));
    }
    Ok(Opened {
        session: session.open().await?,
        model,
        note,
    })
}

/// The tools by which an agent has helpers; none where no helper may live.
fn helpers(kinds: AgentKinds, budget: &Budget) -> Vec<Arc<dyn Tool>> {
    if budget.depth == Some(0) {
        return Vec::new();
    }
    // The model is told the limits that hold.
    let opens: Arc<dyn Tool> = Arc::new(AgentTool::within(kinds.clone(), budget));
    let mut tools = subagents(kinds);
    tools.retain(|tool| tool.spec().name != AGENT);
    tools.push(opens);
    tools
}

/// A whole number in a variable; nothing when it is not set.
fn number(variable: &str, least: u64) -> Result<Option<u64>> {
    let Some(text) = std::env::var(variable).ok().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(number) if number >= least => Ok(Some(number)),
        _ => Err(Error::new(
            ErrorKind::Config,
            format!("bad value of {variable}: `{text}`"),
        )
        .with_hint(format!(
            "set it to a whole number from {least}, or unset it"
        ))),
    }
}

async fn choose(name: Option<&String>) -> Result<(Arc<dyn Provider>, Option<String>)> {
    match name {
        Some(name) => Ok((provider::connect(name)?, None)),
        None => {
            let found = provider::from_env().await?;
            let offline = found.provider.model().vendor.as_ref() == "offline";
            Ok((
                found.provider,
                offline.then(|| format!("using {}", found.why)),
            ))
        }
    }
}

fn permissions(matches: &ArgMatches) -> Result<Permissions> {
    let rules = |name: &str| -> Result<Vec<_>> {
        let texts = matches.get_many::<String>(name).unwrap_or_default();
        texts.map(|text| text.parse()).collect()
    };
    let mode = matches
        .get_one::<String>("permission-mode")
        .map_or("ask", String::as_str);
    Ok(Permissions {
        mode: mode.parse()?,
        allow: rules("allow")?,
        deny: rules("deny")?,
        unasked: Unasked::Deny,
        ..Permissions::default()
    })
}

fn budget(matches: &ArgMatches) -> Result<Budget> {
    let mut budget = Budget::unlimited();
    let depth = matches.get_one::<u64>("max-depth").copied();
    if let Some(levels) = depth.or(number("AGENT_MAX_DEPTH", 0)?) {
        budget = budget.depth(levels);
    }
    if let Some(agents) = matches.get_one::<u64>("max-agents") {
        budget = budget.live(*agents);
    }
    if let Some(dollars) = matches.get_one::<f64>("max-budget-usd") {
        budget = budget.dollars(*dollars);
    }
    if let Some(time) = matches.get_one::<Duration>("timeout") {
        budget = budget.time(*time);
    }
    Ok(budget)
}

/// A file that the command line names, read whole.
pub(super) fn read_schema(path: &str) -> Result<serde_json::Value> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::new(
            ErrorKind::Config,
            format!("cannot read the schema: `{path}`"),
        )
        .with_hint(error.to_string())
    })?;
    serde_json::from_str(&text).map_err(|error| {
        Error::new(
            ErrorKind::Config,
            format!("the schema is not JSON: `{path}`"),
        )
        .with_hint(error.to_string())
    })
}
