//! The one thread that writes: it takes whatever waits and makes one transaction of it.
//! Refuses to let one piece of work spoil the others: they are then done one by one.

use std::{
    any::Any,
    sync::Arc,
    thread::{self, JoinHandle},
};

use futures::{FutureExt, future::BoxFuture};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::{
    fault::{Fault, corrupt, typed},
    place::{Head, Place, Role},
    queue::{Queue, Taker},
    work::{Group, Memo},
};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of work that may wait for the thread; past this, more is refused.
pub(super) const MAX_WAITING: usize = 512 * 1024 * 1024;

/// Bytes of work after which a transaction takes no more.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// What a piece of work weighs beside its bytes.
const WEIGHT: usize = 256;

/// The thread, as the store sees it.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue<Box<dyn Job>>>,
    /// Changes with each commit of this thread.
    commits: watch::Sender<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Opens the database and starts the thread.
    pub(super) fn start(place: &Place) -> Result<Self> {
        let queue: Arc<Queue<Box<dyn Job>>> = Arc::new(Queue::new(MAX_WAITING));
        let commits = watch::Sender::new(0);
        let mut pen = Pen {
            place: place.clone(),
            conn: None,
            head: None,
            full: false,
            memo: Memo::default(),
            commits: commits.clone(),
        };
        pen.connect()?;
        let line = Arc::clone(&queue);
        let started = thread::Builder::new()
            .name("offshoot-store".into())
            .spawn(move || {
                let line = Taker(line);
                while let Some(jobs) = line.0.take(GROUP_BYTES) {
                    pen.write(jobs);
                }
            });
        let thread = started.map_err(|error| {
            Error::new(ErrorKind::Io, "cannot start a thread").with_source(error)
        })?;
        Ok(Self {
            queue,
            commits,
            thread: Some(thread),
        })
    }

    /// Hands over work; it is done whether its answer is waited for or not. It may be done more
    /// than once: when the transaction fails, it is undone and asked again.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        size: Size,
        work: impl FnMut(&mut Group<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (sender, answer) = oneshot::channel();
        let job = Typed {
            work,
            done: None,
            sync: size.sync,
            sender,
        };
        if let Err(error) = self.queue.push(WEIGHT + size.bytes, Box::new(job)) {
            return std::future::ready(Err(error)).boxed();
        }
        let gone = |_| {
            let text = "the thread that writes the session log is gone";
            Err(Error::new(ErrorKind::Uncertain, text))
        };
        answer
            .map(move |answer| answer.unwrap_or_else(gone))
            .boxed()
    }

    /// Hears of commits.
    pub(super) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Waits until what was handed over is written, and ends the thread.
    pub(super) fn close(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told where it happened.
            let _ = thread.join();
        }
    }
}

/// How large a piece of work is, and whether it is for the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) bytes: usize,
    pub(super) sync: bool,
}

/// A piece of work, whatever its result is.
trait Job: Send + Any {
    fn sync(&self) -> bool;
    /// Does it; fails only where the transaction must be undone.
    fn run(&mut self, group: &mut Group<'_>) -> Result<(), Fault>;
    /// Tells its result, or why there is none.
    fn answer(self: Box<Self>, failed: Option<Error>);
}

struct Typed<T, F> {
    work: F,
    done: Option<Result<T>>,
    sync: bool,
    sender: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Typed<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Group<'_>) -> Result<T, Fault> + Send + 'static,
{
    fn sync(&self) -> bool {
        self.sync
    }

    fn run(&mut self, group: &mut Group<'_>) -> Result<(), Fault> {
        // What a transaction that failed had given goes first: a claim would be in its own way.
        self.done = None;
        self.done = match (self.work)(group) {
            Ok(value) => Some(Ok(value)),
            Err(Fault::Refused(error)) => Some(Err(error)),
            Err(failed) => return Err(failed),
        };
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<Error>) {
        let answer = match (failed, self.done) {
            (Some(error), _) => Err(error),
            (None, Some(done)) => done,
            (None, None) => Err(Error::new(ErrorKind::Bug, "a piece of work was not done")),
        };
        // Whoever asked may have gone; it is written all the same.
        let _ = self.sender.send(answer);
    }
}

/// What the thread holds.
struct Pen {
    place: Place,
    /// Nothing after a failure that may have left it in disorder.
    conn: Option<Connection>,
    head: Option<Head>,
    /// Whether commits wait for the disk.
    full: bool,
    memo: Memo,
    commits: watch::Sender<u64>,
}

impl Pen {
    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let done = self.attempt(&mut jobs);
        if let (Err(_), true) = (&done, jobs.len() > 1) {
            for job in jobs {
                let mut one = [job];
                let done = self.attempt(&mut one);
                let [job] = one;
                job.answer(done.err());
            }
        } else {
            let failed = done.err();
            for job in jobs {
                job.answer(failed.clone());
            }
        }
    }

    /// All of them in one transaction, or none.
    fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<()> {
        self.connect()?;
        let (Some(conn), Some(head)) = (&self.conn, &mut self.head) else {
            return Err(Error::new(ErrorKind::Bug, "the session log is not open"));
        };
        let sync = jobs.iter().any(|job| job.sync());
        let done = transaction(
            conn,
            &self.place,
            (sync, &mut self.full),
            &mut self.memo,
            jobs,
        );
        match done {
            Ok(commits) => {
                if sync {
                    // Where it cannot be written, what it guards is kept all the same.
                    let _ = head.write(commits);
                }
                self.commits.send_replace(commits);
                Ok(())
            }
            Err(fault) => {
                // With it goes whatever it had begun.
                self.conn = None;
                self.memo = Memo::default();
                Err(fault.told(&self.place.db))
            }
        }
    }

    fn connect(&mut self) -> Result<()> {
        if self.conn.is_some() {
            return Ok(());
        }
        let conn = self.place.connect(Role::Writer)?;
        self.full = false;
        let mut head = self.place.head()?;
        let totals = super::entry::Totals::read(&conn);
        let totals = totals.map_err(|error| typed(&self.place.db, error))?;
        let found = totals.commits.cast_unsigned();
        if let Some(known) = head.read()?
            && known > found
        {
            let db = self.place.db.display();
            let text = format!("the last {} commits are missing: `{db}`", known - found);
            let hint = format!("to go on without them, remove the file `{db}-head`");
            return Err(corrupt(text).with_hint(hint));
        }
        (self.conn, self.head) = (Some(conn), Some(head));
        Ok(())
    }
}

fn transaction(
    conn: &Connection,
    place: &Place,
    (sync, full): (bool, &mut bool),
    memo: &mut Memo,
    jobs: &mut [Box<dyn Job>],
) -> Result<u64, Fault> {
    if sync != *full {
        let text = match sync {
            true => "PRAGMA synchronous = FULL",
            false => "PRAGMA synchronous = NORMAL",
        };
        conn.execute_batch(text)?;
        *full = sync;
    }
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut group = Group::new(conn, place, memo)?;
    for job in jobs {
        job.run(&mut group)?;
    }
    let commits = group.finish()?;
    conn.prepare_cached("COMMIT")?.execute([])?;
    Ok(commits)
}
