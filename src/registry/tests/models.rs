//! Mailbox, brood, bell and ticket in every order of threads, on the model checker's own locks.
//! Refuses sampling: every interleaving within the bound is run. `just models` runs this.

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Wake, Waker},
};

use loom::{future::block_on, model, thread};

use super::{
    super::{bell::Bell, brood::Brood},
    *,
};
use crate::message::{Note, Urgency};

fn note() -> Note {
    Note {
        from: "child".into(),
        text: "done".into(),
        urgency: Urgency::NextStep,
    }
}

/// What a child does at its end, in the order of the real one or the other way round.
#[derive(Clone, Copy)]
enum Order {
    NoteThenSeat,
    SeatThenNote,
}

/// A child ends while its parent looks whether it may end too: children first, mail then.
fn seat_and_note(order: Order) {
    model(move || {
        let (mailbox, brood) = (Mailbox::new(), Arc::new(Brood::default()));
        brood.enter();
        let child = {
            let (mailbox, brood) = (mailbox.clone(), brood.clone());
            thread::spawn(move || match order {
                Order::NoteThenSeat => {
                    mailbox.push_control(note()).unwrap();
                    brood.leave();
                }
                Order::SeatThenNote => {
                    brood.leave();
                    mailbox.push_control(note()).unwrap();
                }
            })
        };
        if !brood.any() {
            assert!(!mailbox.is_empty(), "the note is lost");
        }
        child.join().unwrap();
    });
}

#[test]
fn inv5_who_sees_no_children_finds_their_notes() {
    seat_and_note(Order::NoteThenSeat);
}

#[test]
#[should_panic(expected = "the note is lost")]
fn twin_inv5_a_seat_given_up_before_the_note_loses_it() {
    seat_and_note(Order::SeatThenNote);
}

/// The real loop of a parent, until its children have left; their notes are there then.
fn parent_of(children: usize) {
    let mut bounded = loom::model::Builder::new();
    bounded.preemption_bound = Some(2);
    bounded.check(move || {
        let (mailbox, brood) = (Mailbox::new(), Arc::new(Brood::default()));
        let children: Vec<_> = (0..children)
            .map(|_| {
                brood.enter();
                let (mailbox, brood) = (mailbox.clone(), brood.clone());
                thread::spawn(move || {
                    mailbox.push_control(note()).unwrap();
                    brood.leave();
                    brood.tell();
                })
            })
            .collect();
        loop {
            let changed = brood.changed();
            if !brood.any() {
                break;
            }
            block_on(changed);
        }
        assert_eq!(mailbox.len(), children.len());
        for child in children {
            child.join().unwrap();
        }
    });
}

#[test]
fn inv5_a_parent_hears_of_each_child_that_leaves() {
    parent_of(1);
    parent_of(2);
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Looks once. Who is told to wait must be woken by the time that the other thread is done; to be
/// told so by a check instead of by a deadlock lets the twins see the fault.
fn look(wait: impl Future<Output = ()>, other: thread::JoinHandle<()>) {
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(woken.clone());
    let mut wait = pin!(wait);
    let first = wait.as_mut().poll(&mut Context::from_waker(&waker));
    other.join().unwrap();
    let heard = first == Poll::Ready(()) || woken.0.load(Ordering::SeqCst);
    assert!(heard, "the wakeup is lost");
}

/// A parent that looks and listens while its child leaves.
fn looks_at(brood_is_heard: impl Fn(&Brood, thread::JoinHandle<()>) + Sync + Send + 'static) {
    model(move || {
        let brood = Arc::new(Brood::default());
        brood.enter();
        let child = {
            let brood = brood.clone();
            thread::spawn(move || {
                brood.leave();
                brood.tell();
            })
        };
        brood_is_heard(&brood, child);
    });
}

#[test]
fn inv5_listening_before_looking_hears_the_last_child() {
    looks_at(|brood, child| {
        let changed = brood.changed();
        match brood.any() {
            true => look(changed, child),
            false => child.join().unwrap(),
        }
    });
}

#[test]
#[should_panic(expected = "the wakeup is lost")]
fn twin_inv5_looking_before_listening_misses_the_last_child() {
    looks_at(|brood, child| match brood.any() {
        true => look(brood.changed(), child),
        false => child.join().unwrap(),
    });
}

/// A reader that waits while a note comes in.
fn reader_of(listen: impl Fn(&Mailbox, &Bell, thread::JoinHandle<()>) + Sync + Send + 'static) {
    model(move || {
        let (mailbox, bell) = (Mailbox::new(), Bell::default());
        let writer = {
            let (mailbox, bell) = (mailbox.clone(), bell.clone());
            thread::spawn(move || {
                mailbox.push(note()).unwrap();
                bell.ring();
            })
        };
        listen(&mailbox, &bell, writer);
        assert_eq!(mailbox.drain().ack().len(), 1);
    });
}

#[test]
fn no_wakeup_for_mail_is_lost() {
    reader_of(|mailbox, _, writer| look(mailbox.arrived(), writer));
    reader_of(|mailbox, _, writer| {
        block_on(mailbox.arrived());
        writer.join().unwrap();
    });
}

#[test]
#[should_panic(expected = "the wakeup is lost")]
fn twin_a_reader_that_gives_the_lock_back_between_look_and_sleep_misses_a_note() {
    reader_of(|mailbox, bell, writer| match mailbox.is_empty() {
        true => look(bell.after(bell.mark()), writer),
        false => writer.join().unwrap(),
    });
}

#[test]
fn a_note_that_comes_back_wakes_another_reader() {
    model(|| {
        let mailbox = Mailbox::new();
        mailbox.push(note()).unwrap();
        let dies = {
            let mailbox = mailbox.clone();
            thread::spawn(move || drop(mailbox.drain()))
        };
        block_on(mailbox.arrived());
        dies.join().unwrap();
        assert_eq!(mailbox.drain().ack().len(), 1);
    });
}

#[test]
fn a_sender_that_waits_hears_how_it_ended() {
    model(|| {
        let mailbox = Mailbox::new();
        let ticket = mailbox.push(note()).unwrap();
        let reader = thread::spawn(move || drop(mailbox.drain().ack()));
        assert_eq!(block_on(ticket.settled()), NoteState::Inserted);
        reader.join().unwrap();
    });
}

#[test]
fn a_note_races_with_the_end_of_its_reader_and_its_ticket_settles() {
    model(|| {
        let mailbox = Mailbox::new();
        let ends = {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.shut())
        };
        let ticket = mailbox.push(note()).ok();
        let unread = ends.join().unwrap();
        assert_eq!(
            unread,
            usize::from(ticket.is_some()),
            "refused, or told that it expired"
        );
        if let Some(ticket) = ticket {
            assert_eq!(ticket.state(), NoteState::Expired);
        }
    });
}
