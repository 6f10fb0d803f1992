//! Owns whatever lives: a cancellation token, the tasks below it, and who waits for what.
//! Refuses to let anything outlive it; this is the only place that spawns a task.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt, future, stream};
use tokio::task::JoinHandle;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFuture},
    task::TaskTracker,
};

use crate::id::AgentPath;

mod hold;
mod mark;
mod receipt;
mod woken;

use self::mark::Gate;
pub use self::receipt::{Phase, Receipt, Stopped, WaitFor};
pub(crate) use self::{hold::Hold, woken::only_when_woken};

/// So many places below one are looked through whenever one of them is gone; more only when the list
/// would have to grow, so that each costs no more when there are many.
const QUICKLY_SWEPT: usize = 8;

/// A place in the tree of living things. Cheap to clone; every clone is the same place.
///
/// Cancelling a scope cancels everything below it and nothing above it. A scope is quiet when no
/// task in it or below it runs any more; holding a clone of it does not keep it busy.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use offshoot::Scope;
///
/// let scope = Scope::root();
/// let child = scope.child("worker");
/// let inside = child.clone();
/// child.spawn(async move { inside.cancelled().await });
/// let receipt = scope.close().await;
/// assert!(child.is_cancelled());
/// assert!(receipt.is_empty(), "nobody had said that it lives here or waits");
/// # });
/// ```
#[derive(Clone)]
pub struct Scope(Arc<Node>);

struct Node {
    /// By itself, not a child of the one above: a cancel tells all places after it met them all.
    token: CancellationToken,
    /// Written behind the shut gate.
    cancelled: AtomicBool,
    path: AgentPath,
    depth: usize,
    parent: Option<Scope>,
    gate: Gate,
    state: Mutex<State>,
}

struct State {
    tasks: TaskTracker,
    /// Held while a task lives here, so that waiting for the parent waits for this place too.
    hold: Option<Hold>,
    /// How many said that an agent lives here.
    occupants: usize,
    waiting: Vec<(u64, WaitFor)>,
    next_wait: u64,
    children: Vec<Weak<Node>>,
}

impl Scope {
    /// The top of a tree.
    pub fn root() -> Self {
        Self::build(AgentPath::root(), 0, None)
    }

    /// The place of an agent below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        self.below(self.0.path.child(name), self.0.depth + 1)
    }

    /// The place of an agent below this one, with a given path.
    #[must_use]
    pub fn child_at(&self, path: AgentPath) -> Self {
        self.below(path, self.0.depth + 1)
    }

    /// A part of this agent's life that can be cancelled by itself: a turn, a tool.
    #[must_use]
    pub fn part(&self) -> Self {
        self.below(self.0.path.clone(), self.0.depth)
    }

    fn below(&self, path: AgentPath, depth: usize) -> Self {
        let child = Self::build(path, depth, Some(self));
        let passing = self.0.gate.pass();
        let mut state = self.state();
        // Sweep the dead only when the list would have to grow: constant cost for each child.
        if state.children.len() == state.children.capacity() {
            state.children.retain(|weak| weak.strong_count() > 0);
        }
        state.children.push(Arc::downgrade(&child.0));
        drop(state);
        let late = self.is_cancelled();
        child.0.cancelled.store(late, Ordering::Release);
        drop(passing);
        if late {
            child.0.token.cancel();
        }
        child
    }

    fn build(path: AgentPath, depth: usize, parent: Option<&Scope>) -> Self {
        let tasks = TaskTracker::new();
        tasks.close(); // closed means only that `wait` may end; tasks may still be added
        let state = State {
            tasks,
            hold: None,
            occupants: 0,
            waiting: Vec::new(),
            next_wait: 0,
            children: Vec::new(),
        };
        Self(Arc::new(Node {
            token: CancellationToken::new(),
            cancelled: AtomicBool::new(false),
            path,
            depth,
            parent: parent.cloned(),
            gate: parent.map(|p| p.0.gate.clone()).unwrap_or_default(),
            state: Mutex::new(state),
        }))
    }

    /// Where this is.
    pub fn path(&self) -> &AgentPath {
        &self.0.path
    }

    /// Whether both are the same place.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// How many agents are above.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// Runs a task that this scope waits for. The task watches [`Scope::cancelled`] by itself.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // What the task owns is gone before its scope is quiet, however it ends: the hold stands
        // behind the task and is let go after it. Not an async block, which would hold the task twice.
        let hold = self.enter();
        tokio::spawn(task.map(move |out| {
            drop(hold);
            out
        }))
    }

    /// Runs code that blocks, on a thread made for that. It cannot be cancelled, only waited for.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let whole = (work, self.enter());
        tokio::task::spawn_blocking(move || {
            let (work, _hold) = whole;
            work()
        })
    }

    /// Cancels everything here and below, at once, and says what was stopped in which phase.
    ///
    /// The list is what lived at one moment: a wait or an agent that began before it and was not
    /// over is on it; one that comes later is born cancelled and is not. A place that was cancelled
    /// before is not told of again.
    pub fn cancel(&self) -> Receipt {
        let (receipt, places) = self.mark();
        for scope in places {
            scope.0.token.cancel();
        }
        // Another cancel may have marked this place and not have come to telling it.
        self.0.token.cancel();
        receipt
    }

    /// Whether this scope was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Ends when this scope is cancelled.
    ///
    /// Cancel safety: safe, it holds no state.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.0.token.cancelled()
    }

    /// Ends so long after this scope was cancelled, as far as it is polled.
    pub(crate) async fn cancelled_for(&self, time: Duration) {
        self.cancelled().await;
        tokio::time::sleep(time).await;
    }

    /// Runs a future until it ends or this scope is cancelled; `None` when cancelled.
    ///
    /// Cancel safety: as safe as the future given.
    pub fn race<'a, F: Future + 'a>(
        &'a self,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + use<'a, F> {
        // Not an async block, which would hold the future twice.
        let cancelled = match self.is_cancelled() {
            true => future::ready(()).left_future(),
            false => self.cancelled().right_future(),
        };
        let outs = stream::once(future).take_until(cancelled);
        outs.fold(None, |_, out| future::ready(Some(out)))
    }

    /// Ends when no task lives here or below.
    ///
    /// Cancel safety: safe, it can be called again.
    pub async fn wait(&self) {
        let tasks = self.state().tasks.clone();
        tasks.wait().await;
    }

    /// Cancels, then waits until everything has ended.
    ///
    /// Cancel safety: the cancel has happened at the first poll; the wait can be repeated.
    pub async fn close(&self) -> Receipt {
        let receipt = self.cancel();
        self.wait().await;
        receipt
    }

    /// Says what is being waited for, until the guard is dropped.
    pub fn waiting(&self, what: WaitFor) -> Waiting {
        let _passing = self.0.gate.pass();
        let mut state = self.state();
        let id = state.next_wait;
        state.next_wait += 1;
        if state.waiting.capacity() == 0 {
            // One at a time, as a rule.
            state.waiting.reserve_exact(1);
        }
        state.waiting.push((id, what));
        drop(state);
        Waiting {
            scope: self.clone(),
            id,
        }
    }

    /// What this place waits for right now.
    pub fn waits(&self) -> Vec<WaitFor> {
        self.state()
            .waiting
            .iter()
            .map(|(_, what)| what.clone())
            .collect()
    }

    /// Says that an agent lives here, until the guard is dropped.
    pub fn occupy(&self) -> Occupied {
        let _passing = self.0.gate.pass();
        self.state().occupants += 1;
        Occupied {
            scope: self.clone(),
            #[cfg(test)]
            life: tests::Life::begin(self),
        }
    }

    /// Forgets the dead below, where they are quickly found: an idle agent keeps nothing of its turns.
    /// Where somebody holds the lock, who may be the one that drops the dead, they stay for now.
    fn sweep_a_little(&self) {
        if let Ok(mut state) = self.0.state.try_lock()
            && state.children.len() <= QUICKLY_SWEPT
        {
            state.children.retain(|weak| weak.strong_count() > 0);
            if state.children.is_empty() {
                state.children = Vec::new();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("path", &self.0.path)
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut next = self.parent.take();
        if let Some(parent) = &next {
            parent.sweep_a_little();
        }
        // Not by recursion: freeing the last leaf of a long chain frees the chain.
        while let Some(Scope(node)) = next {
            next = Arc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

/// While it lives, its scope is known to wait for something.
#[must_use = "the wait is over when this is dropped"]
pub struct Waiting {
    scope: Scope,
    id: u64,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _passing = self.scope.0.gate.pass();
        self.scope.state().waiting.retain(|(id, _)| *id != self.id);
    }
}

/// While it lives, an agent lives in its scope.
#[must_use = "the agent has left when this is dropped"]
pub struct Occupied {
    scope: Scope,
    #[cfg(test)]
    pub(crate) life: tests::Life,
}

impl fmt::Debug for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Occupied")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let _passing = self.scope.0.gate.pass();
        self.scope.state().occupants -= 1;
        #[cfg(test)]
        self.life.end(&self.scope);
    }
}

/// Makes promises of the type system explicit.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Scope>();
};

#[cfg(test)]
pub(crate) mod tests;
