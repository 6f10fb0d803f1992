//! What two runs have in common and where they part, record by record.
//! Refuses to see a difference in clocks, in names that were drawn by lot, or in what was charged.

use std::{collections::HashMap, sync::Arc};

use futures::stream::{BoxStream, StreamExt};
use serde::Serialize;

use super::{Body, Card, Record, Row, Store, walk};
use crate::{
    error::Result,
    id::{CallId, SessionId},
    message::{Message, Part},
    usage::{Cost, Usage},
};

/// Records of one side, after the common beginning, that are laid side by side with those of the
/// other; what comes after them is told as different.
const MAX_ALIGNED: usize = 2_000;

/// How two logs differ.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// Records that both begin with.
    pub common: u64,
    /// What comes after, in order; what both have is counted.
    pub steps: Vec<Step>,
    /// The first of the two.
    pub left: Side,
    /// The second.
    pub right: Side,
}

/// One of the two logs.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Side {
    /// Which session.
    pub id: SessionId,
    /// Records, without what watchers were told.
    pub records: u64,
    /// Turns of its root.
    pub turns: u64,
    /// What all its agents used.
    pub usage: Usage,
    /// What that cost.
    pub cost: Cost,
}

/// What comes after the common beginning.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Records that both have.
    Both(u64),
    /// A record that only the first has, with its number there.
    Left(u64, Record),
    /// A record that only the second has, with its number there.
    Right(u64, Record),
}

impl Difference {
    /// Whether both said and did the same.
    pub fn is_none(&self) -> bool {
        let same = |step: &Step| matches!(step, Step::Both(_));
        self.steps.iter().all(same)
    }
}

/// Lays two logs side by side. Left out are what watchers were told, when it was, how long it took
/// and what it cost; ids of calls are the same when they stand at the same place.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
/// use offshoot::{Agent, Session, provider::Offline, store::{MemoryStore, Store, diff}};
///
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let mut ids = Vec::new();
/// for words in ["What can you do?", "What can you do?", "How many files are there?"] {
///     let agent = Agent::builder(Offline::new()).build()?;
///     let mut session = Session::builder(agent).store_arc(store.clone()).open().await?;
///     session.submit_message(words).finish().await;
///     ids.push(session.id().clone());
///     session.close().await;
/// }
/// assert!(diff(&store, &ids[0], &ids[1]).await?.is_none());
/// let difference = diff(&store, &ids[0], &ids[2]).await?;
/// assert_eq!(difference.common, 1, "both were opened");
/// # Ok::<(), offshoot::Error>(()) }).unwrap();
/// ```
///
/// # Errors
/// `NotFound`; `Corrupt` when a record is not what was written.
///
/// Cancel safety: safe, it holds no state.
pub async fn diff(
    store: &Arc<dyn Store>,
    left: &SessionId,
    right: &SessionId,
) -> Result<Difference> {
    let (mut one, mut two) = (Reader::new(store, left), Reader::new(store, right));
    let mut common = 0;
    let (first, second) = loop {
        match (one.next().await?, two.next().await?) {
            (Some(a), Some(b)) if a.mark == b.mark => common += 1,
            (a, b) => break (a, b),
        }
    };
    let lefts = one.rest(first).await?;
    let rights = two.rest(second).await?;
    Ok(Difference {
        common,
        steps: align(lefts, rights),
        left: one.side(store.card(left).await?),
        right: two.side(store.card(right).await?),
    })
}

/// A record and what of it is compared.
struct Marked {
    seq: u64,
    record: Record,
    mark: Vec<u8>,
}

struct Reader {
    id: SessionId,
    rows: BoxStream<'static, Result<Row>>,
    names: HashMap<CallId, usize>,
    records: u64,
}

impl Reader {
    fn new(store: &Arc<dyn Store>, id: &SessionId) -> Self {
        Self {
            id: id.clone(),
            rows: walk(store, id),
            names: HashMap::new(),
            records: 0,
        }
    }

    async fn next(&mut self) -> Result<Option<Marked>> {
        while let Some(row) = self.rows.next().await {
            let row = row?;
            if row.told {
                continue;
            }
            self.records += 1;
            let record = Record::decode(&row.body)?;
            let mark = self.mark(record.clone())?;
            let seq = row.seq;
            return Ok(Some(Marked { seq, record, mark }));
        }
        Ok(None)
    }

    async fn rest(&mut self, first: Option<Marked>) -> Result<Vec<Marked>> {
        let mut rest = Vec::from_iter(first);
        while let Some(next) = self.next().await? {
            rest.push(next);
        }
        Ok(rest)
    }

    fn side(self, card: Option<Card>) -> Side {
        let card = card.unwrap_or_else(|| Card::new(self.id.clone()));
        Side {
            id: self.id,
            records: self.records,
            turns: card.turns,
            usage: card.usage,
            cost: card.cost,
        }
    }

    /// The record without what differs between two runs that do the same.
    fn mark(&mut self, mut record: Record) -> Result<Vec<u8>> {
        record.at = 0;
        match &mut record.body {
            Body::Opened {
                session, version, ..
            } => {
                *session = SessionId::new("");
                version.clear();
            }
            Body::Resumed {
                version, forked, ..
            } => {
                version.clear();
                *forked = None;
            }
            Body::User { message } | Body::Note { message, .. } => self.rename_in(message),
            Body::Assistant {
                message,
                usage,
                charged,
                cost,
                ..
            } => {
                self.rename_in(message);
                (*usage, *charged, *cost) = (None, Usage::default(), Cost::default());
            }
            Body::Intent { call, .. } => self.rename(call),
            Body::Result { result, millis } => {
                self.rename(&mut result.call);
                *millis = 0;
            }
            Body::Asked { id, call, .. } | Body::Answered { id, call, .. } => {
                self.rename(call);
                id.clear();
            }
            Body::Trimmed { calls } => calls.iter_mut().for_each(|call| self.rename(call)),
            Body::Charge { usage, cost } | Body::ChildEnd { usage, cost, .. } => {
                (*usage, *cost) = (Usage::default(), Cost::default());
            }
            Body::ChildStart { call, .. } => call.iter_mut().for_each(|call| self.rename(call)),
            Body::Summarised { .. } => {}
            Body::TurnEnd { .. } | Body::Told(_) => {}
        }
        record.encode()
    }

    fn rename_in(&mut self, message: &mut Message) {
        for part in &mut message.parts {
            match part {
                Part::Call(call) => self.rename(&mut call.id),
                Part::Result(result) => self.rename(&mut result.call),
                _ => {}
            }
        }
    }

    fn rename(&mut self, call: &mut CallId) {
        let next = self.names.len();
        let number = *self.names.entry(call.clone()).or_insert(next);
        *call = CallId::new(format!("#{number}"));
    }
}

/// The longest row of records that both have stays; the others are told of.
fn align(lefts: Vec<Marked>, rights: Vec<Marked>) -> Vec<Step> {
    let (rows, columns) = (lefts.len().min(MAX_ALIGNED), rights.len().min(MAX_ALIGNED));
    // How long a common row can still become from here.
    let mut still = vec![0_u16; (rows + 1) * (columns + 1)];
    let at = |row: usize, column: usize| row * (columns + 1) + column;
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            still[at(row, column)] = if lefts[row].mark == rights[column].mark {
                still[at(row + 1, column + 1)] + 1
            } else {
                still[at(row + 1, column)].max(still[at(row, column + 1)])
            };
        }
    }
    let mut steps = Vec::new();
    let (mut row, mut column) = (0, 0);
    while row < rows && column < columns {
        if lefts[row].mark == rights[column].mark {
            match steps.last_mut() {
                Some(Step::Both(count)) => *count += 1,
                _ => steps.push(Step::Both(1)),
            }
            (row, column) = (row + 1, column + 1);
        } else if still[at(row + 1, column)] >= still[at(row, column + 1)] {
            steps.push(lefts[row].as_left());
            row += 1;
        } else {
            steps.push(rights[column].as_right());
            column += 1;
        }
    }
    steps.extend(lefts[row..].iter().map(Marked::as_left));
    steps.extend(rights[column..].iter().map(Marked::as_right));
    steps
}

impl Marked {
    fn as_left(&self) -> Step {
        Step::Left(self.seq, self.record.clone())
    }

    fn as_right(&self) -> Step {
        Step::Right(self.seq, self.record.clone())
    }
}
