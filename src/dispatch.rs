//! Runs the calls of one message: lanes, permits, deadlines, and results in call order.
//! Refuses to judge a call: whoever plans it has checked arguments, hooks and permission.

mod whole;

use std::{
    any::Any,
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_stream::stream;
use futures::{FutureExt, Stream, StreamExt, stream::FuturesUnordered};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::Instant,
};

use self::whole::Whole;
use crate::{
    id::{SessionId, TurnId},
    message::{Content, Outcome, ToolCall, ToolResult},
    scope::{Scope, WaitFor},
    sink::{Origin, Sink},
    spec::Lane,
    store::Log,
    tool::{ContextInner, Keeper, Output, Tool, ToolContext, ToolOutput},
};

/// How long a tool may run when neither it nor the agent says otherwise.
pub const DEFAULT_TOOL_DEADLINE: Duration = Duration::from_secs(600);

/// How long a cancelled tool may take to hand in what it has before it is dropped.
pub const CANCEL_GRACE: Duration = Duration::from_millis(250);

/// How long a cancelled call that waits on other agents may take. They are cancelled at the same
/// time and have a grace of their own, after which this one can still say how they ended.
pub const TREE_GRACE: Duration = Duration::from_millis(500);

/// What becomes of one call.
pub(crate) enum Plan {
    /// It runs.
    Run { tool: Arc<dyn Tool>, input: Value },
    /// It was answered without running.
    Answered(ToolResult),
    /// Its result is on the board already, and was told.
    Landed,
}

/// What all calls of a message have in common.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) scope: Scope,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) sink: Sink,
    pub(crate) origin: Origin,
    /// Makes a call's key unique beyond its agent.
    pub(crate) session: SessionId,
    /// The turn by which their keys are known: an earlier one for calls that run again.
    pub(crate) called_in: TurnId,
    pub(crate) deadline: Duration,
    pub(crate) output_cap: usize,
    /// Where the whole of a large output is kept.
    pub(crate) log: Log,
    /// What the calling agent hands down to agents it opens.
    pub(crate) above: Arc<dyn Any + Send + Sync>,
    /// Stands for the message whose calls these are.
    pub(crate) message: Arc<()>,
}

/// So much later than the turn that called it a tool ends itself, when that turn does not end it.
const LATE: Duration = Duration::from_millis(100);

/// What happens while calls run, in the order it happens.
pub(crate) enum Step {
    /// The call at this place begins.
    Started(usize),
    /// The call at this place has ended.
    Landed {
        index: usize,
        result: ToolResult,
        millis: u64,
    },
}

/// Where every call of a message stands. It outlives the run, so that a dropped turn can still
/// answer every call with what is known of it.
pub(crate) struct Board {
    calls: Vec<ToolCall>,
    slots: Mutex<Vec<Slot>>,
}

/// What the model reads of a tool that was running.
const STOPPED: &str = "The tool was stopped while it ran; what it did until then stands.";

enum Slot {
    Waiting,
    Running(ToolContext, Instant),
    Landed(ToolResult),
}

impl Slot {
    /// What is known of a call now that nobody waits for it any more.
    fn result(self, call: &ToolCall) -> ToolResult {
        match self {
            Self::Landed(result) => result,
            Self::Waiting => never_started(call),
            Self::Running(ctx, _) => cut_short(call, &ctx, Outcome::Interrupted, STOPPED),
        }
    }
}

impl Board {
    pub(crate) fn new(calls: Vec<ToolCall>) -> Arc<Self> {
        let slots = Mutex::new(calls.iter().map(|_| Slot::Waiting).collect());
        Arc::new(Self { calls, slots })
    }

    pub(crate) fn calls(&self) -> &[ToolCall] {
        &self.calls
    }

    /// Replaces what the model will read of a call that has landed.
    pub(crate) fn land(&self, index: usize, result: ToolResult) {
        if let Some(slot) = self.slots().get_mut(index) {
            *slot = Slot::Landed(result);
        }
    }

    /// A call may run of which something was known until now.
    pub(crate) fn reopen(&self, index: usize) {
        if let Some(slot) = self.slots().get_mut(index) {
            *slot = Slot::Waiting;
        }
    }

    /// Takes a call from waiting to running. `false` once the board is settled: the call then must
    /// not start, because the transcript says that it never did.
    fn claim(&self, index: usize, ctx: &ToolContext) -> bool {
        match self.slots().get_mut(index) {
            Some(slot @ Slot::Waiting) => {
                *slot = Slot::Running(ctx.clone(), Instant::now());
                true
            }
            _ => false,
        }
    }

    /// Lands every call that has not landed: a cancel left it waiting or cut it short.
    fn land_rest(&self) -> Vec<Step> {
        let mut rest = Vec::new();
        for (index, (slot, call)) in self.slots().iter_mut().zip(&self.calls).enumerate() {
            let millis = match slot {
                Slot::Landed(_) => continue,
                Slot::Waiting => 0,
                Slot::Running(_, since) => since.elapsed().as_millis() as u64,
            };
            let result = std::mem::replace(slot, Slot::Waiting).result(call);
            *slot = Slot::Landed(result.clone());
            rest.push(Step::Landed {
                index,
                result,
                millis,
            });
        }
        rest
    }

    /// A result for every call, in call order, whatever has become of it.
    pub(crate) fn settle(&self) -> Vec<ToolResult> {
        let slots = std::mem::take(&mut *self.slots());
        let settled = slots.into_iter().zip(&self.calls);
        settled.map(|(slot, call)| slot.result(call)).collect()
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the calls. Dropping the stream aborts what runs; the board then still knows every call.
pub(crate) fn run(
    board: Arc<Board>,
    plans: Vec<Plan>,
    terms: Terms,
) -> impl Stream<Item = Step> + Send {
    stream! {
        let mut queue = VecDeque::new();
        for (index, plan) in plans.into_iter().enumerate() {
            match plan {
                Plan::Run { tool, input } => queue.push_back((index, tool, input)),
                Plan::Answered(result) => {
                    board.land(index, result.clone());
                    yield Step::Landed { index, result, millis: 0 };
                }
                Plan::Landed => {}
            }
        }
        let mut grace = None;
        'batches: while !queue.is_empty() && !terms.scope.is_cancelled() {
            let batch = next_batch(&mut queue).into_iter();
            let (mut now, mut waiting): (VecDeque<_>, VecDeque<_>) =
                batch.partition(|queued| queued.1.spec().lane == Lane::Free);
            let mut running = FuturesUnordered::new();
            let patience = if now.is_empty() { CANCEL_GRACE } else { TREE_GRACE };
            let mut place = std::pin::pin!(next_permit(&terms));
            loop {
                while let Some(queued) = now.pop_front() {
                    yield Step::Started(queued.0);
                    running.push(Running::start(queued, None, patience, &board, &terms));
                }
                if running.is_empty() && (waiting.is_empty() || grace.is_some()) {
                    break;
                }
                let landed = tokio::select! {
                    biased;
                    Some(landed) = running.next() => landed,
                    // A cancelled turn gives its tools a moment to hand in what they have.
                    () = terms.scope.cancelled(), if grace.is_none() => {
                        grace = Some(Instant::now() + patience);
                        continue;
                    }
                    () = until(grace) => break 'batches,
                    permit = &mut place, if !waiting.is_empty() && grace.is_none() => {
                        place.set(next_permit(&terms));
                        if let Some(queued) = waiting.pop_front() {
                            yield Step::Started(queued.0);
                            running.push(Running::start(queued, permit, patience, &board, &terms));
                        }
                        continue;
                    }
                };
                let (index, result, millis) = landed;
                board.land(index, result.clone());
                yield Step::Landed { index, result, millis };
            }
        }
        // Whatever a cancel cut short is told like any other end.
        for step in board.land_rest() {
            yield step;
        }
    }
}

/// A place in the queue for one of the tree's permits. `None` when there are no more, ever.
async fn next_permit(terms: &Terms) -> Option<OwnedSemaphorePermit> {
    let _waiting = terms.scope.waiting(WaitFor::Permit);
    terms.permits.clone().acquire_owned().await.ok()
}

/// Ends then, or never.
async fn until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

type Queued = (usize, Arc<dyn Tool>, Value);

/// The next calls that may run side by side: one that is alone, or all up to the next that is.
fn next_batch(queue: &mut VecDeque<Queued>) -> Vec<Queued> {
    let alone = |queued: &Queued| queued.1.spec().lane == Lane::Alone;
    let count = match queue.front() {
        Some(first) if alone(first) => 1,
        _ => queue.iter().take_while(|queued| !alone(queued)).count(),
    };
    queue.drain(..count).collect()
}

/// One call on a task of its own: a panic stays there, and a slow one does not hold up the others.
struct Running {
    index: usize,
    call: ToolCall,
    ctx: ToolContext,
    since: Instant,
    task: JoinHandle<Ended>,
}

enum Ended {
    Output(ToolOutput),
    TimedOut(Duration),
    Panicked(String),
    NeverStarted,
    CutOff,
}

impl Running {
    fn start(
        (index, tool, input): Queued,
        permit: Option<OwnedSemaphorePermit>,
        patience: Duration,
        board: &Arc<Board>,
        terms: &Terms,
    ) -> Self {
        let call = board.calls[index].clone();
        let scope = terms.scope.part();
        let limit = tool.spec().deadline.unwrap_or(terms.deadline);
        let ctx = ToolContext::new(ContextInner {
            scope: scope.clone(),
            origin: terms.origin.clone(),
            call: call.id.clone(),
            session: Some(terms.session.clone()),
            called_in: terms.called_in,
            sink: terms.sink.clone(),
            output: Output::with_keeper(terms.output_cap, keeper(&terms.log)),
            deadline: Instant::now().checked_add(limit),
            above: Some(terms.above.clone()),
            message: terms.message.clone(),
        });
        let board = board.clone();
        let inside = ctx.clone();
        let log = terms.log.clone();
        let name = call.name.clone();
        let task = scope.clone().spawn(async move {
            let _permit = permit;
            if scope.is_cancelled() || !board.claim(index, &inside) {
                return Ended::NeverStarted;
            }
            let _waiting = scope.waiting(WaitFor::Tool(name));
            let ctx = inside.clone();
            let call = AssertUnwindSafe(tool.call(inside, input)).catch_unwind();
            let called = tokio::select! {
                biased;
                called = tokio::time::timeout(limit, call) => Some(called),
                // Nobody has taken it away: the stream of its turn is not being read.
                () = scope.cancelled_for(patience + LATE) => None,
            };
            let ended = match called {
                Some(Ok(Ok(mut output))) => {
                    cut(&ctx, &mut output, &log).await;
                    Ended::Output(output)
                }
                Some(Ok(Err(panic))) => Ended::Panicked(panic_words(&*panic)),
                Some(Err(_)) => Ended::TimedOut(limit),
                None => Ended::CutOff,
            };
            ctx.output().keep().await;
            ended
        });
        Self {
            index,
            call,
            ctx,
            since: Instant::now(),
            task,
        }
    }

    fn result(&self, ended: Ended) -> ToolResult {
        let (call, ctx) = (&self.call, &self.ctx);
        match ended {
            Ended::Output(output) => finished(call, ctx, output),
            Ended::TimedOut(limit) => {
                let seconds = limit.as_secs_f64();
                let text =
                    format!("The tool ran past its deadline of {seconds} s and was stopped.");
                cut_short(call, ctx, Outcome::TimedOut, &text)
            }
            Ended::Panicked(words) => {
                let text = format!("The tool has a bug and panicked: {words}");
                cut_short(call, ctx, Outcome::Failed, &text)
            }
            Ended::NeverStarted => never_started(call),
            Ended::CutOff => cut_short(call, ctx, Outcome::Interrupted, STOPPED),
        }
    }
}

impl Future for Running {
    type Output = (usize, ToolResult, u64);

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.task.poll_unpin(cx).map(|joined| {
            let ended = joined.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(panic) => Ended::Panicked(panic_words(&*panic)),
                Err(_) => Ended::NeverStarted,
            });
            let millis = self.since.elapsed().as_millis() as u64;
            (self.index, self.result(ended), millis)
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ctx.scope().cancel();
        self.task.abort();
    }
}

/// Where the whole of a large output goes.
fn keeper(log: &Log) -> Option<Box<dyn Keeper>> {
    let store = log.store()?.clone();
    Some(Box::new(Whole::new(store, log.redactor())))
}

/// Cuts what a tool handed back to the cap; the whole is kept where there is a store.
async fn cut(ctx: &ToolContext, output: &mut ToolOutput, log: &Log) {
    for piece in &mut output.content {
        if let Content::Text(text) = piece {
            let whole = std::mem::take(text);
            *text = ctx.output().cut(whole, || keeper(log)).await;
        }
    }
}

/// What the tool wrote on the way, then what it handed back.
fn finished(call: &ToolCall, ctx: &ToolContext, output: ToolOutput) -> ToolResult {
    let mut content = Vec::with_capacity(output.content.len() + 1);
    if ctx.output().total() > 0 {
        content.push(Content::Text(ctx.output().text()));
    }
    content.extend(output.content);
    if content.is_empty() {
        content.push(Content::Text("(no output)".into()));
    }
    // What never started is the engine's to say; a tool that was called has started.
    let outcome = match output.outcome {
        Outcome::NeverStarted => Outcome::Failed,
        outcome => outcome,
    };
    ToolResult {
        call: call.id.clone(),
        name: call.name.clone(),
        outcome,
        content,
    }
}

/// What the tool wrote until it was stopped, and why it was.
fn cut_short(call: &ToolCall, ctx: &ToolContext, outcome: Outcome, why: &str) -> ToolResult {
    let mut text = String::new();
    if ctx.output().total() > 0 {
        text = format!("{}\n", ctx.output().text());
    }
    text.push_str(why);
    ToolResult::text(call, outcome, text)
}

fn never_started(call: &ToolCall) -> ToolResult {
    let text = "The turn was stopped before this tool could start. It did not run.";
    ToolResult::text(call, Outcome::NeverStarted, text)
}

fn panic_words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    words
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "?".to_owned())
}
