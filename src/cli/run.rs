//! `offshoot run`: one task, its answer on standard output, one exit code.
//! Refuses to guess a task: no words mean a usage error, not a greeting.

use std::{
    io::{self, IsTerminal, Read},
    time::Duration,
};

use clap::ArgMatches;
use futures::StreamExt;

use super::{
    exit,
    exit::Exit,
    model,
    render::{Reader, Renderer, write_out},
    terminal,
};
use crate::{
    backend::Task,
    error::{Error, ErrorKind, Result},
    event::{EventKind, StopReason},
    message::Message,
    session::SessionHandle,
};

/// Bytes that a prompt from standard input may have.
const MAX_PROMPT: u64 = 10 << 20;

/// Runs the verb.
pub(super) async fn run(matches: &ArgMatches) -> Result<Exit> {
    let prompt = prompt(matches.get_one::<String>("prompt"))?;
    let schema = match matches.get_one::<String>("schema") {
        Some(path) => Some(model::read_schema(path)?),
        None => None,
    };
    let mut opened = model::open(matches).await?;
    if let Some(note) = &opened.note {
        terminal::say(note);
    }
    let interrupt = Interrupt::watch(opened.session.handle());
    let exit = match schema {
        Some(schema) => structured(&mut opened, prompt, schema).await?,
        None if matches.get_flag("json") => json(&mut opened, prompt).await,
        None => words(&mut opened, prompt).await,
    };
    drop(interrupt);
    opened.session.close().await;
    Ok(exit)
}

async fn words(opened: &mut model::Opened, prompt: String) -> Exit {
    let handle = opened.session.handle();
    let mut show = Renderer::new();
    let mut turn = opened.session.submit_message(prompt);
    let mut exit = Exit::Failed;
    while let Some(event) = turn.next().await {
        if let EventKind::TurnEnd { stop, .. } = &event.kind {
            exit = Exit::of_stop(stop);
        }
        if show.show(&event) == Reader::Gone {
            // Nobody reads any more, as after `| head`: stop, and call it a success.
            handle.cancel();
            exit = Exit::Finished;
            break;
        }
    }
    if terminal::Stream::Err.is_terminal() {
        let line = show.status(&opened.model);
        terminal::say(&terminal::painted(terminal::Stream::Err, "2", &line));
    }
    exit
}

async fn json(opened: &mut model::Opened, prompt: String) -> Exit {
    let handle = opened.session.handle();
    let mut turn = opened.session.submit_message(prompt);
    let mut exit = Exit::Failed;
    while let Some(event) = turn.next().await {
        if let EventKind::TurnEnd { stop, .. } = &event.kind
            && event.parent.is_none()
        {
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
        if write_out(&format!("{line}\n")) == Reader::Gone {
            handle.cancel();
            return Exit::Finished;
        }
    }
    exit
}

async fn structured(
    opened: &mut model::Opened,
    prompt: String,
    schema: serde_json::Value,
) -> Result<Exit> {
    match opened.session.ask_value(prompt, schema).await {
        Ok(value) => {
            let text = serde_json::to_string_pretty(&value).unwrap_or_default();
            let _ = write_out(&format!("{text}\n"));
            Ok(Exit::Finished)
        }
        Err(error) => Err(error),
    }
}

/// The words of the task.
fn prompt(given: Option<&String>) -> Result<String> {
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

fn read_stdin() -> Result<String> {
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

/// Ctrl-C: the first cancels the turn, the second ends the process.
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
