//! The one bounded way up for events of everything in a session that runs on a task of its own.
//! Refuses to number them: whoever takes them out stamps `seq`, so that numbers follow order.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll, Waker},
};

use tokio::sync::Semaphore;

use crate::{
    event::{Event, EventKind},
    id::{AgentPath, TurnId},
};

/// How many events wait in a sink before writers wait.
pub const SINK_CAPACITY: usize = 1024;

/// Where tools and child agents put their events. One for a whole session; cheap to clone.
///
/// While a turn of the root is watched, its stream reads the sink, and a slow watcher slows down
/// whoever writes. Between turns nobody is there to be slow: events go on at once to whoever was
/// named when the sink was made.
#[derive(Clone)]
pub struct Sink(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Whether somebody reads; also looked at by those who are told of an event under the lock.
    read: AtomicBool,
    /// How many events wait, so that a reader need not lock to see that there are none.
    waiting: AtomicUsize,
    room: Semaphore,
    outlet: Box<dyn Fn(Event) + Send + Sync>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Event>,
    /// How many of them are there for whom there was no room.
    beyond: usize,
    reader: Reader,
}

#[derive(Default)]
enum Reader {
    /// Nobody reads: events go to the outlet.
    #[default]
    Away,
    Reading(Option<Waker>),
}

impl Sink {
    /// A sink that gives its events to `outlet` while no reader is there. The outlet is called in
    /// order, one event at a time, and must not write into the sink.
    pub fn new(outlet: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            read: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            room: Semaphore::new(SINK_CAPACITY),
            outlet: Box::new(outlet),
        }))
    }

    /// A sink that forgets everything, for tools that are called by hand.
    pub fn nowhere() -> Self {
        Self::new(drop)
    }

    /// Begins to read. There is one reader at a time: a second one takes over.
    pub(crate) fn read(&self) -> SinkReader {
        let mut state = self.0.state();
        state.reader = Reader::Reading(None);
        self.0.read.store(true, Release);
        drop(state);
        SinkReader {
            sink: self.clone(),
            batch: VecDeque::new(),
        }
    }

    /// Puts an event in, waiting for room: a slow watcher slows the work down.
    ///
    /// Cancel safety: the event is either in or not.
    pub fn send(&self, event: Event) -> impl Future<Output = ()> + Send + use<'_> {
        self.send_unless(event, std::future::pending())
    }

    /// As [`send`](Self::send), and past the limit once `gone` ends: what must be told, however long
    /// the watcher is away. Each agent may say a few such words, and no more.
    pub(crate) fn send_unless<'s, G>(
        &'s self,
        event: Event,
        gone: G,
    ) -> impl Future<Output = ()> + Send + use<'s, G>
    where
        G: Future<Output = ()> + Send + 's,
    {
        // By itself, because there is nearly always room, and whoever sends should not be larger for
        // the other case.
        let late = self.put(event).err().map(|event| {
            Box::pin(async move {
                let room = tokio::select! {
                    biased;
                    room = self.0.room.acquire() => room.ok(),
                    () = gone => None,
                };
                match room {
                    Some(room) => {
                        room.forget();
                        self.0.push(event);
                    }
                    None => self.0.push_beyond(event),
                }
            })
        });
        async move {
            if let Some(late) = late {
                late.await;
            }
        }
    }

    /// Puts an event in when there is room now; says whether it did.
    pub fn offer(&self, event: Event) -> bool {
        self.put(event).is_ok()
    }

    /// Whether a turn of the root is being watched.
    pub(crate) fn is_read(&self) -> bool {
        self.0.read.load(Acquire)
    }

    #[expect(
        clippy::result_large_err,
        reason = "the event comes back to be sent later"
    )]
    fn put(&self, event: Event) -> Result<(), Event> {
        match self.0.room.try_acquire() {
            Ok(room) => {
                room.forget();
                self.0.push(event);
                Ok(())
            }
            Err(_) => Err(event),
        }
    }
}

impl Shared {
    /// Takes an event for which there is room.
    fn push(&self, event: Event) {
        self.take_in(event, self.state());
    }

    /// Takes an event for which there is none.
    fn push_beyond(&self, event: Event) {
        let mut state = self.state();
        match &state.reader {
            Reader::Away => (self.outlet)(event),
            Reader::Reading(_) => {
                state.beyond += 1;
                self.take_in(event, state);
            }
        }
    }

    fn take_in(&self, event: Event, mut state: MutexGuard<'_, State>) {
        match &mut state.reader {
            Reader::Away => {
                // Under the lock, so that events keep their order.
                (self.outlet)(event);
                drop(state);
                self.room.add_permits(1);
            }
            Reader::Reading(waker) => {
                let waker = waker.take();
                state.queue.push_back(event);
                self.waiting.fetch_add(1, Relaxed);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        }
    }

    /// Moves what waits behind what was taken out before.
    fn move_to(&self, batch: &mut VecDeque<Event>, mut state: MutexGuard<'_, State>) {
        let count = state.queue.len();
        if batch.is_empty() {
            std::mem::swap(batch, &mut state.queue);
        } else {
            batch.append(&mut state.queue);
        }
        self.waiting.fetch_sub(count, Relaxed);
        let room = count - std::mem::take(&mut state.beyond);
        drop(state);
        self.room.add_permits(room);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink")
            .field("waiting", &self.0.waiting.load(Relaxed))
            .finish_non_exhaustive()
    }
}

/// The reading end of a [`Sink`]. What it has not handed out when it is dropped goes to the outlet.
pub(crate) struct SinkReader {
    sink: Sink,
    batch: VecDeque<Event>,
}

impl SinkReader {
    /// The next event that was taken out already.
    pub(crate) fn next_taken(&mut self) -> Option<Event> {
        self.batch.pop_front()
    }

    /// Takes out everything that waits now.
    pub(crate) fn take(&mut self) {
        let shared = &*self.sink.0;
        if shared.waiting.load(Relaxed) > 0 {
            shared.move_to(&mut self.batch, shared.state());
        }
    }

    /// Takes out everything that waits, or has the task woken when something comes. `true` when
    /// there is something.
    pub(crate) fn poll_take(&mut self, cx: &Context<'_>) -> Poll<()> {
        let shared = &*self.sink.0;
        let mut state = shared.state();
        if state.queue.is_empty() {
            match &state.reader {
                Reader::Reading(Some(waker)) if waker.will_wake(cx.waker()) => {}
                _ => state.reader = Reader::Reading(Some(cx.waker().clone())),
            }
            return Poll::Pending;
        }
        shared.move_to(&mut self.batch, state);
        Poll::Ready(())
    }
}

impl Drop for SinkReader {
    fn drop(&mut self) {
        let shared = &self.sink.0;
        let mut state = shared.state();
        let count = state.queue.len();
        for event in self.batch.drain(..).chain(state.queue.drain(..)) {
            (shared.outlet)(event);
        }
        shared.waiting.fetch_sub(count, Relaxed);
        // Nothing waits here again before the next turn.
        state.queue = VecDeque::new();
        state.reader = Reader::Away;
        shared.read.store(false, Release);
        let room = count - std::mem::take(&mut state.beyond);
        drop(state);
        shared.room.add_permits(room);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> Event {
        let kind = EventKind::Lagged { dropped: number };
        Origin::new(&AgentPath::root(), TurnId(1)).event(kind)
    }

    fn number(event: &Event) -> u64 {
        match event.kind {
            EventKind::Lagged { dropped } => dropped,
            _ => unreachable!("only such events are sent"),
        }
    }

    fn collecting() -> (Sink, Arc<Mutex<Vec<u64>>>) {
        let told: Arc<Mutex<Vec<u64>>> = Arc::default();
        let heard = told.clone();
        let sink = Sink::new(move |event| heard.lock().unwrap().push(number(&event)));
        (sink, told)
    }

    #[tokio::test]
    async fn while_nobody_reads_events_go_to_the_outlet_at_once_and_nobody_waits() {
        let (sink, told) = collecting();
        for n in 0..3 * SINK_CAPACITY as u64 {
            sink.send(event(n)).await;
        }
        assert_eq!(told.lock().unwrap().len(), 3 * SINK_CAPACITY);
    }

    #[tokio::test]
    async fn a_reader_that_is_slow_slows_writers_and_what_it_leaves_goes_to_the_outlet() {
        let (sink, told) = collecting();
        let mut reader = sink.read();
        for n in 0..SINK_CAPACITY as u64 {
            assert!(sink.offer(event(n)));
        }
        assert!(!sink.offer(event(0)), "full");
        let last = SINK_CAPACITY as u64;
        let late = tokio::time::timeout(std::time::Duration::from_millis(20), async {
            sink.send(event(last)).await;
        });
        assert!(late.await.is_err(), "a writer waits for room");
        reader.take();
        assert_eq!(reader.next_taken().map(|e| number(&e)), Some(0));
        sink.send(event(last)).await;
        drop(reader);
        let told = told.lock().unwrap().clone();
        assert_eq!(told, (1..=last).collect::<Vec<_>>(), "in order, none lost");
    }

    #[tokio::test]
    async fn what_must_be_told_goes_past_the_limit_and_gives_back_only_the_room_it_took() {
        let (sink, told) = collecting();
        let mut reader = sink.read();
        let last = SINK_CAPACITY as u64;
        for n in 0..last {
            assert!(sink.offer(event(n)));
        }
        sink.send_unless(event(last), async {}).await;
        reader.take();
        assert_eq!(reader.next_taken().map(|e| number(&e)), Some(0));
        assert_eq!(sink.0.room.available_permits(), SINK_CAPACITY);
        for n in 0..last {
            assert!(sink.offer(event(last + 1 + n)));
        }
        sink.send_unless(event(2 * last + 1), async {}).await;
        drop(reader);
        assert_eq!(sink.0.room.available_permits(), SINK_CAPACITY);
        let told = told.lock().unwrap().clone();
        assert_eq!(told, (1..=2 * last + 1).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn writers_that_wait_go_on_when_the_reader_leaves() {
        let (sink, told) = collecting();
        let reader = sink.read();
        let scope = crate::scope::Scope::root();
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let sink = sink.clone();
                scope.spawn(async move {
                    for n in 0..SINK_CAPACITY as u64 {
                        sink.send(event(n)).await;
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(reader);
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(told.lock().unwrap().len(), 4 * SINK_CAPACITY);
        assert_eq!(sink.0.room.available_permits(), SINK_CAPACITY);
    }
}
