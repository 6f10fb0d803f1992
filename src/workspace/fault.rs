//! Why something in a workspace could not be had, in words that a model can act on.
//! Refuses to be an `Error`: whoever asked for the path can choose another one.

use std::{fmt, io, path::Path};

use super::path::shown;

/// Why something in a workspace could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkError {
    /// The text is no path: empty, too long, or in a spelling that means something elsewhere.
    Spelling {
        /// What was given, cut to a readable length.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The path, or a link on the way, leads out of the workspace.
    Outside {
        /// What was given.
        path: String,
    },
    /// There is nothing of this name.
    Missing {
        /// What was given.
        path: String,
    },
    /// It is a folder, and a file was wanted.
    Folder {
        /// What was given.
        path: String,
    },
    /// It is no folder, and one was wanted.
    NotFolder {
        /// What was given.
        path: String,
    },
    /// It is neither a file nor a folder: a pipe, a socket, a device.
    Special {
        /// What was given.
        path: String,
    },
    /// It is larger than the caller takes.
    TooLarge {
        /// What was given.
        path: String,
        /// How many bytes it has.
        size: u64,
        /// How many the caller takes.
        limit: u64,
    },
    /// Nobody wants the result any more, or its time is over.
    Stopped,
    /// The operating system failed.
    Io {
        /// What was given.
        path: String,
        /// Its reason.
        source: io::Error,
    },
}

impl WorkError {
    /// Sorts what the operating system says of a path below the root.
    pub(super) fn of(path: &Path, source: io::Error) -> Self {
        let path = shown(path);
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::NotADirectory => Self::NotFolder { path },
            io::ErrorKind::IsADirectory => Self::Folder { path },
            // The directory handle refuses an escape with words of its own, not with a number.
            io::ErrorKind::PermissionDenied if source.raw_os_error().is_none() => {
                Self::Outside { path }
            }
            _ if is_no_file(&source) => Self::Special { path },
            _ => Self::Io { path, source },
        }
    }
}

/// Opening a socket says "no such device or address".
#[cfg(unix)]
fn is_no_file(error: &io::Error) -> bool {
    const ENXIO: i32 = 6; // the same number on every Unix
    error.raw_os_error() == Some(ENXIO)
}

#[cfg(not(unix))]
fn is_no_file(_: &io::Error) -> bool {
    false
}

impl fmt::Display for WorkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spelling { path, why } => write!(f, "{why}: `{path}`"),
            Self::Outside { path } => write!(
                f,
                "this leads out of the workspace: `{path}`; use a path below the workspace"
            ),
            Self::Missing { path } => write!(f, "there is no file or folder: `{path}`"),
            Self::Folder { path } => write!(f, "this is a folder, not a file: `{path}`"),
            Self::NotFolder { path } => write!(f, "this is not a folder: `{path}`"),
            Self::Special { path } => write!(
                f,
                "this is neither a file nor a folder (a pipe, a socket or a device): `{path}`"
            ),
            Self::TooLarge { path, size, limit } => write!(
                f,
                "this file is too large, {size} bytes where at most {limit} are taken: `{path}`"
            ),
            Self::Stopped => f.write_str("stopped before it was done"),
            Self::Io { path, source } => write!(f, "{source}: `{path}`"),
        }
    }
}

impl std::error::Error for WorkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
