//! The one bounded way up for events of everything that runs on a task of its own.
//! Refuses to number them: whoever reads the other end stamps `seq`, so that numbers follow order.

use tokio::sync::mpsc;

use crate::{
    event::{Event, EventKind},
    id::{AgentPath, TurnId},
};

/// How many events a sink holds before writers wait.
pub const SINK_CAPACITY: usize = 1024;

/// Where a tool or a child agent puts its events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sink {
    sender: mpsc::Sender<Event>,
}

/// The reading end of a [`Sink`].
#[derive(Debug)]
pub struct SinkReader {
    receiver: mpsc::Receiver<Event>,
}

impl Sink {
    /// A sink and its reading end.
    pub fn new() -> (Self, SinkReader) {
        let (sender, receiver) = mpsc::channel(SINK_CAPACITY);
        (Self { sender }, SinkReader { receiver })
    }

    /// Puts an event in, waiting for room: a slow watcher slows the work down.
    ///
    /// Cancel safety: the event is either in or not. When nobody reads any more it is dropped.
    pub async fn send(&self, event: Event) {
        self.sender.send(event).await.ok();
    }

    /// Puts an event in when there is room now; says whether it did.
    pub fn offer(&self, event: Event) -> bool {
        self.sender.try_send(event).is_ok()
    }
}

impl SinkReader {
    /// The next event; `None` when every sink is gone.
    ///
    /// Cancel safety: safe, no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// The next event if one is there now.
    pub fn try_next(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }
}

/// Where events come from: filled in once for each turn, cloned into each event.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) agent: AgentPath,
    pub(crate) parent: Option<AgentPath>,
    pub(crate) turn: TurnId,
}

impl Origin {
    pub(crate) fn new(agent: &AgentPath, turn: TurnId) -> Self {
        Self {
            agent: agent.clone(),
            parent: agent.parent(),
            turn,
        }
    }

    /// An event from here, not yet numbered.
    pub(crate) fn event(&self, kind: EventKind) -> Event {
        Event {
            seq: 0,
            agent: self.agent.clone(),
            parent: self.parent.clone(),
            turn: self.turn,
            kind,
        }
    }
}
