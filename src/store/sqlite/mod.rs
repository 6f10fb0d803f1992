//! Session logs in a file: SQLite with one writer that commits in groups, and readers.
//! Refuses to believe its file: each row, each entry and the list as a whole carry checksums.

mod claims;
mod entry;
mod fault;
mod look;
mod pen;
mod place;
mod queue;
mod reader;
mod schema;
mod work;
mod writer;

#[cfg(test)]
mod tests;

use std::{fmt, ops::Range, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};

use self::{
    place::Place,
    reader::Readers,
    writer::{Size, Writer},
};
use super::{Batch, Card, Claim, Claiming, Row, Snapshot, Store};
use crate::{error::Result, id::SessionId};

/// How often it is looked whether another process has written, while a log's end is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// Session logs in a file. Cheap to clone; every clone is the same store.
///
/// All that is asked of it at the same time, by whatever session, is written in one transaction
/// with one wait for the disk, by a thread of its own. Where one session alone appends, on a runtime
/// of several threads, and the disk answers within half a millisecond on average, the append is made
/// where it is called: that blocks one thread for so long as the disk takes, and saves the way to
/// another thread and back. Several processes may have the same store open; each session has one
/// writer, whose process holds a lock on a file that the operating system frees when it dies.
///
/// A store is a folder: `sessions.db` with SQLite's own `-wal` and `-shm`, a file `-head` that says
/// how many commits are on the disk, and `locks/`. All belong to their user alone. A copy of it is
/// whole when no process has it open.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use offshoot::{SessionId, store::{Claiming, SqliteStore, Store}};
///
/// # let home = tempfile::tempdir().unwrap();
/// let store = SqliteStore::open(home.path().join("sessions"))?;
/// let id = SessionId::new("a first one");
/// let claim = store.claim(&id, Claiming::IfFree).await?;
/// assert_eq!(claim.last, 0, "it has no records yet");
///
/// let refused = store.claim(&id, Claiming::IfFree).await.unwrap_err();
/// assert_eq!(refused.kind(), offshoot::ErrorKind::Busy);
/// assert!(refused.hint().unwrap().contains(&format!("process {}", std::process::id())));
/// # offshoot::Result::<(), offshoot::Error>::Ok(()) }).unwrap();
/// ```
///
/// Dropping the last clone waits until everything that was handed over is written.
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    place: Place,
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the store in a folder, or makes it. A path with an extension is that of the database
    /// itself. Blocks for as long as it takes to open some files.
    ///
    /// # Errors
    /// `Corrupt` when there is something else or something damaged; `TooNew` when a newer version
    /// has written it, which is then not touched; `StorageFull`, `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let place = Place::of(path.as_ref());
        place.prepare()?;
        let writer = Writer::start(&place)?;
        let readers = Readers::start(&place)?;
        Ok(Self(Arc::new(Inner {
            place,
            writer,
            readers,
        })))
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.0.place.db
    }

    fn read_of<T: Send + 'static>(
        &self,
        id: &SessionId,
        work: impl FnOnce(&rusqlite::Connection, entry::Entry) -> Result<T, fault::Fault>
        + Send
        + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let id = id.clone();
        let readers = &self.0.readers;
        readers.ask(move |conn| work(conn, look::known(conn, &id)?))
    }
}

impl Store for SqliteStore {
    fn claim(&self, id: &SessionId, claiming: Claiming) -> BoxFuture<'static, Result<Claim>> {
        let id = id.clone();
        let writer = &self.0.writer;
        writer.ask(Size::default(), move |group| group.claim(&id, &claiming))
    }

    fn append(&self, claim: &Claim, batch: Batch) -> BoxFuture<'static, Result<u64>> {
        let mut claim = named(claim);
        let size = Size {
            bytes: batch.rows.iter().map(|row| row.body.len()).sum(),
            sync: batch.sync,
        };
        let (writer, session) = (&self.0.writer, claim.session.clone());
        writer.ask_for(&session, size, move |group| {
            given_back(group.append(&claim, &batch), &mut claim)
        })
    }

    fn cut(&self, claim: &Claim, last: u64) -> BoxFuture<'static, Result<()>> {
        let mut claim = named(claim);
        let writer = &self.0.writer;
        writer.ask(Size::default(), move |group| {
            given_back(group.cut(&claim, last), &mut claim)
        })
    }

    fn read(&self, id: &SessionId, rows: Range<u64>) -> BoxFuture<'static, Result<Vec<Row>>> {
        self.read_of(id, |conn, entry| look::rows(conn, entry, rows))
    }

    fn tail(&self, id: &SessionId, after: u64) -> BoxFuture<'static, Result<u64>> {
        let mut commits = self.0.writer.commits();
        // Not a clone for good: whoever waits must not keep the store open.
        let (store, id) = (Arc::downgrade(&self.0), id.clone());
        async move {
            loop {
                commits.mark_unchanged();
                let last = match store.upgrade() {
                    Some(inner) => {
                        Self(inner).read_of(&id, |_, entry| Ok(entry.last.cast_unsigned()))
                    }
                    None => return Err(super::memory::not_found(&id)),
                };
                let last = last.await?;
                if last > after {
                    return Ok(last);
                }
                // Other processes tell nobody.
                let _ = tokio::time::timeout(LOOK, commits.changed()).await;
            }
        }
        .boxed()
    }

    fn card(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Card>>> {
        let id = id.clone();
        self.0.readers.ask(move |conn| {
            let entry = entry::find(conn, None, &id)?;
            Ok(entry.map(|entry| entry.to_card()).transpose()?)
        })
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<Card>>> {
        self.0.readers.ask(look::cards)
    }

    fn fork(&self, from: &SessionId, last: u64, to: &SessionId) -> BoxFuture<'static, Result<()>> {
        let (from, to) = (from.clone(), to.clone());
        let writer = &self.0.writer;
        writer.ask(Size::default(), move |group| group.fork(&from, last, &to))
    }

    fn remove(&self, id: &SessionId) -> BoxFuture<'static, Result<()>> {
        let id = id.clone();
        let writer = &self.0.writer;
        writer.ask(Size::default(), move |group| group.remove(&id))
    }

    fn keep(&self, bytes: Bytes) -> BoxFuture<'static, Result<String>> {
        let size = Size {
            bytes: bytes.len(),
            sync: false,
        };
        let name = look::blob_name(&bytes);
        self.0.writer.ask(size, move |group| {
            group.keep(&name, &bytes)?;
            Ok(name.clone())
        })
    }

    fn kept(&self, name: &str) -> BoxFuture<'static, Result<Option<Bytes>>> {
        let name = name.to_owned();
        self.0.readers.ask(move |conn| look::blob(conn, &name))
    }

    fn put_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> BoxFuture<'static, Result<()>> {
        let mut claim = named(claim);
        let size = Size {
            bytes: snapshot.body.len(),
            sync: false,
        };
        let writer = &self.0.writer;
        writer.ask(size, move |group| {
            given_back(group.put_snapshot(&claim, &snapshot), &mut claim)
        })
    }

    fn snapshot(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Snapshot>>> {
        self.read_of(id, |conn, entry| look::snapshot(conn, entry.n))
    }

    fn settled(&self) -> BoxFuture<'static, ()> {
        // The line is in order: when this has been done, so has all before it.
        let last = self.0.writer.ask(Size::default(), |_| Ok(()));
        last.map(|_| ()).boxed()
    }
}

/// The claim, with what holds it: while something is done in its name, it is not free.
fn named(claim: &Claim) -> Claim {
    Claim {
        session: claim.session.clone(),
        epoch: claim.epoch,
        last: claim.last,
        sum: claim.sum,
        hold: claim.hold.clone(),
    }
}

/// What was done in a claim's name no longer holds it: who claims the log next, perhaps in the same
/// transaction, finds it free if nobody else has it.
fn given_back<T>(done: T, claim: &mut Claim) -> T {
    claim.hold = None;
    done
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Readers first: whoever closes last tidies up SQLite's log.
        self.readers.close();
        self.writer.close();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteStore").field(&self.path()).finish()
    }
}
