//! What keeps a scope busy: a hold on its task tracker, and on that of every scope above.
//! Refuses recursion: a chain of ten thousand agents must not overflow a stack.

use tokio_util::task::task_tracker::TaskTrackerToken;

use super::Scope;

/// Keeps a scope, and all above it, busy.
pub(crate) struct Hold {
    token: Option<TaskTrackerToken>,
    scope: Scope,
}

impl Scope {
    /// Counts as a living task until it is dropped.
    pub(crate) fn enter(&self) -> Hold {
        loop {
            if let Some(hold) = self.try_enter() {
                return hold;
            }
        }
    }

    /// Up to the first place that is held already, and down again. `None` when that place was let
    /// go in between.
    fn try_enter(&self) -> Option<Hold> {
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
            if state.hold.is_none() && scope.0.parent.is_some() {
                state.hold = Some(held.take()?);
            }
            let token = state.tasks.token();
            drop(state);
            held = Some(Hold {
                token: Some(token),
                scope: scope.clone(),
            });
        }
        held
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
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
