//! `offshoot run`: one task, its answer on standard output, one exit code.
//! Refuses to guess a task: no words mean a usage error, not a greeting.

use std::{
    io::{self, IsTerminal, Read},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use clap::ArgMatches;
use futures::StreamExt;
use tokio::sync::Notify;

use super::{
    exit,
    exit::Exit,
    keep::Wanted,
    model,
    render::{Reader, Renderer, write_out},
    terminal,
};
use crate::{
    backend::{OnChildren, Task},
    error::{Error, ErrorKind, Result},
    event::{Event, EventKind, StopReason},
    message::Message,
    session::SessionHandle,
    trace::Tracer,
};

/// Bytes that a prompt from standard input may have.
const MAX_PROMPT: u64 = 10 << 20;

/// Runs the verb.
pub(super) async fn run(matches: &ArgMatches) -> Result<Exit> {
    let prompt = prompt(matches.get_one::<String>("prompt"))?;
    let wanted = Wanted::of(matches);
    run_in(matches, task(prompt), OnChildren::Wait, wanted).await
}

/// Runs one task in the session that is wanted, and leaves it.
pub(super) async fn run_in(
    matches: &ArgMatches,
    task: Task,
    on_children: OnChildren,
    wanted: Wanted,
) -> Result<Exit> {
    let schema = match matches.get_one::<String>("schema") {
        Some(path) => Some(model::read_schema(path)?),
        None => None,
    };
    let ear = Ear::new(matches);
    let hears = schema.is_some().then(|| ear.clone());
    let mut opened = model::open(matches, hears, on_children, wanted).await?;
    for note in &opened.notes {
        terminal::say(&terminal::harmless(note));
    }
    let interrupt = Interrupt::watch(opened.session.handle());
    let exit = match schema {
        Some(schema) => structured(&mut opened, task, schema, &ear).await,
        None if ear.0.json => json(&mut opened, task).await,
        None => words(&mut opened, task).await,
    };
    let way_back = opened.way_back();
    // Still interruptible: what runs on a thread of its own can only be waited for.
    opened.session.close().await;
    drop(interrupt);
    way_back.into_iter().for_each(|line| terminal::say(&line));
    Ok(exit)
}

async fn words(opened: &mut model::Opened, task: Task) -> Exit {
    let handle = opened.session.handle();
    let mut show = Renderer::new();
    let mut turn = opened.session.submit(task);
    let mut exit = Exit::Failed;
    while let Some(event) = show.next(&mut turn).await {
        if let Some(stop) = root_end(&event) {
            exit = Exit::of_stop(stop);
        }
        if let Some(end) = show.show(&event).exit() {
            // Nobody reads any more, as after `| head`: stop.
            handle.cancel();
            exit = end;
            break;
        }
    }
    if terminal::Stream::Err.is_terminal() {
        for line in show.bill().into_iter().chain([show.status(&opened.model)]) {
            terminal::say(&terminal::painted(terminal::Stream::Err, "2", &line));
        }
    }
    exit
}

async fn json(opened: &mut model::Opened, task: Task) -> Exit {
    let handle = opened.session.handle();
    let mut turn = opened.session.submit(task);
    let mut exit = Exit::Failed;
    while let Some(event) = turn.next().await {
        if let Some(stop) = root_end(&event) {
            exit = Exit::of_stop(stop);
            if let StopReason::Failed {
                error: Some(error), ..
            } = stop
            {
                terminal::print_error(error);
            }
        }
        let line = match serde_json::to_string(&event) {
            Ok(line) => line,
            Err(_) => continue,
        };
        if let Some(end) = write_out(&format!("{line}\n")).exit() {
            handle.cancel();
            return end;
        }
    }
    exit
}

async fn structured(
    opened: &mut model::Opened,
    task: Task,
    schema: serde_json::Value,
    ear: &Ear,
) -> Exit {
    ear.0.handle.set(opened.session.handle()).ok();
    let message = task.message.unwrap_or_else(|| Message::user(""));
    let answer = opened.session.ask_value(message, schema).await;
    if let Some(end) = ear.reader().exit() {
        return end;
    }
    match answer {
        Ok(_) if ear.0.json => Exit::Finished,
        Ok(value) => {
            let text = serde_json::to_string_pretty(&value).unwrap_or_default();
            write_out(&format!("{text}\n"))
                .exit()
                .unwrap_or(Exit::Finished)
        }
        Err(error) => {
            terminal::print_error(&error);
            // How the last turn ended is more than its error says.
            ear.unfinished().unwrap_or(Exit::of(&error))
        }
    }
}

/// How the turn of the root ended, where this event says so: the ends of children are their
/// parents' business.
pub(super) fn root_end(event: &Event) -> Option<&StopReason> {
    match &event.kind {
        EventKind::TurnEnd { stop, .. } if event.parent.is_none() => Some(stop),
        _ => None,
    }
}

/// Hears the turns of a structured answer, of which only the last one's value comes back.
#[derive(Clone)]
pub(super) struct Ear(Arc<Heard>);

struct Heard {
    json: bool,
    stop: Mutex<Option<StopReason>>,
    reader: Mutex<Reader>,
    handle: OnceLock<SessionHandle>,
}

impl Ear {
    fn new(matches: &ArgMatches) -> Self {
        Self(Arc::new(Heard {
            json: matches.get_flag("json"),
            stop: Mutex::new(None),
            reader: Mutex::new(Reader::Listens),
            handle: OnceLock::new(),
        }))
    }

    fn reader(&self) -> Reader {
        *self.0.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unfinished(&self) -> Option<Exit> {
        let stop = self.0.stop.lock().unwrap_or_else(PoisonError::into_inner);
        stop.as_ref()
            .filter(|stop| !stop.is_finished())
            .map(Exit::of_stop)
    }
}

impl Tracer for Ear {
    fn hear(&self, event: &Event) {
        if let Some(stop) = root_end(event) {
            *self.0.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop.clone());
        }
        if !self.0.json || self.reader() != Reader::Listens {
            return;
        }
        let Ok(line) = serde_json::to_string(event) else {
            return;
        };
        let reader = write_out(&format!("{line}\n"));
        *self.0.reader.lock().unwrap_or_else(PoisonError::into_inner) = reader;
        if reader != Reader::Listens
            && let Some(handle) = self.0.handle.get()
        {
            handle.cancel();
        }
    }
}

/// The words of the task.
pub(super) fn prompt(given: Option<&String>) -> Result<String> {
    let text = match given.map(String::as_str) {
        Some("-") => read_stdin()?,
        Some(text) => text.to_owned(),
        None if io::stdin().is_terminal() => String::new(),
        None => read_stdin()?,
    };
    if text.trim().is_empty() {
        return Err(Error::new(ErrorKind::Config, "there is no task")
            .with_hint("say it: offshoot run \"Survey this folder and tell me what it is\""));
    }
    Ok(text)
}

/// All of standard input, which is text of a bounded length.
pub(super) fn read_stdin() -> Result<String> {
    let mut bytes = Vec::new();
    let mut input = io::stdin().lock().take(MAX_PROMPT + 1);
    input
        .read_to_end(&mut bytes)
        .map_err(|error| exit::io("standard input cannot be read", error))?;
    if bytes.len() as u64 > MAX_PROMPT {
        let text = format!("the task is longer than the limit: `{MAX_PROMPT}` bytes");
        return Err(Error::new(ErrorKind::Config, text)
            .with_hint("put it into a file and let the agent read it"));
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::Config, "the task on standard input is not UTF-8"))
}

/// How long what ends at a second Ctrl-C may take to end; nobody waits for what is stuck.
pub(super) const LAST_MOMENT: Duration = Duration::from_millis(250);

/// Ctrl-C was pressed a second time.
static INSISTED: Notify = Notify::const_new();

/// Waits until the person has pressed Ctrl-C a second time.
///
/// Cancel safety: safe.
pub(super) async fn insisted() {
    INSISTED.notified().await;
}

/// Ctrl-C: the first cancels the turn, the second ends the process, whatever still runs.
pub(super) struct Interrupt {
    task: tokio::task::JoinHandle<()>,
}

impl Interrupt {
    pub(super) fn watch(handle: SessionHandle) -> Self {
        let scope = crate::scope::Scope::root();
        let task = scope.spawn(async move {
            let mut pressed = false;
            while tokio::signal::ctrl_c().await.is_ok() {
                if std::mem::replace(&mut pressed, true) {
                    // Programs that are deaf die with the runtime. Where it is stuck itself, as in
                    // writing to a pipe that nobody reads, the process ends without it.
                    INSISTED.notify_one();
                    tokio::time::sleep(2 * LAST_MOMENT).await;
                    std::process::exit(Exit::Cancelled as i32);
                }
                handle.cancel();
            }
        });
        Self { task }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A time on the command line: a number with `s`, `m` or `h`; seconds without.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    let (number, unit) = match text.trim().char_indices().find(|(_, c)| c.is_alphabetic()) {
        Some((at, _)) => text.trim().split_at(at),
        None => (text.trim(), "s"),
    };
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("write a time such as 90, 90s, 5m or 1h".into()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "write a time such as 90, 90s, 5m or 1h")?;
    match Duration::try_from_secs_f64(number * scale) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("the time must be more than nothing".into()),
    }
}

/// Money on the command line.
pub(super) fn dollars(text: &str) -> std::result::Result<f64, String> {
    let dollars: f64 = text
        .trim()
        .trim_start_matches('$')
        .parse()
        .map_err(|_| "write dollars such as 0.50")?;
    if dollars.is_finite() && dollars > 0.0 {
        Ok(dollars)
    } else {
        Err("the limit must be more than nothing".into())
    }
}

/// A task made of words alone.
pub(super) fn task(words: String) -> Task {
    Task::new(Message::user(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_money_are_read_or_refused() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "0", "-1", "5 days", "1e400", "nan", "x"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(dollars("$0.50"), Ok(0.5));
        for bad in ["", "0", "-1", "inf", "nan", "x"] {
            assert!(dollars(bad).is_err(), "{bad}");
        }
    }
}
