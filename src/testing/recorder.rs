//! Keeps every event it hears and answers the questions that tests ask of them.
//! Refuses to alter or to order anything: events stand as they came.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{Stream, StreamExt};
use tokio::sync::watch;

use crate::{
    error::{Error, ErrorKind, Result},
    event::{Event, EventKind},
    id::{AgentPath, TurnId},
    trace::Tracer,
};

/// Keeps every event: as a [`Tracer`], by [`record`](Self::record), or from a stream by
/// [`collect`](Self::collect). Cheap to clone; all clones share the events.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    events: Mutex<Vec<Event>>,
    lost: AtomicU64,
    heard: watch::Sender<u64>,
}

impl Recorder {
    /// How many events are kept; later ones are only counted, in [`lost`](Self::lost).
    pub const CAPACITY: usize = 1 << 20;

    /// Nothing heard yet.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                events: Mutex::default(),
                lost: AtomicU64::new(0),
                heard: watch::Sender::new(0),
            }),
        }
    }

    /// Keeps one event.
    pub fn record(&self, event: Event) {
        let mut events = self.kept();
        if events.len() < Self::CAPACITY {
            events.push(event);
        } else {
            self.inner.lost.fetch_add(1, Relaxed);
        }
        drop(events);
        self.inner.heard.send_modify(|heard| *heard += 1);
    }

    /// Keeps every event of a stream, to its end.
    ///
    /// Cancel safety: what was read is kept; the rest stays in the stream.
    pub async fn collect(&self, events: impl Stream<Item = Event>) {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            self.record(event);
        }
    }

    /// All events, as they came.
    pub fn events(&self) -> Vec<Event> {
        self.kept().clone()
    }

    /// How many events came after [`CAPACITY`](Self::CAPACITY) was reached.
    pub fn lost(&self) -> u64 {
        self.inner.lost.load(Relaxed)
    }

    /// The published names of all events, such as `turn_start`.
    pub fn kinds(&self) -> Vec<String> {
        self.kept().iter().map(|event| name(&event.kind)).collect()
    }

    /// As [`kinds`](Self::kinds), without the deltas.
    pub fn lifecycle(&self) -> Vec<String> {
        let events = self.kept();
        let kept = events.iter().filter(|event| !event.kind.is_delta());
        kept.map(|event| name(&event.kind)).collect()
    }

    /// The events of the agent at this place.
    pub fn of_agent(&self, path: &str) -> Vec<Event> {
        let events = self.kept();
        let own = events.iter().filter(|event| event.agent.as_str() == path);
        own.cloned().collect()
    }

    /// The words that a watcher of the root agent has on the screen: what a restart dropped is gone.
    pub fn text(&self) -> String {
        self.text_of(AgentPath::root().as_str())
    }

    /// As [`text`](Self::text), of the agent at this place.
    pub fn text_of(&self, path: &str) -> String {
        let (mut done, mut growing) = (String::new(), String::new());
        for event in self.kept().iter().filter(|e| e.agent.as_str() == path) {
            match &event.kind {
                EventKind::TextDelta { text, .. } => growing.push_str(text),
                EventKind::Restarted { .. } => growing.clear(),
                EventKind::MessageEnd { .. } => done.push_str(&std::mem::take(&mut growing)),
                _ => {}
            }
        }
        done + &growing
    }

    /// Whether every turn of every agent began once and ended once, with nothing after its end, and
    /// every child likewise.
    ///
    /// # Errors
    /// What is wrong with which turn or child.
    pub fn check_turns(&self) -> Result<(), String> {
        #[derive(Default)]
        struct Turn {
            starts: u32,
            ends: u32,
            after: Option<String>,
        }
        let mut turns: BTreeMap<(AgentPath, TurnId), Turn> = BTreeMap::new();
        // The life of a child, in which its turns lie.
        let mut lives: BTreeMap<AgentPath, Turn> = BTreeMap::new();
        for event in self.kept().iter() {
            let place = (event.agent.clone(), event.turn);
            if let EventKind::ChildStart { .. } = event.kind {
                lives.entry(event.agent.clone()).or_default().starts += 1;
            }
            if let Some(life) = lives.get_mut(&event.agent) {
                if life.ends > 0 && life.after.is_none() {
                    life.after = Some(name(&event.kind));
                }
                life.ends += u32::from(matches!(event.kind, EventKind::ChildEnd { .. }));
            }
            match &event.kind {
                EventKind::TurnStart { .. } => turns.entry(place.clone()).or_default().starts += 1,
                EventKind::TurnEnd { .. } => {}
                // What belongs to no turn: the first line of a run, a child's start and end, a wake.
                _ if event.turn == TurnId(0) => continue,
                _ => {}
            }
            let Some(turn) = turns.get_mut(&place) else {
                let what = name(&event.kind);
                let (agent, turn) = place;
                return Err(format!(
                    "turn {turn} of `{agent}`: `{what}` before its start"
                ));
            };
            if turn.ends > 0 && turn.after.is_none() {
                turn.after = Some(name(&event.kind));
            }
            if matches!(event.kind, EventKind::TurnEnd { .. }) {
                turn.ends += 1;
            }
        }
        if turns.is_empty() {
            return Err("no turn began".to_owned());
        }
        let wrong = |turn: Turn| match turn {
            Turn { starts, .. } if starts != 1 => Some(format!("{starts} starts")),
            Turn { ends, .. } if ends != 1 => Some(format!("{ends} ends")),
            Turn { after, .. } => after.map(|what| format!("`{what}` after its end")),
        };
        for ((agent, number), turn) in turns {
            if let Some(wrong) = wrong(turn) {
                return Err(format!("turn {number} of `{agent}`: {wrong}"));
            }
        }
        for (agent, life) in lives {
            if let Some(wrong) = wrong(life) {
                return Err(format!("the life of `{agent}`: {wrong}"));
            }
        }
        Ok(())
    }

    /// Panics unless every turn began once and ended once, with nothing after its end, and every
    /// child likewise.
    ///
    /// # Panics
    /// When [`check_turns`](Self::check_turns) finds something, with its words and all events' names.
    #[track_caller]
    pub fn assert_one_turn_end(&self) {
        if let Err(wrong) = self.check_turns() {
            panic!("{wrong}; events: {}", self.lifecycle().join(" "));
        }
    }

    /// Waits for an event that fits, one that came before included, and returns the first.
    ///
    /// # Errors
    /// When none came in time; the message names what did come.
    ///
    /// Cancel safety: safe, nothing is taken.
    pub async fn wait_for(
        &self,
        mut fits: impl FnMut(&Event) -> bool,
        timeout: Duration,
    ) -> Result<Event> {
        let mut heard = self.inner.heard.subscribe();
        let mut looked_at = 0;
        let search = async {
            loop {
                heard.mark_unchanged();
                {
                    let events = self.kept();
                    if let Some(event) = events[looked_at..].iter().find(|event| fits(event)) {
                        return event.clone();
                    }
                    looked_at = events.len();
                }
                if heard.changed().await.is_err() {
                    unreachable!("the recorder holds the sender");
                }
            }
        };
        tokio::time::timeout(timeout, search).await.map_err(|_| {
            let came = self.lifecycle().join(" ");
            Error::new(
                ErrorKind::Timeout,
                format!("no such event within: `{timeout:?}`"),
            )
            .with_hint(format!("what came: {came}"))
        })
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Event>> {
        self.inner
            .events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({})", self.kept().len())
    }
}

impl Tracer for Recorder {
    fn hear(&self, event: &Event) {
        self.record(event.clone());
    }
}

/// The published name, from the published form, so that the two cannot differ.
fn name(kind: &EventKind) -> String {
    let json = serde_json::to_value(kind).unwrap_or_default();
    json["type"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::StopReason,
        sink::Origin,
        usage::{Cost, Usage},
    };

    fn heard(kinds: impl IntoIterator<Item = (u64, EventKind)>) -> Recorder {
        let recorder = Recorder::new();
        for (turn, kind) in kinds {
            recorder.hear(&Origin::new(&AgentPath::root(), TurnId(turn)).event(kind));
        }
        recorder
    }

    fn start() -> EventKind {
        EventKind::TurnStart { text: "t".into() }
    }

    fn end() -> EventKind {
        let (usage, cost) = (Usage::default(), Cost::default());
        EventKind::TurnEnd {
            stop: StopReason::Finished,
            text: String::new(),
            usage,
            cost,
            children: Vec::new(),
            spent_by: Vec::new(),
        }
    }

    fn text(text: &str) -> EventKind {
        EventKind::TextDelta {
            part: 0,
            text: text.into(),
        }
    }

    fn message_end() -> EventKind {
        let (usage, cost) = (Usage::default(), Cost::default());
        EventKind::MessageEnd {
            model: "m".into(),
            stop: "s".into(),
            usage,
            cost,
        }
    }

    #[test]
    fn a_restart_takes_words_back() {
        let restarted = EventKind::Restarted {
            dropped: "half".into(),
            model: "m".into(),
            error: "e".into(),
        };
        let recorder = heard([
            (1, start()),
            (1, text("one ")),
            (1, message_end()),
            (1, text("half")),
            (1, restarted),
            (1, text("two")),
            (1, message_end()),
            (1, end()),
        ]);
        assert_eq!(recorder.text(), "one two");
        assert_eq!(
            recorder.kinds()[..3],
            ["turn_start", "text_delta", "message_end"]
        );
        recorder.assert_one_turn_end();
    }

    #[test]
    fn wrong_turns_are_named() {
        let said = |kinds: Vec<(u64, EventKind)>| heard(kinds).check_turns().unwrap_err();
        assert_eq!(said(vec![]), "no turn began");
        assert_eq!(said(vec![(1, start())]), "turn 1 of `root`: 0 ends");
        assert_eq!(
            said(vec![(1, start()), (1, end()), (1, end())]),
            "turn 1 of `root`: 2 ends"
        );
        assert_eq!(
            said(vec![(1, text("x"))]),
            "turn 1 of `root`: `text_delta` before its start"
        );
        assert_eq!(
            said(vec![
                (1, start()),
                (1, end()),
                (2, start()),
                (2, end()),
                (1, text("x"))
            ]),
            "turn 1 of `root`: `text_delta` after its end"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_finds_old_and_new_events_and_gives_up() {
        let recorder = heard([(1, start())]);
        let second = Duration::from_secs(1);
        let is = |wanted: &'static str| move |event: &Event| name(&event.kind) == wanted;
        recorder.wait_for(is("turn_start"), second).await.unwrap();
        let (found, ()) = tokio::join!(recorder.wait_for(is("turn_end"), second), async {
            tokio::task::yield_now().await;
            recorder.record(Origin::new(&AgentPath::root(), TurnId(1)).event(end()));
        });
        found.unwrap();
        let error = recorder
            .wait_for(is("compacted"), second)
            .await
            .unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(error.hint(), Some("what came: turn_start turn_end"));
    }
}
