//! Writing, inside a transaction that others share: each piece looks first and then writes.
//! Refuses before it has written anything, so that a refusal spoils nobody's transaction.

use std::{collections::HashMap, sync::Arc};

use rusqlite::Connection;

use super::{
    claims,
    entry::{self, Entry, Totals},
    fault::{Fault, corrupt},
    look::{self, MAX_SEQ, at},
    place::Place,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
    store::{
        Batch, Card, Claim, Claiming, Row, Snapshot, Sum,
        memory::{fenced, no_row, not_found},
    },
};

/// A transaction that is being put together.
#[derive(Debug)]
pub(super) struct Group<'c> {
    conn: &'c Connection,
    place: &'c Place,
    memo: &'c mut Memo,
    pub(super) totals: Totals,
}

/// What the last transaction left, which is not read again while nobody else writes.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// SQLite's count of what other connections have written.
    others: Option<i64>,
    totals: Option<Totals>,
    entries: HashMap<SessionId, Entry>,
}

/// Entries that a [`Memo`] holds at most.
const MAX_ENTRIES: usize = 4_096;

impl<'c> Group<'c> {
    /// At the beginning of a transaction.
    pub(super) fn new(
        conn: &'c Connection,
        place: &'c Place,
        memo: &'c mut Memo,
    ) -> Result<Self, Fault> {
        let mut others = conn.prepare_cached("PRAGMA data_version")?;
        let others = Some(others.query_row([], |row| row.get(0))?);
        if memo.others != others || memo.entries.len() > MAX_ENTRIES {
            *memo = Memo {
                others,
                ..Memo::default()
            };
        }
        let totals = match memo.totals.take() {
            Some(totals) => totals,
            None => Totals::read(conn)?,
        };
        Ok(Self {
            conn,
            place,
            memo,
            totals,
        })
    }

    /// At its end.
    pub(super) fn finish(&mut self) -> Result<u64, Fault> {
        self.totals.commits += 1;
        self.totals.write(self.conn)?;
        self.memo.totals = Some(self.totals);
        Ok(self.totals.commits.cast_unsigned())
    }

    pub(super) fn claim(&mut self, id: &SessionId, claiming: &Claiming) -> Result<Claim, Fault> {
        let known = self.find(id)?;
        // In the transaction, so that of all processes only this one looks at the file now.
        let hold = claims::take(&self.place.lock(id), id, claiming)?;
        let entry = match known {
            Some(mut entry) => {
                entry.epoch += 1;
                self.change(entry)?
            }
            None => {
                let mut entry = self.fresh(id, &Card::new(id.clone()))?;
                entry.epoch = 1;
                self.insert(entry)?
            }
        };
        Ok(Claim {
            session: id.clone(),
            epoch: entry.epoch.cast_unsigned(),
            last: entry.last.cast_unsigned(),
            sum: entry.to_sum()?,
            hold: Some(Arc::new(hold)),
        })
    }

    pub(super) fn append(&mut self, claim: &Claim, batch: &Batch) -> Result<u64, Fault> {
        let mut entry = self.claimed(claim)?;
        let (known, sum) = self.continues(claim, &entry, &batch.rows)?;
        let text = "INSERT INTO rows (at, told, sum, body) VALUES (?, ?, ?, ?)";
        let mut insert = self.conn.prepare_cached(text)?;
        for row in &batch.rows[known..] {
            let sum = row.sum.to_bytes();
            insert.execute((at(entry.n, row.seq), row.told, sum, &*row.body))?;
            entry.last += 1;
        }
        entry.sum = sum.to_bytes().to_vec();
        let records = entry.last.cast_unsigned();
        if batch.card.records == records && batch.card.id == claim.session {
            entry.set_card(&batch.card)?;
        } else if batch.card.records >= records || known < batch.rows.len() {
            let mut card = batch.card.clone();
            card.id.clone_from(&claim.session);
            card.records = records;
            entry.set_card(&card)?;
        }
        let entry = self.change(entry)?;
        Ok(entry.last.cast_unsigned())
    }

    /// How many of these rows are there already, and the sum of the last.
    fn continues(&self, claim: &Claim, entry: &Entry, rows: &[Row]) -> Result<(usize, Sum), Fault> {
        let last = entry.last.cast_unsigned();
        let torn = || fenced(claim, "its log does not end where this writer left it");
        let known = rows.iter().take_while(|row| row.seq <= last).count();
        for row in &rows[..known] {
            if look::sum_of(self.conn, entry, row.seq)? != Some(row.sum) {
                return Err(torn().into());
            }
        }
        let mut end = (last, entry.to_sum()?);
        for row in &rows[known..] {
            let next = (end.0 + 1, end.1.next(row.seq, row.told, &row.body));
            if next != (row.seq, row.sum) {
                return Err(torn().into());
            }
            end = next;
        }
        if end.0 > MAX_SEQ {
            let text = format!("the session has too many records: `{MAX_SEQ}`");
            return Err(Error::new(ErrorKind::Limit, text).into());
        }
        Ok((known, end.1))
    }

    /// What follows the row stays where it is, in a log without a name: the pages it is on may not
    /// be fit to be touched. The session goes on in a new log that stands on the good part.
    pub(super) fn cut(&mut self, claim: &Claim, last: u64) -> Result<(), Fault> {
        let entry = self.claimed(claim)?;
        if last >= entry.last.cast_unsigned() {
            return Ok(());
        }
        let Some(sum) = look::sum_of(self.conn, &entry, last)? else {
            return Err(no_row(&claim.session, last, entry.last.cast_unsigned()).into());
        };
        let mut card = entry.to_card()?;
        card.records = last;
        let mut good = self.fresh(&claim.session, &card)?;
        good.epoch = entry.epoch;
        self.stand_on(&mut good, &entry, last, sum)?;
        let old = entry.n;
        self.hide(entry)?;
        let good = self.insert(good)?;
        if let Some(snapshot) = look::snapshot(self.conn, old).ok().flatten()
            && snapshot.row <= last
        {
            self.keep_snapshot(good.n, &snapshot)?;
        }
        Ok(())
    }

    pub(super) fn fork(
        &mut self,
        from: &SessionId,
        last: u64,
        to: &SessionId,
    ) -> Result<(), Fault> {
        if self.find(to)?.is_some() {
            let text = format!("there is a session of this name: `{to}`");
            return Err(Error::new(ErrorKind::Config, text).into());
        }
        let parent = self.known(from)?;
        let end = parent.last.cast_unsigned();
        if last > end {
            return Err(no_row(from, last, end).into());
        }
        let Some(sum) = look::sum_of(self.conn, &parent, last)? else {
            return Err(
                corrupt(format!("record {last} of the session is missing: `{from}`")).into(),
            );
        };
        let origin = parent.to_card()?;
        let mut card = Card::new(to.clone());
        card.title = origin.title;
        card.model = origin.model;
        card.folder = origin.folder;
        card.records = last;
        card.forked = Some((from.clone(), last));
        let mut entry = self.fresh(to, &card)?;
        self.stand_on(&mut entry, &parent, last, sum)?;
        self.insert(entry)?;
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &SessionId) -> Result<(), Fault> {
        let entry = self.known(id)?;
        let path = self.place.lock(id);
        let hold = claims::take(&path, id, &Claiming::IfFree)?;
        let entry = self.hide(entry)?;
        self.sweep(entry)?;
        hold.remove(&path);
        Ok(())
    }

    pub(super) fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let text = "INSERT OR REPLACE INTO blobs (name, body) VALUES (?, ?)";
        if look::blob(self.conn, name).ok().flatten().is_none() {
            self.conn.prepare_cached(text)?.execute((name, bytes))?;
        }
        Ok(())
    }

    pub(super) fn put_snapshot(&mut self, claim: &Claim, snapshot: &Snapshot) -> Result<(), Fault> {
        let entry = self.claimed(claim)?;
        self.keep_snapshot(entry.n, snapshot)
    }

    fn keep_snapshot(&self, n: i64, snapshot: &Snapshot) -> Result<(), Fault> {
        let text = "INSERT OR REPLACE INTO snapshots (n, row, sum, body, mark)
            VALUES (?, ?, ?, ?, ?)";
        let mark = look::snapshot_mark(n, snapshot);
        let (row, sum) = (snapshot.row.cast_signed(), snapshot.sum.to_bytes());
        let values = (n, row, sum, &*snapshot.body, mark);
        self.conn.prepare_cached(text)?.execute(values)?;
        Ok(())
    }

    fn find(&mut self, id: &SessionId) -> Result<Option<Entry>, Fault> {
        match self.memo.entries.remove(id) {
            Some(entry) => Ok(Some(entry)),
            None => entry::find(self.conn, Some(&self.totals), id),
        }
    }

    fn known(&mut self, id: &SessionId) -> Result<Entry, Fault> {
        Ok(self.find(id)?.ok_or_else(|| not_found(id))?)
    }

    /// The entry that a claim is of, if it is the newest.
    fn claimed(&mut self, claim: &Claim) -> Result<Entry, Fault> {
        let entry = self.known(&claim.session)?;
        match entry.epoch.cast_unsigned() == claim.epoch {
            true => Ok(entry),
            false => Err(fenced(claim, "another writer has claimed it since").into()),
        }
    }

    /// An entry with the next number, without rows.
    fn fresh(&self, id: &SessionId, card: &Card) -> Result<Entry, Fault> {
        let text = "SELECT coalesce(max(n), 0) + 1 FROM sessions";
        let n = self
            .conn
            .prepare_cached(text)?
            .query_row([], |row| row.get(0))?;
        let mut entry = Entry {
            n,
            id: Some(id.as_str().to_owned()),
            sum: Sum::START.to_bytes().to_vec(),
            ..Entry::default()
        };
        entry.set_card(card)?;
        Ok(entry)
    }

    /// Gives it the first rows of another.
    fn stand_on(&self, entry: &mut Entry, on: &Entry, last: u64, sum: Sum) -> Result<(), Fault> {
        let last = last.cast_signed();
        let mut on = on.clone();
        // Not on one that has none of these rows itself: chains of forks stay short.
        while let Some(parent) = on.parent
            && last <= on.shared
        {
            on = entry::by_number(self.conn, parent)?;
        }
        if last > 0 {
            entry.parent = Some(on.n);
        }
        entry.shared = last;
        entry.last = last;
        entry.sum = sum.to_bytes().to_vec();
        Ok(())
    }

    /// Takes the name from a log.
    fn hide(&mut self, mut entry: Entry) -> Result<Entry, Fault> {
        entry.id = None;
        entry.card.clear();
        self.change(entry)
    }

    /// Removes a log without a name, unless others stand on it, and then those that it stood on.
    fn sweep(&mut self, entry: Entry) -> Result<(), Fault> {
        let mut entry = entry;
        loop {
            let text = "SELECT max(shared) FROM sessions WHERE parent = ?";
            let mut needed = self.conn.prepare_cached(text)?;
            let needed: Option<i64> = needed.query_row([entry.n], |row| row.get(0))?;
            let first = needed.unwrap_or(0).max(0).cast_unsigned() + 1;
            let text = "DELETE FROM rows WHERE at >= ? AND at < ?";
            let gone = (at(entry.n, first), at(entry.n + 1, 0));
            self.conn.prepare_cached(text)?.execute(gone)?;
            let text = "DELETE FROM snapshots WHERE n = ?";
            self.conn.prepare_cached(text)?.execute([entry.n])?;
            if needed.is_some() {
                return Ok(());
            }
            self.totals.take(&entry);
            let text = "DELETE FROM sessions WHERE n = ?";
            self.conn.prepare_cached(text)?.execute([entry.n])?;
            match entry.parent {
                Some(parent) => entry = entry::by_number(self.conn, parent)?,
                None => return Ok(()),
            }
            if entry.id.is_some() {
                return Ok(());
            }
        }
    }

    fn insert(&mut self, mut entry: Entry) -> Result<Entry, Fault> {
        entry.name = Entry::name_of(entry.id.as_deref());
        entry.marked = entry.mark();
        let text =
            "INSERT INTO sessions (parent, shared, epoch, last, sum, card, mark, id, name, n)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        self.put(text, &entry)?;
        self.totals.add(&entry);
        self.remember(&entry);
        Ok(entry)
    }

    fn change(&mut self, mut entry: Entry) -> Result<Entry, Fault> {
        self.totals.take(&entry);
        let named = entry.name;
        entry.name = Entry::name_of(entry.id.as_deref());
        entry.marked = entry.mark();
        if named == entry.name {
            // The columns of an index that do not change are not named, so it is not looked at.
            let text = "UPDATE sessions SET epoch = ?, last = ?, sum = ?, card = ?, mark = ?
                WHERE n = ?";
            let mark = entry.marked.to_le_bytes();
            let values = (
                entry.epoch,
                entry.last,
                &entry.sum,
                &entry.card,
                mark,
                entry.n,
            );
            self.conn.prepare_cached(text)?.execute(values)?;
        } else {
            let text = "UPDATE sessions SET parent = ?, shared = ?, epoch = ?, last = ?, sum = ?,
                card = ?, mark = ?, id = ?, name = ? WHERE n = ?";
            self.put(text, &entry)?;
        }
        self.totals.add(&entry);
        self.remember(&entry);
        Ok(entry)
    }

    fn remember(&mut self, entry: &Entry) {
        if let Some(id) = &entry.id {
            let id = SessionId::new(id.as_str());
            self.memo.entries.insert(id, entry.clone());
        }
    }

    fn put(&self, text: &str, entry: &Entry) -> Result<(), Fault> {
        let Entry {
            parent,
            shared,
            epoch,
            last,
            sum,
            ..
        } = entry;
        let mark = entry.marked.to_le_bytes();
        let (card, id, name, n) = (&entry.card, &entry.id, entry.name, entry.n);
        let values = (parent, shared, epoch, last, sum, card, mark, id, name, n);
        self.conn.prepare_cached(text)?.execute(values)?;
        Ok(())
    }
}
