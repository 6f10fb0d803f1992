//! Writes that survive a crash: a file replaced whole, a line appended whole, a lock that one holds.
//! Refuses half a file and half a line; everything it creates belongs to its user alone.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::error::{Error, ErrorKind, Result};

/// Replaces a file's content, whole or not at all. A link is followed, permissions are kept; a file
/// that was not there is readable by its user alone.
///
/// # Errors
/// When the operating system refuses; the old content is still there then.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    // A rename would replace the link instead of what it leads to.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    replace_target(&target, bytes).map_err(|error| failed("write", path, error))
}

fn replace_target(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let draft = Draft::beside(folder, name)?;
    let mut file = &draft.file;
    file.write_all(bytes)?;
    if let Ok(old) = std::fs::metadata(target) {
        file.set_permissions(old.permissions())?;
    }
    // The name must not point at bytes that are not on the disk yet.
    file.sync_all()?;
    std::fs::rename(&draft.path, target)?;
    draft.kept();
    sync_folder(folder)
}

/// A file that vanishes unless it is kept.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    fn beside(folder: &Path, name: &std::ffi::OsStr) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        draft.push(format!(".{}-{number}.draft", std::process::id()));
        let path = folder.join(draft);
        let file = private().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }

    fn kept(mut self) {
        self.path = PathBuf::new();
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// A rename is on the disk when its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

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

    /// Appends one line, which must not have a line end in it.
    ///
    /// # Errors
    /// When the operating system refuses. The file may then end in half a line; the next append
    /// starts a new one.
    pub(crate) fn append(&mut self, line: &[u8]) -> Result<()> {
        if line.contains(&b'\n') {
            return Err(Error::new(
                ErrorKind::Bug,
                format!(
                    "a line with a line end in it for: `{}`",
                    self.path.display()
                ),
            ));
        }
        let mut whole = Vec::with_capacity(line.len() + 1);
        whole.extend_from_slice(line);
        whole.push(b'\n');
        self.append_block(&whole)
    }

    /// Appends lines, each with its line end, in one go.
    ///
    /// # Errors
    /// As [`append`](Self::append).
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

/// A file that one process holds; given back by drop, and by the operating system at a crash.
#[derive(Debug)]
pub(crate) struct LockFile {
    _held: File,
}

impl LockFile {
    /// Takes the lock; `None` when somebody else holds it. Never waits.
    ///
    /// The file stays when the lock is given back: removing it would let two hold "the" lock.
    ///
    /// # Errors
    /// When the file cannot be opened or locked at all.
    pub(crate) fn take(path: &Path) -> Result<Option<Self>> {
        let mut options = private();
        options.write(true).create(true).truncate(false);
        let file = options
            .open(path)
            .map_err(|error| failed("open", path, error))?;
        match file.try_lock() {
            Ok(()) => {
                // For people who wonder who holds it; nothing here reads it.
                let id = format!("{}\n", std::process::id());
                file.set_len(0).ok();
                (&file).write_all(id.as_bytes()).ok();
                Ok(Some(Self { _held: file }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed("lock", path, error)),
        }
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
    fn a_reader_never_sees_half_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        replace(&path, &[b'0'; 10_000]).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let bytes = std::fs::read(&path).unwrap();
                    assert_eq!(bytes.len(), 10_000);
                    assert!(bytes.iter().all(|b| *b == bytes[0]), "two versions in one");
                }
            });
            for n in 0..200 {
                replace(&path, &[b'0' + n % 10; 10_000]).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "a draft was left behind");
    }

    #[test]
    #[cfg(unix)]
    fn replacing_keeps_links_and_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        replace(&real, b"1").unwrap();
        assert_eq!(mode(&real), 0o600);
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        replace(&link, b"2").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read(&real).unwrap(), b"2");
        assert_eq!(mode(&real), 0o640);
        let error = replace(&folder.path().join("no/such"), b"3").unwrap_err();
        assert!(error.to_string().starts_with("cannot write the file: `"));
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = Lines::open(&path).unwrap();
        lines.append(b"one").unwrap();
        drop(lines);
        // What a crash in the middle of a write leaves.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"tw").unwrap();
        let mut lines = Lines::open(&path).unwrap();
        lines.append(b"three").unwrap();
        lines.append_block(b"four\nfive\n").unwrap();
        lines.sync().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "one\ntw\nthree\nfour\nfive\n");
        assert!(lines.append(b"a\nb").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        #[cfg(unix)]
        assert_eq!(mode(&path), 0o600);
        assert!(Lines::open(folder.path()).is_err(), "a folder");
    }

    #[test]
    fn one_lock_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = LockFile::take(&path).unwrap().expect("nobody holds it");
        assert!(LockFile::take(&path).unwrap().is_none());
        let id = std::fs::read_to_string(&path).unwrap();
        assert_eq!(id.trim(), std::process::id().to_string());
        drop(held);
        assert!(LockFile::take(&path).unwrap().is_some());
        assert!(LockFile::take(folder.path()).is_err());
    }
}
