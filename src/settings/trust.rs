//! Which folders the user trusts, bound to the content of their files.
//! Refuses to remember a folder by its name alone, and to be written by two at once.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{FoundFile, Standing, places};
use crate::{
    durable,
    error::{Error, ErrorKind, Result},
};

/// Bytes of the list of trusted folders.
const MAX_LIST_BYTES: u64 = 16 * 1024 * 1024;

/// The version of the list's format.
const FORMAT: u32 = 1;

/// The folders that the user trusts, and what was in them.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    file: Option<PathBuf>,
    folders: Folders,
}

/// Of each folder, the hash of each file.
type Folders = BTreeMap<String, BTreeMap<String, String>>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    folders: Folders,
}

impl Trust {
    /// Trusts nothing. What it is told to trust is forgotten with it.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The user's own list: `trusted.json` in `$OFFSHOOT_HOME`, or in the platform's folder for
    /// configuration. Blocks while it reads.
    ///
    /// # Errors
    /// As [`open`](Self::open), or when there is no such folder.
    pub fn of_user() -> Result<Self> {
        let home = places::own_home().map_err(|problem| {
            Error::new(
                ErrorKind::Config,
                format!("bad OFFSHOOT_HOME: {}", problem.text),
            )
        })?;
        let home = home.ok_or_else(|| {
            Error::new(ErrorKind::Config, "there is no folder for configuration")
                .with_hint("set OFFSHOOT_HOME")
        })?;
        Self::open(home.join("trusted.json"))
    }

    /// The list in this file; a missing one is empty. Blocks while it reads.
    ///
    /// # Errors
    /// When it cannot be read or is not such a list. It is then left as it is.
    pub fn open(file: impl Into<PathBuf>) -> Result<Self> {
        let file = file.into();
        let folders = read(&file)?;
        Ok(Self {
            file: Some(file),
            folders,
        })
    }

    /// Whether these are exactly the files that were trusted in this folder.
    pub fn is_trusted(&self, folder: &Path, found: &[FoundFile]) -> bool {
        self.standing(folder, found) == Standing::Trusted
    }

    pub(super) fn standing(&self, folder: &Path, found: &[FoundFile]) -> Standing {
        if found.is_empty() {
            return Standing::Trusted;
        }
        let known = key(folder).and_then(|key| self.folders.get(&key));
        match known {
            None => Standing::New,
            Some(known) if *known == hashes(found) => Standing::Trusted,
            Some(_) => Standing::Changed,
        }
    }

    /// Trusts these files in this folder, in place of those that were. Blocks until it is on the
    /// disk.
    ///
    /// # Errors
    /// When the list cannot be written, or the folder's name is no UTF-8.
    pub fn trust(&mut self, folder: &Path, found: &[FoundFile]) -> Result<()> {
        let key = key(folder).ok_or_else(|| {
            let what = format!("the name of the folder is no UTF-8: `{}`", folder.display());
            Error::new(ErrorKind::Config, what)
        })?;
        self.change(|folders| {
            folders.insert(key, hashes(found));
        })
    }

    /// Trusts this folder no longer. Blocks until it is on the disk.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn forget(&mut self, folder: &Path) -> Result<()> {
        self.change(|folders| {
            if let Some(key) = key(folder) {
                folders.remove(&key);
            }
        })
    }

    /// Changes the list as it is on the disk now: another process may have changed it too.
    fn change(&mut self, change: impl FnOnce(&mut Folders)) -> Result<()> {
        let Some(file) = &self.file else {
            change(&mut self.folders);
            return Ok(());
        };
        if let Some(home) = file.parent() {
            durable::make_folder(home)?;
        }
        let _lock = durable::Lock::take(&file.with_extension("lock"))?;
        let mut folders = read(file)?;
        change(&mut folders);
        let list = List {
            format: FORMAT,
            folders,
        };
        let mut text = serde_json::to_vec_pretty(&list).map_err(|error| {
            Error::new(
                ErrorKind::Bug,
                "the list of trusted folders has no JSON form",
            )
            .with_source(error)
        })?;
        text.push(b'\n');
        durable::replace(file, &text)?;
        self.folders = list.folders;
        Ok(())
    }
}

/// A folder in full, so that two names of it are one.
fn key(folder: &Path) -> Option<String> {
    let full = folder.canonicalize().ok();
    let full = full.as_deref().unwrap_or(folder);
    full.to_str().map(str::to_owned)
}

fn hashes(found: &[FoundFile]) -> BTreeMap<String, String> {
    let pairs = found
        .iter()
        .map(|file| (file.path.clone(), file.hash.clone()));
    pairs.collect()
}

fn read(file: &Path) -> Result<Folders> {
    let failed = |why: String| {
        let what = format!(
            "cannot read the list of trusted folders: `{}`",
            file.display()
        );
        Error::new(ErrorKind::Config, what).with_hint(why)
    };
    match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Folders::new()),
        Err(error) => return Err(failed(error.to_string())),
        Ok(metadata) if !metadata.is_file() => return Err(failed("it is no regular file".into())),
        Ok(_) => {}
    }
    let mut text = Vec::new();
    let opened = File::open(file).map(|file| file.take(MAX_LIST_BYTES + 1));
    opened
        .and_then(|mut file| file.read_to_end(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_LIST_BYTES {
        return Err(failed(format!("it has more than {MAX_LIST_BYTES} bytes")));
    }
    let list: List = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    if list.format != FORMAT {
        return Err(failed(format!(
            "it has the format {}, and this is {FORMAT}",
            list.format
        )));
    }
    Ok(list.folders)
}
