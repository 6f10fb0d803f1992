//! Starts programs, listens to them within limits, and sees to it that none outlives its scope.
//! Refuses to start anything outside a [`Scope`]; this is the only place that names a command.
//!
//! A program is started in a session and a process group of its own, without a terminal. What it
//! says is kept up to a cap and read to the end, so that it never blocks on a full pipe. When its
//! deadline passes, its scope is cancelled or nobody waits for it any more, the whole group is
//! asked to end and, after a grace, killed.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use offshoot::{
//!     Scope,
//!     process::{self, Exit, Limits, Program},
//! };
//!
//! let scope = Scope::root();
//! let program = Program::new("sort").stdin("b\na\n");
//! let finished = process::run(&scope, program, Limits::default()).await?;
//! assert_eq!(finished.exit, Exit::Code(0));
//! assert_eq!(finished.stdout.bytes, b"a\nb\n");
//! # Ok::<(), offshoot::Error>(()) }).unwrap();
//! ```

mod custody;
mod program;
mod stream;
#[cfg(all(test, unix))]
mod tests;

use std::{pin::pin, time::Duration};

use futures::{
    FutureExt,
    future::{FusedFuture, join},
};
use tokio::time::{Instant, sleep_until};

use self::{custody::Custody, program::Started, stream::feed};
pub use self::{program::Program, stream::Captured};
use crate::{
    error::{Error, ErrorKind, Result},
    scope::{Scope, WaitFor},
};

/// How long a program that was asked to end may take before it is killed, when nobody says
/// otherwise.
pub const KILL_GRACE: Duration = Duration::from_secs(2);

/// How long what a program leaves behind in its group may go on writing after its own end.
pub const SETTLE: Duration = Duration::from_millis(250);

/// How long a group that was killed is waited for.
const KILL_WAIT: Duration = Duration::from_millis(300);

/// How long pipes are read after everything that could be killed is dead.
const LAST_READ: Duration = Duration::from_millis(100);

/// How soon a group that was told to end is looked at, and at last how often.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(50);

/// How far a program may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// For its whole life: start, input, output, end.
    pub deadline: Duration,
    /// Between being asked to end and being killed.
    pub grace: Duration,
    /// Bytes of standard output that are kept.
    pub stdout: usize,
    /// Bytes of standard error that are kept.
    pub stderr: usize,
}

impl Limits {
    /// The deadline when nobody says otherwise.
    pub const DEADLINE: Duration = Duration::from_secs(120);

    /// The bytes kept of each stream when nobody says otherwise.
    pub const OUTPUT: usize = 1024 * 1024;

    /// These limits with another deadline.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// These limits with another grace.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// These limits with another cap on each stream.
    #[must_use]
    pub fn output(mut self, bytes: usize) -> Self {
        (self.stdout, self.stderr) = (bytes, bytes);
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Self::DEADLINE,
            grace: KILL_GRACE,
            stdout: Self::OUTPUT,
            stderr: Self::OUTPUT,
        }
    }
}

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// How it ended.
    pub exit: Exit,
    /// Why it was told to end; `None` when it ended by itself.
    pub stopped: Option<Stopped>,
    /// What it left behind.
    pub leftover: Leftover,
    /// Its standard output.
    pub stdout: Captured,
    /// Its standard error.
    pub stderr: Captured,
    /// How long it took, from the order to start it.
    pub took: Duration,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// With this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed, and the system has not said that it is dead.
    Unknown,
}

/// Why a program was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopped {
    /// Its deadline passed.
    Deadline,
    /// Its scope was cancelled, or nobody waited for it any more.
    Cancelled,
}

/// What a program left behind when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leftover {
    /// Nothing.
    Nothing,
    /// Programs in its group, which were ended.
    Ended,
    /// Programs that have left its group and still hold its pipes; they were let go.
    Beyond,
}

/// Runs a program to its end in a scope.
///
/// Everything it started in its group has ended when this returns. When the program ends by itself
/// and leaves others behind in its group, those have [`SETTLE`] to finish what they write.
///
/// # Errors
/// When it cannot be started, or is not started before its deadline. A program that fails is no
/// error.
///
/// Cancel safety: dropping it ends the program, and the scope waits until that is done.
pub async fn run(scope: &Scope, program: Program, limits: Limits) -> Result<Finished> {
    let part = scope.part();
    let _ended_with_us = EndOnDrop(part.clone());
    let task = part.spawn(live(part.clone(), program, limits));
    task.await.unwrap_or_else(|lost| {
        Err(if lost.is_panic() {
            Error::new(ErrorKind::Bug, "starting a program panicked").with_source(lost)
        } else {
            Error::new(ErrorKind::Cancelled, "the runtime has ended")
        })
    })
}

struct EndOnDrop(Scope);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn live(scope: Scope, program: Program, limits: Limits) -> Result<Finished> {
    let began = Instant::now();
    let end = began
        .checked_add(limits.deadline)
        .unwrap_or_else(|| began + Duration::from_secs(86_400 * 365));
    let name = program.name();
    let _waiting = scope.waiting(WaitFor::Process(name.clone()));
    let Started {
        mut custody,
        stdin,
        stdout,
        stderr,
        input,
    } = start(&scope, program, &name, end).await?;
    let mut out = Captured::up_to(limits.stdout);
    let mut err = Captured::up_to(limits.stderr);
    let (stopped, leftover) = {
        let mut fed = pin!(feed(stdin, input).fuse());
        let mut pipes = pin!(join(out.fill(stdout), err.fill(stderr)).map(drop).fuse());
        let stopped = loop {
            tokio::select! {
                biased;
                () = scope.cancelled() => break Some(Stopped::Cancelled),
                () = sleep_until(end) => break Some(Stopped::Deadline),
                () = custody.leader() => break None,
                () = &mut fed, if !fed.is_terminated() => {}
                () = &mut pipes, if !pipes.is_terminated() => {}
            }
        };
        if stopped.is_none() {
            let settled = end.min(Instant::now() + SETTLE);
            read_until(&mut pipes, settled, scope.cancelled()).await;
        }
        let mut leftover = Leftover::Nothing;
        if !custody.is_gone(&scope).await {
            if stopped.is_none() {
                leftover = Leftover::Ended;
            }
            custody.ask();
            if !gone_by(&mut custody, &scope, &mut pipes, limits.grace).await {
                custody.kill();
                gone_by(&mut custody, &scope, &mut pipes, KILL_WAIT).await;
            }
        }
        read_until(
            &mut pipes,
            Instant::now() + LAST_READ,
            std::future::pending(),
        )
        .await;
        if !pipes.is_terminated() {
            leftover = Leftover::Beyond;
        }
        (stopped, leftover)
    };
    Ok(Finished {
        exit: custody.exit(),
        stopped,
        leftover,
        stdout: out,
        stderr: err,
        took: began.elapsed(),
    })
}

/// Starts it on a thread for that, because starting blocks: on a slow disk, or on a folder that is
/// not there any more. What starts too late is killed when its custody is dropped.
async fn start(scope: &Scope, program: Program, name: &str, end: Instant) -> Result<Started> {
    let late = |kind, why| Err(Error::new(kind, format!("{why}: `{name}`")));
    if scope.is_cancelled() {
        return late(ErrorKind::Cancelled, "cancelled before the program began");
    }
    let starting = scope.blocking(move || program.start());
    tokio::select! {
        biased;
        started = starting => started.unwrap_or_else(|lost| {
            Err(Error::new(ErrorKind::Bug, "starting a program panicked").with_source(lost))
        }),
        () = scope.cancelled() => late(ErrorKind::Cancelled, "cancelled before the program began"),
        () = sleep_until(end) => late(ErrorKind::Timeout, "the program did not begin in time"),
    }
}

/// Reads until both streams have ended, or as long as this.
async fn read_until(
    mut pipes: impl FusedFuture<Output = ()> + Unpin,
    until: Instant,
    cancelled: impl Future<Output = ()>,
) {
    if pipes.is_terminated() {
        return;
    }
    tokio::select! {
        biased;
        () = &mut pipes => {}
        () = cancelled => {}
        () = sleep_until(until) => {}
    }
}

/// Whether the whole group is gone within this time. Its last words are read meanwhile.
async fn gone_by(
    custody: &mut Custody,
    scope: &Scope,
    mut pipes: impl FusedFuture<Output = ()> + Unpin,
    time: Duration,
) -> bool {
    let until = Instant::now() + time;
    let mut pause = FIRST_LOOK;
    loop {
        if custody.is_gone(scope).await {
            return true;
        }
        let now = Instant::now();
        if now >= until {
            return false;
        }
        let look = until.min(now + pause);
        pause = LAST_LOOK.min(pause * 2);
        read_until(&mut pipes, look, std::future::pending()).await;
        sleep_until(look).await;
    }
}
