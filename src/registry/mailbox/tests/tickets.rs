//! What senders are told: queued, inserted, expired or refused, each at the right moment and once.
//! Refuses an end that comes before it is true.

use std::{
    sync::{Mutex as Lock, Weak},
    task::Wake,
};

use super::*;

fn ended(ticket: &Ticket) -> Option<NoteState> {
    ticket.settled().now_or_never()
}

#[test]
fn a_note_is_inserted_only_when_it_is_acknowledged() {
    let mailbox = Mailbox::new();
    let ticket = mailbox.push(note("1")).unwrap();
    assert_eq!((ticket.state(), ended(&ticket)), (NoteState::Queued, None));
    let drained = mailbox.drain();
    assert_eq!(
        ticket.state(),
        NoteState::Queued,
        "in flight is not inserted"
    );
    drop(drained);
    assert_eq!(ticket.state(), NoteState::Queued);
    mailbox.drain().ack();
    assert_eq!(ticket.state(), NoteState::Inserted);
    assert_eq!(ended(&ticket.clone()), Some(NoteState::Inserted));
    assert!(ticket.state().is_final() && ticket.state().to_string() == "inserted");
}

#[test]
fn a_refused_note_is_neither_inserted_nor_comes_back() {
    let mailbox = Mailbox::new();
    let tickets = ["1", "2", "3", "4"].map(|text| mailbox.push(note(text)).unwrap());
    let mut drained = mailbox.drain();
    drained.refuse(1);
    drained.refuse(1);
    drained.refuse(99);
    assert_eq!(tickets[1].state(), NoteState::Refused);
    assert_eq!(
        texts(&drained),
        ["1", "2", "3", "4"],
        "the places stay as they are"
    );
    drop(drained);
    let mut drained = mailbox.drain();
    assert_eq!(texts(&drained), ["1", "3", "4"]);
    drained.refuse(0);
    assert_eq!(texts(&drained.ack()), ["3", "4"]);
    assert_eq!(
        tickets.map(|ticket| ticket.state()),
        [
            NoteState::Refused,
            NoteState::Refused,
            NoteState::Inserted,
            NoteState::Inserted
        ]
    );
    assert_eq!(counted(&mailbox), 0, "refused notes take no room");
}

#[tokio::test(start_paused = true)]
async fn a_refused_note_that_threw_out_an_old_one_leaves_an_empty_box() {
    let mailbox = Mailbox::new();
    let second = Duration::from_secs(1);
    let old = mailbox.push_for(note("old"), second).unwrap();
    tokio::time::advance(second).await;
    assert!(mailbox.push(note("x".repeat(MAX_BYTES))).is_err());
    assert_eq!(old.state(), NoteState::Expired);
    assert!(mailbox.is_empty());
    assert_eq!((mailbox.len(), counted(&mailbox)), (0, 0));
}

#[test]
fn notes_of_all_urgencies_keep_their_order_and_their_tickets() {
    let mailbox = Mailbox::new();
    let urgencies = [Urgency::WhenIdle, Urgency::Interrupt, Urgency::NextStep];
    let tickets: Vec<_> = (0..60)
        .map(|n| {
            let mut note = note(n.to_string());
            note.urgency = urgencies[n % 3];
            mailbox.push(note).unwrap()
        })
        .collect();
    // Some go back, between others that have come meanwhile.
    let urgent = mailbox.drain_until(Urgency::Interrupt);
    mailbox.push(note("60")).unwrap();
    drop(urgent);
    let numbers = |notes: &[Note]| -> Vec<usize> {
        notes
            .iter()
            .map(|note| note.text.parse().unwrap())
            .collect()
    };
    let soon = mailbox.drain_until(Urgency::NextStep);
    let expected: Vec<_> = (0..=60).filter(|n| *n == 60 || n % 3 != 0).collect();
    assert_eq!(numbers(&soon.ack()), expected);
    let told = |n: usize| tickets[n].state();
    for n in 0..60 {
        let end = if n % 3 == 0 {
            NoteState::Queued
        } else {
            NoteState::Inserted
        };
        assert_eq!(told(n), end, "{n}");
    }
    let rest = mailbox.drain().ack();
    assert_eq!(numbers(&rest), (0..60).step_by(3).collect::<Vec<_>>());
    assert_eq!(counted(&mailbox), 0);
}

#[tokio::test(start_paused = true)]
async fn a_note_whose_time_ran_out_is_not_handed_out() {
    let mailbox = Mailbox::new();
    let second = Duration::from_secs(1);
    let short = mailbox.push_for(note("short"), second).unwrap();
    let long = mailbox.push_for(note("long"), Duration::MAX).unwrap();
    tokio::time::advance(second - Duration::from_millis(1)).await;
    assert_eq!(texts(&mailbox.drain()), ["short", "long"], "still in time");
    tokio::time::advance(Duration::from_millis(2)).await;
    assert_eq!(short.state(), NoteState::Queued, "nobody has looked");
    let drained = mailbox.drain();
    assert_eq!(
        (short.state(), texts(&drained)),
        (NoteState::Expired, vec!["long"])
    );
    drained.ack();
    assert_eq!(long.state(), NoteState::Inserted);
    assert_eq!(counted(&mailbox), 0);

    // What nobody will read any more does not keep others out.
    for _ in 0..MAX_NOTES {
        mailbox.push_for(note("x"), second).unwrap();
    }
    assert!(mailbox.push(note("no room")).is_err());
    tokio::time::advance(second).await;
    mailbox.push(note("room")).unwrap();
    assert_eq!(texts(&mailbox.drain().ack()), ["room"]);
}

#[test]
fn what_is_never_read_has_expired() {
    let mailbox = Mailbox::new();
    let unread = mailbox.push(note("unread")).unwrap();
    drop(mailbox);
    assert_eq!(unread.state(), NoteState::Expired, "the box is gone");

    let mailbox = Mailbox::new();
    let [kept, lost] = ["kept", "lost"].map(|text| mailbox.push(note(text)).unwrap());
    let (in_flight, again) = (mailbox.drain(), mailbox.clone());
    let late = mailbox.push(note("late")).unwrap();
    mailbox.close();
    assert_eq!(
        late.state(),
        NoteState::Queued,
        "a closed box can still be read"
    );
    assert_eq!(mailbox.shut(), 1);
    assert_eq!(late.state(), NoteState::Expired);
    assert_eq!(
        kept.state(),
        NoteState::Queued,
        "its reader may still say that it is safe"
    );
    let mut in_flight = in_flight;
    in_flight.refuse(1);
    drop(mailbox);
    assert_eq!(lost.state(), NoteState::Refused);
    in_flight.ack();
    assert_eq!(kept.state(), NoteState::Inserted);
    assert!(again.is_empty() && again.is_closed());

    let mailbox = Mailbox::new();
    let back = mailbox.push(note("back")).unwrap();
    let in_flight = mailbox.drain();
    mailbox.shut();
    drop(in_flight);
    assert_eq!(
        back.state(),
        NoteState::Expired,
        "it came back to a box that nobody reads"
    );
    assert!(mailbox.is_empty());
    assert_eq!(counted(&mailbox), 0);
}

#[test]
fn control_notes_come_in_when_nothing_else_does_and_keep_their_place() {
    let mailbox = Mailbox::new();
    mailbox.push(note("first")).unwrap();
    mailbox.push_control(note("a child ended")).unwrap();
    for _ in 1..MAX_NOTES {
        mailbox.push(note("x")).unwrap();
    }
    assert!(mailbox.push(note("no room")).is_err());
    mailbox.push_control(note("another ended")).unwrap();
    let notes = mailbox.drain();
    assert_eq!(texts(&notes[..2]), ["first", "a child ended"]);
    assert_eq!(notes.last().unwrap().text, "another ended");
    drop(notes);
    assert_eq!(mailbox.len(), MAX_NOTES + 2);
    mailbox.drain().ack();
    assert_eq!(counted(&mailbox), 0);

    for _ in 0..MAX_CONTROL {
        mailbox.push_control(note("")).unwrap();
    }
    let full = mailbox.push_control(note("")).unwrap_err();
    assert!(
        full.to_string().contains("`65536`") && !full.is_closed(),
        "{full}"
    );
    mailbox.push(note("others have their own room")).unwrap();
    mailbox.close();
    assert!(mailbox.push_control(note("")).unwrap_err().is_closed());
}

#[test]
fn the_observer_hears_of_each_arrival_and_may_use_the_box() {
    let mailbox = Mailbox::new();
    let heard = Arc::new(Lock::new(Vec::new()));
    let observer = |name: &'static str| {
        let (heard, weak) = (heard.clone(), WeakBox(Arc::downgrade(&mailbox.0)));
        move || {
            let len = weak.len();
            heard.lock().unwrap().push((name, len));
        }
    };
    mailbox.on_arrival(observer("first"));
    mailbox.push(note("1")).unwrap();
    mailbox.push_control(note("2")).unwrap();
    drop(mailbox.drain()); // they come back
    mailbox.on_arrival(observer("second"));
    mailbox.push_for(note("3"), Duration::MAX).unwrap();
    mailbox.close();
    mailbox.push(note("4")).unwrap_err();
    let heard = heard.lock().unwrap().clone();
    assert_eq!(
        heard,
        [("first", 1), ("first", 2), ("first", 2), ("second", 3)]
    );
}

struct WeakBox(Weak<Shared>);

impl WeakBox {
    fn len(&self) -> usize {
        Mailbox(self.0.upgrade().unwrap()).len()
    }
}

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_wait_for_urgent_mail_sleeps_through_the_rest() {
    let mailbox = Mailbox::new();
    let woken = [(); 2].map(|()| Arc::<Woken>::default());
    let wakers = woken.each_ref().map(|woken| Waker::from(woken.clone()));
    let mut contexts = wakers.each_ref().map(Context::from_waker);
    let mut urgent = Box::pin(mailbox.arrived_until(Urgency::Interrupt));
    let mut any = Box::pin(mailbox.arrived());
    let mut both = || {
        let urgent = urgent.as_mut().poll(&mut contexts[0]).is_ready();
        let any = any.as_mut().poll(&mut contexts[1]).is_ready();
        let counts = woken.each_ref().map(|woken| woken.0.load(Ordering::SeqCst));
        (urgent, any, counts)
    };
    assert_eq!(both(), (false, false, [0, 0]));
    assert_eq!(both(), (false, false, [0, 0]), "looking twice is one wait");
    mailbox.push(note("by the way")).unwrap();
    mailbox.push(note("and this")).unwrap();
    assert_eq!(both(), (false, true, [0, 1]));
    let now = Urgency::Interrupt;
    mailbox
        .push(Note {
            urgency: now,
            ..note("now")
        })
        .unwrap();
    assert_eq!(both(), (true, true, [1, 1]));
    drop((urgent, any));
    let state = mailbox.state();
    assert!(
        state
            .sleepers
            .iter()
            .all(|all| all.iter().all(Sleepers::is_empty)),
        "nobody is left behind"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_ticket_settles_whatever_races() {
    let scope = Scope::root();
    for round in 0..300 {
        let mailbox = Mailbox::new();
        let tickets: Vec<_> = (0..20)
            .map(|n| mailbox.push(note(n.to_string())).unwrap())
            .collect();
        let waits: Vec<_> = tickets
            .into_iter()
            .map(|ticket| scope.spawn(async move { (ticket.settled().await, ticket.state()) }))
            .collect();
        let reader = {
            let mailbox = mailbox.clone();
            scope.spawn(async move {
                let mut drained = mailbox.drain();
                if !drained.is_empty() {
                    drained.refuse(round % 20);
                }
                match round % 3 {
                    0 => drop(drained),
                    _ => drop(drained.ack()),
                }
            })
        };
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        mailbox.shut();
        drop(mailbox);
        reader.await.unwrap();
        for wait in waits {
            let wait = tokio::time::timeout(Duration::from_secs(10), wait).await;
            let (told, after) = wait.expect("no wakeup was lost").unwrap();
            assert!(told.is_final() && told == after);
        }
    }
}
