//! `offshoot import`: a session from a file, our own or a transcript of Claude Code.
//! Refuses to guess: a file of neither kind is an error, and what was left out is said.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::Arc,
};

use clap::{Arg, ArgMatches, Command};
use futures::StreamExt;

use super::{
    brief::count,
    exit::{self, Exit},
    home,
    progress::{Progress, during},
    render::{Reader, write_out},
    terminal::{harmless, say},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
    redact::Redactor,
    session::Session,
    store::{Foreign, MAX_LINE, Store, import as import_lines, is_export},
};

/// Lines at the beginning that are looked at to tell what a file is.
const PROBED: usize = 50;

/// The verb's arguments.
pub(super) fn arguments(command: Command) -> Command {
    command.arg(
        Arg::new("file").value_name("FILE").required(true).help(
            "What `offshoot export` wrote, or a .jsonl of Claude Code; `-` is standard input",
        ),
    )
}

/// Runs the verb.
pub(super) async fn import(matches: &ArgMatches) -> Result<Exit> {
    let name = matches.get_one::<String>("file");
    let name = name.map_or("-", String::as_str);
    let mut source = Source::open(name)?;
    let mut first = Vec::new();
    while first.len() < PROBED
        && let Some(line) = source.line()?
    {
        first.push(line);
    }
    let store = home::store()?;
    let id = SessionId::random();
    let ours = first
        .iter()
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| is_export(line));
    if ours {
        let lines = first.into_iter().map(Ok).chain(source);
        let lines = futures::stream::iter(lines).boxed();
        import_lines(&store, &id, lines).await?;
    } else if first.iter().any(|line| Foreign::is_claude(line)) {
        claude(&store, &id, first, source).await?;
    } else {
        let text = format!("neither an exported session nor a transcript of Claude Code: `{name}`");
        return Err(Error::new(ErrorKind::Config, text).with_hint(
            "transcripts lie under ~/.claude/projects; `offshoot export` writes our own",
        ));
    }
    let reader: Reader = write_out(&format!("{id}\n"));
    Ok(reader.exit().unwrap_or(Exit::Finished))
}

async fn claude(
    store: &Arc<dyn Store>,
    id: &SessionId,
    first: Vec<String>,
    mut source: Source,
) -> Result<()> {
    let mut failed = None;
    let lines = first.into_iter().chain(source.by_ref().map_while(|line| {
        let line = line.map_err(|error| failed = Some(error));
        line.ok()
    }));
    let foreign = Foreign::from_claude(lines).redacting(Redactor::from_env());
    // Its bar makes room for the next.
    drop(source);
    if let Some(error) = failed {
        return Err(error);
    }
    if foreign.messages.is_empty() {
        let text = "the transcript holds no messages";
        let left = foreign.left_out.to_string();
        return Err(Error::new(ErrorKind::Config, text).with_hint(left));
    }
    let (left_out, messages) = (foreign.left_out, foreign.messages.len());
    let repairs = during("importing", Session::adopt(store, id, foreign)).await?;
    let mut lines = vec![count(messages as u64, "message")];
    if !left_out.is_nothing() {
        lines.push(format!("left out: {left_out}"));
    }
    if !repairs.is_empty() {
        lines.push(format!("mended: {}", count(repairs.len() as u64, "place")));
    }
    say(&harmless(&lines.join("; ")));
    Ok(())
}

/// The lines of a file, with how far it was read.
struct Source {
    input: Box<dyn BufRead + Send>,
    name: String,
    progress: Progress,
}

impl Source {
    fn open(name: &str) -> Result<Self> {
        let cannot = |error| exit::io(format!("cannot read the file: `{name}`"), error);
        let (input, bytes): (Box<dyn BufRead + Send>, u64) = if name == "-" {
            (Box::new(BufReader::new(io::stdin())), 0)
        } else {
            let file = File::open(Path::new(name)).map_err(cannot)?;
            let facts = file.metadata().map_err(cannot)?;
            if facts.is_dir() {
                return Err(cannot(io::ErrorKind::IsADirectory.into()));
            }
            (Box::new(BufReader::new(file)), facts.len())
        };
        Ok(Self {
            input,
            name: name.to_owned(),
            progress: Progress::new("importing", bytes),
        })
    }

    /// The next line; bytes that are no text are replaced, and then do not fit their sums.
    fn line(&mut self) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        let mut input = (&mut self.input).take(MAX_LINE as u64 + 1);
        let read = input.read_until(b'\n', &mut bytes);
        let read = read
            .map_err(|error| exit::io(format!("cannot read the file: `{}`", self.name), error))?;
        if read > MAX_LINE {
            let text = format!("a line is longer than the limit: `{MAX_LINE}` bytes");
            return Err(Error::new(ErrorKind::Limit, text));
        }
        self.progress.add(read as u64);
        if read == 0 {
            return Ok(None);
        }
        while bytes
            .last()
            .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
        {
            bytes.pop();
        }
        Ok(Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }))
    }
}

impl Iterator for Source {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line().transpose()
    }
}
