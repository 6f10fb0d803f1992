//! Owns whatever lives: a cancellation token, the tasks below it, and who waits for what.
//! Refuses to let anything outlive it; this is the only place that spawns a task.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::task::JoinHandle;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFuture},
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

use crate::id::AgentPath;

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
/// assert!(receipt.stopped.is_empty(), "nobody had said what it waited for");
/// # });
/// ```
#[derive(Clone)]
pub struct Scope(Arc<Node>);

struct Node {
    token: CancellationToken,
    path: AgentPath,
    depth: usize,
    parent: Option<Scope>,
    state: Mutex<State>,
}

struct State {
    tasks: TaskTracker,
    /// Held while a task lives here, so that waiting for the parent waits for this place too.
    hold: Option<Hold>,
    waiting: Vec<(u64, WaitFor)>,
    next_wait: u64,
    children: Vec<Weak<Node>>,
}

/// What somebody waits for, so that a cancel can say what it stopped and a stall can be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitFor {
    /// An answer of the model with this name.
    Model(String),
    /// A pause before the next try.
    Retry,
    /// The tool with this name.
    Tool(String),
    /// A person's yes or no to the call of this tool.
    Approval(String),
    /// Room for one more running tool.
    Permit,
    /// A note in the mailbox.
    Mail,
    /// The agent at this place.
    Agent(AgentPath),
}

impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(name) => write!(f, "model `{name}`"),
            Self::Retry => f.write_str("a retry"),
            Self::Tool(name) => write!(f, "tool `{name}`"),
            Self::Approval(name) => write!(f, "an approval of `{name}`"),
            Self::Permit => f.write_str("a free tool slot"),
            Self::Mail => f.write_str("mail"),
            Self::Agent(path) => write!(f, "agent `{path}`"),
        }
    }
}

/// What a cancel stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Each wait that was cut short, and where.
    pub stopped: Vec<(AgentPath, WaitFor)>,
}

impl Scope {
    /// The top of a tree.
    pub fn root() -> Self {
        Self::build(CancellationToken::new(), AgentPath::root(), 0, None)
    }

    /// The place of an agent below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        self.below(self.0.path.child(name), self.0.depth + 1)
    }

    /// A part of this agent's life that can be cancelled by itself: a turn, a tool.
    #[must_use]
    pub fn part(&self) -> Self {
        self.below(self.0.path.clone(), self.0.depth)
    }

    fn below(&self, path: AgentPath, depth: usize) -> Self {
        let child = Self::build(self.0.token.child_token(), path, depth, Some(self.clone()));
        let mut state = self.state();
        // Sweep the dead only when the list would have to grow: constant cost for each child.
        if state.children.len() == state.children.capacity() {
            state.children.retain(|weak| weak.strong_count() > 0);
        }
        state.children.push(Arc::downgrade(&child.0));
        drop(state);
        child
    }

    fn build(
        token: CancellationToken,
        path: AgentPath,
        depth: usize,
        parent: Option<Scope>,
    ) -> Self {
        let tasks = TaskTracker::new();
        tasks.close(); // closed means only that `wait` may end; tasks may still be added
        let state = State {
            tasks,
            hold: None,
            waiting: Vec::new(),
            next_wait: 0,
            children: Vec::new(),
        };
        Self(Arc::new(Node {
            token,
            path,
            depth,
            parent,
            state: Mutex::new(state),
        }))
    }

    /// Where this is.
    pub fn path(&self) -> &AgentPath {
        &self.0.path
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
        let hold = self.enter();
        tokio::spawn(async move {
            let _hold = hold;
            task.await
        })
    }

    /// Runs code that blocks, on a thread made for that. It cannot be cancelled, only waited for.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let hold = self.enter();
        tokio::task::spawn_blocking(move || {
            let _hold = hold;
            work()
        })
    }

    /// Counts as a living task until it is dropped.
    pub(crate) fn enter(&self) -> Hold {
        // Up to the first place that is held already, and down again; a loop, because a chain of
        // ten thousand agents must not overflow a stack.
        let mut line = vec![self];
        while let Some(top) = line.last()
            && top.state().hold.is_none()
            && let Some(parent) = &top.0.parent
        {
            line.push(parent);
        }
        let mut held: Option<Hold> = None;
        for scope in line.into_iter().rev() {
            let mut state = scope.state();
            if state.hold.is_none()
                && let Some(parent) = &scope.0.parent
            {
                // The uppermost may have been let go since it was looked at.
                state.hold = Some(held.take().unwrap_or_else(|| parent.enter()));
            }
            let token = state.tasks.token();
            drop(state);
            held = Some(Hold {
                token: Some(token),
                scope: scope.clone(),
            });
        }
        held.unwrap_or_else(|| unreachable!("the line begins with this scope"))
    }

    /// Cancels everything here and below, at once, and says what was waiting for what.
    pub fn cancel(&self) -> Receipt {
        let mut receipt = Receipt::default();
        if !self.0.token.is_cancelled() {
            self.collect_waits(&mut receipt);
            self.0.token.cancel();
        }
        receipt
    }

    fn collect_waits(&self, receipt: &mut Receipt) {
        let mut todo = vec![self.clone()];
        while let Some(scope) = todo.pop() {
            let state = scope.state();
            let waits = state
                .waiting
                .iter()
                .map(|(_, w)| (scope.0.path.clone(), w.clone()));
            receipt.stopped.extend(waits);
            todo.extend(
                state
                    .children
                    .iter()
                    .filter_map(|weak| weak.upgrade().map(Scope)),
            );
        }
    }

    /// Whether this scope was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.token.is_cancelled()
    }

    /// Ends when this scope is cancelled.
    ///
    /// Cancel safety: safe, it holds no state.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.0.token.cancelled()
    }

    /// Runs a future until it ends or this scope is cancelled; `None` when cancelled.
    ///
    /// Cancel safety: as safe as the future given.
    pub async fn race<F: Future>(&self, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.cancelled() => None,
            out = future => Some(out),
        }
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
        let mut state = self.state();
        let id = state.next_wait;
        state.next_wait += 1;
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

/// Keeps a scope, and all above it, busy.
pub(crate) struct Hold {
    token: Option<TaskTrackerToken>,
    scope: Scope,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A loop instead of recursion: a chain of ten thousand agents must not overflow a stack.
        let mut next = self.token.take().map(|token| (token, self.scope.clone()));
        while let Some((token, scope)) = next {
            let mut state = scope.state();
            drop(token);
            let above = if state.tasks.is_empty() {
                state.hold.take()
            } else {
                None
            };
            drop(state);
            next = above.and_then(|mut hold| Some((hold.token.take()?, hold.scope.clone())));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // For the same reason: freeing the last leaf of a long chain frees the chain.
        let mut next = self.parent.take();
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
        self.scope.state().waiting.retain(|(id, _)| *id != self.id);
    }
}

/// Makes promises of the type system explicit.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Scope>();
};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn cancelling_reaches_down_and_never_up() {
        let root = Scope::root();
        let (left, right) = (root.child("left"), root.child("right"));
        let leaf = left.child("leaf").part();
        left.cancel();
        assert!(leaf.is_cancelled() && left.is_cancelled());
        assert!(!root.is_cancelled() && !right.is_cancelled());
        assert_eq!(leaf.path().as_str(), "root/left/leaf");
        assert_eq!(leaf.depth(), 2);
        assert!(
            left.child("late").is_cancelled(),
            "born below a cancelled scope"
        );
    }

    #[tokio::test]
    async fn a_scope_is_quiet_when_nothing_below_it_runs() {
        let root = Scope::root();
        root.wait().await;
        let leaf = root.child("a").child("b");
        let kept = leaf.clone();
        let task = leaf.spawn(tokio::time::sleep(Duration::from_millis(30)));
        assert!(
            tokio::time::timeout(Duration::from_millis(1), root.wait())
                .await
                .is_err(),
            "a task two levels down keeps the root busy"
        );
        root.wait().await;
        assert!(task.is_finished());
        drop(kept); // holding a clone did not keep it busy
    }

    #[tokio::test]
    async fn a_receipt_names_what_was_waited_for_and_where() {
        let root = Scope::root();
        let child = root.child("worker");
        let first = child.waiting(WaitFor::Mail);
        drop(child.waiting(WaitFor::Permit));
        let _second = root.waiting(WaitFor::Tool("Read".into()));
        assert_eq!(child.waits(), [WaitFor::Mail]);
        let mut stopped = root.cancel().stopped;
        stopped.sort_by_key(|(path, _)| path.clone());
        let worker = AgentPath::root().child("worker");
        assert_eq!(
            stopped,
            [
                (AgentPath::root(), WaitFor::Tool("Read".into())),
                (worker, WaitFor::Mail)
            ]
        );
        assert!(
            root.cancel().stopped.is_empty(),
            "a second cancel stops nothing"
        );
        drop(first);
    }

    #[tokio::test]
    async fn a_panicking_task_leaves_its_scope_quiet() {
        let scope = Scope::root();
        let task = scope.child("x").spawn(async { panic!("on purpose") });
        assert!(task.await.is_err());
        scope.wait().await;
    }

    #[tokio::test]
    async fn dead_children_are_forgotten_and_a_long_chain_is_freed_without_recursion() {
        let root = Scope::root();
        for _ in 0..10_000 {
            drop(root.part());
        }
        assert!(
            root.state().children.len() < 64,
            "{}",
            root.state().children.len()
        );
        let mut leaf = root.clone();
        for _ in 0..10_000 {
            leaf = leaf.part();
        }
        let hold = leaf.enter();
        drop(hold);
        root.wait().await;
        drop(leaf);
    }
}
