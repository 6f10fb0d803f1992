//! A tracer that appends every event to a file as one line of JSON, on a thread of its own.
//! Refuses to slow or fail a run: what does not fit its queue or the disk is dropped and counted.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::Tracer;
use crate::{
    durable::Lines,
    error::{Error, ErrorKind, Result},
    event::Event,
    redact::Redactor,
};

/// Bytes of lines that wait to be written.
const QUEUE_BYTES: usize = 8 << 20;
/// Bytes at which the writer is woken early.
const BATCH_BYTES: usize = 64 << 10;
/// How long the first line of a batch waits for others.
const BATCH_WAIT: Duration = Duration::from_millis(20);
/// How long closing waits for a disk that does not answer.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Appends every event to a file as one line of JSON.
///
/// The file is created for its user alone (mode 0600) and only grows. Writing happens on a thread
/// that this value owns: [`close`](Self::close) and drop write what waits and end it. A disk that is
/// too slow or full costs lines, counted by [`dropped`](Self::dropped), and never the run.
#[derive(Debug)]
pub struct JsonLines {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    redactor: Redactor,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// The writer waits here for lines.
    work: Condvar,
    /// Closing and flushing wait here for the writer.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    block: Vec<u8>,
    lines: u64,
    written: u64,
    dropped: u64,
    /// Lines that the writer holds.
    writing: u64,
    /// Somebody waits: no waiting for a fuller batch.
    hurry: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Nothing more is taken; what waits is still written.
    Closed,
    /// The thread is done.
    Ended,
}

/// Where the writer's blocks go; tests put a broken disk here.
trait Drain: Send + 'static {
    fn write(&mut self, block: &[u8]) -> Result<()>;
    fn finish(&mut self) -> Result<()>;
}

impl Drain for Lines {
    fn write(&mut self, block: &[u8]) -> Result<()> {
        self.append_block(block)
    }

    fn finish(&mut self) -> Result<()> {
        self.sync()
    }
}

impl JsonLines {
    /// Opens the file, or creates it, and starts the thread that writes.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread cannot be started.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::into(Lines::open(path.as_ref())?)
    }

    fn into(drain: impl Drain) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        // A thread and not a task: a scope that waited for this writer would wait for its tracer,
        // and a tracer outlives the scopes it hears of. It ends with this value.
        let writer = std::thread::Builder::new()
            .name("offshoot-trace".into())
            .spawn(move || theirs.write_all(drain))
            .map_err(|error| {
                Error::new(ErrorKind::Io, "cannot start the thread that writes a trace")
                    .with_hint(error.to_string())
                    .with_source(error)
            })?;
        Ok(Self {
            shared,
            writer: Mutex::new(Some(writer)),
            redactor: Redactor::new(),
        })
    }

    /// With these secrets taken out of each line before it is written.
    ///
    /// Each event is looked at by itself: a secret that a model spells out over several pieces is
    /// found where an event holds it whole, not in its pieces.
    #[must_use]
    pub fn redacting(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// How many events are not in the file: the queue was full, or the disk refused.
    pub fn dropped(&self) -> u64 {
        self.shared.state().dropped
    }

    /// How many events are in the file.
    pub fn written(&self) -> u64 {
        self.shared.state().written
    }

    /// Waits until everything heard so far was written or dropped, at most a few seconds.
    ///
    /// Blocks the thread. Returns whether it is done.
    pub fn flush(&self) -> bool {
        self.shared.wait(|state| {
            state.phase == Phase::Ended || state.block.is_empty() && state.writing == 0
        })
    }

    /// Writes what waits, and ends the thread. What is heard afterwards counts as dropped.
    ///
    /// Blocks the thread, at most a few seconds. Returns how many events are not in the file.
    pub fn close(&self) -> u64 {
        let mut state = self.shared.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
        }
        drop(state);
        let ended = self.shared.wait(|state| state.phase == Phase::Ended);
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(writer) = writer {
            if !ended {
                tracing::warn!("a trace could not be written to its end in time");
            } else if writer.join().is_err() {
                tracing::warn!("the thread that writes a trace panicked");
            }
            let dropped = self.dropped();
            if dropped > 0 {
                tracing::warn!(dropped, "events are missing from a trace");
            }
        }
        self.dropped()
    }
}

impl Tracer for JsonLines {
    fn hear(&self, event: &Event) {
        // Encoded outside the lock; the length is what bounds the queue.
        let line = serde_json::to_string(event);
        let line = line.map(|line| {
            let mut clean = self.redactor.redact(&line).into_owned();
            clean.push('\n');
            clean.into_bytes()
        });
        let mut state = self.shared.state();
        let Ok(line) = line else {
            state.dropped += 1;
            return;
        };
        if state.phase != Phase::Open || state.block.len() + line.len() > QUEUE_BYTES {
            state.dropped += 1;
            return;
        }
        let before = state.block.len();
        state.block.extend_from_slice(&line);
        state.lines += 1;
        let full = before < BATCH_BYTES && state.block.len() >= BATCH_BYTES;
        drop(state);
        if before == 0 || full {
            self.shared.work.notify_one();
        }
    }
}

impl Drop for JsonLines {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, until: impl Fn(&State) -> bool) -> bool {
        let end = Instant::now() + CLOSE_WAIT;
        let mut state = self.state();
        while !until(&state) {
            state.hurry = true;
            self.work.notify_one();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            (state, _) = self
                .done
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn write_all(&self, mut drain: impl Drain) {
        // Also when this thread panics, nobody waits for it for ever.
        let _ended = Ended(self);
        let mut complained = false;
        while let Some((block, lines)) = self.next_block() {
            let result = drain.write(&block);
            let mut state = self.state();
            state.writing = 0;
            match &result {
                Ok(()) => state.written += lines,
                Err(_) => state.dropped += lines,
            }
            drop(state);
            self.done.notify_all();
            if let Err(error) = result
                && !complained
            {
                complained = true;
                tracing::warn!(%error, "a trace cannot be written");
            }
        }
        if let Err(error) = drain.finish() {
            tracing::warn!(%error, "a trace may not be on the disk");
        }
    }

    fn next_block(&self) -> Option<(Vec<u8>, u64)> {
        let mut state = self.state();
        while state.block.is_empty() {
            state.hurry = false;
            if state.phase != Phase::Open {
                return None;
            }
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        // One write for many deltas; a system call for each would cost more than the event.
        let waits = |state: &mut State| {
            state.phase == Phase::Open && !state.hurry && state.block.len() < BATCH_BYTES
        };
        (state, _) = self
            .work
            .wait_timeout_while(state, BATCH_WAIT, waits)
            .unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut state.lines);
        state.writing = lines;
        Some((std::mem::take(&mut state.block), lines))
    }
}

struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.phase = Phase::Ended;
        // Both are nothing unless the thread panicked.
        let left = std::mem::take(&mut state.lines) + std::mem::take(&mut state.writing);
        state.dropped += left;
        state.block.clear();
        drop(state);
        self.0.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{
        event::EventKind,
        id::{AgentPath, TurnId},
        sink::Origin,
    };

    fn said(text: &str) -> Event {
        let kind = EventKind::TextDelta {
            part: 0,
            text: text.to_owned(),
        };
        Origin::new(&AgentPath::root(), TurnId(1)).event(kind)
    }

    #[test]
    fn every_event_of_many_threads_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.jsonl");
        let tracer = JsonLines::open(&path).unwrap();
        std::thread::scope(|threads| {
            for thread in 0..4 {
                let tracer = &tracer;
                threads.spawn(move || {
                    for n in 0..500 {
                        tracer.hear(&said(&format!("{thread} {n} line\nend")));
                    }
                });
            }
        });
        assert!(tracer.flush());
        assert_eq!((tracer.written(), tracer.dropped()), (2000, 0));
        assert_eq!(tracer.close(), 0);
        tracer.hear(&said("too late"));
        assert_eq!(tracer.dropped(), 1);
        drop(tracer);
        let text = std::fs::read_to_string(&path).unwrap();
        let events: Vec<Event> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(events.len(), 2000);
        for thread in 0..4 {
            let start = format!("{thread} ");
            let of_thread: Vec<_> = events
                .iter()
                .filter(|e| matches!(&e.kind, EventKind::TextDelta { text, .. } if text.starts_with(&start)))
                .collect();
            let expected: Vec<_> = (0..500)
                .map(|n| said(&format!("{thread} {n} line\nend")))
                .collect();
            assert!(of_thread.into_iter().eq(&expected), "out of order");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn dropping_it_writes_what_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.jsonl");
        for _ in 0..3 {
            let tracer = JsonLines::open(&path).unwrap();
            tracer.hear(&said("x"));
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    /// A disk that stands still until it is told to go on, and then works or not.
    struct Slow {
        go: mpsc::Receiver<()>,
        works: bool,
    }

    impl Drain for Slow {
        fn write(&mut self, _: &[u8]) -> Result<()> {
            self.go.recv().ok();
            if self.works {
                Ok(())
            } else {
                Err(Error::new(ErrorKind::Io, "no room"))
            }
        }

        fn finish(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_that_stands_still_costs_lines_and_no_time() {
        let (go, gate) = mpsc::channel();
        let tracer = JsonLines::into(Slow {
            go: gate,
            works: true,
        })
        .unwrap();
        let big = said(&"x".repeat(1 << 20));
        let start = Instant::now();
        for _ in 0..40 {
            tracer.hear(&big);
        }
        let took = start.elapsed();
        let held = tracer.shared.state().block.len();
        assert!(held <= QUEUE_BYTES, "{held}");
        assert!(tracer.dropped() >= 20, "{}", tracer.dropped());
        assert!(took < CLOSE_WAIT, "hearing waited for the disk: {took:?}");
        drop(go);
        let dropped = tracer.close();
        assert_eq!(
            tracer.written() + dropped,
            40,
            "every event is accounted for"
        );
    }

    #[test]
    fn a_full_disk_is_counted_and_fails_nothing() {
        let (go, gate) = mpsc::channel();
        drop(go);
        let tracer = JsonLines::into(Slow {
            go: gate,
            works: false,
        })
        .unwrap();
        for _ in 0..10 {
            tracer.hear(&said("x"));
        }
        assert_eq!(tracer.close(), 10);
        assert_eq!(tracer.written(), 0);
    }
}
