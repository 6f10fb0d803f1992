//! `offshoot replay`: the events of a session once more, in the format of `run --json`.
//! Refuses to run anything.

use clap::{ArgMatches, Command};
use futures::StreamExt;

use super::{
    exit::Exit,
    find::find,
    home,
    progress::Progress,
    render::{Reader, write_out},
    resume::session_argument,
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{Body, Record, walk},
};

/// The verb's arguments.
pub(super) fn arguments(command: Command) -> Command {
    command.arg(session_argument("Which session"))
}

/// Runs the verb.
pub(super) async fn replay(matches: &ArgMatches) -> Result<Exit> {
    let store = home::store()?;
    let name = matches.get_one::<String>("session");
    let card = find(&store, name.map_or("", String::as_str)).await?;
    let mut progress = Progress::new("replaying", card.records);
    let mut rows = walk(&store, &card.id);
    // Many small lines in one write.
    let mut text = String::new();
    while let Some(row) = rows.next().await {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let reader: Reader = write_out(&text);
                return reader.exit().ok_or(error);
            }
        };
        progress.add(1);
        if row.told
            && let Body::Told(event) = Record::decode(&row.body)?.body
        {
            let line = serde_json::to_string(&event).map_err(|error| {
                Error::new(ErrorKind::Bug, "an event cannot be written").with_source(error)
            })?;
            text.push_str(&line);
            text.push('\n');
        }
        if text.len() > 64 * 1024 {
            let reader: Reader = write_out(&std::mem::take(&mut text));
            if let Some(exit) = reader.exit() {
                return Ok(exit);
            }
        }
    }
    let reader: Reader = write_out(&text);
    Ok(reader.exit().unwrap_or(Exit::Finished))
}
