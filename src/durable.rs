//! Writes that survive a crash: lines appended whole.
//! Refuses half a line; everything it creates belongs to its user alone.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::error::{Error, ErrorKind, Result};

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
}
