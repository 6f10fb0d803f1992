//! Hooks that are external commands, in the format that users of Claude Code already have.
//! Refuses to read files and to widen anything: a command can change or refuse, never permit.

mod event;
mod marks;
mod reply;
mod run;
#[cfg(all(test, unix))]
mod tests;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use regex::{Regex, RegexBuilder};

use self::{event::Event, marks::Marks, run::Command};
use super::{Hook, Hooks};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of each stream of a command that are read; more is dropped, and JSON that was cut is a
/// failure.
pub const MAX_HOOK_OUTPUT: usize = 256 * 1024;

/// Characters of a reason that reach the model.
const MAX_REASON: usize = 10_000;

/// The longest that a command may be given.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// Characters of a matcher, and of a command.
const MAX_MATCHER: usize = 1000;
const MAX_COMMAND: usize = 16 * 1024;

/// The memory that a matcher may take.
const MAX_MATCHER_BYTES: usize = 1024 * 1024;

/// An external command that is called at a point of the turn: one row of a settings file.
///
#[doc = include_str!("guide.md")]
#[derive(Clone)]
pub struct CommandHook {
    event: &'static Event,
    matcher: Option<Regex>,
    command: String,
    timeout: Duration,
}

impl CommandHook {
    /// How long a command may take when nobody says otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(60);

    /// A command at an event, for whatever the matcher fits.
    ///
    /// # Errors
    /// An event that is unknown, a matcher that is no regular expression, an empty command, or one
    /// of them beyond its limit.
    pub fn new(event: &str, matcher: &str, command: &str) -> Result<Self> {
        let event = Event::named(event)?;
        let wrong = |what: &str| Err(Error::new(ErrorKind::Config, what.to_owned()));
        if command.trim().is_empty() {
            return wrong("the command of a hook is empty");
        }
        if command.chars().count() > MAX_COMMAND {
            return wrong("the command of a hook is too long");
        }
        if matcher.chars().count() > MAX_MATCHER {
            return wrong("the matcher of a hook is too long");
        }
        let matcher = match matcher {
            "" | "*" => None,
            text => Some(whole(text)?),
        };
        Ok(Self {
            event,
            matcher,
            command: command.to_owned(),
            timeout: Self::TIMEOUT,
        })
    }

    /// How long each call may take: start, input, output and end together.
    ///
    /// # Errors
    /// Nothing at all, or more than an hour.
    pub fn timeout(mut self, timeout: Duration) -> Result<Self> {
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            let what = format!("bad timeout of a hook: `{}` s", timeout.as_secs_f64());
            return Err(Error::new(ErrorKind::Config, what)
                .with_hint(format!("at most {} s", MAX_TIMEOUT.as_secs())));
        }
        self.timeout = timeout;
        Ok(self)
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        self.event.name
    }

    /// The command line.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Whether it is called for this tool or this kind of agent.
    pub fn matches(&self, name: &str) -> bool {
        let matcher = self.matcher.as_ref();
        matcher.is_none_or(|matcher| matcher.is_match(name))
    }
}

/// These commands as hooks, run in this folder. They share what they must remember of a turn.
pub fn command_hooks<'a>(
    rows: impl IntoIterator<Item = &'a CommandHook>,
    folder: impl AsRef<Path>,
) -> Hooks {
    let folder: Arc<Path> = folder.as_ref().into();
    let marks = Arc::<Marks>::default();
    Hooks::new(rows.into_iter().map(|row| {
        let hook = Command::new(row.clone(), folder.clone(), marks.clone());
        Arc::new(hook) as Arc<dyn Hook>
    }))
}

/// A pattern that must fit the whole name.
fn whole(pattern: &str) -> Result<Regex> {
    RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(MAX_MATCHER_BYTES)
        .dfa_size_limit(MAX_MATCHER_BYTES)
        .build()
        .map_err(|error| {
            Error::new(
                ErrorKind::Config,
                format!("bad matcher of a hook: `{pattern}`"),
            )
            .with_hint(error.to_string())
        })
}

impl PartialEq for CommandHook {
    fn eq(&self, other: &Self) -> bool {
        let matcher = |row: &Self| row.matcher.as_ref().map(|m| m.as_str().to_owned());
        self.event.name == other.event.name
            && self.command == other.command
            && self.timeout == other.timeout
            && matcher(self) == matcher(other)
    }
}

impl Eq for CommandHook {}

impl fmt::Debug for CommandHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandHook")
            .field("event", &self.event.name)
            .field("matcher", &self.matcher.as_ref().map(Regex::as_str))
            .field("command", &self.command)
            .field("timeout", &self.timeout)
            .finish()
    }
}
