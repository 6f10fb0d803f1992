//! Who writes: one thread, which makes one transaction of whatever waits; or who asks, if alone.
//! Refuses to let one piece of work spoil the others: they are then done one by one.

use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Instant,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};

use super::{
    fault::Fault,
    pen::{Flush, Pen},
    place::Place,
    queue::{Queue, Taker},
    work::Group,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::SessionId,
};

/// Bytes of work that may wait for the thread; past this, more is refused.
pub(super) const MAX_WAITING: usize = 512 * 1024 * 1024;

/// Bytes of work after which a transaction takes no more.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// What a piece of work weighs beside its bytes.
const WEIGHT: usize = 256;

/// Bytes of work that are written where they are asked to be, at most.
const AT_ONCE_BYTES: usize = 64 * 1024;

/// The writing, as the store sees it.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue<Box<dyn Job>>>,
    /// Held while a transaction is made. It is locked before the queue, never the other way round.
    pub(super) pen: Arc<Mutex<Pen>>,
    /// Changes with each commit of this process.
    commits: watch::Sender<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Opens the database and starts the thread.
    pub(super) fn start(place: &Place) -> Result<Self> {
        let queue: Arc<Queue<Box<dyn Job>>> = Arc::new(Queue::new(MAX_WAITING));
        let commits = watch::Sender::new(0);
        let pen = Arc::new(Mutex::new(Pen::open(place, commits.clone())?));
        let (line, hand) = (Arc::clone(&queue), Arc::clone(&pen));
        let started = thread::Builder::new()
            .name("offshoot-store".into())
            .spawn(move || {
                let line = Taker(line);
                while line.0.wait() {
                    let mut pen = held(&hand);
                    // Taken under the pen, so that nobody who holds it overtakes them.
                    let jobs = line.0.take(GROUP_BYTES);
                    let (jobs, failed) = write(&mut pen, jobs);
                    let due = pen.checkpoint_due();
                    // Let go of first, so that who is answered finds it free.
                    drop(pen);
                    for (job, failed) in jobs.into_iter().zip(failed) {
                        job.answer(failed);
                    }
                    if due {
                        held(&hand).checkpoint();
                    }
                }
            });
        let thread = started.map_err(|error| {
            Error::new(ErrorKind::Io, "cannot start a thread").with_source(error)
        })?;
        Ok(Self {
            queue,
            pen,
            commits,
            thread: Some(thread),
        })
    }

    /// Hands over work; it is done whether its answer is waited for or not. It may be done more
    /// than once: when the transaction fails, it is undone and asked again.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        size: Size,
        work: impl FnMut(&mut Group<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        self.hand_over(size, None, work)
    }

    /// As [`ask`](Self::ask), for what one session waits for. Done at once and here when nobody
    /// else writes, the disk answers quickly and the runtime has other threads: the way to a thread
    /// and back wakes two sleeping cores.
    pub(super) fn ask_for<T: Send + 'static>(
        &self,
        session: &SessionId,
        size: Size,
        mut work: impl FnMut(&mut Group<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        if size.sync
            && size.bytes <= AT_ONCE_BYTES
            && let Some(done) = self.at_once(session, &mut work)
        {
            return std::future::ready(done).boxed();
        }
        self.hand_over(size, Some(session.clone()), work)
    }

    /// Its result, if this was the moment for it.
    fn at_once<T>(
        &self,
        session: &SessionId,
        work: impl FnMut(&mut Group<'_>) -> Result<T, Fault>,
    ) -> Option<Result<T>> {
        // Who has one thread must never have it blocked.
        let threads = Handle::try_current().ok()?.metrics().num_workers();
        if threads < 2 {
            return None;
        }
        // Poisoned: the thread sees to it.
        let mut pen = self.pen.try_lock().ok()?;
        if !pen.pace.suits(session, Instant::now()) || !self.queue.is_idle() {
            return None;
        }
        let done = pen.alone(session, work);
        let due = pen.checkpoint_due();
        drop(pen);
        if due {
            // The thread moves the pages. Full or closed, it does so after what it has to do anyway.
            let _ = self.queue.push(0, Box::new(Nudge));
        }
        done
    }

    fn hand_over<T: Send + 'static>(
        &self,
        size: Size,
        session: Option<SessionId>,
        work: impl FnMut(&mut Group<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (sender, answer) = oneshot::channel();
        let job = Typed {
            work,
            done: None,
            sync: size.sync,
            session,
            sender,
        };
        if let Err(error) = self.queue.push(WEIGHT + size.bytes, Box::new(job)) {
            return std::future::ready(Err(error)).boxed();
        }
        let gone = |_| {
            let text = "the thread that writes the session log is gone";
            Err(Error::new(ErrorKind::Uncertain, text))
        };
        answer
            .map(move |answer| answer.unwrap_or_else(gone))
            .boxed()
    }

    /// Hears of commits.
    pub(super) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Waits until what was handed over is written, and ends the thread.
    pub(super) fn close(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told where it happened.
            let _ = thread.join();
        }
    }
}

/// How large a piece of work is, and whether it is for the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) bytes: usize,
    pub(super) sync: bool,
}

/// A piece of work, whatever its result is.
pub(super) trait Job: Send + Any {
    fn sync(&self) -> bool;
    /// Whose it is, if it is one session's.
    fn session(&self) -> Option<&SessionId>;
    /// Whether there is anything to write.
    fn is_work(&self) -> bool {
        true
    }
    /// Does it; fails only where the transaction must be undone.
    fn run(&mut self, group: &mut Group<'_>) -> Result<(), Fault>;
    /// Tells its result, or why there is none.
    fn answer(self: Box<Self>, failed: Option<Error>);
}

/// Wakes the thread, which looks by itself what there is to do.
struct Nudge;

impl Job for Nudge {
    fn sync(&self) -> bool {
        false
    }

    fn session(&self) -> Option<&SessionId> {
        None
    }

    fn is_work(&self) -> bool {
        false
    }

    fn run(&mut self, _: &mut Group<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn answer(self: Box<Self>, _: Option<Error>) {}
}

struct Typed<T, F> {
    work: F,
    done: Option<Result<T>>,
    sync: bool,
    session: Option<SessionId>,
    sender: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Typed<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Group<'_>) -> Result<T, Fault> + Send + 'static,
{
    fn sync(&self) -> bool {
        self.sync
    }

    fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    fn run(&mut self, group: &mut Group<'_>) -> Result<(), Fault> {
        // What a transaction that failed had given goes first: a claim would be in its own way.
        self.done = None;
        self.done = match (self.work)(group) {
            Ok(value) => Some(Ok(value)),
            Err(Fault::Refused(error)) => Some(Err(error)),
            Err(failed) => return Err(failed),
        };
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<Error>) {
        let answer = match (failed, self.done) {
            (Some(error), _) => Err(error),
            (None, Some(done)) => done,
            (None, None) => Err(Error::new(ErrorKind::Bug, "a piece of work was not done")),
        };
        // Whoever asked may have gone; it is written all the same.
        let _ = self.sender.send(answer);
    }
}

/// The pen; whoever panicked with it left it in disorder.
fn held(pen: &Mutex<Pen>) -> MutexGuard<'_, Pen> {
    match pen.lock() {
        Ok(held) => held,
        Err(poisoned) => {
            pen.clear_poison();
            let mut held = poisoned.into_inner();
            held.put_down();
            held
        }
    }
}

/// Does all of it, and says of each piece whether it failed with its transaction.
fn write(pen: &mut Pen, mut jobs: Vec<Box<dyn Job>>) -> (Vec<Box<dyn Job>>, Vec<Option<Error>>) {
    if !jobs.iter().any(|job| job.is_work()) {
        let failed = vec![None; jobs.len()];
        return (jobs, failed);
    }
    let failed = match attempt(pen, &mut jobs) {
        Err(_) if jobs.len() > 1 => jobs
            .iter_mut()
            .map(|job| attempt(pen, std::slice::from_mut(job)).err())
            .collect(),
        done => vec![done.err(); jobs.len()],
    };
    (jobs, failed)
}

/// All of them in one transaction, or none.
fn attempt(pen: &mut Pen, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    let flush = match jobs.iter().any(|job| job.sync()) {
        true => Flush::Now,
        false => Flush::Later,
    };
    let session = jobs.iter().rev().find_map(|job| job.session()).cloned();
    pen.transaction(flush, session, |group| {
        jobs.iter_mut().try_for_each(|job| job.run(group))
    })
}
