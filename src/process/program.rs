//! What to start: a program, its arguments, its folder, its environment, its input.
//! Refuses to guess: nothing is passed through a shell unless [`Program::shell`] says so.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Stdio,
};

use process_wrap::tokio::CommandWrap;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

use super::custody::Custody;
use crate::{
    environment::Environment,
    error::{Error, ErrorKind, Result},
};

/// A program to start. By default it runs in this process's folder with this process's
/// environment, and its input is empty.
#[derive(Clone, Debug)]
#[must_use]
pub struct Program {
    name: Option<String>,
    argv: Vec<OsString>,
    cwd: Option<PathBuf>,
    inherited: Inherited,
    env: Vec<(OsString, OsString)>,
    input: Option<Vec<u8>>,
}

/// Which variables of this process a program sees.
#[derive(Clone, Debug)]
enum Inherited {
    All,
    Only(Vec<OsString>),
}

impl Program {
    /// A program by its path, or by its name in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            name: None,
            argv: vec![program.into()],
            cwd: None,
            inherited: Inherited::All,
            env: Vec::new(),
            input: None,
        }
    }

    /// A command line for the system's shell.
    pub fn shell(line: impl Into<OsString>) -> Self {
        let (shell, flag) = if cfg!(windows) {
            ("cmd", "/C")
        } else {
            ("sh", "-c")
        };
        Self::new(shell).arg(flag).arg(line)
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// More arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// The folder it runs in.
    pub fn cwd(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = Some(folder.into());
        self
    }

    /// One variable that it sees.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Of this process's environment it sees only these variables.
    pub fn inherit_only<A: Into<OsString>>(mut self, names: impl IntoIterator<Item = A>) -> Self {
        self.inherited = Inherited::Only(names.into_iter().map(Into::into).collect());
        self
    }

    /// It sees what an agent's programs see.
    pub fn environment(mut self, environment: &Environment) -> Self {
        if let Some(names) = environment.names() {
            self = self.inherit_only(names);
        }
        self.env
            .extend(environment.set().map(|(n, v)| (n.into(), v.into())));
        self
    }

    /// What it can read; then its input ends.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// What people are told is running; by default the last part of the program's path.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    pub(super) fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let program = &self.argv[0];
        let name = Path::new(program).file_name().unwrap_or(program);
        name.to_string_lossy().into_owned()
    }

    /// Starts it. Blocks until the new program has taken over, or has failed to.
    pub(super) fn start(self) -> Result<Started> {
        let mut command = CommandWrap::from(self.command());
        #[cfg(unix)]
        command.wrap(process_wrap::tokio::ProcessSession);
        #[cfg(windows)]
        command.wrap(process_wrap::tokio::JobObject);
        let mut child = command.spawn().map_err(|error| self.failed(error))?;
        Ok(Started {
            stdin: child.stdin().take(),
            stdout: child.stdout().take(),
            stderr: child.stderr().take(),
            custody: Custody::of(child),
            input: self.input.unwrap_or_default(),
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts programs"
    )]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]);
        if let Some(folder) = &self.cwd {
            command.current_dir(folder);
        }
        if let Inherited::Only(names) = &self.inherited {
            command.env_clear();
            let kept = names.iter().filter_map(|n| Some((n, std::env::var_os(n)?)));
            command.envs(kept);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
            .stdin(match self.input {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The system gives one error for a missing program and a missing folder.
    fn failed(&self, error: std::io::Error) -> Error {
        let missing = self.cwd.as_deref().filter(|folder| !folder.is_dir());
        let what = match missing {
            Some(folder) => format!("no such folder: `{}`", folder.display()),
            None => format!("cannot start the program: `{}`", shown(&self.argv[0])),
        };
        Error::new(ErrorKind::Io, what)
            .with_hint(error.to_string())
            .with_source(error)
    }
}

fn shown(text: &OsStr) -> std::borrow::Cow<'_, str> {
    text.to_string_lossy()
}

/// A program that has begun.
pub(super) struct Started {
    pub(super) custody: Custody,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
    pub(super) input: Vec<u8>,
}
