//! Opening, reading and asking about one file, always below the root's handle.
//! Refuses what is no regular file, by what the handle says after opening, without ever waiting.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::Path,
    time::SystemTime,
};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::{Stop, WorkError, WorkPath, Workspace};

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, where links are not followed.
    Link,
    /// A pipe, a socket, a device.
    Special,
}

/// What is known of a file or a folder without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileFacts {
    /// What it is.
    pub kind: FileKind,
    /// Its bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

impl FileFacts {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            kind: kind_of(metadata.file_type()),
            size: metadata.len(),
            modified: metadata
                .modified()
                .map_or(SystemTime::UNIX_EPOCH, |time| time.into_std()),
        }
    }
}

pub(super) fn kind_of(kind: cap_std::fs::FileType) -> FileKind {
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Folder
    } else if kind.is_symlink() {
        FileKind::Link
    } else {
        FileKind::Special
    }
}

impl Workspace {
    /// What is known of a file or a folder. Links inside the workspace are followed.
    ///
    /// # Errors
    /// See [`WorkError`].
    pub fn facts(&self, path: &WorkPath) -> Result<FileFacts, WorkError> {
        let metadata = self
            .0
            .dir
            .metadata(path.opened())
            .map_err(|error| WorkError::of(path.relative(), error))?;
        self.real(path.relative(), &metadata)?;
        Ok(FileFacts::of(&metadata))
    }

    /// The bytes of a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// See [`WorkError`].
    pub fn read(&self, path: &WorkPath, limit: u64) -> Result<Vec<u8>, WorkError> {
        let (file, facts) = self.open_file(path)?;
        let too_large = |size| WorkError::TooLarge {
            path: path.to_string(),
            size,
            limit,
        };
        if facts.size > limit {
            return Err(too_large(facts.size));
        }
        let mut bytes = Vec::new();
        // One byte more than allowed: the file may have grown since.
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| WorkError::of(path.relative(), error))?;
        if bytes.len() as u64 > limit {
            return Err(too_large(bytes.len() as u64));
        }
        Ok(bytes)
    }

    /// A regular file, opened for reading.
    pub(crate) fn open_file(&self, path: &WorkPath) -> Result<(File, FileFacts), WorkError> {
        // Asked first only because opening a device can have effects; what counts is asked of the
        // handle below.
        self.wanted(path.relative(), self.facts(path)?)?;
        let file = self
            .0
            .dir
            .open_with(path.opened(), &reading(FollowSymlinks::Yes))
            .map_err(|error| WorkError::of(path.relative(), error))?;
        self.checked(path.relative(), file)
    }

    /// A regular file of a folder that is open already; a link is refused.
    pub(super) fn open_in(
        &self,
        dir: &Dir,
        name: &Path,
        path: &Path,
    ) -> Result<(File, FileFacts), WorkError> {
        let file = dir
            .open_with(name, &reading(FollowSymlinks::No))
            .map_err(|error| WorkError::of(path, error))?;
        self.checked(path, file)
    }

    fn checked(
        &self,
        path: &Path,
        file: cap_std::fs::File,
    ) -> Result<(File, FileFacts), WorkError> {
        let metadata = file
            .metadata()
            .map_err(|error| WorkError::of(path, error))?;
        self.real(path, &metadata)?;
        let facts = FileFacts::of(&metadata);
        self.wanted(path, facts)?;
        Ok((file.into_std(), facts))
    }

    fn wanted(&self, path: &Path, facts: FileFacts) -> Result<(), WorkError> {
        let path = || super::shown(path);
        match facts.kind {
            FileKind::File => Ok(()),
            FileKind::Folder => Err(WorkError::Folder { path: path() }),
            FileKind::Link | FileKind::Special => Err(WorkError::Special { path: path() }),
        }
    }

    /// Refuses file systems whose files tell of this process instead of holding something.
    pub(super) fn real(&self, path: &Path, metadata: &Metadata) -> Result<(), WorkError> {
        if device(metadata).is_some_and(|device| self.0.unreal.contains(&device)) {
            return Err(WorkError::Special {
                path: super::shown(path),
            });
        }
        Ok(())
    }

    /// Up to `limit` names in a folder, in no order.
    pub(crate) fn names(
        &self,
        folder: &WorkPath,
        limit: usize,
    ) -> Result<Vec<OsString>, WorkError> {
        let fault = |error| WorkError::of(folder.relative(), error);
        let entries = self.0.dir.read_dir(folder.opened()).map_err(fault)?;
        entries
            .take(limit)
            .map(|entry| entry.map(|entry| entry.file_name()).map_err(fault))
            .collect()
    }
}

/// Without waiting: opening a pipe nobody writes to would hang for ever.
fn reading(links: FollowSymlinks) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).nonblock(true).follow(links);
    options
}

#[cfg(unix)]
pub(super) fn device(metadata: &Metadata) -> Option<u64> {
    Some(cap_std::fs::MetadataExt::dev(metadata))
}

#[cfg(not(unix))]
pub(super) fn device(_: &Metadata) -> Option<u64> {
    None
}

#[cfg(unix)]
pub(super) fn device_of(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| metadata.dev())
}

#[cfg(not(unix))]
pub(super) fn device_of(_: &Path) -> Option<u64> {
    None
}

/// Reads a file until somebody says stop.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    inner: R,
    stop: Stop,
    last: Option<u8>,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(inner: R, stop: Stop) -> Self {
        Self {
            inner,
            stop,
            last: None,
        }
    }

    /// The last byte that was read.
    pub(crate) fn last(&self) -> Option<u8> {
        self.last
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.reason().is_some() {
            // Not `Interrupted`: readers try again on that.
            return Err(io::Error::other(WorkError::Stopped));
        }
        let count = self.inner.read(buffer)?;
        if count > 0 {
            self.last = Some(buffer[count - 1]);
        }
        Ok(count)
    }
}
