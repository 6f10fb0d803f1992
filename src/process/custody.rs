//! Keeps a program and its whole group until they are gone; dropping it kills them.
//! Refuses to signal a group that is known to be gone: its number may belong to a stranger.

use std::{fmt, path::Path, process::ExitStatus};

use process_wrap::tokio::ChildWrapper;

use super::Exit;
use crate::scope::Scope;

/// A program that was started, and all that it started in its group.
pub(super) struct Custody {
    child: Box<dyn ChildWrapper>,
    #[cfg(unix)]
    group: Option<rustix::process::Pid>,
    status: Option<ExitStatus>,
    gone: Gone,
}

/// Whether the group is known to have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gone {
    No,
    Yes,
}

impl Custody {
    pub(super) fn of(child: Box<dyn ChildWrapper>) -> Self {
        Self {
            #[cfg(unix)]
            group: child
                .id()
                .and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)),
            child,
            status: None,
            gone: Gone::No,
        }
    }

    /// Ends when the program itself has ended, whatever it left behind.
    ///
    /// It waits for the program alone. Waiting for the group would wait for strangers' children
    /// where this process is the one that inherits orphans, as the first process of a container.
    ///
    /// Cancel safety: safe, it can be called again.
    pub(super) async fn leader(&mut self) {
        if self.status.is_none() {
            match self.child.inner_mut().wait().await {
                Ok(status) => self.status = Some(status),
                Err(error) => tracing::warn!("a program cannot be waited for: {error}"),
            }
        }
    }

    /// Asks the whole group to end.
    pub(super) fn ask(&mut self) {
        if self.gone == Gone::Yes {
            return;
        }
        #[cfg(unix)]
        let asked = self.child.signal(rustix::process::Signal::TERM.as_raw());
        #[cfg(not(unix))]
        let asked = self.child.start_kill();
        if let Err(error) = asked {
            tracing::debug!("a group of programs cannot be asked to end: {error}");
        }
    }

    /// Kills the whole group.
    pub(super) fn kill(&mut self) {
        if self.gone == Gone::Yes {
            return;
        }
        if let Err(error) = self.child.start_kill() {
            tracing::debug!("a group of programs cannot be killed: {error}");
        }
    }

    /// Whether the program and all in its group have ended.
    ///
    /// Cancel safety: safe, it can be called again.
    pub(super) async fn is_gone(&mut self, scope: &Scope) -> bool {
        if self.gone == Gone::No && self.has_ended() && self.is_empty(scope).await {
            self.gone = Gone::Yes;
        }
        self.gone == Gone::Yes
    }

    fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            // Through the inner child, because the wrapper would take the status away from it.
            self.status = self.child.inner_mut().try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    #[cfg(unix)]
    async fn is_empty(&mut self, scope: &Scope) -> bool {
        // Buries orphans where this process inherits them; a dead one would count as living.
        let _ = self.child.try_wait();
        let Some(group) = self.group else { return true };
        if rustix::process::test_kill_process_group(group) == Err(rustix::io::Errno::SRCH) {
            return true;
        }
        let id = group.as_raw_pid();
        let dead = scope.blocking(move || has_only_dead(id)).await;
        dead.unwrap_or_default()
    }

    #[cfg(not(unix))]
    async fn is_empty(&mut self, _: &Scope) -> bool {
        true
    }

    /// How the program ended.
    pub(super) fn exit(&self) -> Exit {
        let Some(status) = self.status else {
            return Exit::Unknown;
        };
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Exit::Signal(signal);
        }
        status.code().map_or(Exit::Unknown, Exit::Code)
    }
}

impl Drop for Custody {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether all that is left of a group is dead. Whoever inherits orphans may be slow to bury them,
/// and the first process of many a container never does.
#[cfg(unix)]
fn has_only_dead(group: i32) -> bool {
    let lives = |entry: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name in parentheses may hold anything; then come the state, the parent, the group.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let (state, its_group) = (fields.next()?, fields.nth(1)?);
        Some(its_group == group.to_string() && !matches!(state, "Z" | "X"))
    };
    match std::fs::read_dir("/proc") {
        Ok(mut entries) if Path::new("/proc/self/stat").exists() => {
            !entries.any(|entry| entry.ok().and_then(lives).unwrap_or_default())
        }
        _ => false,
    }
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custody")
            .field("status", &self.status)
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}
