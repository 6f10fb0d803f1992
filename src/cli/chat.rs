//! `offshoot chat`: a conversation in the terminal, or paragraphs from a pipe.
//! Refuses to lose a turn: Ctrl-C stops what runs and the conversation goes on.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::ArgMatches;
use futures::{FutureExt, StreamExt};
use rustyline::{DefaultEditor, error::ReadlineError};

use super::{
    exit::Exit,
    home, idle,
    keep::Wanted,
    keyboard, model,
    render::{Reader, Renderer},
    run::{Interrupt, read_stdin, root_end, task},
    terminal::{Stream, harmless, painted, say},
};
use crate::{
    backend::OnChildren,
    error::{Error, ErrorKind, Result},
    scope::Scope,
    session::{EventWatch, SessionHandle, TurnStream},
};

/// Lines of history that are kept.
const MAX_HISTORY: usize = 1_000;

const HELP: &str = "/help this list · /cost what was used · /quit leave (also Ctrl-D)\n\
Ctrl-C stops the turn that runs";

/// Runs the verb.
pub(super) async fn chat(matches: &ArgMatches) -> Result<Exit> {
    chat_in(matches, Wanted::of(matches)).await
}

/// Holds the conversation in the session that is wanted.
pub(super) async fn chat_in(matches: &ArgMatches, wanted: Wanted) -> Result<Exit> {
    let mut opened = model::open(matches, None, OnChildren::Yield, wanted).await?;
    for note in &opened.notes {
        say(&harmless(note));
    }
    let mut show = Renderer::new();
    // Kept to the end: dropped, it gives Ctrl-C back to the system, which would end the process
    // before the programs that it started.
    let mut editor = None;
    let exit = if io::stdin().is_terminal() {
        converse(&mut opened, &mut show, &mut editor).await?
    } else {
        read_on(&mut opened, &mut show).await?
    };
    let left = opened.session.handle().agents().len().saturating_sub(1);
    if left > 0 {
        say(&format!("agents that still worked and are stopped: {left}"));
    }
    let interrupt = Interrupt::watch(opened.session.handle());
    let way_back = opened.way_back();
    opened.session.close().await;
    drop(interrupt);
    way_back.into_iter().for_each(|line| say(&line));
    Ok(exit)
}

/// One message after another from a pipe, then what helpers in the background have to say.
async fn read_on(opened: &mut model::Opened, show: &mut Renderer) -> Result<Exit> {
    let mut exit = Exit::Finished;
    for words in paragraphs()? {
        let (end, reader) = turn(opened, show, words).await;
        if let Some(end) = reader.exit() {
            // Nobody reads any more: the rest would be paid for in vain.
            return Ok(end);
        }
        if exit == Exit::Finished {
            exit = end;
        }
    }
    let handle = opened.session.handle();
    let _interrupt = Interrupt::watch(handle.clone());
    while let Some(turn) = opened.session.next_turn().await {
        let (end, reader) = follow(turn, show, &handle).await;
        if let Some(end) = reader.exit() {
            return Ok(end);
        }
        if exit == Exit::Finished {
            exit = end;
        }
    }
    Ok(exit)
}

async fn converse(
    opened: &mut model::Opened,
    show: &mut Renderer,
    editor: &mut Option<Editor>,
) -> Result<Exit> {
    say(&painted(
        Stream::Err,
        "2",
        &format!("{} · /help for help, Ctrl-D to leave", opened.model),
    ));
    *editor = Some(Editor::open()?);
    loop {
        let mut watch = opened.session.handle().watch();
        if let Some(end) = between(opened, show, &mut watch).await {
            return Ok(end);
        }
        let hold = keyboard::take().await;
        // The editor blocks, so it works on a thread of its own and comes back with the line.
        let Some(mut at_work) = editor.take() else {
            return Ok(Exit::Failed);
        };
        let read = Scope::root().blocking(move || {
            let line = at_work.line();
            (at_work, line)
        });
        let (back, line) = read.await.map_err(|panic| {
            Error::new(ErrorKind::Bug, "the line editor panicked").with_source(panic)
        })?;
        drop(hold);
        *editor = Some(back);
        // What happened while the person wrote, before anything else is said.
        tell(show, &mut watch);
        drop(watch);
        match line? {
            Line::Leave => return Ok(Exit::Finished),
            Line::Nothing => {}
            Line::Words(words) => match words.trim() {
                "" => {}
                "/quit" | "/exit" | "/q" => return Ok(Exit::Finished),
                "/help" => say(HELP),
                "/cost" => say(&show.status(&opened.model)),
                command if command.starts_with('/') && !command.contains(' ') => {
                    say(&format!("unknown command: `{command}`\n\n{HELP}"));
                }
                _ => {
                    let (_, reader) = turn(opened, show, words).await;
                    if let Some(end) = reader.exit() {
                        return Ok(end);
                    }
                    let line = show.status(&opened.model);
                    say(&painted(Stream::Err, "2", &line));
                }
            },
        }
    }
}

/// Before the person writes: what helpers do is told, and their notes are read as they come.
async fn between(
    opened: &mut model::Opened,
    show: &mut Renderer,
    watch: &mut EventWatch,
) -> Option<Exit> {
    loop {
        let handle = opened.session.handle();
        let turn = woken(opened, show, watch).await?;
        let interrupt = Interrupt::watch(handle.clone());
        let (_, reader) = follow(turn, show, &handle).await;
        drop(interrupt);
        if let Some(end) = reader.exit() {
            return Some(end);
        }
        *watch = handle.watch();
    }
}

/// The turn that reads the mail, once there is some; `None` when the person begins to write first,
/// or no mail can come.
async fn woken<'a>(
    opened: &'a mut model::Opened,
    show: &mut Renderer,
    watch: &mut EventWatch,
) -> Option<TurnStream<'a>> {
    #[cfg(unix)]
    if opened.session.handle().agents().len() > 1
        && let Some(mut keys) = idle::Keys::listen().await
    {
        idle::prompt();
        let mut mail = std::pin::pin!(opened.session.next_turn());
        let turn = loop {
            tokio::select! {
                biased;
                turn = &mut mail => break turn,
                () = keys.pressed() => break None,
                // A helper asks before the person has begun to write: first its answer.
                () = keyboard::wanted() => {
                    idle::unprompt();
                    drop(keys);
                    keys = idle::Keys::listen().await?;
                    idle::prompt();
                }
                Some(event) = watch.next() => {
                    let told = show.tells(&event);
                    if told {
                        idle::unprompt();
                    }
                    show.between(&event);
                    if told {
                        idle::prompt();
                    }
                }
            }
        };
        idle::unprompt();
        tell(show, watch);
        return turn;
    }
    tell(show, watch);
    opened.session.next_turn().now_or_never().flatten()
}

/// Tells what happened since one looked last.
fn tell(show: &mut Renderer, watch: &mut EventWatch) {
    while let Some(event) = watch.try_next() {
        show.between(&event);
    }
}

async fn turn(opened: &mut model::Opened, show: &mut Renderer, words: String) -> (Exit, Reader) {
    let handle = opened.session.handle();
    let interrupt = Interrupt::watch(handle.clone());
    let followed = follow(opened.session.submit(task(words)), show, &handle).await;
    drop(interrupt);
    followed
}

/// Shows a turn to its end.
async fn follow(
    mut turn: TurnStream<'_>,
    show: &mut Renderer,
    handle: &SessionHandle,
) -> (Exit, Reader) {
    show.only_living(&handle.agents());
    let mut exit = Exit::Failed;
    while let Some(event) = show.next(&mut turn).await {
        if let Some(stop) = root_end(&event) {
            exit = Exit::of_stop(stop);
        }
        let reader = show.show(&event);
        if reader != Reader::Listens {
            return (exit, reader);
        }
    }
    (exit, Reader::Listens)
}

/// A pipe holds one message a paragraph.
fn paragraphs() -> Result<Vec<String>> {
    let text = read_stdin()?;
    let mut out = vec![String::new()];
    for line in text.lines() {
        let last = out.len() - 1;
        if line.trim().is_empty() {
            if !out[last].is_empty() {
                out.push(String::new());
            }
        } else {
            out[last].push_str(line);
            out[last].push('\n');
        }
    }
    out.retain(|words| !words.trim().is_empty());
    Ok(out)
}

enum Line {
    Words(String),
    Nothing,
    Leave,
}

/// Line editing with a history that survives the session.
struct Editor {
    editor: DefaultEditor,
    history: Option<PathBuf>,
}

impl Editor {
    fn open() -> Result<Self> {
        let config = rustyline::Config::builder()
            .max_history_size(MAX_HISTORY)
            .map(|b| b.build());
        let editor = config
            .and_then(DefaultEditor::with_config)
            .map_err(terminal_error)?;
        let mut editor = Self {
            editor,
            history: home::history_file(),
        };
        if let Some(path) = &editor.history {
            // No history yet is the usual first time.
            editor.editor.load_history(path).ok();
        }
        Ok(editor)
    }

    fn line(&mut self) -> Result<Line> {
        match self.editor.readline(idle::PROMPT) {
            Ok(words) => {
                self.editor.add_history_entry(words.as_str()).ok();
                if let Some(path) = &self.history {
                    self.editor.save_history(path).ok();
                }
                Ok(Line::Words(words))
            }
            Err(ReadlineError::Eof) => Ok(Line::Leave),
            Err(ReadlineError::Interrupted) => Ok(Line::Nothing),
            Err(error) => Err(terminal_error(error)),
        }
    }
}

fn terminal_error(error: ReadlineError) -> Error {
    Error::new(ErrorKind::Io, format!("the terminal: {error}")).with_source(error)
}
