//! `offshoot resume`: a session goes on, after its end or after its process's death.
//! Refuses to touch a log when there is nothing to do.

use std::io::{self, IsTerminal};

use clap::{Arg, ArgMatches, Command};

use super::{
    chat,
    exit::Exit,
    find::find,
    home,
    keep::Wanted,
    progress::during,
    run::{prompt, run_in, task},
};
use crate::{
    backend::{OnChildren, Task},
    error::{Error, ErrorKind, Result},
    store::recall,
};

/// The name of a session, in the place of the first word.
pub(super) fn session_argument(help: &'static str) -> Arg {
    Arg::new("session")
        .value_name("ID")
        .required(true)
        .help(help)
}

/// The verb's own arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(session_argument(
            "Which session; the beginning or the end of its name will do",
        ))
        .arg(
            Arg::new("prompt")
                .value_name("PROMPT")
                .help("What comes next; `-` reads it from standard input"),
        )
}

/// Runs the verb.
pub(super) async fn resume(matches: &ArgMatches) -> Result<Exit> {
    let name = matches.get_one::<String>("session");
    let store = home::store()?;
    let card = find(&store, name.map_or("", String::as_str)).await?;
    let wanted = Wanted::resume(matches, &card.id);
    if let Some(words) = matches.get_one::<String>("prompt") {
        let words = prompt(Some(words))?;
        return run_in(matches, task(words), OnChildren::Wait, wanted).await;
    }
    let recalled = during("reading the session", recall(&store, &card.id));
    if recalled.await?.unfinished {
        // Its mail waits for nobody; the turn that was cut short is what is left to do.
        return run_in(matches, Task::mail(), OnChildren::Wait, wanted).await;
    }
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        return chat::chat_in(matches, wanted).await;
    }
    let text = format!("the session has nothing left to finish: `{}`", card.id);
    let hint = format!("say what comes next: offshoot resume {} \"…\"", card.id);
    Err(Error::new(ErrorKind::Config, text).with_hint(hint))
}
