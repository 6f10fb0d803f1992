//! Notes through a mailbox, one thread that pushes and one that drains, beside a locked queue.
//! Refuses a box that grows: both are as large as a mailbox may be.

use std::{
    hint::black_box,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use offshoot::{Mailbox, Note, Urgency};

/// Notes of one round.
const NOTES: usize = 500_000;
/// Notes that are read together where there is one thread.
const BATCH: u64 = 10;
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
    let push = |note| {
        let (mut again, mut tries) = (note, 0);
        while let Err(full) = mailbox.push(again) {
            again = full.into_note();
            pause(&mut tries);
        }
    };
    round(push, || mailbox.drain().ack())
}

/// The same notes through a queue under a lock, with a count of what was taken out.
pub(crate) fn floor() -> Duration {
    let queue = Mutex::new(Vec::new());
    let (pushed, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let push = |note| {
        let mut tries = 0;
        while pushed.load(Relaxed) - taken.load(Relaxed) >= ROOM {
            pause(&mut tries);
        }
        pushed.fetch_add(1, Relaxed);
        queue.lock().unwrap().push(note);
    };
    round(push, || {
        let notes = std::mem::take(&mut *queue.lock().unwrap());
        taken.fetch_add(notes.len(), Relaxed);
        notes
    })
}

/// The notes are made before it begins and dropped when it is over: what is measured is their way.
fn round(push: impl Fn(Note) + Sync, drain: impl Fn() -> Vec<Note>) -> Duration {
    let notes: Vec<Note> = (0..NOTES).map(|_| note()).collect();
    let mut read = Vec::with_capacity(NOTES);
    std::thread::scope(|scope| {
        let began = Instant::now();
        scope.spawn(|| notes.into_iter().for_each(&push));
        let mut tries = 0;
        while read.len() < NOTES {
            let some = drain();
            match some.len() {
                0 => pause(&mut tries),
                _ => tries = 0,
            }
            read.extend(some);
        }
        began.elapsed()
    })
}

/// Waits a moment for the other thread; longer where it may have no processor.
fn pause(tries: &mut u32) {
    *tries += 1;
    match *tries % 1_000 {
        0 => std::thread::yield_now(),
        _ => std::hint::spin_loop(),
    }
}

/// So many notes on one thread, in batches.
pub(crate) fn alone(notes: u64) {
    let mailbox = Mailbox::new();
    for _ in 0..notes / BATCH {
        for _ in 0..BATCH {
            mailbox.push(note()).unwrap();
        }
        black_box(mailbox.drain().ack());
    }
}

/// The same notes through the queue.
pub(crate) fn floor_alone(notes: u64) {
    let queue = Mutex::new(Vec::new());
    for _ in 0..notes / BATCH {
        for _ in 0..BATCH {
            queue.lock().unwrap().push(note());
        }
        let notes: Vec<Note> = std::mem::take(&mut *queue.lock().unwrap());
        black_box(notes);
    }
}

/// The most notes a second of all rounds.
pub(crate) fn best(runs: usize, round: impl Fn() -> Duration) -> f64 {
    let times = (0..runs.max(2)).map(|_| round().as_secs_f64());
    NOTES as f64 / times.fold(f64::INFINITY, f64::min)
}
