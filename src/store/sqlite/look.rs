//! Reading: rows of a log across the logs it stands on, cards, lists, blobs, snapshots.
//! Refuses to write, and to say that there is nothing where something is damaged.

use std::ops::Range;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3;

use super::{
    entry::{self, Entry},
    fault::{Fault, corrupt},
    place::hex,
};
use crate::{
    error::Result,
    id::SessionId,
    store::{Card, MAX_LISTED, PAGE_BYTES, PAGE_ROWS, Row, Snapshot, Sum, memory::not_found},
};

/// Where a row of a log is kept: there are at most 2^32 in each.
pub(super) fn at(n: i64, seq: u64) -> i64 {
    (n << 32) + i64::try_from(seq.min(MAX_SEQ)).unwrap_or(i64::MAX)
}

/// The highest number that a row may have.
pub(super) const MAX_SEQ: u64 = u32::MAX as u64;

/// The entry of a session that must be there.
pub(super) fn known(conn: &Connection, id: &SessionId) -> Result<Entry, Fault> {
    Ok(entry::find(conn, None, id)?.ok_or_else(|| not_found(id))?)
}

/// Which logs hold these rows, first rows first.
fn lineage(
    conn: &Connection,
    entry: Entry,
    rows: Range<u64>,
) -> Result<Vec<(i64, Range<u64>)>, Fault> {
    let mut end = rows.end.min(entry.last.cast_unsigned() + 1);
    let mut stretches = Vec::new();
    let mut entry = entry;
    loop {
        let shared = match entry.parent {
            Some(_) => entry.shared.cast_unsigned(),
            None => 0,
        };
        let own = rows.start.max(shared + 1)..end;
        if !own.is_empty() {
            stretches.push((entry.n, own));
        }
        end = end.min(shared + 1);
        match entry.parent {
            // A parent has the lower number, so that this ends whatever the file says.
            Some(parent) if rows.start < end => entry = entry::by_number(conn, parent)?,
            _ => break,
        }
    }
    stretches.reverse();
    Ok(stretches)
}

/// Rows of a log, one page at most. What can be read before a damaged row is given; whoever asks for
/// more hears of the damage.
pub(super) fn rows(conn: &Connection, entry: Entry, rows: Range<u64>) -> Result<Vec<Row>, Fault> {
    let rows = rows.start.max(1)..rows.end.min(MAX_SEQ + 1);
    let mut page = Vec::new();
    match fill(conn, entry, rows, &mut page) {
        Err(fault) if page.is_empty() => Err(fault),
        _ => Ok(page),
    }
}

fn fill(
    conn: &Connection,
    entry: Entry,
    rows: Range<u64>,
    page: &mut Vec<Row>,
) -> Result<(), Fault> {
    let mut bytes = 0;
    let text = "SELECT at, told, sum, body FROM rows WHERE at >= ? AND at < ? ORDER BY at";
    for (n, stretch) in lineage(conn, entry, rows)? {
        let mut statement = conn.prepare_cached(text)?;
        let mut found = statement.query((at(n, stretch.start), at(n, stretch.end)))?;
        while let Some(row) = found.next()? {
            if page.len() == PAGE_ROWS || bytes >= PAGE_BYTES {
                return Ok(());
            }
            let body = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
            let sum = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
            let told: i64 = row.get(1)?;
            bytes += body.len();
            page.push(Row {
                seq: (row.get::<_, i64>(0)? - (n << 32)).cast_unsigned(),
                sum: Sum::from_bytes(sum).ok_or_else(|| corrupt("a checksum is damaged"))?,
                told: match told {
                    0 => false,
                    1 => true,
                    _ => return Err(corrupt("a record is damaged").into()),
                },
                body: Bytes::copy_from_slice(body),
            });
        }
    }
    Ok(())
}

/// The sum of one row of a log, of which nothing is before the first.
pub(super) fn sum_of(conn: &Connection, entry: &Entry, seq: u64) -> Result<Option<Sum>, Fault> {
    if seq == 0 {
        return Ok(Some(Sum::START));
    }
    let found = lineage(conn, entry.clone(), seq..seq + 1)?;
    let Some((n, _)) = found.first() else {
        return Ok(None);
    };
    let text = "SELECT sum FROM rows WHERE at = ?";
    let mut statement = conn.prepare_cached(text)?;
    let sum: Option<[u8; 16]> = statement
        .query_row([at(*n, seq)], |row| row.get(0))
        .optional()?;
    Ok(sum.and_then(|sum| Sum::from_bytes(&sum)))
}

/// The cards of all sessions that have records, the last touched first.
pub(super) fn cards(conn: &Connection) -> Result<Vec<Card>, Fault> {
    let mut cards = Vec::new();
    entry::all(conn, |entry| {
        if entry.id.is_some() && entry.last > 0 {
            cards.push(entry.to_card()?);
        }
        Ok(())
    })?;
    cards.sort_by(|a: &Card, b: &Card| (b.touched, &b.id).cmp(&(a.touched, &a.id)));
    cards.truncate(MAX_LISTED);
    Ok(cards)
}

/// The name of bytes that are kept out of line.
pub(super) fn blob_name(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes that were kept out of line.
pub(super) fn blob(conn: &Connection, name: &str) -> Result<Option<Bytes>, Fault> {
    let text = "SELECT body FROM blobs WHERE name = ?";
    let mut statement = conn.prepare_cached(text)?;
    let body: Option<Vec<u8>> = statement.query_row([name], |row| row.get(0)).optional()?;
    match body {
        Some(body) if blob_name(&body) != name => {
            Err(corrupt(format!("what was kept is damaged: `{name}`")).into())
        }
        body => Ok(body.map(Bytes::from)),
    }
}

/// The checksum that a snapshot is kept with.
pub(super) fn snapshot_mark(n: i64, snapshot: &Snapshot) -> [u8; 16] {
    let mut hasher = Xxh3::new();
    hasher.update(&n.to_le_bytes());
    hasher.update(&snapshot.row.to_le_bytes());
    hasher.update(&snapshot.sum.to_bytes());
    hasher.update(&snapshot.body);
    hasher.digest128().to_le_bytes()
}

/// The newest snapshot of a log.
pub(super) fn snapshot(conn: &Connection, n: i64) -> Result<Option<Snapshot>, Fault> {
    let text = "SELECT row, sum, body, mark FROM snapshots WHERE n = ?";
    let mut statement = conn.prepare_cached(text)?;
    let found = statement.query_row([n], |row| {
        let row_sum: [u8; 16] = row.get(1)?;
        let snapshot = Snapshot {
            row: row.get::<_, i64>(0)?.cast_unsigned(),
            sum: Sum::from_bytes(&row_sum).unwrap_or_default(),
            body: row.get::<_, Vec<u8>>(2)?.into(),
        };
        Ok((snapshot, row.get::<_, [u8; 16]>(3)?))
    });
    match found.optional()? {
        Some((snapshot, mark)) if snapshot_mark(n, &snapshot) != mark => {
            Err(corrupt("a snapshot of a session is damaged").into())
        }
        found => Ok(found.map(|(snapshot, _)| snapshot)),
    }
}
