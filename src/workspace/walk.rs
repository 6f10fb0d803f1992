//! Goes through the folders of a workspace in a stable order, folder handle by folder handle.
//! Refuses to follow links, to go on without end, and to show what ignore files leave out.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use cap_fs_ext::DirExt;
use cap_std::fs::Dir;

use super::{
    FileFacts, FileKind, WorkError, WorkPath, Workspace,
    file::kind_of,
    ignored::Ignored,
    path::{MAX_PATH, or_dot},
};
use crate::scope::Scope;

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Entries that are looked at, left out or not.
    pub(crate) entries: u64,
    /// How long it may take.
    pub(crate) time: Duration,
}

impl Limits {
    /// Ends well before the engine's patience with a tool does.
    pub(crate) const DEFAULT: Self = Self {
        entries: 1_000_000,
        time: Duration::from_secs(15),
    };
}

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Everything was seen.
    Whole,
    /// The visitor had enough.
    Enough,
    /// At the limit of entries.
    Entries,
    /// At the limit of time.
    Time,
    /// Nobody wants the result any more.
    Cancelled,
}

/// When to stop: at the end of a time, or when a scope is cancelled.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    scope: Scope,
    until: Instant,
}

impl Stop {
    pub(crate) fn within(scope: Scope, time: Duration) -> Self {
        Self {
            scope,
            until: Instant::now() + time,
        }
    }

    /// Why to stop, if it is time to.
    pub(crate) fn reason(&self) -> Option<Ended> {
        if self.scope.is_cancelled() {
            Some(Ended::Cancelled)
        } else if Instant::now() >= self.until {
            Some(Ended::Time)
        } else {
            None
        }
    }
}

/// A walk, before it starts.
pub(crate) struct Walk<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) start: &'a WorkPath,
    pub(crate) limits: Limits,
    pub(crate) stop: &'a Stop,
    /// Whether an entry is shown at all; a folder that is not is not entered.
    pub(crate) keep: &'a dyn Fn(&Path, FileKind) -> bool,
}

/// What a walk comes by.
pub(crate) struct Found<'a> {
    /// Relative to the workspace's root.
    pub(crate) path: &'a Path,
    pub(crate) kind: FileKind,
    workspace: &'a Workspace,
    dir: &'a Dir,
    name: &'a OsStr,
}

impl Found<'_> {
    /// What is known of it; a link is not followed.
    pub(crate) fn facts(&self) -> Result<FileFacts, WorkError> {
        let metadata = self.dir.symlink_metadata(self.name);
        metadata
            .map(|metadata| FileFacts::of(&metadata))
            .map_err(|error| WorkError::of(self.path, error))
    }

    /// Opens it, which works for regular files only, whatever was put in its place meanwhile.
    pub(crate) fn open(&self) -> Result<(File, FileFacts), WorkError> {
        self.workspace
            .open_in(self.dir, Path::new(self.name), self.path)
    }
}

/// Entries between two looks at the clock.
const LOOK: u64 = 64;

impl Walk<'_> {
    /// Visits every entry below the start: those of a folder sorted by name, then each of its
    /// folders in turn. Folders that cannot be opened are passed over.
    ///
    /// # Errors
    /// When the start is no folder that can be opened.
    pub(crate) fn run(
        &self,
        visit: &mut dyn FnMut(Found<'_>) -> ControlFlow<()>,
    ) -> Result<Ended, WorkError> {
        let start = self.start.relative();
        let first = self.open_start()?;
        let mut first = Some(first);
        // Only names are kept, one folder is open at a time: deep trees cost no descriptors.
        let mut todo = vec![(start.to_owned(), self.rules_above(start))];
        let mut seen = 0;
        while let Some((folder, above)) = todo.pop() {
            let dir = match first.take() {
                Some(dir) => dir,
                None => match self.enter(&folder) {
                    Some(dir) => dir,
                    None => continue,
                },
            };
            let rules = Ignored::inside(self.workspace, &dir, &folder, above);
            let (entries, ended) = self.entries(&dir, &mut seen);
            let mut deeper = Vec::new();
            for (index, (name, kind)) in entries.iter().enumerate() {
                if (index as u64).is_multiple_of(LOOK)
                    && let Some(reason) = self.stop.reason()
                {
                    return Ok(reason);
                }
                let path = folder.join(name);
                let ignored = |rules: &Arc<Ignored>| rules.leaves_out(&path, *kind);
                if !(self.keep)(&path, *kind) || rules.as_ref().is_some_and(ignored) {
                    continue;
                }
                let found = Found {
                    path: &path,
                    kind: *kind,
                    workspace: self.workspace,
                    dir: &dir,
                    name,
                };
                if visit(found).is_break() {
                    return Ok(Ended::Enough);
                }
                if *kind == FileKind::Folder && path.as_os_str().len() < MAX_PATH {
                    deeper.push((path, rules.clone()));
                }
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
            todo.extend(deeper.into_iter().rev());
        }
        Ok(Ended::Whole)
    }

    /// The start was named by somebody, so links on the way to it are followed, inside the root.
    fn open_start(&self) -> Result<Dir, WorkError> {
        let path = self.start.relative();
        let facts = self.workspace.facts(self.start)?;
        if facts.kind != FileKind::Folder {
            let path = super::shown(path);
            return Err(WorkError::NotFolder { path });
        }
        let root = &self.workspace.0.dir;
        let dir = root
            .open_dir(or_dot(path))
            .map_err(|error| WorkError::of(path, error))?;
        let metadata = dir
            .dir_metadata()
            .map_err(|error| WorkError::of(path, error))?;
        self.workspace.real(path, &metadata)?;
        Ok(dir)
    }

    fn enter(&self, folder: &Path) -> Option<Dir> {
        let dir = self.workspace.0.dir.open_dir_nofollow(folder).ok()?;
        let metadata = dir.dir_metadata().ok()?;
        self.workspace.real(folder, &metadata).ok()?;
        Some(dir)
    }

    /// The rules of the folders above the start.
    fn rules_above(&self, start: &Path) -> Option<Arc<Ignored>> {
        let mut rules = None;
        let mut above: Vec<&Path> = start.ancestors().skip(1).collect();
        above.reverse();
        for folder in above {
            let Ok(dir) = self.workspace.0.dir.open_dir(or_dot(folder)) else {
                break;
            };
            rules = Ignored::inside(self.workspace, &dir, folder, rules);
        }
        rules
    }

    /// The entries of a folder, sorted, and why there are no more.
    fn entries(&self, dir: &Dir, seen: &mut u64) -> (Vec<(OsString, FileKind)>, Option<Ended>) {
        let mut list = Vec::new();
        let mut ended = None;
        for entry in dir.entries().into_iter().flatten() {
            // An error on the way ends this folder: it does not go away by asking again.
            let Ok(entry) = entry else { break };
            if *seen >= self.limits.entries {
                ended = Some(Ended::Entries);
                break;
            }
            *seen += 1;
            if seen.is_multiple_of(LOOK)
                && let Some(reason) = self.stop.reason()
            {
                ended = Some(reason);
                break;
            }
            let name = entry.file_name();
            // Some file systems do not say what an entry is until it is asked about itself.
            let kind = match entry.file_type().map(kind_of) {
                Ok(FileKind::Special) | Err(_) => match dir.symlink_metadata(&name) {
                    Ok(metadata) => kind_of(metadata.file_type()),
                    Err(_) => continue,
                },
                Ok(kind) => kind,
            };
            list.push((name, kind));
        }
        list.sort_unstable_by(|a: &(OsString, FileKind), b| a.0.cmp(&b.0));
        (list, ended)
    }
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk")
            .field("start", &self.start)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
