//! `offshoot export`: a session as lines of JSON, a record a line.
//! Refuses to write over a file, and to leave half of one.

use std::path::Path;

use clap::{Arg, ArgMatches, Command};
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
    durable::Lines,
    error::{Error, ErrorKind, Result},
    store::export as lines_of,
};

/// The verb's arguments.
pub(super) fn arguments(command: Command) -> Command {
    command.arg(session_argument("Which session")).arg(
        Arg::new("file")
            .value_name("FILE")
            .help("Where to; `-` or nothing writes to standard output"),
    )
}

/// Runs the verb.
pub(super) async fn export(matches: &ArgMatches) -> Result<Exit> {
    let store = home::store()?;
    let name = matches.get_one::<String>("session");
    let card = find(&store, name.map_or("", String::as_str)).await?;
    let file = matches.get_one::<String>("file").map(String::as_str);
    let mut file = match file {
        None | Some("-") => None,
        Some(path) => Some(Draft::of(Path::new(path))?),
    };
    let mut progress = Progress::new("exporting", card.records);
    let mut lines = lines_of(&store, &card.id);
    while let Some(line) = lines.next().await {
        let line = line? + "\n";
        match &mut file {
            Some(file) => file.lines.append_block(line.as_bytes())?,
            None => {
                let reader: Reader = write_out(&line);
                if let Some(exit) = reader.exit() {
                    return Ok(exit);
                }
            }
        }
        progress.add(1);
    }
    if let Some(file) = file {
        file.finish()?;
    }
    Ok(Exit::Finished)
}

/// A file under another name until it is whole.
struct Draft<'a> {
    lines: Lines,
    draft: std::path::PathBuf,
    path: &'a Path,
}

impl<'a> Draft<'a> {
    fn of(path: &'a Path) -> Result<Self> {
        if path.exists() {
            let text = format!("there is a file of this name: `{}`", path.display());
            return Err(Error::new(ErrorKind::Config, text)
                .with_hint("remove it, or write to standard output and say where that goes"));
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let draft = std::path::PathBuf::from(name);
        Ok(Self {
            lines: Lines::open(&draft)?,
            draft,
            path,
        })
    }

    fn finish(self) -> Result<()> {
        self.lines.sync()?;
        std::fs::rename(&self.draft, self.path).map_err(|error| {
            let what = format!("cannot write the file: `{}`", self.path.display());
            super::exit::io(what, error)
        })
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; else half a file is not left behind.
        std::fs::remove_file(&self.draft).ok();
    }
}
