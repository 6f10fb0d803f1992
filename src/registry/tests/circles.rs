//! Circles of waits: each is found when it closes, broken at the same place, and named.
//! Refuses clocks: only the last check, that all have gone on, has a limit of time.

use std::{collections::BTreeSet, time::Instant};

use futures::FutureExt;

use super::*;

/// Agents wait for each other in a ring, the `last` of them closing it; then all end.
async fn ring(size: usize, last: usize) {
    let (registry, root) = planted();
    let seats: Vec<_> = (0..size).map(|_| child(&root, "ring")).collect();
    let contacts: Vec<_> = seats.iter().map(|seat| contact(&root, seat)).collect();
    let highest = seats[size - 1].path().clone();
    let start = Instant::now();
    let mut stalled = Vec::new();
    let mut waits = Vec::new();
    for turn in 1..=size {
        let at = (last + turn) % size;
        match seats[at].desk().wait_on(&contacts[(at + 1) % size]) {
            Ok(wait) => waits.push((at, Some(wait))),
            Err(stall) => {
                stalled.push((at, stall));
                waits.push((at, None));
            }
        }
    }
    let mut seats: Vec<_> = seats.into_iter().map(Some).collect();
    let tasks: Vec<_> = waits
        .into_iter()
        .map(|(at, wait)| {
            let seat = seats[at].take().unwrap();
            root.scope().spawn(async move {
                let stall = match &wait {
                    Some(wait) => wait.ended().await.err(),
                    None => None,
                };
                seat.leave(Ended::finished("went on"));
                stall.map(|stall| (at, stall))
            })
        })
        .collect();
    for task in tasks {
        stalled.extend(soon(task).await.unwrap());
    }
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    let [(at, stall)] = &stalled[..] else {
        panic!("one wait ends, not {stalled:?}");
    };
    assert_eq!(
        *at,
        size - 1,
        "the one that came last, whoever closed the ring"
    );
    assert_eq!(stall.cycle.len(), size);
    assert_eq!(stall.cycle[0], highest);
    assert!(stall.to_string().contains(highest.as_str()), "{stall}");
    assert_eq!(registry.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rings_of_2_3_and_50_are_broken_and_all_go_on() {
    for (size, closers) in [(2, 0..2), (3, 0..3), (50, 0..50)] {
        for last in closers {
            ring(size, last).await;
        }
    }
}

#[test]
fn waiting_for_oneself_or_for_an_agent_above_is_a_circle() {
    let (_registry, root) = planted();
    let one = child(&root, "one");
    let two = child(&one, "two");
    let stall = |from: &Seat, to: &Seat| from.desk().wait_on(&contact(from, to)).unwrap_err();
    let names = |stall: Stalled| {
        stall
            .cycle
            .iter()
            .map(|p| p.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(stall(&root, &root)), ["root"]);
    assert_eq!(names(stall(&two, &one)), ["root/one/1/two/1", "root/one/1"]);
    let up = stall(&two, &root);
    assert_eq!(
        up.to_string(),
        "agents wait for each other: \
         `root/one/1/two/1 -> root -> root/one/1 -> root/one/1/two/1`"
    );
    assert!(!up.hint().is_empty());
    // Downwards is no circle, and neither is sideways.
    let other = child(&root, "other");
    for (from, to) in [(&root, &two), (&root, &one), (&other, &two), (&two, &other)] {
        drop(from.desk().wait_on(&contact(from, to)).unwrap());
    }
}

#[test]
fn twin_without_the_edges_to_children_the_circle_through_an_agent_above_is_missed() {
    let (_registry, root) = planted();
    let two = child(&root, "two");
    let above = contact(&two, &root);
    assert!(two.desk().wait_on(&above).is_err());
    two.berth.tree.state().forget_children();
    assert!(two.desk().wait_on(&above).is_ok(), "the fault must be seen");
}

#[test]
fn a_circle_through_children_ends_the_wait_that_came_last() {
    let (_registry, root) = planted();
    let (one, two) = (child(&root, "one"), child(&root, "two"));
    let (below_one, below_two) = (child(&one, "x"), child(&two, "x"));
    // One waits for two; what is below two waits for one.
    let waits = one.desk().wait_on(&contact(&one, &two)).unwrap();
    let stall = below_two
        .desk()
        .wait_on(&contact(&below_two, &one))
        .unwrap_err();
    let circle = [&below_two, &one, &two].map(|seat| seat.path().clone());
    assert_eq!(stall.cycle, circle);
    assert!(waits.ended().now_or_never().is_none(), "that wait goes on");
    drop(waits);

    // What is below two waits first, and it is its wait that ends.
    let waits = below_two
        .desk()
        .wait_on(&contact(&below_two, &one))
        .unwrap();
    let other = below_one
        .desk()
        .wait_on(&contact(&below_one, &two))
        .unwrap();
    let stall = waits.ended().now_or_never().unwrap().unwrap_err();
    assert_eq!(stall.cycle[0], *below_two.path());
    assert!(other.ended().now_or_never().is_none());
}

#[test]
fn a_wait_for_ones_own_child_is_not_the_one_that_ends() {
    let (_registry, root) = planted();
    let one = child(&root, "one");
    let waits = root.desk().wait_on(&contact(&root, &one)).unwrap();
    let stall = one.desk().wait_on(&contact(&one, &root)).unwrap_err();
    assert_eq!(stall.cycle.len(), 2);
    assert!(waits.ended().now_or_never().is_none());
    one.leave(Ended::finished("x"));
    assert!(waits.ended().now_or_never().unwrap().is_ok());
}

#[test]
fn one_wait_can_close_two_circles_and_both_are_broken() {
    let (_registry, root) = planted();
    let [a, b, c, hub] = ["a", "b", "c", "hub"].map(|kind| child(&root, kind));
    let wait = |from: &Seat, to: &Seat| from.desk().wait_on(&contact(from, to));
    let to_b = wait(&a, &b).unwrap();
    let to_c = wait(&a, &c).unwrap();
    let from_b = wait(&b, &hub).unwrap();
    let from_c = wait(&c, &hub).unwrap();
    // The hub came last: its own wait ends, once, and that breaks both.
    assert!(wait(&hub, &a).is_err());
    let open = |wait: &WaitOn| wait.ended().now_or_never().is_none();
    assert!([&to_b, &to_c, &from_b, &from_c].into_iter().all(open));
    drop((from_b, from_c));
    // Now a closes both, and b and c are the last of theirs.
    let _up = wait(&hub, &a).unwrap();
    drop((to_b, to_c));
    let from_b = wait(&b, &a).unwrap();
    let from_c = wait(&c, &a).unwrap();
    drop(hub);
    let middle = child(&root, "middle");
    let _to_middle = wait(&a, &middle).unwrap();
    assert!(wait(&middle, &b).is_err() && wait(&middle, &c).is_err());
    assert!(open(&from_b) && open(&from_c));
}

#[test]
fn a_wait_for_who_has_ended_is_over_and_a_dropped_wait_is_forgotten() {
    let (_registry, root) = planted();
    let (one, two) = (child(&root, "one"), child(&root, "two"));
    let (to_one, to_two) = (contact(&two, &one), contact(&one, &two));
    drop(one.desk().wait_on(&to_two).unwrap());
    let back = two.desk().wait_on(&to_one).unwrap();
    one.leave(Ended::finished("first"));
    assert_eq!(
        back.ended().now_or_never().unwrap().unwrap().ended.text,
        "first"
    );
    let late = two.desk().wait_on(&to_one).unwrap();
    assert_eq!(
        late.ended().now_or_never().unwrap().unwrap().ended.text,
        "first"
    );
    let desk = two.desk();
    drop(two);
    assert!(
        desk.wait_on(&to_two).is_ok(),
        "who has left waits for nobody"
    );
}

/// What the tree knows, told in the slowest way.
#[derive(Default)]
struct Oracle {
    children: BTreeSet<(usize, usize)>,
    waits: BTreeSet<(usize, usize)>,
}

impl Oracle {
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut met = BTreeSet::from([from]);
        loop {
            let edges = self.children.iter().chain(&self.waits);
            let next: BTreeSet<_> = edges
                .filter(|(a, _)| met.contains(a))
                .map(|(_, b)| *b)
                .collect();
            let before = met.len();
            met.extend(next);
            if met.contains(&to) {
                return true;
            }
            if met.len() == before {
                return false;
            }
        }
    }

    fn is_edge(&self, from: usize, to: usize) -> bool {
        self.children.contains(&(from, to)) || self.waits.contains(&(from, to))
    }

    /// Who has a wait that is not for its own child.
    fn waits_in(&self, circle: &[usize]) -> Option<usize> {
        let next = circle.iter().cycle().skip(1);
        let hops = circle.iter().zip(next);
        let waits = hops.filter(|(a, b)| !self.children.contains(&(**a, **b)));
        waits.map(|(a, _)| *a).max()
    }
}

/// Random trees and waits. Says how many circles there were.
fn run(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let (_registry, root) = planted();
    let mut oracle = Oracle::default();
    let mut seats = vec![Some(root)];
    // A wait, by who waits and for whom; numbers are places in `seats`, which are in order of seq.
    let mut waits: Vec<((usize, usize), WaitOn)> = Vec::new();
    let mut circles = 0;
    for _ in 0..40 {
        let living: Vec<_> = (0..seats.len()).filter(|at| seats[*at].is_some()).collect();
        let (from, to) = (
            living[dice.roll(living.len())],
            living[dice.roll(living.len())],
        );
        match dice.roll(10) {
            0..3 if seats.len() < 12 => {
                let new = child(seats[from].as_ref().unwrap(), "x");
                oracle.children.insert((from, seats.len()));
                seats.push(Some(new));
            }
            3 if from != 0 && !oracle.children.iter().any(|(above, _)| *above == from) => {
                seats[from] = None;
                let gone = |(a, b): &(usize, usize)| *a != from && *b != from;
                oracle.children.retain(gone);
                oracle.waits.retain(gone);
                waits.retain(|(edge, wait)| {
                    let ended = wait.ended().now_or_never();
                    assert_eq!(
                        ended.is_some(),
                        edge.1 == from,
                        "who is waited for has ended"
                    );
                    gone(edge)
                });
            }
            4 if !waits.is_empty() => {
                let (edge, _) = waits.swap_remove(dice.roll(waits.len()));
                if !waits.iter().any(|(other, _)| *other == edge) {
                    oracle.waits.remove(&edge);
                }
            }
            _ => {
                let seat = |at: usize| seats[at].as_ref().unwrap();
                let closes = oracle.reaches(to, from);
                let entered = seat(from).desk().wait_on(&contact(seat(from), seat(to)));
                oracle.waits.insert((from, to));
                let mut stalls = Vec::new();
                match entered {
                    Ok(wait) => waits.push(((from, to), wait)),
                    Err(stall) => stalls.push(((from, to), stall)),
                }
                waits.retain(|(edge, wait)| match wait.ended().now_or_never() {
                    None => true,
                    Some(Err(stall)) => {
                        stalls.push((*edge, stall));
                        false
                    }
                    Some(Ok(stone)) => panic!("{} lives", stone.path),
                });
                assert_eq!(
                    closes,
                    !stalls.is_empty(),
                    "seed {seed}: found exactly when there"
                );
                circles += stalls.len();
                for (edge, stall) in &stalls {
                    let number = |path: &AgentPath| {
                        let same =
                            |seat: &Option<Seat>| seat.as_ref().is_some_and(|s| s.path() == path);
                        seats.iter().position(same).unwrap()
                    };
                    let circle: Vec<_> = stall.cycle.iter().map(number).collect();
                    for (a, b) in circle.iter().zip(circle.iter().cycle().skip(1)) {
                        assert!(
                            oracle.is_edge(*a, *b),
                            "seed {seed}: a circle of waits that are"
                        );
                    }
                    assert_eq!(circle[0], edge.0, "seed {seed}");
                    assert_eq!(
                        oracle.waits_in(&circle),
                        Some(edge.0),
                        "seed {seed}: the last one"
                    );
                }
                for (edge, _) in stalls {
                    if !waits.iter().any(|(other, _)| *other == edge) {
                        oracle.waits.remove(&edge);
                    }
                }
                for at in 0..seats.len() {
                    let next: Vec<_> = (0..seats.len())
                        .filter(|to| oracle.is_edge(at, *to))
                        .collect();
                    let free = next.iter().all(|next| !oracle.reaches(*next, at));
                    assert!(free, "seed {seed}: no circle is left");
                }
            }
        }
    }
    circles
}

#[test]
fn random_waits_are_refused_exactly_when_they_close_a_circle() {
    let circles: usize = (0..size(300, 10_000) as u64).map(run).sum();
    assert!(circles > 100, "there must be circles: {circles}");
}

#[test]
fn random_waits_without_circles_are_never_refused() {
    let mut waits = 0;
    for seed in 0..size(500, 10_000) as u64 {
        let mut dice = Dice(seed ^ 0xacdc);
        let (_registry, root) = planted();
        let seats: Vec<_> = (0..20).map(|_| child(&root, "x")).collect();
        let mut order: Vec<_> = (0..seats.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, dice.roll(at + 1));
        }
        let mut kept = Vec::new();
        for _ in 0..60 {
            let (a, b) = (dice.roll(20), dice.roll(20));
            if a < b {
                let (from, to) = (&seats[order[a]], &seats[order[b]]);
                kept.push(from.desk().wait_on(&contact(from, to)).unwrap());
            }
        }
        assert!(
            kept.iter()
                .all(|wait| wait.ended().now_or_never().is_none())
        );
        waits += kept.len();
    }
    assert!(waits > 1_000);
}
