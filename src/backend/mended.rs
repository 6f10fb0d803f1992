//! A turn's stream that keeps the promise of one end, whatever the backend under it does.
//! Refuses to number, to tell tracers and to know who reads: that is its owner's to do.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, stream::BoxStream};

use crate::{
    budget::Meter,
    error::{Error, ErrorKind},
    event::{Event, EventKind, StopReason},
    id::{AgentPath, TurnId},
    sink::Origin,
    usage::{Cost, Spending, Usage},
};

/// What of an agent's spending was told already, by the ends of its turns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(Arc<Mutex<Sums>>);

#[derive(Debug, Default)]
struct Sums {
    usage: Usage,
    cost: Cost,
    /// Sorted as the ledger is: by agent, then by tool. Empty while all of it was the agent's own.
    rows: Vec<Spending>,
}

/// What is new since the last end.
struct Fresh {
    usage: Usage,
    cost: Cost,
    rows: Vec<Spending>,
}

impl Told {
    /// What was spent in an earlier life of the session was told there.
    pub(crate) fn skip(&self, meter: &Meter, agent: &AgentPath) {
        self.fresh(meter, agent);
    }

    /// What was spent since the last call, all rows together making the sum. Only the root's are
    /// told one by one: rows of all below at every end of a long chain would cost its square.
    fn fresh(&self, meter: &Meter, agent: &AgentPath) -> Fresh {
        let rows = match agent.depth() {
            0 => meter.ledger(),
            _ => Vec::new(),
        };
        let (mut usage, mut cost) = match rows.is_empty() {
            true => meter.spent(),
            false => (Usage::default(), Cost::default()),
        };
        for row in &rows {
            usage += row.usage;
            cost += row.cost;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Fresh {
            usage: usage.since(&told.usage),
            cost: cost.since(&told.cost),
            rows: Vec::new(),
        };
        if rows.len() > 1 {
            if told.rows.is_empty() {
                let own = Spending::new(agent.clone(), None, told.usage, told.cost);
                told.rows.push(own);
            }
            let news = rows.iter().map(|row| told.news_of(row));
            fresh.rows = news.filter(|row| row.usage != Usage::default()).collect();
        }
        let rows = if rows.len() > 1 { rows } else { Vec::new() };
        *told = Sums { usage, cost, rows };
        fresh
    }
}

impl Sums {
    /// A row without what was told of it before.
    fn news_of(&self, row: &Spending) -> Spending {
        let key = |row: &Spending| (row.agent.clone(), row.tool.clone());
        let mut news = row.clone();
        if let Ok(at) = self.rows.binary_search_by_key(&key(row), key) {
            news.usage = row.usage.since(&self.rows[at].usage);
            news.cost = row.cost.since(&self.rows[at].cost);
        }
        news
    }
}

/// A turn's stream with exactly one end, last, also after a panic and when it is cut off.
pub(crate) struct Mended<'a> {
    inner: Option<BoxStream<'a, Event>>,
    path: AgentPath,
    meter: Meter,
    told: Told,
    begun: Option<Origin>,
    /// What its own messages said it used.
    said: (Usage, Cost),
    stop: Option<StopReason>,
    text: String,
}

impl<'a> Mended<'a> {
    pub(crate) fn new(
        inner: BoxStream<'a, Event>,
        agent: &AgentPath,
        meter: &Meter,
        told: Told,
    ) -> Self {
        Self {
            inner: Some(inner),
            path: agent.clone(),
            meter: meter.clone(),
            told,
            begun: None,
            said: Default::default(),
            stop: None,
            text: String::new(),
        }
    }

    /// Why the turn ended, once it has.
    pub(crate) fn stop(&self) -> Option<&StopReason> {
        self.stop.as_ref()
    }

    /// The final words of the turn that has ended.
    pub(crate) fn words(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Drops the turn where it is; gives the end that is owed when it had begun.
    pub(crate) fn cut(&mut self, stop: StopReason) -> Option<Event> {
        let begun = self.begun.is_some();
        self.inner = None;
        (begun && self.stop.is_none()).then(|| self.owed(stop))
    }

    /// Remembers what the end may need, and makes the end's sums those of the meter.
    fn note(&mut self, event: &mut Event) {
        if event.agent != self.path {
            if self.path.is_above(&event.agent) {
                return;
            }
            // Nobody speaks for an agent beside or above it: the end of a turn of the root above all
            // would be taken for the end of everything.
            event.agent = self.path.clone();
        }
        event.parent = self.path.parent();
        match &mut event.kind {
            EventKind::TurnStart { .. } => {
                self.begun = Some(Origin::new(&event.agent, event.turn));
            }
            EventKind::MessageEnd { usage, cost, .. } => {
                self.said.0 += *usage;
                self.said.1 += *cost;
            }
            EventKind::TurnEnd {
                stop,
                text,
                usage,
                cost,
                spent_by,
                ..
            } => {
                self.stop = Some(stop.clone());
                self.text.clone_from(text);
                (*usage, *cost, *spent_by) = spent(&self.told, &self.meter, &self.path, self.said);
                self.inner = None;
            }
            _ => {}
        }
    }

    /// The end that the backend did not give.
    fn owed(&mut self, stop: StopReason) -> Event {
        self.inner = None;
        self.stop = Some(stop.clone());
        let (usage, cost, spent_by) = spent(&self.told, &self.meter, &self.path, self.said);
        let kind = EventKind::TurnEnd {
            stop,
            text: String::new(),
            usage,
            cost,
            children: Vec::new(),
            spent_by,
        };
        let origin = self.begun.clone();
        let origin = origin.unwrap_or_else(|| Origin::new(&self.path, TurnId(1)));
        origin.event(kind)
    }
}

/// What the turn used: the meter also knows of retries, summaries, half a message and children. A
/// backend that books nothing there is believed by its own messages.
fn spent(
    told: &Told,
    meter: &Meter,
    agent: &AgentPath,
    said: (Usage, Cost),
) -> (Usage, Cost, Vec<Spending>) {
    let fresh = told.fresh(meter, agent);
    if fresh.usage.total() < said.0.total() {
        return (said.0, said.1, Vec::new());
    }
    let rows = if fresh.rows.len() > 1 || fresh.rows.iter().any(|row| row.tool.is_some()) {
        fresh.rows
    } else {
        Vec::new()
    };
    (fresh.usage, fresh.cost, rows)
}

impl Stream for Mended<'_> {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        // A panic in a provider or a hook must not take the program down, nor the one end away.
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| inner.poll_next_unpin(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(mut event))) => {
                self.note(&mut event);
                Poll::Ready(Some(event))
            }
            Ok(Poll::Ready(None)) => {
                let error = Error::new(ErrorKind::Bug, "the backend ended without an end event");
                Poll::Ready(Some(self.owed(StopReason::failed(error))))
            }
            Err(panic) => {
                let words = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
                let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
                let text = format!("the turn panicked: {}", words.unwrap_or_default());
                let error = Error::new(ErrorKind::Bug, text);
                Poll::Ready(Some(self.owed(StopReason::failed(error))))
            }
        }
    }
}
