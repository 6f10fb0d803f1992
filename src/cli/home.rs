//! Where the command keeps what outlives it: sessions, and the lines that were typed.
//! Refuses a home that is not named in full: a project must not be able to stand in its place.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    durable,
    error::{Error, ErrorKind, Result},
    settings::{Env, full, set},
    store::{SqliteStore, Store},
};

/// The folder of the sessions in the home.
const SESSIONS: &str = "sessions";

/// `OFFSHOOT_HOME`, or the platform's folder for data.
pub(super) fn home() -> Result<PathBuf> {
    home_in(&|name| std::env::var_os(name))
}

/// The store of the sessions, which is made when it is not there.
pub(super) fn store() -> Result<Arc<dyn Store>> {
    let folder = home()?;
    durable::make_folder(&folder)?;
    Ok(Arc::new(SqliteStore::open(folder.join(SESSIONS))?))
}

/// The lines that were typed in chats; `None` where they cannot be kept.
pub(super) fn history_file() -> Option<PathBuf> {
    let home = home().ok()?;
    durable::make_folder(&home).ok()?;
    Some(home.join("history"))
}

/// The name of a folder as sessions remember it.
pub(super) fn folder_name(folder: &Path) -> String {
    let full = folder.canonicalize();
    let full = full.as_deref().unwrap_or(folder);
    full.display().to_string()
}

fn home_in(env: &Env<'_>) -> Result<PathBuf> {
    if let Some(home) = set("OFFSHOOT_HOME", env) {
        if home.is_absolute() {
            return Ok(home);
        }
        let text = format!("a home that is not named in full: `{}`", home.display());
        return Err(Error::new(ErrorKind::Config, text)
            .with_hint("let OFFSHOOT_HOME begin at the root of the disk"));
    }
    let full = |name| full(name, env);
    let data = if cfg!(windows) {
        full("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        full("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        full("XDG_DATA_HOME").or_else(|| full("HOME").map(|home| home.join(".local/share")))
    };
    data.map(|data| data.join("offshoot")).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            "there is no home folder to keep sessions in",
        )
        .with_hint("name a folder with OFFSHOOT_HOME")
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_named_in_full_or_is_the_platforms() {
        let home = |variables: &[(&str, &str)]| {
            let found = home_in(&|name| {
                let row = variables.iter().find(|(known, _)| *known == name)?;
                Some(row.1.into())
            });
            found.map(|home| home.display().to_string())
        };
        let (own, xdg, user) = ("OFFSHOOT_HOME", "XDG_DATA_HOME", "HOME");
        assert_eq!(home(&[(own, "/o"), (xdg, "/x")]).unwrap(), "/o");
        assert_eq!(home(&[(own, ""), (xdg, "/x")]).unwrap(), "/x/offshoot");
        assert_eq!(
            home(&[(xdg, "x"), (user, "/u")]).unwrap(),
            "/u/.local/share/offshoot"
        );
        assert_eq!(home(&[(own, "o")]).unwrap_err().kind(), ErrorKind::Config);
        assert!(home(&[]).unwrap_err().hint().is_some());
    }
}
