//! Scopes: what a cancel reaches, what keeps a place busy, what a receipt says.
//! Refuses sleeps, except where the time itself is looked at.

use std::{sync::OnceLock, time::Duration};

use super::*;

mod racing;
mod receipts;

/// How a life in a scope stood to the scope's cancel, as its guard saw it under the lock.
#[derive(Clone)]
pub(crate) struct Life {
    late: bool,
    end: Arc<OnceLock<Lived>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lived {
    /// It was over before the cancel, or there was none.
    Whole,
    /// It had begun and was not over.
    CutShort,
    /// It began after.
    Late,
}

impl Life {
    pub(super) fn begin(scope: &Scope) -> Self {
        Self {
            late: scope.is_cancelled(),
            end: Arc::default(),
        }
    }

    pub(super) fn end(&self, scope: &Scope) {
        let lived = match (self.late, scope.is_cancelled()) {
            (true, _) => Lived::Late,
            (false, true) => Lived::CutShort,
            (false, false) => Lived::Whole,
        };
        self.end.set(lived).unwrap();
    }

    pub(crate) fn lived(&self) -> Option<Lived> {
        self.end.get().copied()
    }
}

fn waiting(agent: &AgentPath, what: WaitFor) -> Stopped {
    Stopped {
        agent: agent.clone(),
        phase: Phase::Waiting(what),
    }
}

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
    let stopped = root.cancel().stopped;
    let worker = AgentPath::root().child("worker");
    assert_eq!(
        stopped,
        [
            waiting(&AgentPath::root(), WaitFor::Tool("Read".into())),
            waiting(&worker, WaitFor::Mail)
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

/// Looks when it is dropped whether the scope is quiet.
struct Look(Scope, Arc<AtomicBool>);

impl Drop for Look {
    fn drop(&mut self) {
        let quiet = self.0.state().tasks.is_empty();
        self.1.store(quiet, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_scope_is_not_quiet_before_what_an_aborted_task_owned_is_gone() {
    let quiet = Arc::new(AtomicBool::new(true));
    for polls in 0..3 {
        let scope = Scope::root();
        let look = Look(scope.clone(), quiet.clone());
        let task = scope.spawn(async move {
            let _look = look;
            std::future::pending::<()>().await;
        });
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
        task.abort();
        scope.wait().await;
        assert!(!quiet.swap(true, Ordering::SeqCst), "after {polls} polls");
    }
}

/// The twin: the other way round a task that never began is gone last.
#[tokio::test]
async fn twin_a_hold_that_goes_first_is_seen() {
    let (scope, quiet) = (Scope::root(), Arc::new(AtomicBool::new(false)));
    let look = Look(scope.clone(), quiet.clone());
    drop((scope.enter(), look));
    assert!(quiet.load(Ordering::SeqCst));
}
