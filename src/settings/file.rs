//! Reads one settings file within its limits, from a project only below the project's own handle.
//! Refuses links that lead out, pipes, devices, names that cannot be shown, and half a file.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use cap_fs_ext::OpenOptionsSyncExt;
use cap_std::{ambient_authority, fs::Dir};
use sha2::{Digest, Sha256};

use super::{FoundFile, Holds, Instruction, Parsed, Problem, json, kind, rows::Rows};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of one settings file.
pub const MAX_SETTINGS_BYTES: u64 = 256 * 1024;

/// Bytes of one file that describes a kind of agent.
pub const MAX_KIND_BYTES: u64 = 128 * 1024;

/// Bytes of `AGENTS.md` or `CLAUDE.md`.
pub const MAX_INSTRUCTIONS_BYTES: u64 = 256 * 1024;

/// Bytes of one script that a hook may call.
pub const MAX_SCRIPT_BYTES: u64 = 1024 * 1024;

/// Kinds of agents in one folder.
pub const MAX_KINDS: usize = 200;

/// Scripts in one folder of hooks.
pub const MAX_HOOK_SCRIPTS: usize = 200;

/// Names that are read of one folder before the rest is given up.
const MAX_ENTRIES: usize = 10_000;

/// A folder that holds settings.
pub(super) enum Folder {
    /// A project's: nothing outside of it is reached, whatever its links say.
    Fenced(Dir),
    /// The user's own: where its links lead is the user's business.
    Free(PathBuf),
}

impl Folder {
    pub(super) fn free(path: &Path) -> Self {
        Self::Free(path.to_owned())
    }

    pub(super) fn fenced(path: &Path) -> Result<Self> {
        let opened = Dir::open_ambient_dir(path, ambient_authority());
        opened.map(Self::Fenced).map_err(|error| {
            let what = format!("cannot open the folder: `{}`", path.display());
            Error::new(ErrorKind::Io, what)
                .with_hint(error.to_string())
                .with_source(error)
        })
    }

    /// A settings file, if it is there.
    pub(super) fn settings(&self, path: &str, problems: &mut Vec<Problem>) -> Option<Parsed> {
        let (found, text) = self.text(path, MAX_SETTINGS_BYTES, problems)?;
        let mut wrong = |text: String| problems.push(Problem::new(&found.path, text));
        let rows = match json::object(&text) {
            Ok(object) => Rows::of(&object, &mut wrong),
            Err(text) => {
                wrong(text);
                return None;
            }
        };
        Some(Parsed {
            found,
            holds: Holds::Rows(rows),
        })
    }

    /// The kinds of agents in a folder, in the order of their files' names.
    pub(super) fn kinds(&self, path: &str, problems: &mut Vec<Problem>) -> Vec<Parsed> {
        let mut kinds = Vec::<Parsed>::new();
        for path in self.names(path, ".md", MAX_KINDS, problems) {
            let Some((found, text)) = self.text(&path, MAX_KIND_BYTES, problems) else {
                continue;
            };
            let mut wrong = |text: String| problems.push(Problem::new(&found.path, text));
            if let Some(kind) = kind::of(&text, &found.path, &mut wrong) {
                let holds = Holds::Kind(kind);
                kinds.push(Parsed { found, holds });
            }
        }
        kinds
    }

    /// Words for the model, if they are there.
    pub(super) fn instructions(&self, path: &str, problems: &mut Vec<Problem>) -> Option<Parsed> {
        let (found, text) = self.text(path, MAX_INSTRUCTIONS_BYTES, problems)?;
        let text = text.trim().to_owned();
        let file = found.path.clone();
        (!text.is_empty()).then(|| Parsed {
            found,
            holds: Holds::Instruction(Instruction { file, text }),
        })
    }

    /// The scripts in a folder of hooks, so that a change of them is seen.
    pub(super) fn scripts(&self, path: &str, problems: &mut Vec<Problem>) -> Vec<FoundFile> {
        let names = self.names(path, "", MAX_HOOK_SCRIPTS, problems);
        let read = |path: String| Some(self.bytes(&path, MAX_SCRIPT_BYTES, problems)?.0);
        names.into_iter().filter_map(read).collect()
    }

    /// The text of a file; a mark of byte order is dropped.
    fn text(
        &self,
        path: &str,
        limit: u64,
        problems: &mut Vec<Problem>,
    ) -> Option<(FoundFile, String)> {
        let (found, bytes) = self.bytes(path, limit, problems)?;
        let Ok(text) = String::from_utf8(bytes) else {
            problems.push(Problem::new(&found.path, "it is no UTF-8 text"));
            return None;
        };
        let text = text
            .strip_prefix('\u{feff}')
            .map(str::to_owned)
            .unwrap_or(text);
        Some((found, text))
    }

    /// The bytes of a file, and what they were.
    fn bytes(
        &self,
        path: &str,
        limit: u64,
        problems: &mut Vec<Problem>,
    ) -> Option<(FoundFile, Vec<u8>)> {
        let path_of = match self {
            Self::Fenced(_) => path.to_owned(),
            Self::Free(home) => home.join(path).to_string_lossy().into_owned(),
        };
        match self.read(path, limit) {
            Ok(bytes) => {
                let found = FoundFile {
                    path: path_of,
                    hash: hash(&bytes),
                    bytes: bytes.len() as u64,
                };
                Some((found, bytes))
            }
            Err(error) if is_missing(&error) => None,
            Err(error) => {
                problems.push(Problem::new(&path_of, error));
                None
            }
        }
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path)?;
        // Asked of the handle, so that nothing can be put in its place meanwhile.
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            let text = format!("it has more than {limit} bytes");
            return Err(io::Error::other(text));
        }
        Ok(bytes)
    }

    /// Opens without waiting: a pipe would wait for its other end.
    fn open(&self, path: &str) -> io::Result<File> {
        let mut options = cap_std::fs::OpenOptions::new();
        options.read(true).nonblock(true);
        match self {
            Self::Fenced(dir) => Ok(dir.open_with(path, &options)?.into_std()),
            Self::Free(home) => {
                let path = home.join(path);
                let file =
                    cap_std::fs::File::open_ambient_with(path, &options, ambient_authority())?;
                Ok(file.into_std())
            }
        }
    }

    /// The files of a folder whose names end so, sorted.
    fn names(
        &self,
        path: &str,
        end: &str,
        most: usize,
        problems: &mut Vec<Problem>,
    ) -> Vec<String> {
        let mut wrong = |text: String| problems.push(Problem::new(path, text));
        let (mut names, more) = match self.list(path) {
            Ok(listed) => listed,
            Err(error) => {
                if !is_missing(&error) {
                    wrong(error.to_string());
                }
                return Vec::new();
            }
        };
        if more == More::Unread {
            wrong(format!("it has more than {MAX_ENTRIES} files"));
        }
        names.retain(|name| name.ends_with(end));
        names.retain(|name| {
            let shown = !name.contains(char::REPLACEMENT_CHARACTER)
                && name.chars().all(|c| !c.is_control());
            if !shown {
                wrong(format!("a file's name cannot be shown: `{name}`"));
            }
            shown
        });
        names.sort_unstable();
        if names.len() > most {
            wrong(format!(
                "it has {} files, and only {most} are read",
                names.len()
            ));
            names.truncate(most);
        }
        names.iter().map(|name| format!("{path}/{name}")).collect()
    }

    /// The names in a folder that are no folders themselves.
    fn list(&self, path: &str) -> io::Result<(Vec<String>, More)> {
        let dir = match self {
            Self::Fenced(dir) => dir.open_dir(path)?,
            Self::Free(home) => Dir::open_ambient_dir(home.join(path), ambient_authority())?,
        };
        let mut names = Vec::new();
        for entry in dir.entries()? {
            let entry = entry?;
            if names.len() == MAX_ENTRIES {
                return Ok((names, More::Unread));
            }
            if !entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok((names, More::Nothing))
    }
}

/// Whether a folder has more names than were read.
#[derive(PartialEq, Eq)]
enum More {
    Nothing,
    Unread,
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
