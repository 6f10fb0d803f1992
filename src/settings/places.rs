//! Where settings are looked for: two homes of the user, and two layouts in a project.
//! Refuses a home that is not named in full: a project must not be able to stand in its place.

use std::path::{Path, PathBuf};

use super::Problem;
use crate::error::{Error, ErrorKind, Result};

/// Where settings are looked for.
#[derive(Clone, Debug)]
pub struct Places {
    pub(super) project: PathBuf,
    claude: Option<PathBuf>,
    own: Option<PathBuf>,
    pub(super) problems: Vec<Problem>,
}

/// The folders of a project that hold settings, in the order they count.
const LAYOUTS: [&str; 2] = [".claude", ".offshoot"];

impl Places {
    /// This project, and the homes that the environment names.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn of(project: impl AsRef<Path>) -> Result<Self> {
        let mut places = Self::only(project)?;
        places.claude = user_home().map(|home| home.join(".claude"));
        match own_home() {
            Ok(home) => places.own = home,
            Err(problem) => places.problems.push(problem),
        }
        Ok(places)
    }

    /// This project, and no home.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn only(project: impl AsRef<Path>) -> Result<Self> {
        let project = project.as_ref();
        let full = project.canonicalize();
        let project = full.map_err(|error| {
            let what = format!("cannot open the folder: `{}`", project.display());
            Error::new(ErrorKind::Io, what)
                .with_hint(error.to_string())
                .with_source(error)
        })?;
        Ok(Self {
            project,
            claude: None,
            own: None,
            problems: Vec::new(),
        })
    }

    /// With another folder in the place of `~/.claude`.
    #[must_use]
    pub fn claude_home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.claude = Some(folder.into());
        self
    }

    /// With another folder in the place of `$OFFSHOOT_HOME`.
    #[must_use]
    pub fn own_home(mut self, folder: impl Into<PathBuf>) -> Self {
        self.own = Some(folder.into());
        self
    }

    pub(super) fn homes(&self) -> impl Iterator<Item = &Path> {
        [&self.claude, &self.own]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
    }

    /// The project's own folders. One that is a home of the user's counts there, and not twice.
    pub(super) fn layouts(&self) -> impl Iterator<Item = &'static str> {
        let homes: Vec<_> = self.homes().filter_map(|h| h.canonicalize().ok()).collect();
        let project = self.project.clone();
        LAYOUTS.into_iter().filter(move |layout| {
            let full = project.join(layout).canonicalize();
            full.map_or(true, |full| !homes.contains(&full))
        })
    }
}

/// `OFFSHOOT_HOME`, or the platform's folder for configuration.
pub(super) fn own_home() -> Result<Option<PathBuf>, Problem> {
    match set("OFFSHOOT_HOME") {
        Some(home) if home.is_absolute() => return Ok(Some(home)),
        Some(home) => {
            let text = format!("it must name a folder in full: `{}`", home.display());
            return Err(Problem::new("OFFSHOOT_HOME", text));
        }
        None => {}
    }
    let config = if cfg!(windows) {
        set("APPDATA")
    } else if cfg!(target_os = "macos") {
        user_home().map(|home| home.join("Library/Application Support"))
    } else {
        full("XDG_CONFIG_HOME").or_else(|| user_home().map(|home| home.join(".config")))
    };
    Ok(config.map(|config| config.join("offshoot")))
}

fn user_home() -> Option<PathBuf> {
    full(if cfg!(windows) { "USERPROFILE" } else { "HOME" })
}

fn full(name: &str) -> Option<PathBuf> {
    set(name).filter(|path| path.is_absolute())
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
