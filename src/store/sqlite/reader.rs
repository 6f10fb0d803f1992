//! The threads that read, each with a connection of its own, so that nobody waits for the writer.
//! Refuses to write, and to keep a connection that has failed.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use futures::{FutureExt, future::BoxFuture};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    fault::Fault,
    place::{Place, Role},
    queue::{Queue, Taker},
};
use crate::error::{Error, ErrorKind, Result};

/// Threads that read.
const READERS: usize = 2;

/// Questions that may wait for them.
const MAX_QUESTIONS: usize = 65_536;

type Question = Box<dyn FnOnce(&mut Eye) + Send>;

/// The threads, as the store sees them.
#[derive(Debug)]
pub(super) struct Readers {
    queue: Arc<Queue<Question>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts the threads; each opens the database when it is first asked.
    pub(super) fn start(place: &Place) -> Result<Self> {
        let mut readers = Self {
            queue: Arc::new(Queue::new(MAX_QUESTIONS)),
            threads: Vec::new(),
        };
        for _ in 0..READERS {
            let (queue, place) = (Taker(Arc::clone(&readers.queue)), place.clone());
            let thread = thread::Builder::new().name("offshoot-reader".into());
            let started = thread.spawn(move || {
                let mut eye = Eye { place, conn: None };
                while queue.0.wait() {
                    for question in queue.0.take(1) {
                        question(&mut eye);
                    }
                }
            });
            readers.threads.push(started.map_err(|error| {
                Error::new(ErrorKind::Io, "cannot start a thread").with_source(error)
            })?);
        }
        Ok(readers)
    }

    /// Reads; all of it sees the same state.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        let (sender, answer) = oneshot::channel();
        let question = move |eye: &mut Eye| {
            // Whoever asked may have gone.
            let _ = sender.send(eye.look(work));
        };
        if let Err(error) = self.queue.push(1, Box::new(question)) {
            return std::future::ready(Err(error)).boxed();
        }
        let gone = |_| {
            let text = "the thread that reads the session log is gone";
            Err(Error::new(ErrorKind::Io, text))
        };
        answer
            .map(move |answer| answer.unwrap_or_else(gone))
            .boxed()
    }

    /// Answers what was asked and ends the threads.
    pub(super) fn close(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A panic of the thread was told where it happened.
            let _ = thread.join();
        }
    }
}

/// What a thread holds.
struct Eye {
    place: Place,
    conn: Option<Connection>,
}

impl Eye {
    fn look<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.place.connect(Role::Reader)?,
        };
        let found = look(&conn, work);
        if !matches!(found, Err(Fault::Failed(_))) {
            self.conn = Some(conn);
        }
        found.map_err(|fault| fault.told(&self.place.db))
    }
}

fn look<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let found = work(conn);
    conn.prepare_cached("COMMIT")?.execute([])?;
    found
}
