//! Notes through a mailbox, one thread that pushes and one that drains, beside a locked queue.
//! Refuses a box that grows: both are as large as a mailbox may be.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use offshoot::{Mailbox, Note, Urgency};

/// Notes of one round.
const NOTES: usize = 1_000_000;
/// What fits into a mailbox.
const ROOM: usize = 1_000;

fn note() -> Note {
    Note {
        from: "root/explore/1".into(),
        text: "half of it is done".into(),
        urgency: Urgency::NextStep,
    }
}

/// The time of one round.
pub(crate) fn ours() -> Duration {
    let mailbox = Mailbox::new();
    let push = || {
        for _ in 0..NOTES {
            let mut again = note();
            while let Err(full) = mailbox.push(again) {
                again = full.into_note();
                std::thread::yield_now();
            }
        }
    };
    round(push, || mailbox.drain().ack().len())
}

/// The same notes through a queue under a lock, with a count of what was taken out.
pub(crate) fn floor() -> Duration {
    let queue = Mutex::new(VecDeque::new());
    let taken = AtomicUsize::new(0);
    let push = || {
        for pushed in 0..NOTES {
            let note = note();
            while pushed - taken.load(Relaxed) >= ROOM {
                std::thread::yield_now();
            }
            queue.lock().unwrap().push_back(note);
        }
    };
    round(push, || {
        let notes: VecDeque<Note> = std::mem::take(&mut *queue.lock().unwrap());
        taken.fetch_add(notes.len(), Relaxed);
        notes.len()
    })
}

fn round(push: impl Fn() + Sync, drain: impl Fn() -> usize) -> Duration {
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(&push);
        let mut read = 0;
        while read < NOTES {
            match drain() {
                0 => std::thread::yield_now(),
                some => read += some,
            }
        }
    });
    began.elapsed()
}

/// For a profiler: so many notes on one thread, in batches.
pub(crate) fn alone(notes: u64) {
    let mailbox = Mailbox::new();
    for _ in 0..notes / 100 {
        for _ in 0..100 {
            mailbox.push(note()).unwrap();
        }
        std::hint::black_box(mailbox.drain().ack());
    }
}

/// The most notes a second of all rounds.
pub(crate) fn best(runs: usize, round: impl Fn() -> Duration) -> f64 {
    let times = (0..runs.max(2)).map(|_| round().as_secs_f64());
    NOTES as f64 / times.fold(f64::INFINITY, f64::min)
}
