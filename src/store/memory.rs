//! Logs in memory: for tests, and for programs that want forks and replays but nothing on a disk.
//! Refuses to outlive the process.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::watch;

use super::{
    Batch, Card, Claim, Claiming, MAX_LISTED, PAGE_BYTES, PAGE_ROWS, Row, Snapshot, Store, Sum,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
};

/// Logs in memory. Cheap to clone; every clone is the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    logs: HashMap<SessionId, Kept>,
    blobs: HashMap<String, Bytes>,
}

#[derive(Debug)]
struct Kept {
    rows: Vec<Row>,
    /// Rows that were cut off.
    aside: Vec<Row>,
    card: Card,
    epoch: u64,
    holder: Weak<()>,
    snapshot: Option<Snapshot>,
    length: watch::Sender<u64>,
}

impl Kept {
    fn of(card: Card, rows: Vec<Row>) -> Self {
        let length = rows.len() as u64;
        Self {
            rows,
            aside: Vec::new(),
            card,
            epoch: 0,
            holder: Weak::new(),
            snapshot: None,
            length: watch::Sender::new(length),
        }
    }

    fn end(&self) -> (u64, Sum) {
        let last = self.rows.last();
        last.map_or((0, Sum::START), |row| (row.seq, row.sum))
    }

    fn check(&self, claim: &Claim) -> Result<()> {
        if self.epoch == claim.epoch {
            return Ok(());
        }
        Err(fenced(claim, "another writer has claimed it since"))
    }
}

pub(super) fn fenced(claim: &Claim, why: &str) -> Error {
    let text = format!(
        "the session can no longer be written to here: `{}`",
        claim.session
    );
    Error::new(ErrorKind::Fenced, text).with_hint(why)
}

pub(super) fn not_found(id: &SessionId) -> Error {
    Error::new(ErrorKind::NotFound, format!("no such session: `{id}`"))
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, id: &SessionId, work: impl FnOnce(&mut Kept) -> Result<T>) -> Result<T> {
        let mut shelf = self.shelf();
        work(shelf.logs.get_mut(id).ok_or_else(|| not_found(id))?)
    }
}

/// Work that is done when it is asked for, as the contract wants it.
fn done<T: Send + 'static>(result: T) -> BoxFuture<'static, T> {
    std::future::ready(result).boxed()
}

impl Store for MemoryStore {
    fn claim(&self, id: &SessionId, claiming: Claiming) -> BoxFuture<'static, Result<Claim>> {
        let mut shelf = self.shelf();
        let fresh = || Kept::of(Card::new(id.clone()), Vec::new());
        let kept = shelf.logs.entry(id.clone()).or_insert_with(fresh);
        if claiming == Claiming::IfFree && kept.holder.strong_count() > 0 {
            let text = format!("the session is being written to: `{id}`");
            let error = Error::new(ErrorKind::Busy, text);
            return done(Err(
                error.with_hint("another part of this program has it open")
            ));
        }
        kept.epoch += 1;
        let hold = Arc::new(());
        kept.holder = Arc::downgrade(&hold);
        let (last, sum) = kept.end();
        done(Ok(Claim {
            session: id.clone(),
            epoch: kept.epoch,
            last,
            sum,
            hold: Some(hold),
        }))
    }

    fn append(&self, claim: &Claim, batch: Batch) -> BoxFuture<'static, Result<u64>> {
        done(self.with(&claim.session, |kept| {
            kept.check(claim)?;
            let (last, sum) = kept.end();
            let known = batch.rows.iter().take_while(|row| row.seq <= last).count();
            let (again, new) = batch.rows.split_at(known);
            let same = |row: &Row| kept.rows.get((row.seq as usize).wrapping_sub(1)) == Some(row);
            let mut end = (last, sum);
            let mut continues = |row: &Row| {
                end = (end.0 + 1, end.1.next(row.seq, row.told, &row.body));
                end == (row.seq, row.sum)
            };
            if !again.iter().all(same) || !new.iter().all(&mut continues) {
                return Err(fenced(
                    claim,
                    "its log does not end where this writer left it",
                ));
            }
            let is_late = known == batch.rows.len() && batch.card.records < last;
            kept.rows.extend(batch.rows.into_iter().skip(known));
            let (last, _) = kept.end();
            // One that only repeats what is there may be late, and know less.
            if !is_late {
                kept.card = batch.card;
            }
            kept.card.records = last;
            kept.length.send_replace(last);
            Ok(last)
        }))
    }

    fn cut(&self, claim: &Claim, last: u64) -> BoxFuture<'static, Result<()>> {
        done(self.with(&claim.session, |kept| {
            kept.check(claim)?;
            let end = kept.rows.len().min(last as usize);
            let aside = kept.rows.split_off(end);
            kept.aside.extend(aside);
            kept.card.records = end as u64;
            kept.length.send_replace(end as u64);
            Ok(())
        }))
    }

    fn read(&self, id: &SessionId, rows: Range<u64>) -> BoxFuture<'static, Result<Vec<Row>>> {
        done(self.with(id, |kept| {
            let from = (rows.start.max(1) - 1) as usize;
            let to = (rows.end.max(1) - 1) as usize;
            let mut bytes = 0;
            let page = kept.rows.iter().take(to).skip(from).take(PAGE_ROWS);
            let page = page.take_while(|row| {
                let before = bytes;
                bytes += row.body.len();
                before < PAGE_BYTES
            });
            Ok(page.cloned().collect())
        }))
    }

    fn tail(&self, id: &SessionId, after: u64) -> BoxFuture<'static, Result<u64>> {
        let length = self.with(id, |kept| Ok(kept.length.subscribe()));
        let id = id.clone();
        async move {
            let mut length = length?;
            let length = length.wait_for(|length| *length > after).await;
            length.map(|length| *length).map_err(|_| not_found(&id))
        }
        .boxed()
    }

    fn card(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Card>>> {
        done(Ok(self.with(id, |kept| Ok(kept.card.clone())).ok()))
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<Card>>> {
        let shelf = self.shelf();
        let cards = shelf.logs.values().map(|kept| &kept.card);
        let mut cards: Vec<_> = cards.filter(|card| card.records > 0).cloned().collect();
        cards.sort_by(|a, b| (b.touched, &b.id).cmp(&(a.touched, &a.id)));
        cards.truncate(MAX_LISTED);
        done(Ok(cards))
    }

    fn fork(&self, from: &SessionId, last: u64, to: &SessionId) -> BoxFuture<'static, Result<()>> {
        let mut shelf = self.shelf();
        if shelf.logs.contains_key(to) {
            let text = format!("there is a session of this name: `{to}`");
            return done(Err(Error::new(ErrorKind::Config, text)));
        }
        let Some(kept) = shelf.logs.get(from) else {
            return done(Err(not_found(from)));
        };
        if last > kept.rows.len() as u64 {
            return done(Err(no_row(from, last, kept.rows.len() as u64)));
        }
        let rows = kept.rows[..last as usize].to_vec();
        let mut card = Card::new(to.clone());
        card.title.clone_from(&kept.card.title);
        card.model.clone_from(&kept.card.model);
        card.folder.clone_from(&kept.card.folder);
        card.records = last;
        card.forked = Some((from.clone(), last));
        shelf.logs.insert(to.clone(), Kept::of(card, rows));
        done(Ok(()))
    }

    fn remove(&self, id: &SessionId) -> BoxFuture<'static, Result<()>> {
        let mut shelf = self.shelf();
        done(match shelf.logs.get(id) {
            None => Err(not_found(id)),
            Some(kept) if kept.holder.strong_count() > 0 => {
                let text = format!("the session is being written to: `{id}`");
                Err(Error::new(ErrorKind::Busy, text))
            }
            Some(_) => {
                shelf.logs.remove(id);
                Ok(())
            }
        })
    }

    fn keep(&self, bytes: Bytes) -> BoxFuture<'static, Result<String>> {
        let mut name = Sum::START.next(0, false, &bytes).to_string();
        let mut shelf = self.shelf();
        // The sum is no cryptographic hash: different bytes of the same sum get another name.
        while shelf.blobs.get(&name).is_some_and(|kept| *kept != bytes) {
            name.push('x');
        }
        shelf.blobs.insert(name.clone(), bytes);
        done(Ok(name))
    }

    fn kept(&self, name: &str) -> BoxFuture<'static, Result<Option<Bytes>>> {
        done(Ok(self.shelf().blobs.get(name).cloned()))
    }

    fn put_snapshot(&self, claim: &Claim, snapshot: Snapshot) -> BoxFuture<'static, Result<()>> {
        done(self.with(&claim.session, |kept| {
            kept.check(claim)?;
            kept.snapshot = Some(snapshot);
            Ok(())
        }))
    }

    fn snapshot(&self, id: &SessionId) -> BoxFuture<'static, Result<Option<Snapshot>>> {
        done(self.with(id, |kept| Ok(kept.snapshot.clone())))
    }

    fn settled(&self) -> BoxFuture<'static, ()> {
        done(())
    }
}

pub(super) fn no_row(id: &SessionId, row: u64, last: u64) -> Error {
    let text = format!("the session has no record `{row}`: `{id}`");
    Error::new(ErrorKind::NotFound, text).with_hint(format!("its last record is {last}"))
}
