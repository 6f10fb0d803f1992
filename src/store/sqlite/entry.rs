//! A row of `sessions` with the mark that covers it, and what all of them add up to.
//! Refuses to give out a row whose mark does not fit it.

use rusqlite::{Connection, OptionalExtension, Row};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::fault::{Fault, corrupt};
use crate::{
    error::{Error, Result},
    id::SessionId,
    store::{Card, Sum},
};

/// What is known of one log; without an id it is one that others stand on.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// Its number, under which its rows are kept.
    pub(super) n: i64,
    pub(super) id: Option<String>,
    /// The log it stands on, with the last row that both share.
    pub(super) parent: Option<i64>,
    pub(super) shared: i64,
    pub(super) epoch: i64,
    /// Its last row.
    pub(super) last: i64,
    pub(super) sum: Vec<u8>,
    pub(super) card: String,
    /// As it was kept; see [`Entry::mark`].
    pub(super) marked: u128,
    /// The hash of the id, as it was kept.
    pub(super) name: i64,
}

/// The columns of an [`Entry`], in its order.
pub(super) const COLUMNS: &str = "n, id, parent, shared, epoch, last, sum, card, mark, name";

impl Entry {
    /// From a row of [`COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mark: [u8; 16] = row.get(8)?;
        Ok(Self {
            n: row.get(0)?,
            id: row.get(1)?,
            parent: row.get(2)?,
            shared: row.get(3)?,
            epoch: row.get(4)?,
            last: row.get(5)?,
            sum: row.get(6)?,
            card: row.get(7)?,
            marked: u128::from_le_bytes(mark),
            name: row.get(9)?,
        })
    }

    /// The checksum of all of it.
    pub(super) fn mark(&self) -> u128 {
        let mut hasher = Xxh3::new();
        let id = self.id.as_deref().unwrap_or_default();
        let numbers = [
            self.n,
            self.parent.unwrap_or(-1),
            self.shared,
            self.epoch,
            self.last,
            i64::from(self.id.is_some()),
            id.len() as i64,
            self.sum.len() as i64,
        ];
        for number in numbers {
            hasher.update(&number.to_le_bytes());
        }
        for part in [id.as_bytes(), &self.sum, self.card.as_bytes()] {
            hasher.update(part);
        }
        hasher.digest128()
    }

    /// The hash by which an id is known to be whole even where something else of its row is not.
    pub(super) fn name_of(id: Option<&str>) -> i64 {
        id.map_or(0, |id| xxh3_64(id.as_bytes()).cast_signed())
    }

    /// Itself, when it is what was kept.
    pub(super) fn checked(self) -> Result<Self> {
        let stands = self.parent.is_none_or(|parent| parent < self.n);
        if self.mark() == self.marked && stands {
            return Ok(self);
        }
        let id = self.id.as_deref().unwrap_or("?");
        Err(corrupt(format!(
            "what is known of the session is damaged: `{id}`"
        )))
    }

    /// The card in it.
    pub(super) fn to_card(&self) -> Result<Card> {
        serde_json::from_str(&self.card).map_err(|error| {
            let id = self.id.as_deref().unwrap_or("?");
            let text = format!("what is known of the session cannot be read: `{id}`");
            corrupt(text).with_source(error)
        })
    }

    /// Puts a card into it, whose count of records is that of the log.
    pub(super) fn set_card(&mut self, card: &Card) -> Result<()> {
        // Into the memory of the one before, which is about as long.
        let mut text = std::mem::take(&mut self.card).into_bytes();
        text.clear();
        let written = serde_json::to_writer(&mut text, card);
        written.map_err(|error| {
            let text = "what is known of a session cannot be written as JSON";
            Error::new(crate::error::ErrorKind::Bug, text).with_source(error)
        })?;
        self.card = String::from_utf8(text).map_err(|error| {
            Error::new(crate::error::ErrorKind::Bug, "JSON that is no text").with_source(error)
        })?;
        Ok(())
    }

    pub(super) fn to_sum(&self) -> Result<Sum> {
        Sum::from_bytes(&self.sum).ok_or_else(|| corrupt("a checksum is damaged"))
    }
}

/// What all entries add up to, and how many commits there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) commits: i64,
    logs: i64,
    names: i64,
    marks: u128,
}

impl Totals {
    /// Of no entries.
    const NONE: Self = Self {
        commits: 0,
        logs: 0,
        names: 0,
        marks: 0,
    };

    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Self> {
        let text = "SELECT epoch, shared, name, sum FROM sessions WHERE n = 0";
        conn.prepare_cached(text)?.query_row([], |row| {
            let marks: [u8; 16] = row.get(3)?;
            Ok(Self {
                commits: row.get(0)?,
                logs: row.get(1)?,
                names: row.get(2)?,
                marks: u128::from_le_bytes(marks),
            })
        })
    }

    pub(super) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        let text = "UPDATE sessions SET epoch = ?, shared = ?, name = ?, sum = ? WHERE n = 0";
        let marks = self.marks.to_le_bytes();
        let values = (self.commits, self.logs, self.names, marks);
        conn.prepare_cached(text)?.execute(values)?;
        Ok(())
    }

    /// An entry is there from now on.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.logs += 1;
        self.names = self.names.wrapping_add(entry.name);
        self.marks = self.marks.wrapping_add(entry.marked);
    }

    /// An entry is gone.
    pub(super) fn take(&mut self, entry: &Entry) {
        self.logs -= 1;
        self.names = self.names.wrapping_sub(entry.name);
        self.marks = self.marks.wrapping_sub(entry.marked);
    }
}

/// The entry of a session, checked. Not found by the index is not enough to say that there is none:
/// a damaged index must not make a session look new.
/// Inside a transaction the totals are those that it will write.
pub(super) fn find(
    conn: &Connection,
    totals: Option<&Totals>,
    id: &SessionId,
) -> Result<Option<Entry>, Fault> {
    let text = format!("SELECT {COLUMNS} FROM sessions WHERE id = ?");
    let mut statement = conn.prepare_cached(&text)?;
    let entry = statement.query_row([id.as_str()], Entry::read).optional()?;
    match entry {
        Some(entry) => Ok(Some(entry.checked()?)),
        None => {
            let totals = totals.map_or_else(|| Totals::read(conn), |totals| Ok(*totals))?;
            prove_missing(conn, totals, id)?;
            Ok(None)
        }
    }
}

/// The entry of a number, checked.
pub(super) fn by_number(conn: &Connection, n: i64) -> Result<Entry, Fault> {
    let text = format!("SELECT {COLUMNS} FROM sessions WHERE n = ?");
    let entry = conn.prepare_cached(&text)?.query_row([n], Entry::read)?;
    Ok(entry.checked()?)
}

/// Reads every id there is, and fails unless they are whole and all there and this is none of them.
fn prove_missing(conn: &Connection, totals: Totals, id: &SessionId) -> Result<(), Fault> {
    let text = "SELECT id, name FROM sessions NOT INDEXED WHERE n > 0";
    let mut statement = conn.prepare_cached(text)?;
    let mut rows = statement.query([])?;
    let (mut logs, mut names) = (0, 0i64);
    while let Some(row) = rows.next()? {
        let kept = row
            .get_ref(0)?
            .as_str_or_null()
            .map_err(rusqlite::Error::from)?;
        let name: i64 = row.get(1)?;
        if Entry::name_of(kept) != name || kept == Some(id.as_str()) {
            return Err(unsure(id).into());
        }
        logs += 1;
        names = names.wrapping_add(name);
    }
    match (totals.logs, totals.names) == (logs, names) {
        true => Ok(()),
        false => Err(unsure(id).into()),
    }
}

fn unsure(id: &SessionId) -> Error {
    let text = format!("the list of sessions is damaged, and may have had this one: `{id}`");
    corrupt(text)
}

/// All entries, checked each and together.
pub(super) fn all(
    conn: &Connection,
    mut each: impl FnMut(Entry) -> Result<()>,
) -> Result<(), Fault> {
    let text = format!("SELECT {COLUMNS} FROM sessions NOT INDEXED WHERE n > 0");
    let mut statement = conn.prepare_cached(&text)?;
    let mut rows = statement.query([])?;
    let mut found = Totals::NONE;
    while let Some(row) = rows.next()? {
        let entry = Entry::read(row)?.checked()?;
        found.add(&entry);
        each(entry)?;
    }
    let kept = Totals::read(conn)?;
    found.commits = kept.commits;
    match found == kept {
        true => Ok(()),
        false => Err(corrupt("the list of sessions is not whole").into()),
    }
}
