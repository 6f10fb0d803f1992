//! A child from its first event to its last: driven by a task of its own, ended in one order.
//! Refuses to outlive whoever wants it: cancelled, cut off or overdue, it ends and says how.

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    task::Poll,
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    order::Order,
    watchdog::{Overdue, Watchdog},
    words::{last_words, note, words},
};
use crate::{
    backend::{Backend, Conversation, Grant, Mended, Task, Told},
    budget::Place,
    dispatch::CANCEL_GRACE,
    error::{Error, ErrorKind},
    event::{Event, EventKind, Ground, StopReason},
    hook::{ChildEnd, Verdict},
    id::{AgentId, AgentPath, CallId, TurnId},
    message::{Message, Outcome},
    registry::{Ended, Seat},
    scope::Scope,
    sink::Origin,
    store::Body,
    tool::ToolOutput,
    usage::{Cost, Usage},
};

/// How long a child that was stopped, and what a child left running, may take to end before the
/// child is said to be over anyway.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// How a child ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answered {
    /// Where it lived.
    pub agent: AgentPath,
    /// How it ended, for whoever asked for it.
    pub outcome: Outcome,
    /// Its words; what it had said until then when it did not finish.
    pub text: String,
    /// What it used, its own children included.
    pub usage: Usage,
    /// What that cost.
    pub cost: Cost,
    /// How long it lived.
    pub time: Duration,
}

impl From<Answered> for ToolOutput {
    fn from(answered: Answered) -> Self {
        Self::ended(answered.outcome, answered.text)
    }
}

/// A child that lives. In the foreground, dropping this stops it.
#[must_use = "a child in the foreground lives only while this does"]
pub struct Child {
    id: AgentId,
    path: AgentPath,
    scope: Scope,
    ground: Ground,
    answer: oneshot::Receiver<Answered>,
    cut: CancellationToken,
}

/// Everything that a child is begun with.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, asked for by name"
)]
pub(super) struct Parts {
    pub(super) order: Order,
    pub(super) life: Duration,
    pub(super) seat: Seat,
    pub(super) place: Place,
    pub(super) given: Grant,
    pub(super) backend: Arc<dyn Backend>,
    /// The scope in which its driver runs: the parent's, for the child waits for its own to be quiet.
    pub(super) home: Scope,
    pub(super) parent: Grant,
    pub(super) turn: TurnId,
    pub(super) call: Option<CallId>,
    /// Whether that call is this child and nothing else.
    pub(super) is_call: bool,
    /// Whether it goes on where an earlier life of it was, which knows what it was asked.
    pub(super) goes_on: bool,
}

impl Child {
    pub(super) fn begin(parts: Parts) -> Self {
        // By itself: the task that drives it is moved a few times before it runs.
        let parts = Box::new(parts);
        let (sender, answer) = oneshot::channel();
        let cut = CancellationToken::new();
        let child = Self {
            id: parts.seat.id().clone(),
            path: parts.seat.path().clone(),
            scope: parts.seat.scope().clone(),
            ground: parts.order.ground,
            answer,
            cut: cut.clone(),
        };
        let home = parts.home.clone();
        home.spawn(async move {
            let answered = Driver::new(parts, cut).run().await;
            // Nobody waits for one in the background.
            sender.send(answered).ok();
        });
        child
    }

    /// Its name among all agents.
    pub fn id(&self) -> &AgentId {
        &self.id
    }

    /// Where it lives.
    pub fn path(&self) -> &AgentPath {
        &self.path
    }

    /// Everything it started lives in here.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Waits for its end.
    ///
    /// Cancel safety: safe, it can be called again; an end is told once.
    pub async fn answered(&mut self) -> Answered {
        match (&mut self.answer).await {
            Ok(answered) => answered,
            Err(_) => Answered {
                agent: self.path.clone(),
                outcome: Outcome::Failed,
                text: "The agent was lost; this is a bug.".into(),
                usage: Usage::default(),
                cost: Cost::default(),
                time: Duration::ZERO,
            },
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ground == Ground::Foreground {
            self.scope.cancel();
            self.cut.cancel();
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Child({})", self.path)
    }
}

/// Drives one child to its end.
struct Driver {
    parts: Box<Parts>,
    cut: CancellationToken,
    /// When it was seen that it is to stop.
    cancelled: OnceLock<Instant>,
}

/// How a child's turn came out.
pub(super) struct Turned {
    pub(super) stop: StopReason,
    pub(super) text: String,
    pub(super) overdue: Option<Overdue>,
}

/// What comes next in a child's turn.
#[expect(
    clippy::large_enum_variant,
    reason = "an event is moved on at once; a box would cost each an allocation"
)]
enum Next {
    Event(Option<Event>),
    /// Nobody waits for it any more, or it has taken too long to stop.
    Cut,
    Overdue(Overdue),
}

impl Driver {
    fn new(parts: Box<Parts>, cut: CancellationToken) -> Self {
        let cancelled = OnceLock::new();
        Self {
            parts,
            cut,
            cancelled,
        }
    }

    async fn run(self) -> Answered {
        let since = Instant::now();
        let sink = self.parts.given.sink.clone();
        let path = self.parts.seat.path().clone();
        let origin = Origin::new(&path, TurnId(0));
        let parts = &self.parts;
        let order = &parts.order;
        let start = EventKind::ChildStart {
            kind: order.kind.clone(),
            description: order.description.clone(),
            ground: order.ground,
            call: parts.call.clone(),
        };
        parts
            .given
            .log
            .write(&path, TurnId(0), || Body::ChildStart {
                kind: order.kind.clone(),
                description: order.description.clone(),
                prompt: order.prompt.clone(),
                ground: order.ground,
                call: parts.call.clone(),
                is_call: parts.is_call,
            });
        sink.send_unless(origin.event(start), self.given_up()).await;
        let turned = match AssertUnwindSafe(self.converse()).catch_unwind().await {
            Ok(turned) => turned,
            Err(_) => self.broken().await,
        };
        let (outcome, text) = words(turned, &self.parts.order);
        let text = self.past_hooks(outcome, text).await;
        let parts = &self.parts;
        let (usage, cost) = parts.given.meter.spent();
        let answered = Answered {
            agent: path,
            outcome,
            text,
            usage,
            cost,
            time: since.elapsed(),
        };
        let end = EventKind::ChildEnd {
            outcome,
            text: answered.text.clone(),
            usage,
            cost,
        };
        parts
            .given
            .log
            .write(&answered.agent, TurnId(0), || Body::ChildEnd {
                outcome,
                text: answered.text.clone(),
                usage,
                cost,
            });
        sink.send_unless(origin.event(end), self.given_up()).await;
        let parts = *self.parts;
        // What it did not spend is its parent's again before the parent hears of the end.
        drop(parts.place);
        if parts.order.ground == Ground::Background {
            // The note before the seat: whoever sees the seat free finds the note.
            let note = note(&answered, &parts.order);
            parts.parent.desk.mailbox().push_control(note).ok();
        }
        let text = answered.text.clone();
        let ended = match outcome {
            Outcome::Ok => Ended::finished(text),
            Outcome::Interrupted | Outcome::NeverStarted => Ended::cancelled().saying(text),
            _ => Ended::failed(outcome.as_str()).saying(text),
        };
        parts.seat.leave(ended.spent(usage, cost));
        answered
    }

    /// After a panic of the backend outside of its turn: what it started has ended, and the parent
    /// is told as of any other end.
    async fn broken(&self) -> Turned {
        let closing = self.parts.seat.scope().close();
        tokio::time::timeout(CLOSE_LIMIT, closing).await.ok();
        Turned {
            stop: StopReason::failed(Error::new(ErrorKind::Bug, "the agent's backend panicked")),
            text: String::new(),
            overdue: None,
        }
    }

    /// One conversation of one turn, and everything it started ended after it.
    async fn converse(&self) -> Turned {
        let parts = &self.parts;
        let failed = |error: Error| Turned {
            stop: StopReason::failed(error),
            text: String::new(),
            overdue: None,
        };
        let scope = parts.seat.scope();
        let opening = AssertUnwindSafe(parts.backend.clone().open(parts.given.clone()));
        let opened = tokio::select! {
            biased;
            () = self.cut.cancelled() => None,
            opened = scope.race(opening.catch_unwind()) => opened,
        };
        let mut conversation = match opened {
            None => {
                return Turned {
                    stop: StopReason::Cancelled,
                    text: String::new(),
                    overdue: None,
                };
            }
            Some(Ok(Ok(conversation))) => conversation,
            Some(Ok(Err(error))) => return failed(error),
            Some(Err(_)) => {
                let text = "the agent panicked before it could begin";
                return failed(Error::new(ErrorKind::Bug, text));
            }
        };
        let task = match parts.goes_on {
            true => Task::mail(),
            false => Task::new(Message::user(parts.order.prompt.clone())),
        };
        let mut turned = self.turn(&mut *conversation, task).await;
        if !turned.stop.is_finished() && turned.text.is_empty() {
            turned.text = last_words(&conversation.history());
        }
        if tokio::time::timeout(CLOSE_LIMIT, conversation.close())
            .await
            .is_err()
        {
            // What runs on a thread of its own cannot be stopped, only waited for.
            let agents = vec![parts.seat.path().clone()];
            let origin = Origin::new(parts.seat.path(), TurnId(1));
            let event = origin.event(EventKind::Abandoned { agents });
            let gone = self.given_up();
            parts.given.sink.send_unless(event, gone).await;
        }
        turned
    }

    async fn turn(&self, conversation: &mut dyn Conversation, task: Task) -> Turned {
        let parts = &self.parts;
        let (scope, sink) = (parts.seat.scope(), &parts.given.sink);
        let turn = conversation.turn(task, scope.part());
        let mut turn = Mended::new(turn, parts.seat.path(), &parts.given.meter, Told::default());
        let mut watchdog = Watchdog::new(parts.life, parts.order.no_progress);
        let mut overdue = None;
        let mut cut = std::pin::pin!(self.cut.cancelled());
        // It was stopped, and has taken longer for it than any agent may.
        let mut stubborn = std::pin::pin!(scope.cancelled_for(CLOSE_LIMIT));
        let mut late = None;
        loop {
            // Whatever ends a turn from outside is asked first only when it may be due: a child that
            // talks pays for none of it, and one that never stops talking cannot outrun it.
            let pressed = self.cut.is_cancelled() || scope.is_cancelled() || watchdog.is_due();
            let next = poll_fn(|cx| {
                if late.is_some_and(|late| Instant::now() >= late) {
                    return Poll::Ready(Next::Cut);
                }
                if !pressed && let Poll::Ready(event) = turn.poll_next_unpin(cx) {
                    return Poll::Ready(Next::Event(event));
                }
                if cut.as_mut().poll(cx).is_ready() || stubborn.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::Cut);
                }
                if overdue.is_none()
                    && let Poll::Ready(why) = watchdog.poll_overdue(scope, cx)
                {
                    return Poll::Ready(Next::Overdue(why));
                }
                if pressed {
                    return turn.poll_next_unpin(cx).map(Next::Event);
                }
                Poll::Pending
            });
            match next.await {
                Next::Event(Some(event)) => {
                    // A watcher who is away holds up what it says, and not its end.
                    let gone = async {
                        tokio::select! {
                            () = self.given_up() => {}
                            () = watchdog.over(), if overdue.is_none() => {}
                        }
                    };
                    sink.send_unless(event, gone).await;
                    // What it says after that goes past the limit, so that it may not say much.
                    if late.is_none() && self.is_given_up() {
                        late = Some(Instant::now() + CLOSE_LIMIT / 2);
                    }
                }
                Next::Event(None) => break,
                Next::Cut => {
                    // Nobody waits any more: what it runs is dropped where it is.
                    if let Some(end) = turn.cut(StopReason::Cancelled) {
                        sink.send_unless(end, self.given_up()).await;
                    }
                    break;
                }
                Next::Overdue(why) => {
                    scope.cancel();
                    if let Some(event) = stalled(&why, parts) {
                        sink.send_unless(event, self.given_up()).await;
                    }
                    overdue = Some(why);
                    continue;
                }
            }
            // Not before: a watcher who is away is no silence of the child's.
            watchdog.heard();
        }
        let stop = turn.stop().cloned().unwrap_or(StopReason::Cancelled);
        Turned {
            stop,
            text: turn.words(),
            overdue,
        }
    }

    /// Ends when what it says waits for its watcher no longer: nobody waits for it any more, or it was
    /// to stop some time ago.
    async fn given_up(&self) {
        let late = async {
            self.parts.seat.scope().cancelled().await;
            let since = *self.cancelled.get_or_init(Instant::now);
            tokio::time::sleep_until(since + CLOSE_LIMIT).await;
        };
        tokio::select! {
            () = self.cut.cancelled() => {}
            () = late => {}
        }
    }

    fn is_given_up(&self) -> bool {
        let since = self.cancelled.get();
        since.is_some_and(|since| Instant::now() >= *since + CLOSE_LIMIT)
    }

    /// What the parent reads, past the parent's hooks.
    async fn past_hooks(&self, outcome: Outcome, text: String) -> String {
        let parts = &self.parts;
        let hooks = &parts.parent.hooks;
        if hooks.is_empty() {
            return text;
        }
        let at = parts.parent.at(parts.turn);
        let kind = parts.order.kind.clone();
        let end = ChildEnd::new(parts.seat.path().clone(), kind, outcome, text);
        let verdict = tokio::select! {
            biased;
            () = self.cut.cancelled() => Verdict::Keep,
            verdict = hooks.on_child_end(&at, &end) => verdict,
            // Where all is over, the hook has as long as those around a tool.
            () = parts.home.cancelled_for(CANCEL_GRACE) => Verdict::Keep,
        };
        match verdict {
            Verdict::Keep => end.text,
            Verdict::Change(text) => text,
            Verdict::Refuse(reason) => format!("A hook withheld what the agent said: {reason}"),
        }
    }
}

fn stalled(why: &Overdue, parts: &Parts) -> Option<Event> {
    let Overdue::Silent(wait) = why else {
        return None;
    };
    let limit = parts.order.no_progress;
    let wait = wait.as_ref().map_or("itself".into(), ToString::to_string);
    let reason = format!("nothing came from it for {limit:?} while it waited for {wait}; stopped");
    let agents = vec![parts.seat.path().clone()];
    let origin = Origin::new(parts.seat.path(), TurnId(1));
    Some(origin.event(EventKind::Stalled { agents, reason }))
}
