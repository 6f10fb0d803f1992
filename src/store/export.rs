//! Logs as lines of text: written out for other machines and other programs, and read back.
//! Refuses what the chain of sums does not bear out, and to mend it.

use std::{collections::HashSet, sync::Arc};

use async_stream::try_stream;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Batch, Body, Card, Claim, Claiming, LOG_FORMAT, MAX_RECORD, PAGE_BYTES, PAGE_ROWS, Record, Row,
    Store, Sum, kept::LIST, walk,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
};

/// The number of the format of these lines, in the first of them.
pub const EXPORT_FORMAT: u32 = 1;

/// Bytes that one line may have.
pub const MAX_LINE: usize = 2 * MAX_RECORD;

/// Bytes of a name under which a large result is kept.
const MAX_NAME: usize = 256;

/// The first line: what the log is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Head {
    offshoot_export: u32,
    card: Card,
}

/// A large result that is kept out of line, before the record that names it.
#[derive(Serialize, Deserialize)]
struct Apart {
    kept: String,
    base64: String,
}

/// Every other line: one record.
#[derive(Serialize, Deserialize)]
struct Line {
    seq: u64,
    sum: String,
    #[serde(default, skip_serializing_if = "is_false")]
    told: bool,
    /// The record, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Box<RawValue>>,
    /// The record in base64, where its bytes do not fit on a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(told: &bool) -> bool {
    !told
}

/// A log as lines, without their line ends: one that says what it is, then one a record, with its
/// number, its sum, and the record as it is kept. An error is the last item.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use offshoot::{
///     Agent, Session, SessionId,
///     provider::Offline,
///     store::{MemoryStore, Store, export, import},
/// };
///
/// let here: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let agent = Agent::builder(Offline::new()).build()?;
/// let mut session = Session::builder(agent).store_arc(here.clone()).open().await?;
/// session.submit_message("What can you do?").finish().await;
/// let (id, records) = (session.id().clone(), session.last_record());
/// session.close().await;
///
/// let there: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let copy = SessionId::new("a copy");
/// let card = import(&there, &copy, export(&here, &id)).await?;
/// assert_eq!(card.records, records);
/// # Ok::<(), offshoot::Error>(()) }).unwrap();
/// ```
pub fn export(store: &Arc<dyn Store>, id: &SessionId) -> BoxStream<'static, Result<String>> {
    let (store, id) = (store.clone(), id.clone());
    let lines = try_stream! {
        let card = store.card(&id).await?;
        let card = card.ok_or_else(|| super::memory::not_found(&id))?;
        // What is appended meanwhile is not in it.
        let records = card.records;
        yield text(&Head { offshoot_export: EXPORT_FORMAT, card })?;
        let mut rows = walk(&store, &id).take(usize::try_from(records).unwrap_or(usize::MAX));
        let mut named = HashSet::new();
        while let Some(row) = rows.next().await {
            let row = row?;
            for name in names_in(&row) {
                for name in with_pieces(&*store, name).await? {
                    if !named.insert(name.clone()) {
                        continue;
                    }
                    if let Some(bytes) = store.kept(&name).await? {
                        let base64 = STANDARD.encode(&bytes);
                        yield text(&Apart { kept: name, base64 })?;
                    }
                }
            }
            yield text(&Line::of(&row))?;
        }
    };
    lines.boxed()
}

/// The names of large results that a record tells the model.
fn names_in(row: &Row) -> Vec<String> {
    const BEFORE: &[u8] = b"kept as `";
    if row.told {
        return Vec::new();
    }
    let names = memchr::memmem::find_iter(&row.body, BEFORE).filter_map(|at| {
        let rest = &row.body[at + BEFORE.len()..];
        let end = memchr::memchr(b'`', rest).filter(|end| *end <= MAX_NAME)?;
        std::str::from_utf8(&rest[..end]).ok().map(str::to_owned)
    });
    names.collect()
}

/// The pieces that a name stands for, and the list of them.
async fn with_pieces(store: &dyn Store, name: String) -> Result<Vec<String>> {
    let Some(list) = name.strip_prefix(LIST) else {
        return Ok(vec![name]);
    };
    let pieces = store.kept(list).await?.unwrap_or_default();
    let pieces = String::from_utf8_lossy(&pieces).into_owned();
    let pieces = pieces.lines().map(str::to_owned);
    Ok(pieces.chain([list.to_owned()]).collect())
}

fn text(line: &impl Serialize) -> Result<String> {
    serde_json::to_string(line)
        .map_err(|error| Error::new(ErrorKind::Bug, "a line cannot be written").with_source(error))
}

impl Line {
    fn of(row: &Row) -> Self {
        // Arguments keep the model's own bytes, and line ends between words of JSON are JSON.
        let fits = !row.body.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        let text = std::str::from_utf8(&row.body).ok().filter(|_| fits);
        let record = text
            .and_then(|text| RawValue::from_string(text.to_owned()).ok())
            .filter(|raw| raw.get().len() == row.body.len());
        let base64 = record.is_none().then(|| STANDARD.encode(&row.body));
        Self {
            seq: row.seq,
            sum: row.sum.to_string(),
            told: row.told,
            record,
            base64,
        }
    }

    fn into_row(self) -> Option<Row> {
        let body = match (self.record, self.base64) {
            (Some(record), None) => Bytes::from(String::from(Box::<str>::from(record))),
            (None, Some(base64)) => STANDARD.decode(base64).ok()?.into(),
            _ => return None,
        };
        Some(Row {
            seq: self.seq,
            sum: self.sum.parse().ok()?,
            told: self.told,
            body,
        })
    }
}

/// Whether this is the first line of what [`export`] gives.
pub fn is_export(line: &str) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(rename = "offshoot_export")]
        _format: u32,
    }
    serde_json::from_str::<Probe>(line).is_ok()
}

/// Makes a log of the lines that [`export`] gave. Nothing of it stays when they are not whole.
///
/// # Errors
/// `Corrupt` when a line is not what was exported or some are missing; `TooNew`; `Config` when
/// there is a session of this name; whatever the store or the lines say.
///
/// Cancel safety: dropping it may leave the beginning of the log.
pub async fn import(
    store: &Arc<dyn Store>,
    id: &SessionId,
    mut lines: BoxStream<'_, Result<String>>,
) -> Result<Card> {
    let head = match lines.next().await {
        Some(line) => head(&line?)?,
        None => return Err(corrupt(1, "there is nothing")),
    };
    let claim = claim(store, id).await?;
    let mut taken = Taken::new(id, &head);
    let result = taken.all(&**store, &claim, lines, head.records).await;
    drop(claim);
    match result {
        Ok(()) => Ok(taken.card),
        Err(error) => {
            if let Err(stays) = store.remove(id).await {
                tracing::warn!("half an import could not be removed: {stays}");
            }
            Err(error)
        }
    }
}

/// The right to write a log that is not there yet.
pub(crate) async fn claim(store: &Arc<dyn Store>, id: &SessionId) -> Result<Claim> {
    let claim = store.claim(id, Claiming::IfFree).await?;
    if claim.last > 0 {
        let text = format!("there is a session of this name: `{id}`");
        return Err(Error::new(ErrorKind::Config, text).with_hint("take another name"));
    }
    Ok(claim)
}

fn head(line: &str) -> Result<Card> {
    let head: Head = serde_json::from_str(line)
        .map_err(|_| corrupt(1, "it does not say that it is an exported session"))?;
    if head.offshoot_export > EXPORT_FORMAT {
        let format = head.offshoot_export;
        let text = format!("the session was exported by a newer version: format `{format}`");
        return Err(Error::new(ErrorKind::TooNew, text)
            .with_hint(format!("this version reads formats up to {EXPORT_FORMAT}")));
    }
    Ok(head.card)
}

/// What was taken so far.
struct Taken {
    rows: Vec<Row>,
    bytes: usize,
    last: u64,
    sum: Sum,
    card: Card,
}

impl Taken {
    fn new(id: &SessionId, head: &Card) -> Self {
        let mut card = Card::new(id.clone());
        card.folder.clone_from(&head.folder);
        card.title.clone_from(&head.title);
        card.created = head.created;
        Self {
            rows: Vec::new(),
            bytes: 0,
            last: 0,
            sum: Sum::START,
            card,
        }
    }

    async fn all(
        &mut self,
        store: &dyn Store,
        claim: &Claim,
        mut lines: BoxStream<'_, Result<String>>,
        promised: u64,
    ) -> Result<()> {
        let mut number = 1;
        while let Some(line) = lines.next().await {
            let line = line?;
            number += 1;
            if line.trim().is_empty() {
                continue;
            }
            if let Ok(apart) = serde_json::from_str::<Apart>(&line) {
                keep(store, apart, number).await?;
                continue;
            }
            self.take(&line, number)?;
            if self.rows.len() >= PAGE_ROWS || self.bytes >= PAGE_BYTES {
                store.append(claim, self.batch()).await?;
            }
        }
        if self.last < promised {
            let text = format!("{} of {promised} records are missing", promised - self.last);
            return Err(corrupt(number, &text));
        }
        let mut batch = self.batch();
        batch.sync = true;
        store.append(claim, batch).await.map(drop)
    }

    fn take(&mut self, line: &str, number: u64) -> Result<()> {
        let line: Line = serde_json::from_str(line)
            .map_err(|error| corrupt(number, &format!("it cannot be read: {error}")))?;
        let row = line.into_row();
        let row = row.ok_or_else(|| corrupt(number, "it holds no record"))?;
        let sum = self.sum.next(row.seq, row.told, &row.body);
        if row.seq != self.last + 1 {
            return Err(corrupt(
                number,
                &format!("record {} is missing", self.last + 1),
            ));
        }
        if sum != row.sum {
            let text = format!("record {} is not what was exported", row.seq);
            return Err(corrupt(number, &text));
        }
        if !row.told {
            let record = Record::decode(&row.body)?;
            check_format(&record)?;
            self.card.note(&record);
        }
        (self.last, self.sum) = (row.seq, sum);
        self.bytes += row.body.len();
        self.rows.push(row);
        Ok(())
    }

    fn batch(&mut self) -> Batch {
        self.card.records = self.last;
        self.bytes = 0;
        Batch {
            rows: std::mem::take(&mut self.rows),
            sync: false,
            card: self.card.clone(),
        }
    }
}

/// Keeps a large result under its name, which is the hash of it.
async fn keep(store: &dyn Store, apart: Apart, number: u64) -> Result<()> {
    let bytes = STANDARD.decode(apart.base64).ok();
    let bytes = bytes.ok_or_else(|| corrupt(number, "it holds no bytes"))?;
    let name = store.keep(bytes.into()).await?;
    if name != apart.kept {
        // Another kind of store names by another hash: the record keeps the beginning and the end.
        tracing::warn!(
            kept = apart.kept,
            "a large result has another name here: {name}"
        );
    }
    Ok(())
}

fn check_format(record: &Record) -> Result<()> {
    match &record.body {
        Body::Opened { format, .. } if *format > LOG_FORMAT => {
            let text = format!("the session was written by a newer version: format `{format}`");
            let hint = format!("this version knows formats up to {LOG_FORMAT}");
            Err(Error::new(ErrorKind::TooNew, text).with_hint(hint))
        }
        _ => Ok(()),
    }
}

fn corrupt(line: u64, why: &str) -> Error {
    let text = format!("the exported session is damaged in line {line}: {why}");
    Error::new(ErrorKind::Corrupt, text).with_hint("export it once more; nothing was imported")
}
