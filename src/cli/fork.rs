//! `offshoot fork`: another session that begins where one was at a record of its log.
//! Refuses to change the session that is forked.

use clap::{Arg, ArgMatches, Command, value_parser};

use super::{
    exit::Exit,
    find::find,
    home,
    keep::Wanted,
    render::{Reader, write_out},
    resume::session_argument,
    run::{prompt, run_in, task},
};
use crate::{backend::OnChildren, error::Result, id::SessionId};

/// The verb's own arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(session_argument("Which session is forked"))
        .arg(
            Arg::new("prompt")
                .value_name("PROMPT")
                .help("What the fork is asked; without it only its name is printed"),
        )
        .arg(
            Arg::new("at")
                .long("at")
                .value_name("N")
                .value_parser(value_parser!(u64).range(1..))
                .help("The last record that both share, as `sessions show --records` numbers them"),
        )
}

/// Runs the verb.
pub(super) async fn fork(matches: &ArgMatches) -> Result<Exit> {
    let name = matches.get_one::<String>("session");
    let store = home::store()?;
    let card = find(&store, name.map_or("", String::as_str)).await?;
    let at = matches.get_one::<u64>("at").copied();
    if let Some(words) = matches.get_one::<String>("prompt") {
        let words = prompt(Some(words))?;
        let wanted = Wanted::fork(matches, &card.id, at);
        return run_in(matches, task(words), OnChildren::Wait, wanted).await;
    }
    let id = SessionId::random();
    store
        .fork(&card.id, at.unwrap_or(card.records), &id)
        .await?;
    let reader: Reader = write_out(&format!("{id}\n"));
    Ok(reader.exit().unwrap_or(Exit::Finished))
}
