//! Reads a log back: checks the chain, finds the last good record, sorts records by agent.
//! Refuses to guess: what follows a damaged record is said to be lost, never mended.

use std::{collections::HashMap, sync::Arc};

use super::{Body, LOG_FORMAT, LostChild, LostChildren, PAGE_ROWS, Record, Row, Store, Sum, lost};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{AgentPath, CallId, SessionId, TurnId},
    usage::{Cost, Usage},
};

/// What a log holds, as far as it is good.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Recalled {
    /// The number of the last good record.
    pub last: u64,
    /// Its sum.
    pub sum: Sum,
    /// What is wrong with what follows, when something does.
    pub damage: Option<Damage>,
    /// The agents that had not ended, and the root.
    pub agents: HashMap<AgentPath, Recollection>,
    /// The agents that had ended, with what they used themselves, in the order in which they did.
    pub ended: Vec<(AgentPath, Spent)>,
    /// Children that had ended and of whose end their parents have not read.
    pub unread: Vec<LostChild>,
    /// How long the session's processes have lived, in milliseconds.
    pub lived: u64,
    /// The number of the last event that watchers were told.
    pub told: u64,
    /// Whether the root's last turn has no end.
    pub unfinished: bool,
}

/// What is left of an agent that had not ended.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Recollection {
    /// What happened to it, oldest first, without what watchers were told.
    pub records: Vec<Record>,
    /// What it used itself, its children not included.
    pub spent: Spent,
    /// Its last turn.
    pub turn: TurnId,
    /// The number of the record of what its model said last.
    said: u64,
    /// The session in which that was, where it is not this one.
    pub session: Option<SessionId>,
}

impl Recollection {
    /// Whether a call has its result.
    pub(super) fn has_result(&self, call: &CallId) -> bool {
        let of_call = |record: &Record| match &record.body {
            Body::Result { result, .. } => result.call == *call,
            _ => false,
        };
        self.records.iter().any(of_call)
    }
}

/// What an agent used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens.
    pub usage: Usage,
    /// Money.
    pub cost: Cost,
}

impl Recalled {
    /// The children whose end their parents have not heard, those that were alive first.
    pub fn lost(&self, policy: LostChildren) -> Vec<LostChild> {
        lost::lost(self, policy)
    }
}

/// Where a log is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Records after the last good one.
    pub lost: u64,
    /// What is wrong.
    pub why: String,
}

/// Reads a log from its first record to its last good one.
///
/// # Errors
/// `NotFound`; `TooNew` when a newer version has written it; whatever the store says of rows that
/// it cannot read at all, when not even the first can be.
///
/// Cancel safety: safe, it holds no state.
pub async fn recall(store: &Arc<dyn Store>, id: &SessionId) -> Result<Recalled> {
    let card = store.card(id).await?;
    let promised = card.map_or(0, |card| card.records);
    let mut reader = Reader::default();
    let mut damage = None;
    'pages: loop {
        let next = reader.out.last + 1;
        let rows = match store.read(id, next..next + PAGE_ROWS as u64).await {
            Ok(rows) => rows,
            Err(error) if error.kind() == ErrorKind::Corrupt && reader.out.last > 0 => {
                damage = Some(error.to_string());
                break;
            }
            Err(error) => return Err(error),
        };
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let sum = reader.out.sum.next(row.seq, row.told, &row.body);
            let wrong = if row.seq != reader.out.last + 1 {
                Some(format!("record {} is missing", reader.out.last + 1))
            } else if sum != row.sum {
                Some(format!("record {} is not what was written", row.seq))
            } else {
                match reader.take(&row) {
                    Ok(()) => None,
                    Err(error) if error.kind() == ErrorKind::TooNew => return Err(error),
                    Err(error) => Some(format!("record {}: {error}", row.seq)),
                }
            };
            if let Some(why) = wrong {
                damage = Some(why);
                break 'pages;
            }
            reader.out.last = row.seq;
            reader.out.sum = sum;
        }
    }
    let lost = promised.saturating_sub(reader.out.last);
    if lost > 0 || damage.is_some() {
        let why = damage.unwrap_or_else(|| "its last records are missing".into());
        reader.out.damage = Some(Damage { lost, why });
    }
    if reader.out.last == 0 && promised > 0 {
        let text = format!("nothing of the session can be read: `{id}`");
        let why = reader.out.damage.map(|damage| damage.why);
        return Err(Error::new(ErrorKind::Corrupt, text).with_hint(why.unwrap_or_default()));
    }
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    out: Recalled,
    /// When this life of the session began, and when it was last heard of.
    life: Option<(u64, u64)>,
    /// The records at which the log became a fork, and of what.
    forks: Vec<(u64, SessionId)>,
}

impl Reader {
    fn take(&mut self, row: &Row) -> Result<()> {
        let body = &row.body;
        if row.told {
            // Not decoded as an event: only its number is of interest, and there are many.
            #[derive(serde::Deserialize)]
            struct Told {
                body: Inner,
            }
            #[derive(serde::Deserialize)]
            struct Inner {
                told: Seq,
            }
            #[derive(serde::Deserialize)]
            struct Seq {
                seq: u64,
            }
            if let Ok(told) = serde_json::from_slice::<Told>(body) {
                self.out.told = self.out.told.max(told.body.told.seq);
            }
            return Ok(());
        }
        let record = Record::decode(body)?;
        match &record.body {
            Body::Opened { format, .. } | Body::Resumed { format, .. } if *format > LOG_FORMAT => {
                let text = format!("the session was written by a newer version: format `{format}`");
                let hint = format!("this version knows formats up to {LOG_FORMAT}");
                return Err(Error::new(ErrorKind::TooNew, text).with_hint(hint));
            }
            Body::Opened { .. } => self.new_life(record.at),
            Body::Resumed { forked, .. } => {
                self.new_life(record.at);
                let next = self.out.last + 1;
                self.forks
                    .extend(forked.iter().map(|(from, _)| (next, from.clone())));
            }
            _ => {}
        }
        lost::read_by(&mut self.out.unread, &record);
        self.life = self.life.map(|(from, to)| (from, to.max(record.at)));
        if let Body::ChildEnd { outcome, text, .. } = record.body {
            if let Some(gone) = self.out.agents.remove(&record.agent) {
                let child = LostChild::of(&record.agent, &gone);
                self.out.unread.extend(child.map(|child| LostChild {
                    ended: Some(outcome),
                    words: text,
                    ..child
                }));
                self.out.ended.push((record.agent, gone.spent));
            }
            return Ok(());
        }
        if record.agent.depth() == 0 {
            match &record.body {
                // What began without a word in the conversation has not begun.
                Body::User { .. } | Body::Note { .. } | Body::Assistant { .. } => {
                    self.out.unfinished = record.turn.0 > 0;
                }
                Body::TurnEnd { .. } => self.out.unfinished = false,
                _ => {}
            }
        }
        let agent = self.out.agents.entry(record.agent.clone()).or_default();
        agent.turn = agent.turn.max(record.turn);
        if matches!(record.body, Body::Assistant { .. }) {
            agent.said = self.out.last + 1;
        }
        if let Body::Assistant { charged, cost, .. }
        | Body::Charge {
            usage: charged,
            cost,
        } = &record.body
        {
            agent.spent.usage += *charged;
            agent.spent.cost += *cost;
        }
        agent.records.push(record);
        Ok(())
    }

    fn new_life(&mut self, at: u64) {
        self.end_life();
        self.life = Some((at, at));
    }

    fn end_life(&mut self) {
        if let Some((from, to)) = self.life.take() {
            self.out.lived += to.saturating_sub(from);
        }
    }

    fn finish(mut self) -> Recalled {
        self.end_life();
        for memory in self.out.agents.values_mut() {
            let said = memory.said;
            let fork = self.forks.iter().find(|(at, _)| *at > said);
            memory.session = fork.map(|(_, from)| from.clone());
        }
        self.out
    }
}
