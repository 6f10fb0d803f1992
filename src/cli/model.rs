//! From the command line to a session: model, tools, rules, budget.
//! Refuses to print; what a person should know comes back as a note.

use std::{sync::Arc, time::Duration};

use clap::ArgMatches;

#[cfg(unix)]
use super::live::Live;
use super::{
    home,
    keep::{self, Wanted},
    progress::during,
    project,
    run::Ear,
    terminal::{Stream, TerminalAsker, painted},
};
use crate::{
    agent::Agent,
    backend::OnChildren,
    budget::Budget,
    environment::Environment,
    error::{Error, ErrorKind, Result},
    event::Event,
    permission::{Permissions, Unasked},
    provider::{self, Provider},
    redact::Redactor,
    session::Session,
    subagent::{AGENT, AgentKinds, AgentTool, subagents},
    tool::Tool,
    tools,
    trace::{JsonLines, Tracer},
    transcript::CompactionSettings,
};

/// The system prompt when none is given.
const SYSTEM: &str = include_str!("system.md");

/// A session, and what a person should know about it.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) model: String,
    /// Lines for people, such as that no key is set.
    pub(super) notes: Vec<String>,
    /// Where others on this machine can ask for its agents.
    #[cfg(unix)]
    _live: Option<Live>,
    _trace: Option<Trace>,
}

impl Opened {
    /// How to go on with the session once it is left: for a person at a terminal, where a log of
    /// it is kept.
    pub(super) fn way_back(&self) -> Option<String> {
        let id = self.session.id();
        let kept = self.session.last_record() > 0 && Stream::Err.is_terminal();
        kept.then(|| painted(Stream::Err, "2", &format!("to go on: offshoot resume {id}")))
    }
}

/// A trace that is whole once this is dropped, whoever else still holds the session's tracers.
struct Trace(Arc<JsonLines>);

impl Drop for Trace {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The session's share of a trace.
struct Writes(Arc<JsonLines>);

impl Tracer for Writes {
    fn hear(&self, event: &Event) {
        self.0.hear(event);
    }
}

/// Opens the session that the command line asks for.
pub(super) async fn open(
    matches: &ArgMatches,
    ear: Option<Ear>,
    on_children: OnChildren,
    wanted: Wanted,
) -> Result<Opened> {
    let cwd = matches.get_one::<String>("cwd").map_or(".", String::as_str);
    let folder = home::folder_name(cwd.as_ref());
    let found = wanted.found(&folder).await?;
    let known = found.as_ref().map(|found| found.card.model.as_str());
    let (model, offline) = choose(matches.get_one::<String>("model"), known).await?;
    if matches.contains_id("max-budget-usd") && model.model().price.is_none() {
        let name = model.model().full_name();
        let text = format!("a limit in dollars cannot hold, for the price is not known: `{name}`");
        return Err(Error::new(ErrorKind::Config, text)
            .with_hint("use --max-turns or --timeout, or a model of known price"));
    }
    let budget = budget(matches)?;
    let reading = tools::read_only(cwd)?;
    let settings = project::settings(matches, cwd)?;
    let mut notes: Vec<_> = settings.problems.iter().map(ToString::to_string).collect();
    let kinds = project::kinds(&settings, &mut notes);
    notes.extend(offline);
    let system = matches.get_one::<String>("system");
    let system = system.map_or(SYSTEM, String::as_str);
    let permissions = project::permissions(matches, permissions(matches)?, &settings);
    let shelf = wanted.shelf(found.as_ref(), &mut notes).await;
    let agent = Agent::builder_for(model);
    let mut agent = project::system(agent, system, &settings)
        .tools(reading)
        .tools(shelf.is_some().then(tools::kept_output))
        .tools(helpers(kinds, &budget))
        .permissions(permissions)
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
        // Above those of any agent, so that they hold for helpers too.
        .hooks(&settings.command_hooks())
        .environment(Environment::inherited().with(settings.variables.clone()))
        .on_children(on_children);
    if let Some(tools) = number("AGENT_MAX_CONCURRENT_TOOLS", 1)? {
        session = session.parallel_tools(usize::try_from(tools).unwrap_or(usize::MAX));
    }
    if TerminalAsker::possible() {
        session = session.asker(TerminalAsker);
    }
    if let Some(ear) = ear {
        session = session.tracer(ear);
    }
    let mut trace = None;
    if let Some(path) = matches.get_one::<String>("trace") {
        let lines = Arc::new(JsonLines::open(path)?.redacting(Redactor::from_env()));
        session = session.tracer(Writes(lines.clone()));
        trace = Some(Trace(lines));
    }
    let session = wanted.apply(session, shelf, &folder);
    let session = during("opening the session", session.open()).await?;
    if let Some(found) = &found {
        keep::tidings(&session, found, &folder, &mut notes);
    }
    if wanted.is_fork() {
        notes.push(format!("forked as {}", session.id()));
    }
    #[cfg(unix)]
    let live = match Live::listen(session.id(), &model, settings.folder()) {
        Ok(live) => Some(live),
        Err(error) => {
            notes.push(format!("`offshoot agents` will not see this run: {error}"));
            None
        }
    };
    Ok(Opened {
        session,
        model,
        notes,
        #[cfg(unix)]
        _live: live,
        _trace: trace,
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

/// The model that is named; else the one by which the session was, where it can be had; else the
/// one that is found here.
async fn choose(
    name: Option<&String>,
    known: Option<&str>,
) -> Result<(Arc<dyn Provider>, Option<String>)> {
    if let Some(name) = name {
        return Ok((provider::connect(name)?, None));
    }
    let mut why = None;
    if let Some(known) = known.filter(|known| !known.is_empty()) {
        match provider::connect(known) {
            Ok(provider) => return Ok((provider, None)),
            Err(error) => why = Some(format!("`{known}` does not go on: {error}")),
        }
    }
    let found = provider::from_env().await?;
    let offline = found.provider.model().vendor.as_ref() == "offline";
    let using = (offline || why.is_some()).then(|| format!("using {}", found.why));
    let note = Vec::from_iter(why.into_iter().chain(using)).join("; ");
    Ok((found.provider, (!note.is_empty()).then_some(note)))
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
        ask: rules("ask")?,
        deny: rules("deny")?,
        unasked: Unasked::Deny,
        paths: None,
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
