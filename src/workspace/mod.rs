//! One folder that tools may look into, and the proof that a path lies inside it.
//! Refuses every other path, whatever its spelling, its links, or a link swapped in meanwhile.

mod fault;
mod file;
mod ignored;
mod path;
mod walk;

#[cfg(test)]
mod tests;

pub use self::{
    fault::WorkError,
    file::{FileFacts, FileKind},
    path::WorkPath,
};
pub(crate) use self::{
    file::Reader,
    path::shown,
    walk::{Ended, Limits, Stop, Walk},
};

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use cap_std::{ambient_authority, fs::Dir};

use crate::error::{Error, ErrorKind, Result};

/// One folder that tools may look into. Cheap to clone; every clone is the same folder.
///
/// The folder is held open: a workspace goes on meaning the same folder when it is renamed, and
/// everything is opened below that handle, never by a path that was checked a moment ago.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// use offshoot::Workspace;
///
/// let workspace = Workspace::open(folder.path())?;
/// assert!(workspace.resolve("src/lib.rs").is_ok());
/// assert!(workspace.resolve("../secrets").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Workspace(Arc<Place>);

struct Place {
    dir: Dir,
    /// Without links; what models are shown.
    root: PathBuf,
    /// As the caller wrote it, made absolute; models may be told this one by somebody else.
    given: PathBuf,
    /// The devices of file systems whose files are not files: reading them tells of this process.
    unreal: Vec<u64>,
}

/// Where systems mount what only looks like files.
const UNREAL: [&str; 3] = ["/proc", "/sys", "/dev"];

impl Workspace {
    /// Opens a folder.
    ///
    /// # Errors
    /// When it is not there, is no folder, or belongs to `/proc`, `/sys` or `/dev`.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let failed = |error: std::io::Error| {
            let hint = error.to_string();
            Error::new(
                ErrorKind::Config,
                format!("cannot open the workspace: `{}`", root.display()),
            )
            .with_hint(hint)
            .with_source(error)
        };
        let canonical = std::fs::canonicalize(root).map_err(failed)?;
        let dir = Dir::open_ambient_dir(&canonical, ambient_authority()).map_err(failed)?;
        let own = dir.dir_metadata().map_err(failed)?;
        let own = file::device(&own);
        let unreal: Vec<u64> = UNREAL
            .iter()
            .filter_map(|mount| file::device_of(Path::new(mount)))
            .collect();
        if own.is_some_and(|own| unreal.contains(&own))
            && UNREAL.iter().any(|mount| canonical.starts_with(mount))
        {
            return Err(Error::new(
                ErrorKind::Config,
                format!("this folder holds no real files: `{}`", root.display()),
            ));
        }
        Ok(Self(Arc::new(Place {
            dir,
            given: std::path::absolute(root).map_err(failed)?,
            root: canonical,
            unreal: unreal.into_iter().filter(|d| Some(*d) != own).collect(),
        })))
    }

    /// The folder, without links in its path. For showing; opening goes through the workspace.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Proves that a path lies inside: the only maker of a [`WorkPath`].
    ///
    /// Takes paths relative to the root, and absolute ones below it. What the path leads to is
    /// looked at when it is opened, by handle: a link that leads out is refused there.
    ///
    /// # Errors
    /// When the path leads out or cannot name a file here; see [`WorkError`].
    pub fn resolve(&self, path: &str) -> Result<WorkPath, WorkError> {
        path::resolve(&[&self.0.root, &self.0.given], path)
    }

    /// The names under which rules know a path: relative to the root, without `.` and `..`, and
    /// the same with its links followed where that gives another name. A path that leads out has
    /// only the name it was given; opening it is refused.
    ///
    /// For judging a spelling, not for opening: a link may change in between.
    pub fn aliases(&self, path: &str) -> Vec<String> {
        let Ok(inside) = self.resolve(path) else {
            return vec![path.to_owned()];
        };
        let mut names = vec![inside.to_string()];
        // What is not there yet has the links of the folders that are.
        let real = inside.relative().ancestors().find_map(|above| {
            let real = self.0.dir.canonicalize(path::or_dot(above)).ok()?;
            let rest = inside.relative().strip_prefix(above).ok()?;
            Some(shown(&real.join(rest)))
        });
        names.extend(real.filter(|real| *real != names[0]));
        names
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Workspace").field(&self.0.root).finish()
    }
}

/// Makes promises of the type system explicit.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Workspace>();
    shared::<WorkError>();
};
