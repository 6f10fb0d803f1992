//! Events as a person reads them: words on standard output, a live line on standard error.
//! Refuses to hold anything up: what cannot be shown is dropped.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use futures::StreamExt;

use super::{
    area,
    crew::{Bill, Crew, doing},
    exit::Exit,
    terminal::{Stream, harmless, is_dumb, painted, print_error, say},
};
use crate::{
    event::{Event, EventKind, StopReason},
    id::AgentPath,
    registry::AgentRow,
    usage::{Cost, Usage},
};

/// While many agents talk at once the live area is drawn at most this often.
const REDRAW: Duration = Duration::from_millis(80);

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
    /// Behind the live area, which is wiped before anything else is shown.
    AfterLive,
}

/// Whether the live area shows less than was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stale {
    Yes,
    No,
}

/// Shows one turn after another.
pub(super) struct Renderer {
    out: Target,
    err: Target,
    cursor: Cursor,
    doing: String,
    started: Instant,
    drawn: Option<Instant>,
    stale: Stale,
    /// Model calls of the root.
    steps: u64,
    /// Since the last end of a turn of the root, by whatever agent.
    usage: Usage,
    cost: Cost,
    /// Up to the last end of a turn of the root, as it says.
    booked: (Usage, Cost),
    crew: Crew,
    bill: Bill,
}

impl Renderer {
    pub(super) fn new() -> Self {
        Self {
            out: Target::of(Stream::Out),
            err: Target::of(Stream::Err),
            cursor: Cursor::LineStart,
            doing: "thinking".into(),
            started: Instant::now(),
            drawn: None,
            stale: Stale::No,
            steps: 0,
            usage: Usage::default(),
            cost: Cost::default(),
            booked: (Usage::default(), Cost::default()),
            crew: Crew::default(),
            bill: Bill::default(),
        }
    }

    /// Shows one event of a turn.
    pub(super) fn show(&mut self, event: &Event) -> Reader {
        if event.parent.is_some() {
            self.below(event);
            self.live_below();
            return Reader::Listens;
        }
        if let Some(doing) = doing(&event.kind) {
            self.doing = doing;
        }
        match &event.kind {
            EventKind::TurnStart { .. } => self.started = Instant::now(),
            EventKind::TextDelta { text, .. } => return self.words(text),
            EventKind::MessageEnd { usage, cost, .. } => {
                self.steps += 1;
                self.usage += *usage;
                self.cost += *cost;
                self.close_line();
            }
            EventKind::ToolStart { name, input, .. } => {
                let line = format!("{name} {}", short(&input.to_string()));
                self.aside("36", "→", &line);
            }
            EventKind::ToolEnd { name, outcome, .. } if outcome.is_error() => {
                self.aside("33", "!", &format!("{name}: {}", outcome.as_str()));
            }
            EventKind::Retrying {
                wait_millis, error, ..
            } => {
                let seconds = *wait_millis as f64 / 1e3;
                self.aside("33", "!", &format!("{error}; again in {seconds:.1} s"));
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
            EventKind::Note { from, .. } => {
                self.aside("2", "·", &format!("a note from {from}"));
            }
            EventKind::Abandoned { agents } => {
                let agents: Vec<_> = agents.iter().map(AgentPath::as_str).collect();
                self.aside("33", "!", &format!("left behind: {}", agents.join(", ")));
            }
            EventKind::TurnEnd {
                stop,
                text,
                usage,
                cost,
                spent_by,
                ..
            } => {
                self.booked.0 += *usage;
                self.booked.1 += *cost;
                (self.usage, self.cost) = (Usage::default(), Cost::default());
                self.bill.add(spent_by);
                return self.end(stop, text);
            }
            _ => {}
        }
        self.live();
        Reader::Listens
    }

    /// Shows an event that came while no turn of the root ran.
    pub(super) fn between(&mut self, event: &Event) {
        if event.parent.is_none() {
            return;
        }
        self.below(event);
        if let EventKind::ToolStart { name, input, .. } = &event.kind {
            let line = format!("{}: {name} {}", event.agent, short(&input.to_string()));
            self.aside("2", "→", &line);
        }
    }

    /// Forgets agents that ended while nobody listened.
    pub(super) fn only_living(&mut self, living: &[AgentRow]) {
        self.crew.only(living);
    }

    /// Whether [`between`](Self::between) shows a line for this event.
    pub(super) fn tells(&self, event: &Event) -> bool {
        let told = matches!(
            event.kind,
            EventKind::ToolStart { .. }
                | EventKind::ChildStart { .. }
                | EventKind::ChildEnd { .. }
                | EventKind::Stalled { .. }
        );
        event.parent.is_some() && told
    }

    /// An agent below the root: its words are its parent's to read, not the person's.
    fn below(&mut self, event: &Event) {
        self.crew.hear(event);
        let agent = &event.agent;
        match &event.kind {
            EventKind::MessageEnd { usage, cost, .. } => {
                self.usage += *usage;
                self.cost += *cost;
            }
            EventKind::ChildStart { description, .. } => {
                self.aside("36", "+", &format!("{agent}: {}", short(description)));
            }
            EventKind::ChildEnd {
                outcome,
                usage,
                cost,
                ..
            } => {
                let (outcome, tokens) = (outcome.as_str(), usage.total());
                let line = format!("{agent}: {outcome} · {tokens} tokens · {cost}");
                self.aside("36", "-", &line);
            }
            EventKind::Stalled { reason, .. } => {
                self.aside("33", "!", &format!("{agent}: {reason}"));
            }
            _ => {}
        }
    }

    /// Draws the area again, not for every piece of every agent's words.
    fn live_below(&mut self) {
        let lately = self.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW);
        if self.cursor != Cursor::AfterLive || !lately {
            self.live();
        } else {
            self.stale = Stale::Yes;
        }
    }

    /// The next event of a turn. Meanwhile the area is drawn once more where it is behind: agents
    /// that fall silent would else stand there for ever as they were a moment before.
    ///
    /// Cancel safety: safe, no event is lost.
    pub(super) async fn next(
        &mut self,
        turn: &mut (impl futures::Stream<Item = Event> + Unpin),
    ) -> Option<Event> {
        if self.stale == Stale::Yes {
            tokio::select! {
                biased;
                event = turn.next() => return event,
                () = tokio::time::sleep(REDRAW) => self.live(),
            }
        }
        turn.next().await
    }

    /// Who used what; no lines when it was one agent alone.
    pub(super) fn bill(&self) -> Vec<String> {
        self.bill.lines()
    }

    /// One line about the whole session.
    pub(super) fn status(&self, model: &str) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let (usage, cost) = self.spent();
        let (calls, tokens) = (usage.requests, usage.total());
        format!("{model} · {calls} model calls · {tokens} tokens · {cost} · {seconds:.1} s")
    }

    fn spent(&self) -> (Usage, Cost) {
        let (mut usage, mut cost) = self.booked;
        usage += self.usage;
        cost += self.cost;
        (usage, cost)
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
        let (usage, cost) = self.spent();
        let line = format!(
            "turn {} · {} tokens · {cost} · {}",
            self.steps + 1,
            usage.total(),
            self.doing
        );
        let mut lines = vec![short(&line)];
        lines.extend(self.crew.lines(area::height() - 1));
        area::draw(&lines);
        self.drawn = Some(Instant::now());
        self.stale = Stale::No;
        self.cursor = Cursor::AfterLive;
    }

    fn clear_live(&mut self) {
        if self.cursor == Cursor::AfterLive {
            self.cursor = Cursor::LineStart;
            area::wipe();
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
pub(super) fn short(text: &str) -> String {
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
