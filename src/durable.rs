//! Writes that survive a crash: lines appended whole, files replaced whole, one writer at a time.
//! Refuses half a line; everything it creates belongs to its user alone.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, ErrorKind, Result},
    id::random_u64,
};

/// How long a lock file that somebody else holds is waited for.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How often it is tried meanwhile.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// A file of lines that only grows.
#[derive(Debug)]
pub(crate) struct Lines {
    file: File,
    path: PathBuf,
    /// Half a line stands at the end, so the next one begins with a line end.
    torn: bool,
}

impl Lines {
    /// Opens or creates it. What a crash left half written stays, as a line of its own.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::open_file(path).map_err(|error| failed("open", path, error))
    }

    fn open_file(path: &Path) -> io::Result<Self> {
        // Asked before opening, because opening a pipe waits for its other end.
        if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut file = private().read(true).append(true).create(true).open(path)?;
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            torn: last != [b'\n'],
        })
    }

    /// Appends lines, each with its line end, in one go.
    ///
    /// # Errors
    /// When the operating system refuses. The file may then end in half a line; the next append
    /// starts a new one.
    pub(crate) fn append_block(&mut self, block: &[u8]) -> Result<()> {
        debug_assert!(block.is_empty() || block.ends_with(b"\n"));
        let written = if self.torn {
            let mut whole = Vec::with_capacity(block.len() + 1);
            whole.push(b'\n');
            whole.extend_from_slice(block);
            self.file.write_all(&whole)
        } else {
            self.file.write_all(block)
        };
        self.torn = written.is_err();
        written.map_err(|error| failed("write", &self.path, error))
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// When the operating system says that it is not.
    pub(crate) fn sync(&self) -> Result<()> {
        let synced = self.file.sync_data();
        synced.map_err(|error| failed("write", &self.path, error))
    }
}

/// Replaces a file by these bytes, whole or not at all. Blocks until they are on the disk.
///
/// # Errors
/// When the operating system refuses. The old file is then still there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_file(path, bytes).map_err(|error| failed("write", path, error))
}

fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.{:016x}", random_u64()));
    let mut file = private().write(true).create_new(true).open(&draft)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        // What could not become the file is not left behind; that it could not is told anyway.
        let _ = std::fs::remove_file(&draft);
    }
    written?;
    // The new name is on the disk once its folder is; folders cannot be opened everywhere.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Creates a folder, and those above it, for its user alone.
///
/// # Errors
/// When the operating system refuses.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.recursive(true).create(path);
    made.map_err(|error| failed("create", path, error))
}

/// The right to write what a lock file stands for; given back by drop, also when the process dies.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for it, blocking the thread, at most [`LOCK_WAIT`].
    ///
    /// # Errors
    /// When somebody else holds it all that time, or the file cannot be opened.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        Self::take_within(path, LOCK_WAIT)
    }

    fn take_within(path: &Path, patience: Duration) -> Result<Self> {
        let file = private().write(true).create(true).open(path);
        let file = file.map_err(|error| failed("open", path, error))?;
        let until = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < until => {
                    thread::sleep(LOCK_LOOK);
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    let held = format!("another process holds the lock: `{}`", path.display());
                    return Err(Error::new(ErrorKind::Io, held));
                }
                Err(std::fs::TryLockError::Error(error)) => {
                    return Err(failed("lock", path, error));
                }
            }
        }
    }
}

/// A new empty file beside this one, for its user alone; it becomes this one by [`adopt`].
///
/// # Errors
/// When the operating system refuses.
#[cfg(feature = "sqlite")]
pub(crate) fn draft(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder_of(path).join(format!(".{name}.{:016x}", random_u64()));
    let made = private().write(true).create_new(true).open(&draft);
    made.map_err(|error| failed("create", &draft, error))?;
    Ok(draft)
}

/// Gives a draft its name, unless another file has it: then the draft goes and that one stays.
///
/// # Errors
/// When the operating system refuses.
#[cfg(feature = "sqlite")]
pub(crate) fn adopt(draft: &Path, path: &Path) -> Result<()> {
    let adopted = adopt_file(draft, path);
    // Under its own name it is there twice; where it could not be, it is not left behind.
    let _ = std::fs::remove_file(draft);
    adopted.map_err(|error| failed("create", path, error))
}

#[cfg(feature = "sqlite")]
fn adopt_file(draft: &Path, path: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    match std::fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        // Some file systems know no links.
        Err(_) if !path.exists() => std::fs::rename(draft, path)?,
        other => other?,
    }
    #[cfg(unix)]
    File::open(folder_of(path))?.sync_all()?;
    Ok(())
}

/// A small file of one fixed size that is written over in place, without waiting for the disk.
#[cfg(feature = "sqlite")]
#[derive(Debug)]
pub(crate) struct Slate {
    file: File,
    path: PathBuf,
}

#[cfg(feature = "sqlite")]
impl Slate {
    /// Opens or creates it.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = private().read(true).write(true).create(true).open(path);
        let file = file.map_err(|error| failed("open", path, error))?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Its first bytes, as many as there are up to this number.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn read(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0));
        let read = read.and_then(|_| (&self.file).take(most).read_to_end(&mut bytes));
        read.map_err(|error| failed("read", &self.path, error))?;
        Ok(bytes)
    }

    /// Writes over it.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        #[cfg(unix)]
        let written = std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, 0);
        #[cfg(not(unix))]
        let written = self.file.seek(SeekFrom::Start(0));
        #[cfg(not(unix))]
        let written = written.and_then(|_| self.file.write_all(bytes));
        written.map_err(|error| failed("write", &self.path, error))
    }
}

/// The right to write what a lock file stands for, with the name of its owner in it.
#[cfg(feature = "sqlite")]
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub(crate) struct OwnedLock {
    file: File,
}

#[cfg(feature = "sqlite")]
impl OwnedLock {
    /// Takes it for this owner, or says who has it. Never waits. Who asks must be the only one who
    /// does, or may be told of an owner before the last.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn take(path: &Path, owner: &str) -> Result<std::result::Result<Self, String>> {
        let mut options = private();
        let file = options.read(true).write(true).create(true).open(path);
        let mut file = file.map_err(|error| failed("open", path, error))?;
        match file.try_lock() {
            Ok(()) => {
                let named = file
                    .set_len(0)
                    .and_then(|()| file.write_all(owner.as_bytes()));
                named.map_err(|error| failed("write", path, error))?;
                Ok(Ok(Self { file }))
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Who it is is a courtesy; that there is one is known.
                let _ = (&mut file).take(1024).read_to_string(&mut owner);
                Ok(Err(owner))
            }
            Err(std::fs::TryLockError::Error(error)) => Err(failed("lock", path, error)),
        }
    }

    /// Takes it whoever has it: they keep a lock on a file that has no name any more.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn take_over(path: &Path, owner: &str) -> Result<Self> {
        let draft = draft(path)?;
        let file = private().write(true).open(&draft);
        let taken = file.and_then(|mut file| {
            file.try_lock()?;
            file.write_all(owner.as_bytes())?;
            std::fs::rename(&draft, path)?;
            Ok(Self { file })
        });
        taken.map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            failed("lock", path, error)
        })
    }

    /// Gives it back and takes the file away.
    pub(crate) fn remove(self, path: &Path) {
        // A lock file that stays is a name without a meaning.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(feature = "sqlite")]
impl Drop for OwnedLock {
    fn drop(&mut self) {
        // Closing is not enough: a program that is being started has a copy of the file for a
        // moment, and with it the lock.
        let _ = self.file.unlock();
    }
}

/// Options that create a file for its user alone.
fn private() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("cannot {verb} the file: `{}`", path.display()),
    )
    .with_hint(error.to_string())
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = Lines::open(&path).unwrap();
        lines.append_block(b"one\n").unwrap();
        drop(lines);
        // What a crash in the middle of a write leaves.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"tw").unwrap();
        let mut lines = Lines::open(&path).unwrap();
        lines.append_block(b"three\n").unwrap();
        lines.append_block(b"four\nfive\n").unwrap();
        lines.sync().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "one\ntw\nthree\nfour\nfive\n");
        #[cfg(unix)]
        assert_eq!(mode(&path), 0o600);
        assert!(Lines::open(folder.path()).is_err(), "a folder");
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        #[cfg(unix)]
        assert_eq!(mode(&path), 0o600);
        let blocked = folder.path().join("folder");
        std::fs::create_dir_all(blocked.join("inside")).unwrap();
        assert!(replace(&blocked, b"x").is_err());
        assert!(replace(&folder.path().join("lost/kept"), b"x").is_err());
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left.len(), 2, "no draft is left: {left:?}");
    }

    #[test]
    fn a_lock_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path).unwrap();
        let refused = Lock::take_within(&path, Duration::from_millis(50)).unwrap_err();
        assert!(refused.to_string().starts_with("another process holds"));
        drop(held);
        drop(Lock::take(&path).unwrap());
    }
}
