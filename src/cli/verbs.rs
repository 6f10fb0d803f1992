//! The verb table: help, completions, the man page and dispatch all come from these rows.
//! Refuses a verb that is not a row.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use futures::future::BoxFuture;

use super::{
    chat, diff, exit::Exit, export, fork, import, keep, prune, replay, resume, run, sessions, shell,
};
use crate::{error::Result, permission::Mode};

/// One verb.
pub(super) struct Verb {
    pub(super) name: &'static str,
    about: &'static str,
    arguments: fn(Command) -> Command,
    pub(super) run: fn(&ArgMatches) -> BoxFuture<'_, Result<Exit>>,
}

/// Every verb of the command.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "run",
        about: "Do one task and print the answer",
        arguments: run_arguments,
        run: |matches| Box::pin(run::run(matches)),
    },
    Verb {
        name: "chat",
        about: "Hold a conversation in the terminal",
        arguments: chat_arguments,
        run: |matches| Box::pin(chat::chat(matches)),
    },
    Verb {
        name: "sessions",
        about: "List the sessions that are kept, or show one",
        arguments: sessions::arguments,
        run: |matches| Box::pin(sessions::sessions(matches)),
    },
    Verb {
        name: "resume",
        about: "Go on with a session",
        arguments: |command| going_on(resume::arguments(command)),
        run: |matches| Box::pin(resume::resume(matches)),
    },
    Verb {
        name: "fork",
        about: "Begin another session where one was",
        arguments: |command| going_on(fork::arguments(command)),
        run: |matches| Box::pin(fork::fork(matches)),
    },
    Verb {
        name: "replay",
        about: "Print the events of a session once more",
        arguments: replay::arguments,
        run: |matches| Box::pin(replay::replay(matches)),
    },
    Verb {
        name: "diff",
        about: "Say where two sessions part",
        arguments: diff::arguments,
        run: |matches| Box::pin(diff::diff(matches)),
    },
    Verb {
        name: "export",
        about: "Write a session as lines of JSON",
        arguments: export::arguments,
        run: |matches| Box::pin(export::export(matches)),
    },
    Verb {
        name: "import",
        about: "Take a session from a file, also one of Claude Code",
        arguments: import::arguments,
        run: |matches| Box::pin(import::import(matches)),
    },
    Verb {
        name: "prune",
        about: "Remove sessions",
        arguments: prune::arguments,
        run: |matches| Box::pin(prune::prune(matches)),
    },
    #[cfg(unix)]
    Verb {
        name: "agents",
        about: "List the agents of the runs that live on this machine",
        arguments: agents_arguments,
        run: |matches| Box::pin(super::agents::agents(matches)),
    },
    Verb {
        name: "completions",
        about: "Print shell completions",
        arguments: |command| {
            let shells = value_parser!(clap_complete::Shell);
            command.arg(
                Arg::new("shell")
                    .required(true)
                    .value_parser(shells)
                    .help("Which shell"),
            )
        },
        run: |matches| Box::pin(std::future::ready(shell::completions(matches))),
    },
    Verb {
        name: "man",
        about: "Print the manual page",
        arguments: |command| command,
        run: |_| Box::pin(std::future::ready(shell::man())),
    },
];

const AFTER_HELP: &str = "Models: anthropic/NAME, openai/NAME, openai-chat/NAME, gemini/NAME, \
ollama/NAME, offline.\nWithout --model: OFFSHOOT_MODEL, then the vendor whose key is set \
(ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY), then a local Ollama, then the built-in \
offline model.";

const VARIABLES_HELP: &str = "Also read: AGENT_MAX_TURNS, AGENT_MAX_DEPTH, \
AGENT_MAX_CONCURRENT_TOOLS, AGENT_TOOL_TIMEOUT_SECONDS, AGENT_AUTO_COMPACT, AGENT_MICROCOMPACT, \
CLAUDE_CODE_AUTO_COMPACT_WINDOW, CLAUDE_AUTOCOMPACT_PCT_OVERRIDE, NO_COLOR, OFFSHOOT_HOME.";

const EXIT_HELP: &str = "Exit codes: 0 finished, 1 failed, 2 usage, 3 a limit was hit (budget, \
time, turns or context), 4 refused, 130 cancelled.";

/// The whole command line.
pub(super) fn command() -> Command {
    let command = Command::new("offshoot")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A native multi-agent runtime")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(AFTER_HELP);
    VERBS.iter().fold(command, |command, verb| {
        let row = Command::new(verb.name).about(verb.about);
        command.subcommand((verb.arguments)(row))
    })
}

fn run_arguments(command: Command) -> Command {
    let prompt = Arg::new("prompt")
        .value_name("PROMPT")
        .help("The task; `-` or nothing reads it from standard input");
    keep::beginning(printing(shared_arguments(command).arg(prompt)))
}

/// What the verbs take that go on with a session.
fn going_on(command: Command) -> Command {
    let command = keep::arguments(printing(shared_arguments(command)));
    command.mut_arg("schema", |schema| schema.requires("prompt"))
}

/// What the verbs take that do one task and print its answer.
fn printing(command: Command) -> Command {
    command
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print one event a line in the published format"),
        )
        .arg(
            Arg::new("schema")
                .long("schema")
                .value_name("FILE")
                .help("Answer with JSON that fits the JSON Schema in this file"),
        )
        .after_help(format!("{AFTER_HELP}\n\n{EXIT_HELP}"))
        .after_long_help(format!(
            "{AFTER_HELP}\n\nOn a terminal everything the model says is streamed; into a pipe only \
             the final answer is written. Everything else goes to standard error, and only on a \
             terminal.\n\n{VARIABLES_HELP}\n\n{EXIT_HELP}"
        ))
}

fn chat_arguments(command: Command) -> Command {
    keep::beginning(shared_arguments(command)).after_help(format!(
        "{AFTER_HELP}\n\nCtrl-C stops the turn, Ctrl-D leaves. /help lists what else works."
    ))
}

#[cfg(unix)]
fn agents_arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        let arg = Arg::new(name).long(name).help(help);
        arg.action(ArgAction::SetTrue)
    };
    command
        .arg(flag("why", "Say who waits for what"))
        .arg(flag("json", "Print an array with one object a run"))
}

/// What every verb that runs an agent takes.
fn shared_arguments(command: Command) -> Command {
    let modes = Mode::NAMES.map(|(name, _)| name);
    let value = |name: &'static str, metavar: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(metavar).help(help)
    };
    command
        .arg(value("model", "VENDOR/NAME", "Which model answers").short('m'))
        .arg(value("cwd", "DIR", "The folder that tools may look at").default_value("."))
        .arg(value("system", "TEXT", "Replaces the system prompt"))
        .arg(
            value(
                "max-turns",
                "N",
                "At most so many model calls for one message",
            )
            .value_parser(value_parser!(u64).range(1..)),
        )
        .arg(
            value(
                "max-budget-usd",
                "DOLLARS",
                "Stop before the cost passes this",
            )
            .allow_negative_numbers(true)
            .value_parser(super::run::dollars),
        )
        .arg(
            value("timeout", "TIME", "Stop after this long: 90, 90s, 5m, 1h")
                .allow_negative_numbers(true)
                .value_parser(super::run::duration),
        )
        .arg(
            value(
                "max-depth",
                "N",
                "At most so many levels of helper agents; 0 allows none",
            )
            .value_parser(value_parser!(u64)),
        )
        .arg(
            value(
                "max-agents",
                "N",
                "At most so many helper agents alive at once",
            )
            .value_parser(value_parser!(u64).range(1..)),
        )
        .arg(
            value("permission-mode", "MODE", "What tools may do unasked")
                .value_parser(modes)
                .default_value("ask"),
        )
        .arg(
            value(
                "allow",
                "RULE",
                "A call that runs unasked, such as `Read(src/*)`",
            )
            .action(ArgAction::Append),
        )
        .arg(value("ask", "RULE", "A call that a person is asked about").action(ArgAction::Append))
        .arg(value("deny", "RULE", "A call that never runs").action(ArgAction::Append))
        .arg(
            Arg::new("trust")
                .long("trust")
                .action(ArgAction::SetTrue)
                .help("Trust the settings files of the folder, as they are now"),
        )
        .arg(value(
            "trace",
            "FILE",
            "Append every event to this file as JSON lines",
        ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_is_sound() {
        super::command().debug_assert();
    }
}
