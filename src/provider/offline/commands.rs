//! The few words with which people try the agents below: send one, tell one, list them, stop one.
//! Refuses words for tools that this agent does not have; they mean what they mean without agents.

use serde_json::json;

use super::{
    helper::{self, AGENT},
    phrase,
    plan::{self, Ask, Step, View, named},
    prose::{code, cut, fenced, quote},
    rules::{self, Task},
    trouble,
};
use crate::spec::ToolSpec;

/// Bytes of a result that are shown.
const MAX_SHOWN: usize = 8_000;

/// What an agent is to do, or all of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// Survey a folder while the talk goes on.
    Background { path: String },
    /// Hear these words.
    Tell { to: String, words: String },
    /// Be listed.
    List,
    /// Stop.
    Stop { agent: String },
}

/// The command in a prompt, if it is one that this agent has a tool for.
pub(super) fn understand(prompt: &str, tools: &[ToolSpec]) -> Option<Task> {
    let command = read(prompt.trim())?;
    let ask = ask(&command)?;
    let names = |spec: &ToolSpec| {
        let mut names = ask
            .input
            .as_object()
            .into_iter()
            .flat_map(|input| input.keys());
        names.all(|name| spec.schema["properties"].get(name).is_some())
    };
    let offered = tools
        .iter()
        .any(|spec| spec.name == ask.tool && names(spec));
    offered.then_some(Task::Command(command))
}

fn read(prompt: &str) -> Option<Command> {
    if let Some(rest) = in_background(prompt) {
        return match rules::understand(rest, None)?.task {
            Task::Survey { path } | Task::Report { path } => Some(Command::Background { path }),
            _ => None,
        };
    }
    let (verb, rest) = prompt.split_once(' ')?;
    match verb.to_ascii_lowercase().as_str() {
        "tell" => {
            let (to, words) = named_agent(rest)?.split_once(':')?;
            let (to, words) = (bare(to)?, words.trim());
            (!words.is_empty()).then(|| Command::Tell {
                to,
                words: words.to_owned(),
            })
        }
        "stop" => Some(Command::Stop {
            agent: bare(named_agent(rest)?.trim_end_matches(['.', '!', '?']))?,
        }),
        _ => {
            let words = phrase::words(prompt);
            let phrases = [
                "list|show [me] [all] [the] [live|running] agents",
                "which|what agents are there|alive|running|live",
            ];
            let fits = phrases
                .into_iter()
                .any(|phrase| phrase::fit(phrase, &words).is_some());
            fits.then_some(Command::List)
        }
    }
}

/// The rest of a prompt that begins or ends with `in the background`.
fn in_background(prompt: &str) -> Option<&str> {
    const WHERE: &str = "in the background";
    let lower = prompt.to_ascii_lowercase();
    if lower.starts_with(WHERE) {
        return Some(prompt[WHERE.len()..].trim_start_matches([',', ':', ' ']));
    }
    let end = lower.trim_end_matches(['.', '!', '?']);
    let front = end.strip_suffix(WHERE)?;
    Some(prompt[..front.len()].trim_end_matches([',', ' ']))
}

/// What follows the word `agent`.
fn named_agent(rest: &str) -> Option<&str> {
    let lower = rest.to_ascii_lowercase();
    let skipped = ["agent ", "the agent "];
    let skipped = skipped.into_iter().find(|words| lower.starts_with(words))?;
    Some(&rest[skipped.len()..])
}

/// One word, with or without marks around it.
fn bare(name: &str) -> Option<String> {
    let name = name.trim().trim_matches(['`', '"', '\'', '“', '”']);
    (!name.is_empty() && !name.contains(char::is_whitespace)).then(|| name.to_owned())
}

/// The call that a command is.
fn ask(command: &Command) -> Option<Ask> {
    Some(match command {
        Command::Background { path } => {
            let mut ask = helper::to(path)?;
            ask.input["run_in_background"] = json!(true);
            ask
        }
        Command::Tell { to, words } => Ask {
            tool: "SendMessage",
            input: json!({ "to": to, "message": words }),
        },
        Command::List => Ask {
            tool: "ListAgents",
            input: json!({}),
        },
        Command::Stop { agent } => Ask {
            tool: "TaskStop",
            input: json!({ "task_id": agent }),
        },
    })
}

/// The call of a command that has not been made.
pub(super) fn next(command: &Command, view: &View<'_>) -> Option<Step> {
    let say = match command {
        Command::Background { path } => {
            format!(
                "I send a helper into {} and do not wait for it.\n",
                named(path)
            )
        }
        Command::Tell { to, .. } => format!("I tell {} so.\n", code(to)),
        Command::List => "I ask for the list.\n".to_owned(),
        Command::Stop { agent } => format!("I stop {}.\n", code(agent)),
    };
    plan::first(vec![(say, Vec::from_iter(ask(command)))], view)
}

/// What came of a command.
pub(super) fn answer(command: &Command, view: &View<'_>) -> String {
    let Some(ask) = ask(command) else {
        return "I could not do that.".to_owned();
    };
    let Some(seen) = view.find(&ask) else {
        return trouble::lacking(&[ask]);
    };
    if seen.outcome.is_error() {
        let how = trouble::how_it_failed(seen).unwrap_or_default();
        return format!("That did not work. `{}` {how}", ask.tool);
    }
    let says = shown(ask.tool, seen.text.trim());
    match command {
        Command::Background { path } => format!(
            "A helper surveys {} in the background; I tell what it finds when I hear of it. {says}",
            named(path)
        ),
        Command::Tell { to, words } => format!("I told {}: {} {says}", code(to), quote(words)),
        Command::List | Command::Stop { .. } => says,
    }
}

/// What a tool says, as its words.
fn shown(tool: &str, text: &str) -> String {
    match text.lines().count() {
        0 => format!("`{tool}` says nothing."),
        1 if text.len() <= 200 => format!("`{tool}` says: {}", quote(text)),
        _ => format!("`{tool}` says:\n\n{}", fenced(cut(text, MAX_SHOWN))),
    }
}

/// What this agent can do beyond reading, as examples; `None` when it can do nothing of the kind.
pub(super) fn examples(view: &View<'_>) -> Option<String> {
    view.helpers?;
    let rows = [
        "In the background, survey `src`",
        "List the agents",
        "Tell agent root/explore/1: hurry up",
        "Stop agent root/explore/1",
    ];
    let rows = rows
        .into_iter()
        .filter(|row| understand(row, view.tools).is_some());
    let rows = rows.map(|row| format!("\n- {row}")).collect::<String>();
    let more = if rows.is_empty() {
        String::new()
    } else {
        format!(" I also understand:\n{rows}")
    };
    Some(format!(
        "This agent has the tool `{AGENT}`, so I survey a folder with helpers: one for each \
         sub-folder, who read it at the same time and report to me.{more}"
    ))
}
