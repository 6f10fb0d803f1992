//! Who reads the terminal: one at a time, and nobody who could not be stopped.
//! Refuses to wait for a line on a thread, where an answer that is wanted no more takes the next line.

use std::{
    io::{self, BufRead},
    task::Poll,
};

use tokio::sync::{Mutex, MutexGuard, Notify};

/// The one keyboard of the process.
static KEYBOARD: Mutex<()> = Mutex::const_new(());

/// Somebody has a question and cannot ask it.
static WANTED: Notify = Notify::const_new();

/// How often one looks for a key or a line. Nobody notices; a thread that blocks could not be ended.
#[cfg(unix)]
pub(super) const LOOK: std::time::Duration = std::time::Duration::from_millis(25);

/// The right to read the terminal; given on by drop.
#[must_use = "dropped, somebody else may read"]
pub(super) struct Hold(#[expect(dead_code, reason = "kept for its drop")] MutexGuard<'static, ()>);

/// Waits until nobody else reads.
///
/// Cancel safety: dropping the future gives up the place in the queue.
pub(super) async fn take() -> Hold {
    let mut next = std::pin::pin!(KEYBOARD.lock());
    if let Poll::Ready(hold) = futures::poll!(next.as_mut()) {
        return Hold(hold);
    }
    // In the queue first: whoever only looks gives the keyboard up and at once wants it again.
    WANTED.notify_one();
    Hold(next.await)
}

/// Waits until somebody wants what one holds, for those who hold it and only look.
///
/// Cancel safety: safe.
#[cfg(unix)]
pub(super) async fn wanted() {
    WANTED.notified().await;
}

/// One line that was typed after this call; what was typed before was no answer to it.
///
/// Cancel safety: a line that is not finished is left to whoever reads next.
#[cfg(unix)]
pub(super) async fn line(_: &Hold) -> io::Result<String> {
    use rustix::termios::{QueueSelector, tcflush};

    tcflush(io::stdin(), QueueSelector::IFlush).ok();
    while !is_there()? {
        tokio::time::sleep(LOOK).await;
    }
    typed()
}

/// Whether reading would not wait: the terminal has something to read when a line is whole, or when
/// it is gone.
#[cfg(unix)]
fn is_there() -> io::Result<bool> {
    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        io::Errno,
    };

    let stdin = io::stdin();
    let now = Timespec::default();
    match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&now)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// As on unix, but for a thread that stays behind when nobody wants the line any more.
#[cfg(not(unix))]
pub(super) async fn line(_: &Hold) -> io::Result<String> {
    let read = crate::scope::Scope::root().blocking(typed);
    read.await.map_err(io::Error::other)?
}

/// What one read gives: a second one could wait, as it would after a Ctrl-D within a line.
fn typed() -> io::Result<String> {
    let mut input = io::stdin().lock();
    let bytes = input.fill_buf()?;
    let (line, length) = (String::from_utf8_lossy(bytes).into_owned(), bytes.len());
    input.consume(length);
    Ok(line)
}
