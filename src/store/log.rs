//! The writer of one session's log: numbers and chains records, and hands them over in groups.
//! Refuses to lose one: what a store could not take stays here, in order, until it can.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    Batch, Body, Card, Claim, Doubt, LostChild, LostChildren, Recalled, Recollection, Record,
    Spent, Store,
    pending::{State, Until},
    replay::Joiner,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, Ground},
    id::{AgentPath, CallId, SessionId, TurnId},
    redact::Redactor,
};

/// Bytes of records that wait for their store; past this, what watchers were told is left out.
pub const MAX_UNWRITTEN: usize = 256 * 1024 * 1024;

/// Bytes that may wait before they are handed over without being asked for.
const HAND_OVER: usize = 1024 * 1024;

/// How often a store is asked again whose answer was lost, and how long after the first time; each
/// further wait is twice as long.
const ASKED_AGAIN: u32 = 5;
const ASK_AFTER: Duration = Duration::from_millis(20);

/// How long one answer of a store is waited for; what it was asked may happen all the same. A store
/// that does its work where it is asked is not cut off: while its disk hangs, so does who asked.
pub const STORE_LIMIT: Duration = Duration::from_secs(30);

/// So long those who want records written wait for one of them who does it.
const PASS: Duration = Duration::from_secs(1);
/// So often they look after that.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What an agent waits for before it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// For nothing: a crash may lose what was said last, and the log does not know it. What a
    /// process hands over before it ends is kept.
    Off,
    /// The end of a turn waits for the disk.
    Turn,
    /// Each step does: the intent of a call is on the disk before its effect begins, and its result
    /// before the model sees it.
    #[default]
    Step,
}

/// What a session does with what a death left behind, and how safe it wants to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policies {
    /// What an agent waits for before it goes on.
    pub durability: Durability,
    /// Calls of unknown outcome that must not be repeated unasked.
    pub doubt: Doubt,
    /// Agents that a parent waited for.
    pub children: LostChildren,
}

/// What is about to happen that records must not be younger than.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// An effect, or a request that shows the model what happened.
    Step,
    /// The end of a turn.
    Turn,
}

/// The writer of one session's log, shared by all its agents. Cheap to clone.
#[derive(Clone)]
pub struct Log(Option<Arc<Writer>>);

struct Writer {
    store: Arc<dyn Store>,
    claim: Claim,
    policies: Policies,
    redactor: Redactor,
    state: Mutex<State>,
    /// What agents of an earlier life remember, until each is opened again.
    memories: Mutex<Recalled>,
    lost: Vec<LostChild>,
    places: Vec<AgentPath>,
    /// Pieces of messages that still grow.
    told: Mutex<Joiner>,
    /// Held by whoever hands records over; those who wait for it find theirs written.
    turn: tokio::sync::Mutex<()>,
    /// Held by the one who goes on without the turn, because whoever has it does not.
    pass: tokio::sync::Mutex<()>,
    /// When somebody went on without either.
    gone: Mutex<Option<Instant>>,
}

impl Log {
    /// Nothing is kept.
    pub fn off() -> Self {
        Self(None)
    }

    /// The writer of the log that was claimed, whose card is this and whose records came to that.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        claim: Claim,
        card: Card,
        policies: Policies,
        redactor: Redactor,
        memories: Recalled,
    ) -> Self {
        let state = State {
            rows: VecDeque::new(),
            bytes: 0,
            last: claim.last,
            sum: claim.sum,
            card,
            broken: None,
            synced: claim.last,
        };
        Self(Some(Arc::new(Writer {
            store,
            claim,
            policies,
            redactor,
            state: Mutex::new(state),
            lost: memories.lost(policies.children),
            places: {
                let ended = memories.ended.iter().map(|(path, _)| path);
                ended.chain(memories.agents.keys()).cloned().collect()
            },
            told: Mutex::default(),
            memories: Mutex::new(memories),
            turn: tokio::sync::Mutex::default(),
            pass: tokio::sync::Mutex::default(),
            gone: Mutex::default(),
        })))
    }

    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it was there before this life of the program.
    pub fn is_resumed(&self) -> bool {
        self.0.as_ref().is_some_and(|writer| writer.claim.last > 0)
    }

    /// Where it is kept.
    pub fn store(&self) -> Option<&Arc<dyn Store>> {
        self.0.as_ref().map(|writer| &writer.store)
    }

    /// The secrets that must not be kept.
    pub(crate) fn redactor(&self) -> Option<&Redactor> {
        let redactor = self.0.as_ref().map(|writer| &writer.redactor);
        redactor.filter(|redactor| !redactor.is_empty())
    }

    /// The number of the last record, written or about to be; 0 when nothing is kept.
    pub fn last(&self) -> u64 {
        self.0.as_ref().map_or(0, |writer| writer.state().last)
    }

    /// Which session.
    pub fn session(&self) -> Option<&SessionId> {
        self.0.as_ref().map(|writer| &writer.claim.session)
    }

    /// What is done with what a death left behind.
    pub fn policies(&self) -> Policies {
        self.0
            .as_ref()
            .map_or(Policies::default(), |writer| writer.policies)
    }

    /// What an agent at this place remembers of an earlier life; taken out by asking.
    pub(crate) fn recollect(&self, agent: &AgentPath) -> Option<Recollection> {
        let writer = self.0.as_ref()?;
        let mut memories = writer.memories();
        memories.agents.remove(agent)
    }

    /// What is known of an agent at this place that has not been taken up yet: what it had spent
    /// itself, and whether it was asked anything.
    pub(crate) fn left_off(&self, agent: &AgentPath) -> Option<(Spent, bool)> {
        let memories = self.0.as_ref()?.memories();
        let memory = memories.agents.get(agent)?;
        let asked = |record: &Record| matches!(record.body, Body::User { .. });
        Some((memory.spent, memory.records.iter().any(asked)))
    }

    /// The children that were alive when the session's program died, or whose end was not read.
    pub(crate) fn lost(&self) -> &[LostChild] {
        self.0.as_ref().map_or(&[], |writer| &writer.lost)
    }

    /// The one among them that this call of this agent had opened and waited for.
    pub(crate) fn lost_child(&self, parent: &AgentPath, call: &CallId) -> Option<&LostChild> {
        let opened = |lost: &&LostChild| {
            lost.call.as_ref() == Some(call)
                && lost.ground == Ground::Foreground
                && lost.is_child_of(parent)
        };
        self.lost().iter().find(opened)
    }

    /// The places below this one that were taken in earlier lives.
    pub(crate) fn places(&self, parent: &AgentPath) -> Vec<AgentPath> {
        let places = self.0.iter().flat_map(|writer| &writer.places);
        let below = |path: &&AgentPath| path.parent().as_ref() == Some(parent);
        places.filter(below).cloned().collect()
    }

    /// Adds a record; it is written with the next commit at the latest. Never waits, never fails:
    /// what is wrong with it is told by the commit.
    pub(crate) fn write(&self, agent: &AgentPath, turn: TurnId, body: impl FnOnce() -> Body) {
        if let Some(writer) = &self.0 {
            writer.write(Record::now(agent.clone(), turn, body()));
        }
    }

    /// Adds what watchers are told, neighbouring pieces of messages joined.
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(writer) = &self.0 {
            let mut told = writer.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.take(event, |event| {
                let (agent, turn) = (event.agent.clone(), event.turn);
                writer.write(Record::now(agent, turn, Body::Told(event)));
            });
        }
    }

    /// Waits until everything added so far is as safe as this moment wants it.
    ///
    /// # Errors
    /// When the store does not take it. Nothing is lost: it stays here, and the next commit tries
    /// again, unless another writer has taken the session over.
    ///
    /// Cancel safety: safe, what was handed over is written all the same.
    pub(crate) async fn commit(&self, moment: Moment) -> Result<()> {
        let Some(writer) = &self.0 else { return Ok(()) };
        let waits = match writer.policies.durability {
            Durability::Step => true,
            Durability::Turn => moment == Moment::Turn,
            Durability::Off => false,
        };
        if waits {
            return writer.flush(Until::OnDisk).await;
        }
        let much = writer.state().bytes > HAND_OVER;
        if much || moment == Moment::Turn {
            return writer.flush(Until::Written).await;
        }
        writer.state().check()
    }

    /// Waits until everything added so far is on the disk, whatever the durability.
    ///
    /// # Errors
    /// When the store does not take it; nothing is lost, the next attempt takes it along.
    ///
    /// Cancel safety: safe, what was handed over is written all the same.
    pub async fn save(&self) -> Result<()> {
        match &self.0 {
            Some(writer) => writer.flush(Until::OnDisk).await,
            None => Ok(()),
        }
    }
}

impl Writer {
    fn memories(&self) -> MutexGuard<'_, Recalled> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, record: Record) {
        let told = matches!(record.body, Body::Told(_));
        let encoded = match record.encode() {
            // What cannot be kept is said to be missing, where the rest can go on without it.
            Err(_) if told => return,
            Err(error) => match record.without_content() {
                Some(smaller) => smaller.encode().map(|body| (smaller, body)),
                None => Err(error),
            },
            Ok(body) => Ok((record, body)),
        };
        let encoded = encoded.and_then(|(record, body)| self.redacted(record, body));
        let mut state = self.state();
        if state.broken.is_some() || (told && state.bytes > MAX_UNWRITTEN) {
            return;
        }
        match encoded {
            Ok((record, body)) => state.push(&record, body.into()),
            Err(error) => state.broken = Some(error),
        }
    }

    /// Without the secrets that were registered: what is kept may be read by whoever has the disk.
    fn redacted(&self, record: Record, body: Vec<u8>) -> Result<(Record, Vec<u8>)> {
        if self.redactor.is_empty() {
            return Ok((record, body));
        }
        let text = String::from_utf8_lossy(&body);
        if matches!(self.redactor.redact(&text), Cow::Borrowed(_)) {
            return Ok((record, body));
        }
        // String by string, so that what is left is a record whatever the secret is.
        let told = |error: serde_json::Error| Error::new(ErrorKind::Bug, error.to_string());
        let mut value: Value = serde_json::from_str(&text).map_err(told)?;
        mask(&mut value, &self.redactor);
        let clean = serde_json::to_vec(&value).map_err(told)?;
        Ok((Record::decode(&clean)?, clean))
    }

    async fn flush(&self, until: Until) -> Result<()> {
        let wanted = self.state().last;
        let _turn = self.turn(wanted, until).await;
        let mut asked = 0;
        loop {
            let batch = {
                let state = self.state();
                // Whoever had the turn before may have written ours with theirs.
                if state.has_written(wanted, until) {
                    return state.check();
                }
                match state.batch(until) {
                    Some(batch) => batch,
                    // What others wrote without waiting for the disk is not enough for us.
                    None if until == Until::OnDisk && state.synced < wanted => Batch {
                        rows: Vec::new(),
                        sync: true,
                        card: state.card.clone(),
                    },
                    None => return state.check(),
                }
            };
            // Dropping this here leaves the rows in place: they are handed over again, and a store
            // that has them already says so.
            let append = self.store.append(&self.claim, batch);
            let answer = tokio::time::timeout(STORE_LIMIT, append).await;
            let answer = answer.unwrap_or_else(|_| Err(too_slow()));
            if let Err(error) = &answer
                && error.kind() == ErrorKind::Uncertain
                && asked < ASKED_AGAIN
            {
                tokio::time::sleep(ASK_AFTER * 2u32.pow(asked)).await;
                asked += 1;
                continue;
            }
            let mut state = self.state();
            match answer {
                Ok(last) => {
                    asked = 0;
                    state.confirm(last, until);
                }
                Err(error) => {
                    if error.kind() == ErrorKind::Fenced {
                        state.broken = Some(error.clone());
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Waits for the turn to hand records over. Who has it, or is to have it next, may be the turn of
    /// an agent whose stream nobody reads; then one of those who wait goes on without it, because a
    /// store keeps rows once that are handed over twice.
    async fn turn(&self, wanted: u64, until: Until) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let mut turn = pin!(self.turn.lock());
        let begun = Instant::now();
        let mut wait = PASS;
        loop {
            if let Ok(turn) = tokio::time::timeout(wait, &mut turn).await {
                return Some(turn);
            }
            if self.state().has_written(wanted, until) {
                return None;
            }
            if let Ok(pass) = self.pass.try_lock() {
                return Some(pass);
            }
            // The one who passes may stop in its turn: then one more goes, and later another.
            if begun.elapsed() > PASS * 5 {
                let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
                if gone.is_none_or(|at| at.elapsed() >= PASS) {
                    *gone = Some(Instant::now());
                    return None;
                }
            }
            wait = LOOK_AGAIN;
        }
    }

    fn hand_over(&self) {
        let state = self.state();
        if let Some(batch) = state.batch(Until::Written) {
            // The work has begun; its answer interests nobody any more.
            drop(self.store.append(&self.claim, batch));
        }
    }
}

fn too_slow() -> Error {
    let text = format!("the store did not answer within `{STORE_LIMIT:?}`");
    Error::new(ErrorKind::Timeout, text).with_hint("is the disk full or far away?")
}

fn mask(value: &mut Value, redactor: &Redactor) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = redactor.redact(text) {
                *text = clean;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| mask(value, redactor)),
        Value::Object(map) => map.values_mut().for_each(|value| mask(value, redactor)),
        _ => {}
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.hand_over();
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::off()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(writer) => write!(f, "Log({}, {})", writer.claim.session, self.last()),
            None => f.write_str("Log(off)"),
        }
    }
}
