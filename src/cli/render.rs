//! Events as a person reads them: words on standard output, a live line on standard error.
//! Refuses to hold anything up: what cannot be shown is dropped.

use std::{
    io::{self, Write},
    time::Instant,
};

use super::{
    exit::Exit,
    terminal::{Stream, harmless, is_dumb, painted, print_error, say},
};
use crate::{
    event::{Event, EventKind, StopReason},
    usage::{Cost, Usage},
};

/// Whether the words still have a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Reader {
    Listens,
    /// The reader went away, as `head` does.
    Gone,
    /// The words cannot be written, as to a full disk.
    Broken(io::ErrorKind),
}

impl Reader {
    /// What the end of the words means for the process; `None` while somebody reads.
    pub(super) fn exit(self) -> Option<Exit> {
        match self {
            Self::Listens => None,
            Self::Gone => Some(Exit::Finished),
            Self::Broken(kind) => {
                let error = io::Error::from(kind);
                print_error(&super::exit::io("standard output cannot be written", error));
                Some(Exit::Failed)
            }
        }
    }
}

/// Where a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Terminal,
    Pipe,
}

impl Target {
    fn of(stream: Stream) -> Self {
        if stream.is_terminal() {
            Self::Terminal
        } else {
            Self::Pipe
        }
    }
}

/// Where the terminal's cursor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    LineStart,
    /// Behind words that ended no line.
    AfterWords,
    /// Behind the live line, which is wiped before anything else is shown.
    AfterLive,
}

/// Shows one turn after another.
pub(super) struct Renderer {
    out: Target,
    err: Target,
    cursor: Cursor,
    doing: String,
    started: Instant,
    steps: u64,
    usage: Usage,
    cost: Cost,
}

impl Renderer {
    pub(super) fn new() -> Self {
        Self {
            out: Target::of(Stream::Out),
            err: Target::of(Stream::Err),
            cursor: Cursor::LineStart,
            doing: "thinking".into(),
            started: Instant::now(),
            steps: 0,
            usage: Usage::default(),
            cost: Cost::default(),
        }
    }

    /// Shows one event of the root.
    pub(super) fn show(&mut self, event: &Event) -> Reader {
        match &event.kind {
            EventKind::TurnStart { .. } => self.started = Instant::now(),
            EventKind::TextDelta { text, .. } => return self.words(text),
            EventKind::ThinkingDelta { .. } => self.doing = "thinking".into(),
            EventKind::CallDelta {
                name: Some(name), ..
            } => {
                self.doing = format!("asking for {}", harmless(name));
            }
            EventKind::MessageEnd { usage, cost, .. } => {
                self.steps += 1;
                self.usage += *usage;
                self.cost += *cost;
                self.close_line();
            }
            EventKind::ToolStart { name, input, .. } => {
                let line = format!("{name} {}", short(&input.to_string()));
                self.aside("36", "→", &line);
                self.doing = format!("running {}", harmless(name));
            }
            EventKind::ToolEnd { name, outcome, .. } if outcome.is_error() => {
                self.aside("33", "!", &format!("{name}: {}", outcome.as_str()));
            }
            EventKind::ToolEnd { .. } => self.doing = "thinking".into(),
            EventKind::Retrying {
                wait_millis, error, ..
            } => {
                let seconds = *wait_millis as f64 / 1e3;
                self.aside("33", "!", &format!("{error}; again in {seconds:.1} s"));
                self.doing = "waiting to try again".into();
            }
            EventKind::Restarted { .. } => {
                self.close_line();
                self.aside("33", "!", "the answer broke off; it begins again");
            }
            EventKind::Compacted { before, after, .. } => {
                self.aside(
                    "2",
                    "·",
                    &format!("history shortened: {before} to {after} tokens"),
                );
            }
            EventKind::TurnEnd { stop, text, .. } => return self.end(stop, text),
            _ => {}
        }
        self.live();
        Reader::Listens
    }

    /// One line about the whole session.
    pub(super) fn status(&self, model: &str) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let (steps, tokens, cost) = (self.steps, self.usage.total(), self.cost);
        format!("{model} · {steps} model calls · {tokens} tokens · {cost} · {seconds:.1} s")
    }

    /// Words stream to a terminal; a pipe gets the final answer, which no restart can take back.
    fn words(&mut self, text: &str) -> Reader {
        if self.out == Target::Pipe || text.is_empty() {
            return Reader::Listens;
        }
        self.clear_live();
        self.cursor = if text.ends_with('\n') {
            Cursor::LineStart
        } else {
            Cursor::AfterWords
        };
        write_out(&harmless(text))
    }

    fn end(&mut self, stop: &StopReason, text: &str) -> Reader {
        self.clear_live();
        let mut reader = Reader::Listens;
        if self.out == Target::Terminal {
            self.close_line();
        } else if !text.is_empty() {
            reader = write_out(&format!("{}\n", text.trim_end_matches('\n')));
        }
        let words = match stop {
            StopReason::Finished | StopReason::Failed { .. } => None,
            StopReason::Truncated => Some("the answer was cut off at the output limit".to_owned()),
            StopReason::Cancelled => Some("cancelled".to_owned()),
            StopReason::BudgetSpent { limit } => Some(format!("the limit is reached: `{limit}`")),
            StopReason::ContextFull => Some("the history no longer fits the model".to_owned()),
            StopReason::Refused { reason } => Some(format!("refused: {}", harmless(reason))),
        };
        if let Some(words) = words {
            say(&format!(
                "{} {words}",
                painted(Stream::Err, "1;33", "stopped:")
            ));
        }
        if let StopReason::Failed {
            message,
            hint,
            error,
        } = stop
        {
            match error {
                Some(error) => print_error(error),
                None => say(&format!(
                    "error: {} {}",
                    harmless(message),
                    hint.as_deref().unwrap_or("")
                )),
            }
        }
        reader
    }

    /// A line beside the words, on a terminal only.
    fn aside(&mut self, code: &str, mark: &str, text: &str) {
        if self.err == Target::Terminal {
            self.clear_live();
            self.close_line();
            say(&painted(
                Stream::Err,
                code,
                &format!("{mark} {}", harmless(text)),
            ));
        }
    }

    fn live(&mut self) {
        if self.err == Target::Pipe || self.cursor == Cursor::AfterWords || is_dumb() {
            return;
        }
        let line = format!(
            "turn {} · {} tokens · {} · {}",
            self.steps + 1,
            self.usage.total(),
            self.cost,
            self.doing
        );
        write!(
            io::stderr(),
            // Cut at the right edge: a line that wraps cannot be wiped.
            "\r\x1b[2K\x1b[?7l{}\x1b[?7h",
            painted(Stream::Err, "2", &short(&line))
        )
        .ok();
        io::stderr().flush().ok();
        self.cursor = Cursor::AfterLive;
    }

    fn clear_live(&mut self) {
        if self.cursor == Cursor::AfterLive {
            self.cursor = Cursor::LineStart;
            write!(io::stderr(), "\r\x1b[2K").ok();
            io::stderr().flush().ok();
        }
    }

    fn close_line(&mut self) {
        if self.cursor == Cursor::AfterWords {
            self.cursor = Cursor::LineStart;
            let _ = write_out("\n");
        }
    }
}

/// The first hundred characters, on one line.
fn short(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|c| if c == '\n' { ' ' } else { c })
        .take(100)
        .collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Writes to standard output at once.
pub(super) fn write_out(text: &str) -> Reader {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Reader::Listens,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Reader::Gone,
        Err(error) => Reader::Broken(error.kind()),
    }
}
