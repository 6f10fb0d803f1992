//! The contract of whatever keeps session logs: append with a fence, read, follow, fork, list.
//! Refuses to know what a record means to an agent, and that there is only one machine.

mod chain;
mod claude;
mod diff;
mod export;
mod kept;
mod log;
mod lost;
mod memory;
mod pending;
mod recall;
mod record;
mod replay;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(test)]
mod tests;
mod walk;

use std::{any::Any, fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
pub use self::{
    chain::Sum,
    claude::{Foreign, LeftOut},
    diff::{Difference, Side, Step, diff},
    export::{EXPORT_FORMAT, MAX_LINE, export, import, is_export},
    kept::{KEPT_PIECE, read_kept},
    log::{Durability, Log, MAX_UNWRITTEN, Policies, STORE_LIMIT},
    lost::{Doubt, LostChild, LostChildren},
    memory::MemoryStore,
    recall::{Damage, Recalled, Recollection, Spent, recall},
    record::{Body, LOG_FORMAT, LoggedEffect, MAX_RECORD, Record},
    replay::{joined, replay},
    walk::walk,
};
pub(crate) use self::{export::claim, kept::keep_pieces, log::Moment};
use crate::{
    error::Result,
    id::SessionId,
    usage::{Cost, Usage},
};

/// Rows that one [`Store::read`] gives at most.
pub const PAGE_ROWS: usize = 1024;

/// Bytes of rows after which one [`Store::read`] gives no more; at least one row is given.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Sessions that one [`Store::list`] gives at most.
pub const MAX_LISTED: usize = 10_000;

/// Characters of the first message that become a session's title.
pub(crate) const TITLE: usize = 80;

/// Where session logs are kept.
///
/// A log is a row of records numbered from 1 without a gap, each with a checksum that covers all
/// before it. There is one writer of a log at a time: who wants to write claims it, and names the
/// claim with each append. Readers are welcome at any time.
///
/// Implementations keep these promises, which `offshoot::testing::store_contract` checks:
///
/// 1. What `append` has answered with `Ok` is read back by everybody from then on, unchanged; with
///    [`Batch::sync`] also after a power loss.
/// 2. A batch is there whole or not at all.
/// 3. An append that does not continue the log exactly, or comes from a claim that is no longer the
///    newest, changes nothing and fails as fenced. One that repeats rows which are there with the
///    same sums is `Ok`: whoever lost the answer may ask again, also while the first append is
///    still under way. A card that knows of fewer records than there are, with rows that are all
///    there already, is not kept.
/// 4. Work begins when a method is called, not when its future is polled, and goes on when the
///    future is dropped.
/// 5. Where the answer cannot be known (a connection broke), the error is of the kind `Uncertain`.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Takes the right to write a log, which need not exist yet.
    ///
    /// # Errors
    /// `Busy`, naming who, while another claim lives, unless it is taken over.
    fn claim(&self, id: &SessionId, claiming: Claiming) -> BoxFuture<'static, Result<Claim>>;

    /// Adds rows. Gives the number of the last row of the log.
    ///
    /// # Errors
    /// `Fenced` when the claim is not the newest or the rows do not continue the log;
    /// `StorageFull`, `Io`, `Corrupt`, `Uncertain`.
    fn append(&self, claim: &Claim, batch: Batch) -> BoxFuture<'static, Result<u64>>;

    /// Sets everything after this row aside, where no reader sees it: what follows was damaged.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn cut(&self, claim: &Claim, last: u64) -> BoxFuture<'static, Result<()>>;

    /// Rows of a log from a range of numbers, in order: fewer than asked where the log ends or a
    /// page is full. Empty when there are none.
    ///
    /// # Errors
    /// `NotFound` when there is no such log; `Corrupt` when rows cannot be read.
    fn read(&self, id: &SessionId, rows: Range<u64>) -> BoxFuture<'static, Result<Vec<Row>>>;

    /// Waits until the log is longer than this, and gives its length.
    ///
    /// # Errors
    /// `NotFound` when there is no such log.
    fn tail(&self, id: &SessionId, after: u64) -> BoxFuture<'static, Result<u64>>;

    /// What is known of one log without reading it; `None` when there is no such log.
    ///
    /// # Errors
    /// `Corrupt` when that cannot be told.
    fn card(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Card>>>;

    /// All logs that have records, the last touched first, at most [`MAX_LISTED`].
    ///
    /// # Errors
    /// `Corrupt` when the list is not whole.
    fn list(&self) -> BoxFuture<'static, Result<Vec<Card>>>;

    /// Makes a log that shares the first `last` rows of another. Neither sees what the other
    /// appends afterwards.
    ///
    /// # Errors
    /// `NotFound` when there is no such log or it has no such row; `Config` when the new name is
    /// taken.
    fn fork(&self, from: &SessionId, last: u64, to: &SessionId) -> BoxFuture<'static, Result<()>>;

    /// Removes a log. What forks of it share with it stays.
    ///
    /// # Errors
    /// `Busy` while a claim lives; `NotFound`.
    fn remove(&self, id: &SessionId) -> BoxFuture<'static, Result<()>>;

    /// Keeps bytes out of line, and gives the name under which they are found: the hash of them.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn keep(&self, bytes: Bytes) -> BoxFuture<'static, Result<String>>;

    /// Bytes that were kept, checked against their name; `None` when there are none.
    ///
    /// # Errors
    /// `Corrupt` when they are not what their name says.
    fn kept(&self, name: &str) -> BoxFuture<'static, Result<Option<Bytes>>>;

    /// Keeps what a log's first `row` rows come to, in place of an older such thing.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn put_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> BoxFuture<'static, Result<()>>;

    /// The newest snapshot of a log.
    ///
    /// # Errors
    /// `NotFound` when there is no such log.
    fn snapshot(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Snapshot>>>;

    /// Waits until everything that was begun is done.
    fn settled(&self) -> BoxFuture<'static, ()>;
}

/// How a log is claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claiming {
    /// Fails while another claim lives.
    IfFree,
    /// Takes it over: the other claim's next append fails as fenced.
    TakeOver,
}

/// The right to write one log. Given back by drop.
#[must_use = "the claim is given back when this is dropped"]
pub struct Claim {
    /// Which log.
    pub session: SessionId,
    /// Grows with each claim of the log: an older claim is fenced.
    pub epoch: u64,
    /// The number of the last row.
    pub last: u64,
    /// Its sum.
    pub sum: Sum,
    /// What holds the claim, where something does: a lock on a file.
    /// An append in flight keeps it too.
    pub hold: Option<Arc<dyn Any + Send + Sync>>,
}

/// One record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1.
    pub seq: u64,
    /// Its checksum, chained.
    pub sum: Sum,
    /// Whether it is of what watchers were told, which resuming does not need.
    pub told: bool,
    /// The record, encoded.
    pub body: Bytes,
}

/// Rows to append.
#[derive(Clone, Debug)]
pub struct Batch {
    /// In order, without a gap.
    pub rows: Vec<Row>,
    /// Whether the answer waits until they would survive a power loss.
    pub sync: bool,
    /// What is known of the log from then on.
    pub card: Card,
}

/// What a log's first rows come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The number of the last row it covers.
    pub row: u64,
    /// The sum of that row.
    pub sum: Sum,
    /// What they come to.
    pub body: Bytes,
}

/// What is known of a log without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Card {
    /// Which session.
    pub id: SessionId,
    /// The beginning of what was asked first.
    pub title: String,
    /// The model that answered last, as `vendor/name`.
    pub model: String,
    /// The folder it works in, where it works in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Turns of the root.
    pub turns: u64,
    /// What all its agents used.
    pub usage: Usage,
    /// What that cost.
    pub cost: Cost,
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// When it was written to last.
    pub touched: u64,
    /// How many records it has.
    pub records: u64,
    /// What it is a fork of, and the last record that both share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked: Option<(SessionId, u64)>,
}

impl Card {
    /// Of a log without records.
    pub fn new(id: SessionId) -> Self {
        let now = record::now_millis();
        Self {
            id,
            title: String::new(),
            model: String::new(),
            folder: None,
            turns: 0,
            usage: Usage::default(),
            cost: Cost::default(),
            created: now,
            touched: now,
            records: 0,
            forked: None,
        }
    }

    /// Keeps it true when a record is added.
    fn note(&mut self, record: &Record) {
        self.touched = record::now_millis();
        let of_root = record.agent.depth() == 0;
        if of_root {
            self.turns = self.turns.max(record.turn.0);
        }
        match &record.body {
            Body::Opened { model, .. } | Body::Resumed { model, .. } => {
                self.model.clone_from(model);
            }
            Body::User { message } if of_root && self.title.is_empty() => {
                let text = message.text();
                let line = text.lines().find(|line| !line.trim().is_empty());
                let line = line.unwrap_or_default().trim();
                self.title = line.chars().take(TITLE).collect();
            }
            Body::Assistant { charged, cost, .. }
            | Body::Charge {
                usage: charged,
                cost,
            } => {
                self.usage += *charged;
                self.cost += *cost;
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("session", &self.session)
            .field("epoch", &self.epoch)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn claim(&self, id: &SessionId, claiming: Claiming) -> BoxFuture<'static, Result<Claim>> {
        (**self).claim(id, claiming)
    }
    fn append(&self, claim: &Claim, batch: Batch) -> BoxFuture<'static, Result<u64>> {
        (**self).append(claim, batch)
    }
    fn cut(&self, claim: &Claim, last: u64) -> BoxFuture<'static, Result<()>> {
        (**self).cut(claim, last)
    }
    fn read(&self, id: &SessionId, rows: Range<u64>) -> BoxFuture<'static, Result<Vec<Row>>> {
        (**self).read(id, rows)
    }
    fn tail(&self, id: &SessionId, after: u64) -> BoxFuture<'static, Result<u64>> {
        (**self).tail(id, after)
    }
    fn card(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Card>>> {
        (**self).card(id)
    }
    fn list(&self) -> BoxFuture<'static, Result<Vec<Card>>> {
        (**self).list()
    }
    fn fork(&self, from: &SessionId, last: u64, to: &SessionId) -> BoxFuture<'static, Result<()>> {
        (**self).fork(from, last, to)
    }
    fn remove(&self, id: &SessionId) -> BoxFuture<'static, Result<()>> {
        (**self).remove(id)
    }
    fn keep(&self, bytes: Bytes) -> BoxFuture<'static, Result<String>> {
        (**self).keep(bytes)
    }
    fn kept(&self, name: &str) -> BoxFuture<'static, Result<Option<Bytes>>> {
        (**self).kept(name)
    }
    fn put_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> BoxFuture<'static, Result<()>> {
        (**self).put_snapshot(claim, snapshot)
    }
    fn snapshot(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Snapshot>>> {
        (**self).snapshot(id)
    }
    fn settled(&self) -> BoxFuture<'static, ()> {
        (**self).settled()
    }
}
