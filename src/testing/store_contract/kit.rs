//! What the checks of the contract share: rows to append, questions with an answer in words.
//! Refuses to panic: what is broken is told.

use std::sync::Arc;

use bytes::Bytes;

use super::{Broken, Seen};
use crate::{
    error::{ErrorKind, Result},
    id::SessionId,
    store::{Batch, Card, Claim, Claiming, PAGE_ROWS, Row, Store, Sum},
};

/// A log as the one who writes it sees it.
pub(super) struct Writer {
    pub(super) store: Arc<dyn Store>,
    pub(super) claim: Claim,
    pub(super) last: u64,
    pub(super) sum: Sum,
}

impl Writer {
    /// Claims a log, if it is free.
    pub(super) async fn claim(store: &Arc<dyn Store>, id: &str) -> Result<Self> {
        Self::claim_as(store, id, Claiming::IfFree).await
    }

    pub(super) async fn claim_as(
        store: &Arc<dyn Store>,
        id: &str,
        claiming: Claiming,
    ) -> Result<Self> {
        let claim = store.claim(&SessionId::new(id), claiming).await?;
        Ok(Self {
            store: Arc::clone(store),
            last: claim.last,
            sum: claim.sum,
            claim,
        })
    }

    /// Rows that would come next.
    pub(super) fn next(&self, bodies: &[&[u8]]) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for body in bodies {
            let (last, sum) = rows
                .last()
                .map_or((self.last, self.sum), |row| (row.seq, row.sum));
            let (seq, told) = (last + 1, (last + 1) % 3 == 0);
            rows.push(Row {
                seq,
                sum: sum.next(seq, told, body),
                told,
                body: Bytes::copy_from_slice(body),
            });
        }
        rows
    }

    /// Appends rows that may be wrong, and believes nothing.
    pub(super) async fn try_rows(&self, rows: Vec<Row>) -> Result<u64> {
        self.store.append(&self.claim, self.batch(rows)).await
    }

    pub(super) fn batch(&self, rows: Vec<Row>) -> Batch {
        Batch {
            rows,
            sync: true,
            card: Card::new(self.claim.session.clone()),
        }
    }

    /// Appends what comes next; the answer must be the new end.
    pub(super) async fn append(&mut self, bodies: &[&[u8]]) -> Result<Vec<Row>, Broken> {
        let rows = self.next(bodies);
        let last = self.try_rows(rows.clone()).await?;
        self.advance(&rows);
        same("the answer of an append", &last, &self.last)?;
        Ok(rows)
    }

    /// Believes that these rows were appended.
    pub(super) fn advance(&mut self, rows: &[Row]) {
        if let Some(row) = rows.last() {
            (self.last, self.sum) = (row.seq, row.sum);
        }
    }
}

/// All rows of a log, page by page.
pub(super) async fn read(store: &Arc<dyn Store>, id: &str) -> Result<Vec<Row>, Broken> {
    let id = SessionId::new(id);
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let next = rows.len() as u64 + 1;
        let page = store.read(&id, next..next + PAGE_ROWS as u64).await?;
        if page.is_empty() {
            return Ok(rows);
        }
        same("the first row of a page", &page[0].seq, &next)?;
        rows.extend(page);
    }
}

/// Two things that must be equal.
pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, wanted: &T) -> Seen {
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (brief(found), brief(wanted));
    Err(Broken(format!("{what} is {found} and not {wanted}")))
}

/// Rows that must be these, told apart by their numbers.
pub(super) fn same_rows(what: &str, found: &[Row], wanted: &[Row]) -> Seen {
    let numbers = |rows: &[Row]| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    same(what, &numbers(found), &numbers(wanted))?;
    for (found, wanted) in found.iter().zip(wanted) {
        same(&format!("{what}, row {}", wanted.seq), found, wanted)?;
    }
    Ok(())
}

/// What must be an error of a kind.
pub(super) fn refused<T>(what: &str, result: Result<T>, kind: ErrorKind) -> Seen {
    let found = result.err().map(|error| error.kind());
    same(what, &found, &Some(kind))
}

fn brief(thing: &impl std::fmt::Debug) -> String {
    let text = format!("{thing:?}");
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
