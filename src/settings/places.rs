//! Where settings are looked for: two homes of the user, and two layouts in a project.
//! Refuses a home that is not named in full: a project must not be able to stand in its place.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

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
        places.claude = user_home(&process_env).map(|home| home.join(".claude"));
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
    own_home_in(&process_env)
}

fn own_home_in(env: &Env<'_>) -> Result<Option<PathBuf>, Problem> {
    match set("OFFSHOOT_HOME", env) {
        Some(home) if home.is_absolute() => return Ok(Some(home)),
        Some(home) => {
            let text = format!("it must name a folder in full: `{}`", home.display());
            return Err(Problem::new("OFFSHOOT_HOME", text));
        }
        None => {}
    }
    let config = if cfg!(windows) {
        full("APPDATA", env)
    } else if cfg!(target_os = "macos") {
        user_home(env).map(|home| home.join("Library/Application Support"))
    } else {
        full("XDG_CONFIG_HOME", env).or_else(|| user_home(env).map(|home| home.join(".config")))
    };
    Ok(config.map(|config| config.join("offshoot")))
}

/// Looks a variable up.
pub(crate) type Env<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

fn process_env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn user_home(env: &Env<'_>) -> Option<PathBuf> {
    let name = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
    full(name, env)
}

/// A folder that a variable names in full.
pub(crate) fn full(name: &str, env: &Env<'_>) -> Option<PathBuf> {
    set(name, env).filter(|path| path.is_absolute())
}

/// A path that a variable names.
pub(crate) fn set(name: &str, env: &Env<'_>) -> Option<PathBuf> {
    let value = env(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_named_in_full_or_not_at_all() {
        let home = |variables: &[(&str, &str)]| {
            let variables: Vec<(String, OsString)> = variables
                .iter()
                .map(|(name, value)| ((*name).into(), value.into()))
                .collect();
            own_home_in(&|name| {
                let found = variables.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            })
        };
        let at = |path: &str| Ok(Some(PathBuf::from(path)));
        let (own, xdg, user) = ("OFFSHOOT_HOME", "XDG_CONFIG_HOME", "HOME");
        assert_eq!(home(&[(own, "/o"), (xdg, "/x")]), at("/o"));
        assert_eq!(home(&[(own, ""), (xdg, "/x")]), at("/x/offshoot"));
        assert_eq!(home(&[(xdg, "x"), (user, "/u")]), at("/u/.config/offshoot"));
        assert_eq!(home(&[(user, "u")]), Ok(None));
        // A clone that ships its own list of trusted folders must not become the home.
        let problem = home(&[(own, ".offshoot"), (user, "/u")]).unwrap_err();
        assert_eq!(problem.text, "it must name a folder in full: `.offshoot`");
    }
}
