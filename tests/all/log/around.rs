//! A store with something of one's own around its appends: a death, a full disk, a slow one.
//! Refuses to change anything else.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use futures::future::BoxFuture;
use offshoot::{
    Result, SessionId,
    store::{Batch, Card, Claim, Claiming, Row, Snapshot, Store},
};

type Answer = BoxFuture<'static, Result<u64>>;

/// See [`around`].
struct Around<F> {
    inner: Arc<dyn Store>,
    appends: AtomicU64,
    append: F,
}

/// A store whose appends go through a function: it gets their number, from 1, and a way to do them.
pub(super) fn around<F>(inner: Arc<dyn Store>, append: F) -> Arc<dyn Store>
where
    F: Fn(u64, &dyn Fn() -> Answer) -> Answer + Send + Sync + 'static,
{
    around_batches(inner, move |number, _, inner| append(number, inner))
}

/// As [`around`], and it sees what is appended.
pub(super) fn around_batches<F>(inner: Arc<dyn Store>, append: F) -> Arc<dyn Store>
where
    F: Fn(u64, &Batch, &dyn Fn() -> Answer) -> Answer + Send + Sync + 'static,
{
    Arc::new(Around {
        inner,
        appends: AtomicU64::new(0),
        append,
    })
}

impl<F> fmt::Debug for Around<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Around").field(&self.inner).finish()
    }
}

impl<F> Store for Around<F>
where
    F: Fn(u64, &Batch, &dyn Fn() -> Answer) -> Answer + Send + Sync + 'static,
{
    fn append(&self, claim: &Claim, batch: Batch) -> Answer {
        let number = self.appends.fetch_add(1, SeqCst) + 1;
        (self.append)(number, &batch, &|| self.inner.append(claim, batch.clone()))
    }
    fn claim(&self, id: &SessionId, claiming: Claiming) -> BoxFuture<'static, Result<Claim>> {
        self.inner.claim(id, claiming)
    }
    fn cut(&self, claim: &Claim, last: u64) -> BoxFuture<'static, Result<()>> {
        self.inner.cut(claim, last)
    }
    fn read(&self, id: &SessionId, rows: Range<u64>) -> BoxFuture<'static, Result<Vec<Row>>> {
        self.inner.read(id, rows)
    }
    fn tail(&self, id: &SessionId, after: u64) -> BoxFuture<'static, Result<u64>> {
        self.inner.tail(id, after)
    }
    fn card(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Card>>> {
        self.inner.card(id)
    }
    fn list(&self) -> BoxFuture<'static, Result<Vec<Card>>> {
        self.inner.list()
    }
    fn fork(&self, from: &SessionId, last: u64, to: &SessionId) -> BoxFuture<'static, Result<()>> {
        self.inner.fork(from, last, to)
    }
    fn remove(&self, id: &SessionId) -> BoxFuture<'static, Result<()>> {
        self.inner.remove(id)
    }
    fn keep(&self, bytes: Bytes) -> BoxFuture<'static, Result<String>> {
        self.inner.keep(bytes)
    }
    fn kept(&self, name: &str) -> BoxFuture<'static, Result<Option<Bytes>>> {
        self.inner.kept(name)
    }
    fn put_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> BoxFuture<'static, Result<()>> {
        self.inner.put_snapshot(claim, snapshot)
    }
    fn snapshot(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Snapshot>>> {
        self.inner.snapshot(id)
    }
    fn settled(&self) -> BoxFuture<'static, ()> {
        self.inner.settled()
    }
}
