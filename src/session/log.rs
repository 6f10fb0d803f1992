//! A session and its log: kept, taken up again after any death, forked at any record.
//! Refuses to run a turn: what was left unfinished is finished by the next one.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{Session, SessionBuilder, TurnStream};
use crate::{
    backend::Task,
    budget::{Budget, Meter},
    error::{Error, ErrorKind, Result},
    id::{AgentPath, SessionId, TurnId},
    message::{Message, Outcome, Role},
    redact::Redactor,
    store::{
        Body, Card, Claiming, Damage, Doubt, Durability, LOG_FORMAT, Log, LostChild, LostChildren,
        Recalled, Spent, Store, recall,
    },
};

/// How a session begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Begin {
    /// From nothing.
    #[default]
    Fresh,
    /// Where its log ends.
    Resume { take_over: bool },
    /// Where another one was at a record; `None` for its last.
    Fork { from: SessionId, at: Option<u64> },
}

/// What a session brings from an earlier life.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, asked for by name"
)]
#[derive(Default)]
pub(super) struct Past {
    pub(super) log: Log,
    pub(super) damage: Option<Damage>,
    /// The number of the last event that watchers were told.
    pub(super) told: u64,
    /// The first record says what the session is; later ones that it was taken up again.
    fresh: bool,
    /// Whether its last turn has no end.
    pub(super) unfinished: bool,
    forked: Option<(SessionId, u64)>,
    spent: Vec<(AgentPath, Spent)>,
    lived: Duration,
}

impl Past {
    /// The meter of the root, with what was spent before.
    pub(super) fn meter(&self, mut budget: Budget) -> Meter {
        budget.time = budget.time.map(|time| time.saturating_sub(self.lived));
        let meter = Meter::new(budget);
        for (agent, spent) in &self.spent {
            meter.recall(agent, &spent.usage, spent.cost);
        }
        meter
    }
}

impl SessionBuilder {
    /// Keeps a log of the session here. By default a step waits for it: see
    /// [`durability`](Self::durability).
    pub fn store(self, store: impl Store) -> Self {
        self.store_arc(Arc::new(store))
    }

    /// As [`store`](Self::store), for a store that others use too.
    pub fn store_arc(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// What its agents wait for before they go on.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.policies.durability = durability;
        self
    }

    /// Takes the session of this name up where its log ends, whatever ended it. What its last turn
    /// left unfinished is finished by the next turn, before anything else.
    ///
    /// Calls whose outcome is not known run again when that does no harm; for those that might, see
    /// [`on_doubt`](Self::on_doubt).
    pub fn resume(mut self, id: SessionId) -> Self {
        self.id = Some(id);
        self.begin = Begin::Resume { take_over: false };
        self
    }

    /// As [`resume`](Self::resume), also when another writer has the session: what that one writes
    /// from then on is refused.
    pub fn take_over(mut self, id: SessionId) -> Self {
        self.id = Some(id);
        self.begin = Begin::Resume { take_over: true };
        self
    }

    /// Begins where the session `from` was at its record `at` (its last when `None`). The two share
    /// what was until then, and nothing that comes after.
    pub fn fork(mut self, from: SessionId, at: Option<u64>) -> Self {
        self.begin = Begin::Fork { from, at };
        self
    }

    /// What happens to a call that must not be repeated and whose outcome a death has left unknown.
    pub fn on_doubt(mut self, doubt: Doubt) -> Self {
        self.policies.doubt = doubt;
        self
    }

    /// What happens to agents that were waited for when the program died.
    pub fn on_lost_children(mut self, children: LostChildren) -> Self {
        self.policies.children = children;
        self
    }

    /// Takes these secrets out of what is kept. What the agent itself knows is not changed, so that a
    /// session that is taken up again knows them no more.
    pub fn redacting(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
    }

    /// The folder the session works in, for lists of sessions.
    pub fn folder(mut self, folder: impl Into<String>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// What the session brings along, with the right to write its log.
    pub(super) async fn past(&mut self) -> Result<Past> {
        let Some(store) = self.store.clone() else {
            return match self.begin {
                Begin::Fresh => Ok(Past::default()),
                _ => Err(
                    Error::new(ErrorKind::Config, "there is no store to resume from")
                        .with_hint("name one with `SessionBuilder::store`"),
                ),
            };
        };
        let id = self.id.get_or_insert_with(SessionId::random).clone();
        let mut past = Past {
            fresh: self.begin == Begin::Fresh,
            ..Past::default()
        };
        let claiming = match &self.begin {
            Begin::Resume { take_over: true } => Claiming::TakeOver,
            _ => Claiming::IfFree,
        };
        if let Begin::Fork { from, at } = &self.begin {
            let at = match at {
                Some(at) => *at,
                None => existing(&*store, from).await?.records,
            };
            store.fork(from, at, &id).await?;
            past.forked = Some((from.clone(), at));
        }
        let known = store.card(&id).await?.filter(|card| card.records > 0);
        match (&self.begin, &known) {
            (Begin::Fresh, Some(_)) => {
                let text = format!("there is a session of this name: `{id}`");
                let error = Error::new(ErrorKind::Config, text);
                return Err(error.with_hint("resume it, or take another name"));
            }
            (Begin::Resume { .. }, None) => return Err(no_session(&id)),
            _ => {}
        }
        let claim = store.claim(&id, claiming).await?;
        let mut recalled = Recalled::default();
        if !past.fresh {
            recalled = recall(&store, &id).await?;
            if let Some(damage) = &recalled.damage {
                tracing::warn!(lost = damage.lost, "the log is damaged: {}", damage.why);
                store.cut(&claim, recalled.last).await?;
            }
        }
        if let Some((from, _)) = &past.forked {
            // Calls that are still open are known by the session in which they were made.
            for memory in recalled.agents.values_mut() {
                memory.session.get_or_insert_with(|| from.clone());
            }
        }
        let mut claim = claim;
        (claim.last, claim.sum) = (recalled.last, recalled.sum);
        let mut card = known.unwrap_or_else(|| Card::new(id));
        card.folder = self.folder.take().or(card.folder);
        past.take(&recalled, self.policies.children);
        let redactor = std::mem::take(&mut self.redactor);
        past.log = Log::new(store, claim, card, self.policies, redactor, recalled);
        Ok(past)
    }
}

impl Past {
    fn take(&mut self, recalled: &Recalled, children: LostChildren) {
        self.told = recalled.told;
        self.unfinished = recalled.unfinished;
        self.lived = Duration::from_millis(recalled.lived);
        self.damage.clone_from(&recalled.damage);
        self.spent.clone_from(&recalled.ended);
        let lost = recalled.lost(children).into_iter();
        let goes_on: HashSet<_> = lost
            .filter(|child| child.goes_on)
            .map(|child| child.path)
            .collect();
        for (path, memory) in &recalled.agents {
            // One that goes on is started once more, and not counted as a start twice.
            let path = match goes_on.contains(path) {
                true => AgentPath::root(),
                false => path.clone(),
            };
            self.spent.push((path, memory.spent));
        }
    }
}

impl Session {
    /// What of the log was damaged when the session was resumed; `None` when nothing was.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_deref()
    }

    /// Whether [`go_on`](Self::go_on) has something to do: the turn that was last in an earlier life
    /// had no end, or mail waits. Any next turn does that first; `go_on` does nothing else.
    pub fn is_unfinished(&self) -> bool {
        self.unfinished || !self.shared.desk.mailbox().is_empty()
    }

    /// Runs a turn without a message of its own: what an earlier life left unfinished is finished,
    /// and mail that waits is read.
    pub fn go_on(&mut self) -> TurnStream<'_> {
        self.submit(Task::mail())
    }

    /// The number of the last record of its log; 0 when it has none.
    pub fn last_record(&self) -> u64 {
        self.shared.log.last()
    }

    /// A session that begins where this one was at a record of its log, with the same backend,
    /// hooks and asker unless others are set. Forking changes nothing here.
    ///
    /// # Errors
    /// When this session has no log.
    ///
    /// Cancel safety: safe.
    pub async fn fork_at(&self, record: u64) -> Result<SessionBuilder> {
        let shared = &self.shared;
        let Some(store) = shared.log.store() else {
            let error = Error::new(ErrorKind::Config, "the session has no log to fork");
            return Err(error.with_hint("name a store with `SessionBuilder::store`"));
        };
        // What is forked must be there.
        shared.log.save().await?;
        let mut builder = SessionBuilder::new(shared.backend.clone())
            .store_arc(store.clone())
            .hooks(&shared.hooks)
            .registry(shared.desk.registry().clone())
            .on_children(shared.on_children)
            .fork(shared.desk.session().clone(), Some(record));
        builder.redactor = shared.log.redactor().cloned().unwrap_or_default();
        builder.asker.clone_from(&shared.asker);
        builder.policies = shared.log.policies();
        Ok(builder)
    }

    /// The first records of this life.
    pub(super) fn begin_log(&self, past: &Past) {
        let shared = &self.shared;
        if !shared.log.is_on() {
            return;
        }
        let (root, model) = (shared.desk.path(), self.conversation().describe());
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let none = TurnId::default();
        if past.fresh {
            let session = shared.desk.session().clone();
            shared.log.write(root, none, || Body::Opened {
                format: LOG_FORMAT,
                session,
                model,
                version,
            });
            for message in self.history() {
                for body in bodies(message) {
                    shared.log.write(root, none, || body);
                }
            }
            return;
        }
        shared.log.write(root, none, || Body::Resumed {
            format: LOG_FORMAT,
            model,
            version,
            lost: past.damage.as_ref().map_or(0, |damage| damage.lost),
            damage: past.damage.as_ref().map(|damage| damage.why.clone()),
            forked: past.forked.clone(),
        });
        self.bury_lost();
    }

    /// Says of agents that are not started again that they have ended. Their parents hear of it when
    /// they are opened again.
    fn bury_lost(&self) {
        let shared = &self.shared;
        let gone = |child: &&LostChild| child.ended.is_none() && !child.goes_on;
        for child in shared.log.lost().iter().rev().filter(gone) {
            let spent = shared.log.recollect(&child.path).unwrap_or_default().spent;
            let end = || Body::ChildEnd {
                outcome: Outcome::Interrupted,
                text: child.report(),
                usage: spent.usage,
                cost: spent.cost,
            };
            shared.log.write(&child.path, TurnId::default(), end);
        }
    }
}

/// A message that was there before the log, as records.
pub(super) fn bodies(message: Message) -> Vec<Body> {
    match message.role {
        Role::User => vec![Body::User { message }],
        Role::Assistant => vec![Body::Assistant {
            message,
            model: String::new(),
            stop: String::new(),
            runs: true,
            usage: None,
            charged: Default::default(),
            cost: Default::default(),
        }],
        Role::Tool => {
            let results = message.tool_results().cloned();
            results
                .map(|result| Body::Result { result, millis: 0 })
                .collect()
        }
    }
}

async fn existing(store: &dyn Store, id: &SessionId) -> Result<Card> {
    store.card(id).await?.ok_or_else(|| no_session(id))
}

fn no_session(id: &SessionId) -> Error {
    let text = format!("no such session: `{id}`");
    Error::new(ErrorKind::NotFound, text).with_hint("`offshoot sessions` lists them")
}
