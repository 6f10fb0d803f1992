//! The settings of the user and of the project, and the question whether the project is trusted.
//! Refuses to ask where nobody can answer; a yes covers the files that were read, and no others.

use std::io::{self, BufRead, Write};

use clap::{ArgMatches, parser::ValueSource};

use super::terminal::{TerminalAsker, harmless, say};
use crate::{
    agent::AgentBuilder,
    backend::Selection,
    error::Result,
    permission::{Mode, Permissions},
    provider,
    settings::{self, Settings, Standing, Trust},
    subagent::{AgentKind, AgentKinds},
};

/// Reads the settings for a folder, and asks about the folder where it must and can.
pub(super) fn settings(matches: &ArgMatches, folder: &str) -> Result<Settings> {
    let (mut trust, unknown) = match Trust::of_user() {
        Ok(trust) => (trust, None),
        Err(error) => (Trust::nothing(), Some(error)),
    };
    let mut settings = settings::load(folder, &trust)?;
    if settings.standing() == Standing::Trusted {
        return Ok(settings);
    }
    let flag = matches.get_flag("trust");
    let waiting = settings.waiting();
    if flag
        || waiting
            .as_deref()
            .is_some_and(|line| agrees(&settings, line))
    {
        let remembered = match unknown {
            Some(error) => Err(error),
            None => trust.trust(settings.folder(), &settings.found),
        };
        if let Err(error) = remembered {
            say(&format!(
                "the folder is trusted for this run only: {}",
                harmless(&error.to_string())
            ));
            trust = Trust::nothing();
            trust.trust(settings.folder(), &settings.found)?;
        }
        settings = settings::load(folder, &trust)?;
        if let Some(line) = settings.waiting() {
            // Changed between the look and the answer.
            say(&line);
        }
    }
    Ok(settings)
}

/// Names what waits, and asks the person where one is there.
fn agrees(settings: &Settings, line: &str) -> bool {
    let folder = settings.folder().display().to_string();
    let folder = harmless(&folder).replace('\n', "\u{FFFD}");
    if !TerminalAsker::possible() {
        say(&format!("{folder}: {line}; --trust lets them take effect"));
        return false;
    }
    say(&format!("{folder}: {line}"));
    write!(io::stderr(), "Trust these files? [y/N] ").ok();
    io::stderr().flush().ok();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// What the flags allow, narrowed by what the settings deny. Where the flags say nothing of the
/// mode, the settings do.
pub(super) fn permissions(
    matches: &ArgMatches,
    flags: Permissions,
    settings: &Settings,
) -> Permissions {
    let told = matches.value_source("permission-mode") == Some(ValueSource::CommandLine);
    let theirs = settings.permissions.clone();
    let mode = match theirs.mode {
        Mode::Plan => Mode::Plan,
        _ if told => flags.mode,
        mode => mode,
    };
    Permissions {
        mode,
        allow: [flags.allow, theirs.allow].concat(),
        ask: [flags.ask, theirs.ask].concat(),
        deny: [flags.deny, theirs.deny].concat(),
        unasked: flags.unasked,
        paths: theirs.paths,
    }
}

/// The kinds that come with the crate and those of the settings. What cannot be taken is noted.
pub(super) fn kinds(settings: &Settings, notes: &mut Vec<String>) -> AgentKinds {
    let mut kinds = AgentKinds::builtin();
    for row in &settings.kinds {
        let mut kind =
            AgentKind::new(row.name.as_str(), row.description.clone()).system(row.prompt.clone());
        if let Some(tools) = &row.tools {
            kind = kind.tools(Selection::default().only(tools.clone()));
        }
        if let Some(paths) = &row.paths {
            kind = kind.paths(paths.clone());
        }
        if let Some(names) = &row.environment {
            kind = kind.environment(names.iter().cloned());
        }
        if let Some(model) = &row.model {
            match provider::connect(model) {
                Ok(_) => kind = kind.model_named(model.clone()),
                Err(error) => notes.push(one_line(&format!(
                    "{}: its parent's model answers for this agent: {error}",
                    row.file
                ))),
            }
        }
        match kinds.clone().with(kind) {
            Ok(more) => kinds = more,
            Err(error) => notes.push(one_line(&format!("{}: {error}", row.file))),
        }
    }
    kinds
}

/// The system prompt, with the words of the project.
pub(super) fn system(agent: AgentBuilder, words: &str, settings: &Settings) -> AgentBuilder {
    let mut system = words.trim().to_owned();
    for more in &settings.instructions {
        system.push_str(&format!("\n\n# {}\n\n{}", more.file, more.text.trim()));
    }
    agent.system(system)
}

fn one_line(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}
