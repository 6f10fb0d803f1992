//! The connection that writes, and how it makes a transaction.
//! Refuses to go on with a connection whose transaction failed: the next one opens a new one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::watch;

use super::{
    fault::{Fault, corrupt, typed},
    place::{Head, PATIENCE, Place, Role},
    work::{Group, Memo},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
};

/// Pages in SQLite's own log after which they go to their place in the database, once who asked for
/// the commit is answered. A short log is soon written over from its beginning, which costs a quarter less than
/// making it longer.
const CHECKPOINT: u32 = 500;

/// When a commit is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    /// Before it is answered.
    Now,
    /// With the next one that is, or when the operating system comes to it.
    Later,
}

/// What the writing needs.
#[derive(Debug)]
pub(super) struct Pen {
    place: Place,
    /// Nothing after a failure that may have left it in disorder.
    conn: Option<Connection>,
    head: Option<Head>,
    /// What the connection was told last.
    flush: Flush,
    memo: Memo,
    commits: watch::Sender<u64>,
    /// Pages in SQLite's own log, as of the last commit.
    pages: Arc<AtomicU32>,
    /// The number of them at which they are moved next.
    due: u32,
    pub(super) pace: Pace,
}

impl Pen {
    /// Opens the database.
    pub(super) fn open(place: &Place, commits: watch::Sender<u64>) -> Result<Self> {
        let mut pen = Self {
            place: place.clone(),
            conn: None,
            head: None,
            flush: Flush::Later,
            memo: Memo::default(),
            commits,
            pages: Arc::default(),
            due: CHECKPOINT,
            pace: Pace::default(),
        };
        pen.connect()?;
        Ok(pen)
    }

    /// One transaction, whole or not at all.
    pub(super) fn transaction(
        &mut self,
        flush: Flush,
        session: Option<SessionId>,
        work: impl FnMut(&mut Group<'_>) -> Result<(), Fault>,
    ) -> Result<()> {
        let begun = Instant::now();
        self.connect()?;
        let done = self.begin(flush).and_then(|()| self.rest(flush, work));
        let done = done.map_err(|fault| self.failed(fault));
        if flush == Flush::Now {
            self.pace.note(session, begun.elapsed());
        }
        done
    }

    /// A transaction for one session, which waits for the disk but not for another process. `None`
    /// when there is one that writes: nothing was begun.
    pub(super) fn alone<T>(
        &mut self,
        session: &SessionId,
        mut work: impl FnMut(&mut Group<'_>) -> Result<T, Fault>,
    ) -> Option<Result<T>> {
        let begun = Instant::now();
        // The thread opens it again, which may take its time.
        let conn = self.conn.as_ref()?;
        let _ = conn.busy_timeout(Duration::ZERO);
        let first = self.begin(Flush::Now);
        if let Some(conn) = &self.conn {
            let _ = conn.busy_timeout(PATIENCE);
        }
        if let Err(Fault::Failed(error)) = &first
            && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
        {
            return None;
        }
        let mut found = None;
        let done = first.and_then(|()| {
            self.rest(Flush::Now, |group| match work(group) {
                Ok(value) => {
                    found = Some(Ok(value));
                    Ok(())
                }
                Err(Fault::Refused(error)) => {
                    found = Some(Err(error));
                    Ok(())
                }
                Err(failed) => Err(failed),
            })
        });
        let done = done.map_err(|fault| self.failed(fault));
        self.pace.note(Some(session.clone()), begun.elapsed());
        let undone = || Err(Error::new(ErrorKind::Bug, "a piece of work was not done"));
        Some(done.and_then(|()| found.unwrap_or_else(undone)))
    }

    fn begin(&mut self, flush: Flush) -> Result<(), Fault> {
        let conn = open(&self.conn)?;
        if self.flush != flush {
            let text = match flush {
                Flush::Now => "PRAGMA synchronous = FULL",
                Flush::Later => "PRAGMA synchronous = NORMAL",
            };
            conn.execute_batch(text)?;
            self.flush = flush;
        }
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    fn rest(
        &mut self,
        flush: Flush,
        mut work: impl FnMut(&mut Group<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let conn = open(&self.conn)?;
        let mut group = Group::new(conn, &self.place, &mut self.memo)?;
        work(&mut group)?;
        let commits = group.finish()?;
        conn.prepare_cached("COMMIT")?.execute([])?;
        if let (Flush::Now, Some(head)) = (flush, &mut self.head) {
            // Where it cannot be written, what it guards is kept all the same.
            let _ = head.write(commits);
        }
        self.commits.send_replace(commits);
        Ok(())
    }

    fn failed(&mut self, fault: Fault) -> Error {
        // With it goes whatever it had begun.
        self.put_down();
        fault.told(&self.place.db)
    }

    /// Lets go of the connection and of all that was known by it.
    pub(super) fn put_down(&mut self) {
        self.conn = None;
        self.memo = Memo::default();
    }

    /// Whether pages wait to be moved.
    pub(super) fn checkpoint_due(&mut self) -> bool {
        let pages = self.pages.load(Relaxed);
        if pages < CHECKPOINT {
            // It begins anew: what stood in the way of the last checkpoint is gone.
            self.due = CHECKPOINT;
        }
        pages >= self.due
    }

    /// Moves pages to their place if enough wait, as far as no reader needs the older ones.
    pub(super) fn checkpoint(&mut self) {
        if !self.checkpoint_due() {
            return;
        }
        let pages = self.pages.load(Relaxed);
        if let Some(conn) = &self.conn {
            let moved = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            });
            // Where it failed, or a reader stood in its way, not with every commit again. Nothing
            // depends on it: what was committed is read from SQLite's own log as well.
            self.due = match moved {
                Ok((of, moved)) if of >= 0 && of == moved => CHECKPOINT,
                _ => pages.saturating_add(CHECKPOINT),
            };
            if self.due == CHECKPOINT {
                self.pages.store(0, Relaxed);
            }
        }
    }

    fn connect(&mut self) -> Result<()> {
        if self.conn.is_some() {
            return Ok(());
        }
        let told = |error| typed(&self.place.db, error);
        let mut conn = self.place.connect(Role::Writer)?;
        let pages = Arc::clone(&self.pages);
        let count = move |_: &mut rusqlite::hooks::Wal, now| {
            pages.store(u32::try_from(now).unwrap_or_default(), Relaxed);
            Ok(())
        };
        conn.wal_hook(Some(count)).map_err(told)?;
        self.flush = Flush::Later;
        let mut head = self.place.head()?;
        let totals = super::entry::Totals::read(&conn).map_err(told)?;
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

fn open(conn: &Option<Connection>) -> Result<&Connection> {
    let closed = || Error::new(ErrorKind::Bug, "the session log is not open");
    conn.as_ref().ok_or_else(closed)
}

/// Where commits take no longer than this on average, they are made where they are asked for. A
/// thread of the runtime is blocked meanwhile, about as long as by the polls of a busy task.
const QUICK: Duration = Duration::from_micros(500);

/// For so long after a commit of one session, another's goes to the thread, where those that come
/// together share a transaction.
const QUIET: Duration = Duration::from_millis(5);

/// How long commits take here, and whose was the last.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The average of late; nothing before the first.
    pub(super) took: Option<Duration>,
    pub(super) last: Option<(SessionId, Instant)>,
}

impl Pace {
    /// Whether the next commit of this session is better made where it is asked for.
    pub(super) fn suits(&self, session: &SessionId, now: Instant) -> bool {
        let quick = self.took.is_some_and(|took| took <= QUICK);
        quick
            && self.last.as_ref().is_none_or(|(last, when)| {
                last == session || now.saturating_duration_since(*when) >= QUIET
            })
    }

    fn note(&mut self, session: Option<SessionId>, took: Duration) {
        let past = self.took.unwrap_or(took);
        self.took = Some((past * 7 + took) / 8);
        if let Some(session) = session {
            self.last = Some((session, Instant::now()));
        }
    }
}
