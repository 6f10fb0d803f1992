//! Exit codes, and which of them an end or an error means.
//! Refuses finer shades: scripts branch on six codes.

use std::process::ExitCode;

use crate::{
    error::{Error, ErrorKind},
    event::StopReason,
};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Finished = 0,
    /// Something broke.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// A limit was hit: budget, time, turns or context.
    Limit = 3,
    /// The model, a filter, a rule or a hook refused.
    Refused = 4,
    /// Somebody pressed Ctrl-C.
    Cancelled = 130,
}

impl Exit {
    /// What an end means.
    pub(super) fn of_stop(stop: &StopReason) -> Self {
        match stop {
            StopReason::Finished => Self::Finished,
            StopReason::Truncated | StopReason::BudgetSpent { .. } | StopReason::ContextFull => {
                Self::Limit
            }
            StopReason::Refused { .. } => Self::Refused,
            StopReason::Cancelled => Self::Cancelled,
            StopReason::Failed { .. } => Self::Failed,
        }
    }

    /// What an error means.
    pub(super) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Config => Self::Usage,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::Limit => Self::Limit,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error of the operating system, saying what was tried.
pub(super) fn io(what: impl std::fmt::Display, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{what}: {error}")).with_source(error)
}
