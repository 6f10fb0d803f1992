//! What the commands of one folder must remember of a turn: that it was pushed on, that it shall end.
//! Refuses to grow: only the newest turns are remembered.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::super::HookContext;
use crate::id::{AgentPath, SessionId, TurnId};

/// Turns that are remembered.
const MAX_MARKS: usize = 256;

type Turn = (SessionId, AgentPath, TurnId);

#[derive(Debug, Default)]
pub(super) struct Marks(Mutex<VecDeque<(Turn, Mark)>>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A command has pushed the turn on.
    Pushed,
    /// A command wants the turn to end, for this reason.
    Ends(String),
}

impl Marks {
    pub(super) fn set(&self, at: &HookContext, mark: Mark) {
        let mut marks = self.lock();
        if marks.len() == MAX_MARKS {
            marks.pop_front();
        }
        marks.push_back((turn(at), mark));
    }

    pub(super) fn is_pushed(&self, at: &HookContext) -> bool {
        let (marks, turn) = (self.lock(), turn(at));
        marks
            .iter()
            .any(|(of, mark)| *of == turn && *mark == Mark::Pushed)
    }

    /// Why the turn shall end.
    pub(super) fn end_of(&self, at: &HookContext) -> Option<String> {
        let marks = self.lock();
        if marks.is_empty() {
            return None;
        }
        let turn = turn(at);
        marks.iter().find_map(|(of, mark)| match mark {
            Mark::Ends(reason) if *of == turn => Some(reason.clone()),
            _ => None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Turn, Mark)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn turn(at: &HookContext) -> Turn {
    (at.session.clone(), at.agent.clone(), at.turn)
}
