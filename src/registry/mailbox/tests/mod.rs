//! The mailbox under threads, at its limits, and when readers die.
//! Refuses sleeps: what is waited for is an event.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::FutureExt;

use super::*;
use crate::scope::Scope;

mod tickets;

fn note(text: impl Into<String>) -> Note {
    Note {
        from: "test".into(),
        text: text.into(),
        urgency: Urgency::NextStep,
    }
}

fn counted(mailbox: &Mailbox) -> usize {
    let mut state = mailbox.state();
    mailbox.0.settle_room(&mut state);
    (state.count + state.control) as usize + state.bytes
}

fn texts(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| &*note.text).collect()
}

#[test]
fn notes_come_in_order_and_go_when_acknowledged() {
    let mailbox = Mailbox::new();
    for text in ["1", "2", "3"] {
        mailbox.push(note(text)).unwrap();
    }
    let drained = mailbox.drain();
    assert!(mailbox.is_empty());
    mailbox.push(note("4")).unwrap();
    assert_eq!(texts(&drained), ["1", "2", "3"]);
    drop(drained);
    assert_eq!(
        texts(&mailbox.drain()),
        ["1", "2", "3", "4"],
        "back at the front"
    );
    assert_eq!(texts(&mailbox.drain().ack()), ["1", "2", "3", "4"]);
    assert!(mailbox.is_empty());
    assert_eq!(counted(&mailbox), 0, "nothing stays counted");
}

#[test]
fn notes_that_come_back_out_of_turn_find_their_places() {
    let mailbox = Mailbox::new();
    mailbox.push(note("1")).unwrap();
    let first = mailbox.drain();
    mailbox.push(note("2")).unwrap();
    let second = mailbox.drain();
    mailbox.push(note("3")).unwrap();
    drop(first);
    drop(second);
    assert_eq!(texts(&mailbox.drain()), ["1", "2", "3"]);
}

#[test]
fn a_full_box_refuses_and_gives_the_note_back() {
    let mailbox = Mailbox::new();
    for number in 0..MAX_NOTES {
        mailbox.push(note(number.to_string())).unwrap();
    }
    let in_flight = mailbox.drain();
    let full = mailbox.push(note("one too many")).unwrap_err();
    assert!(!full.is_closed());
    assert!(
        full.to_string()
            .starts_with("mailbox full, unread notes: `1000`"),
        "{full}"
    );
    assert_eq!(full.into_note().text, "one too many");
    in_flight.ack();
    mailbox.push(note("fits again")).unwrap();

    let mailbox = Mailbox::new();
    mailbox.push(note("x".repeat(MAX_BYTES / 2))).unwrap();
    let full = mailbox.push(note("x".repeat(MAX_BYTES / 2))).unwrap_err();
    assert!(full.to_string().contains("file"), "says what to do: {full}");
    assert!(format!("{full:?}").len() < 200, "does not print megabytes");
    mailbox.push(note("small")).unwrap();
}

#[test]
fn a_closed_box_refuses_and_wakes_but_keeps_what_it_has() {
    let mailbox = Mailbox::new();
    let wait = mailbox.arrived();
    mailbox.push(note("last")).unwrap();
    mailbox.close();
    assert!(mailbox.push(note("late")).unwrap_err().is_closed());
    wait.now_or_never().unwrap();
    assert_eq!(texts(&mailbox.drain().ack()), ["last"]);
    mailbox
        .arrived()
        .now_or_never()
        .expect("nobody waits for a closed box");
}

#[test]
fn the_most_urgent_note_is_known() {
    let mailbox = Mailbox::new();
    assert_eq!(mailbox.most_urgent(), None);
    for urgency in [Urgency::WhenIdle, Urgency::Interrupt, Urgency::NextStep] {
        mailbox
            .push(Note {
                urgency,
                ..note("x")
            })
            .unwrap();
    }
    assert_eq!(mailbox.most_urgent(), Some(Urgency::Interrupt));
}

#[tokio::test]
async fn a_dropped_wait_takes_nothing_and_a_returned_note_wakes() {
    let mailbox = Mailbox::new();
    assert!(mailbox.arrived().now_or_never().is_none());
    mailbox.push(note("1")).unwrap();
    for _ in 0..3 {
        mailbox.arrived().await; // mail that is there counts each time
    }
    let drained = mailbox.drain();
    let mut waiters = [Box::pin(mailbox.arrived()), Box::pin(mailbox.arrived())];
    for wait in &mut waiters {
        assert!(
            futures::poll!(wait).is_pending(),
            "mail in flight is not mail"
        );
    }
    drop(drained);
    for wait in waiters {
        tokio::time::timeout(Duration::from_secs(5), wait)
            .await
            .expect("both wake");
    }
}

/// Writers and readers on several threads; a third of the readings die before they acknowledge.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_100_000_notes_none_is_lost_and_none_comes_twice() {
    const WRITERS: usize = 8;
    const EACH: usize = 12_500;
    let mailbox = Mailbox::new();
    let read = Arc::new(AtomicUsize::new(0));
    let scope = Scope::root();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let mailbox = mailbox.clone();
            scope.spawn(async move {
                for number in 0..EACH {
                    let mut next = note(format!("{writer} {number}"));
                    while let Err(full) = mailbox.push(next) {
                        next = full.into_note();
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..2)
        .map(|reader| {
            let (mailbox, read) = (mailbox.clone(), read.clone());
            scope.spawn(async move {
                let mut own = Vec::new();
                for round in reader.. {
                    mailbox.arrived().await;
                    let drained = mailbox.drain();
                    if drained.is_empty() && mailbox.is_closed() {
                        break;
                    }
                    if round % 3 == 0 {
                        drop(drained);
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let notes = drained.ack();
                    let sum = read.fetch_add(notes.len(), Ordering::SeqCst) + notes.len();
                    own.push(notes.into_iter().map(|note| note.text).collect::<Vec<_>>());
                    if sum == WRITERS * EACH {
                        mailbox.close();
                    }
                }
                own
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut seen = HashSet::new();
    let mut count = 0;
    for reader in readers {
        let own = tokio::time::timeout(Duration::from_secs(60), reader).await;
        let own = own.expect("no wakeup was lost").unwrap();
        for notes in own {
            count += notes.len();
            // In one reading: what another reader had in hand and gave back comes in the next.
            let mut last = [None; WRITERS];
            for text in &notes {
                let (writer, number) = text.split_once(' ').unwrap();
                let (writer, number): (usize, usize) =
                    (writer.parse().unwrap(), number.parse().unwrap());
                assert!(
                    last[writer] < Some(number),
                    "one writer's notes stay in order"
                );
                last[writer] = Some(number);
            }
            seen.extend(notes);
        }
    }
    assert_eq!((count, seen.len()), (WRITERS * EACH, WRITERS * EACH));
    assert_eq!(counted(&mailbox), 0);
}
