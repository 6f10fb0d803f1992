//! What SQLite says went wrong, as errors of this crate.
//! Refuses to guess: what has no name here is an I/O error with SQLite's own words.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// Room on a disk below which a failed write is laid to it.
#[cfg(unix)]
const NO_ROOM: u64 = 256 * 1024;

/// Why a piece of work was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// It was refused before it wrote anything: the others of its transaction may go on.
    Refused(Error),
    /// The database failed: nobody knows what its transaction holds.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Fault {
    /// As an error for whoever asked.
    pub(super) fn told(self, db: &Path) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Failed(error) => typed(db, error),
        }
    }
}

/// An error that says that the database is damaged.
pub(super) fn corrupt(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what)
        .with_hint("the file was changed by something else than this program, or its disk fails")
}

/// What SQLite says, with the path of the database.
pub(super) fn typed(db: &Path, error: rusqlite::Error) -> Error {
    let words = error.to_string();
    let (kind, what, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => full(),
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied,
        ) if no_room(db) => full(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
            ErrorKind::Io,
            "the session log cannot be written",
            Some("see whether its folder belongs to you and may be written to"),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            ErrorKind::Busy,
            "another process keeps the session log to itself",
            Some("nothing is lost; try again"),
        ),
        Some(ErrorCode::TooBig) => (ErrorKind::Limit, "too large for the session log", None),
        // All statements are fixed, so what does not fit them is the file.
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::Unknown
            | ErrorCode::SchemaChanged
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::InternalMalfunction,
        ) => (ErrorKind::Corrupt, "the session log is damaged", None),
        Some(_) => (ErrorKind::Io, "the session log failed", None),
        None => (ErrorKind::Corrupt, "the session log is damaged", None),
    };
    let text = format!("{what}: `{}`", db.display());
    let hint = hint.map_or_else(|| words.clone(), |hint| format!("{hint} ({words})"));
    Error::new(kind, text).with_hint(hint).with_source(error)
}

fn full() -> (ErrorKind, &'static str, Option<&'static str>) {
    let hint = "nothing is lost: free some room, and what waits is written";
    let what = "no room is left for the session log";
    (ErrorKind::StorageFull, what, Some(hint))
}

/// Whether the disk is full. SQLite says so of most writes itself, but not of files it maps.
#[cfg(unix)]
fn no_room(db: &Path) -> bool {
    let folder = db.parent().unwrap_or(db);
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < NO_ROOM)
}

#[cfg(not(unix))]
fn no_room(_: &Path) -> bool {
    false
}
