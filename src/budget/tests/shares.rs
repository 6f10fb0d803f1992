//! What one agent and its children may do, case by case.
//! Refuses sizes and schedules; those are proved next door.

use super::*;

#[tokio::test]
async fn a_child_spends_only_what_all_above_have() {
    let root = Meter::new(Budget::unlimited().turns(2));
    let (child, _place) = child(&root, "a", Budget::unlimited()).unwrap();
    assert!(child.admit().is_ok());
    assert!(root.admit().is_ok());
    assert_eq!(child.admit().unwrap_err(), Spent::new(Limit::Turns, 2));
    assert_eq!(root.left().turns, Some(0));
}

#[tokio::test]
async fn tokens_and_money_are_refused_before_the_call() {
    let meter = Meter::new(Budget::unlimited().tokens(10).dollars(1.0));
    assert_eq!(meter.tokens_left(), Some(10));
    meter.charge(&tokens(10), Cost::default());
    assert_eq!(meter.admit().unwrap_err().limit, Limit::Tokens);
    assert_eq!(meter.affords().unwrap_err().limit, Limit::Tokens);
    let meter = Meter::new(Budget::unlimited().dollars(0.000_001));
    meter.charge(&Usage::default(), micros(1));
    assert_eq!(meter.admit().unwrap_err().limit, Limit::Money);
}

#[test]
fn what_is_reserved_is_out_of_reach_and_what_is_not_used_comes_back() {
    let root = Meter::new(Budget::unlimited().tokens(1_000).turns(10).dollars(1.0));
    let asked = Budget::unlimited().tokens(600).turns(4).dollars(0.25);
    let (first, place) = child(&root, "a", asked).unwrap();
    let left = root.left();
    assert_eq!(
        (left.tokens, left.turns, left.micros),
        (Some(400), Some(6), Some(750_000))
    );
    // A sibling gets what is left, whatever it asks for; then there is nothing, for anybody.
    let (second, _second) = child(&root, "b", Budget::unlimited().tokens(9_999)).unwrap();
    assert_eq!(second.tokens_left(), Some(400));
    let refused = root.admit().unwrap_err();
    assert_eq!(
        (refused.limit, refused.allowed, refused.held),
        (Limit::Tokens, 1_000, 1_000)
    );
    assert_eq!(
        child(&root, "c", Budget::unlimited()).unwrap_err().limit,
        Limit::Tokens
    );
    // The share itself is untouched by all this.
    first.admit().unwrap();
    first.charge(&tokens(100), micros(1_000));
    assert_eq!(first.tokens_left(), Some(500));
    drop(place);
    let left = root.left();
    assert_eq!(
        (left.tokens, left.turns, left.micros),
        (Some(500), Some(9), Some(999_000))
    );
    root.admit().unwrap();
}

#[test]
fn a_child_that_asks_for_nothing_draws_on_what_is_above() {
    let root = Meter::new(Budget::unlimited().tokens(100));
    let (middle, _middle) = child(&root, "a", Budget::unlimited()).unwrap();
    let (leaf, _leaf) = child(&middle, "b", Budget::unlimited()).unwrap();
    leaf.charge(&tokens(40), Cost::default());
    assert_eq!(root.tokens_left(), Some(60));
    assert_eq!(middle.tokens_left(), Some(60));
    root.charge(&tokens(60), Cost::default());
    assert_eq!(leaf.admit().unwrap_err().limit, Limit::Tokens);
    assert_eq!((leaf.spent().0, middle.spent().0.total()), (tokens(40), 40));
    assert_eq!(root.spent().0.total(), 100);
}

#[test]
fn more_than_the_share_is_taken_from_above_at_once() {
    let root = Meter::new(Budget::unlimited().tokens(100));
    let (greedy, place) = child(&root, "a", Budget::unlimited().tokens(50)).unwrap();
    let (modest, _modest) = child(&root, "b", Budget::unlimited().tokens(50)).unwrap();
    greedy.admit().unwrap();
    greedy.charge(&tokens(80), Cost::default());
    assert_eq!(greedy.admit().unwrap_err().allowed, 50);
    // The other share is there, but only 20 of it have not been used by somebody else.
    assert_eq!(modest.tokens_left(), Some(20));
    modest.admit().unwrap();
    modest.charge(&tokens(20), Cost::default());
    let refused = modest.admit().unwrap_err();
    assert_eq!((refused.limit, refused.allowed), (Limit::Tokens, 100));
    drop(place);
    assert_eq!(modest.affords().unwrap_err().allowed, 100);
    assert_eq!(root.tokens_left(), Some(0));
}

#[test]
fn after_the_end_a_meter_refuses_and_still_books() {
    let root = Meter::new(Budget::unlimited().tokens(100));
    let (meter, place) = child(&root, "a", Budget::unlimited().tokens(50)).unwrap();
    let clone = meter.clone();
    let slot = meter.process().unwrap();
    drop(place);
    let ended = |refused: Option<Spent>| refused.map(|spent| spent.limit) == Some(Limit::Ended);
    assert!(ended(clone.admit().err()) && ended(clone.affords().err()));
    assert!(ended(clone.process().err()));
    assert!(ended(child(&clone, "b", Budget::unlimited()).err()));
    assert_eq!(root.left().live, Budget::DEFAULT_LIVE);
    // A call that was in flight when the child ended.
    clone.charge(&tokens(30), micros(3));
    assert_eq!(root.tokens_left(), Some(70));
    assert_eq!(root.spent(), (tokens(30), micros(3)));
    let rows = root.ledger();
    assert_eq!((rows.len(), rows[1].usage), (2, tokens(30)));
    drop((clone, meter));
    assert_eq!(root.left().processes, Budget::DEFAULT_PROCESSES - 1);
    drop(slot);
    assert_eq!(root.left().processes, Budget::DEFAULT_PROCESSES);
    assert_eq!(root.ledger(), rows);
}

#[test]
fn what_grandchildren_need_stays_with_them_when_their_parent_ends() {
    let root = Meter::new(Budget::unlimited().tokens(100));
    let (middle, place) = child(&root, "a", Budget::unlimited().tokens(60)).unwrap();
    let (own, own_place) = child(&middle, "b", Budget::unlimited().tokens(20)).unwrap();
    let (direct, direct_place) = child(&middle, "c", Budget::unlimited()).unwrap();
    drop(place);
    // One of them draws on the whole share.
    assert_eq!(root.tokens_left(), Some(40));
    assert_eq!(direct.tokens_left(), Some(40));
    direct.admit().unwrap();
    drop(direct_place);
    // The other has a share of its own: the rest goes back.
    assert_eq!(root.tokens_left(), Some(80));
    own.admit().unwrap();
    own.charge(&tokens(5), Cost::default());
    drop(own_place);
    assert_eq!(root.tokens_left(), Some(95));
}

#[test]
fn limits_on_the_tree_count_everything_below_and_only_narrow() {
    let root = Meter::new(Budget::unlimited().live(3).spawns(5).processes(2));
    let wide = Budget::unlimited().live(99).spawns(99).processes(99);
    let (first, _first) = child(&root, "a", wide).unwrap();
    assert_eq!(first.left().live, 2, "a child cannot widen what is above");
    let (second, _second) = child(&first, "b", Budget::unlimited().live(0)).unwrap();
    let refused = child(&second, "c", Budget::unlimited()).unwrap_err();
    assert_eq!((refused.limit, refused.allowed), (Limit::Live, 0));
    let (_, third) = child(&first, "c", Budget::unlimited()).unwrap();
    let refused = child(&first, "d", Budget::unlimited()).unwrap_err();
    assert_eq!((refused.limit, refused.allowed), (Limit::Live, 3));
    drop(third);
    let (_, fourth) = child(&first, "d", Budget::unlimited()).unwrap();
    drop(fourth);
    let (_, fifth) = child(&root, "e", Budget::unlimited()).unwrap();
    drop(fifth);
    let refused = child(&root, "f", Budget::unlimited()).unwrap_err();
    assert_eq!(
        (refused.limit, refused.allowed),
        (Limit::Spawns, 5),
        "starts are never given back"
    );
    let slots = [root.process().unwrap(), second.process().unwrap()];
    let refused = first.process().unwrap_err();
    assert_eq!((refused.limit, refused.allowed), (Limit::Processes, 2));
    drop(slots);
    drop(first.process().unwrap());
}

#[test]
fn depth_is_inherited() {
    let root = Meter::new(Budget::unlimited());
    let (a, _a) = child(&root, "a", Budget::unlimited().depth(99)).unwrap();
    let (b, _b) = child(&a, "b", Budget::unlimited().depth(99)).unwrap();
    let (c, _c) = child(&b, "c", Budget::unlimited().depth(99)).unwrap();
    assert_eq!(
        [&root, &a, &b, &c].map(|meter| meter.left().depth),
        [3, 2, 1, 0]
    );
    let refused = child(&c, "d", Budget::unlimited().depth(99)).unwrap_err();
    assert_eq!((refused.limit, refused.allowed), (Limit::Depth, 3));
    let (narrow, _narrow) = child(&root, "n", Budget::unlimited().depth(0)).unwrap();
    let refused = child(&narrow, "x", Budget::unlimited()).unwrap_err();
    assert_eq!((refused.limit, refused.allowed), (Limit::Depth, 1));
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_a_child_is_never_later_than_any_above() {
    let second = Duration::from_secs(1);
    let root = Meter::new(Budget::unlimited().time(10 * second));
    tokio::time::advance(4 * second).await;
    let (late, _late) = child(&root, "a", Budget::unlimited().time(20 * second)).unwrap();
    assert_eq!(late.deadline(), root.deadline());
    let (soon, _soon) = child(&late, "b", Budget::unlimited().time(2 * second)).unwrap();
    let (leaf, _leaf) = child(&soon, "c", Budget::unlimited()).unwrap();
    assert_eq!(leaf.left().millis, Some(2_000));
    tokio::time::advance(2 * second).await;
    let refused = leaf.admit().unwrap_err();
    assert_eq!((refused.limit, refused.allowed), (Limit::Time, 2_000));
    assert_eq!(leaf.affords().unwrap_err().limit, Limit::Time);
    assert_eq!(
        child(&soon, "d", Budget::unlimited()).unwrap_err().limit,
        Limit::Time
    );
    assert!(late.admit().is_ok());
    tokio::time::advance(4 * second).await;
    assert_eq!(late.admit().unwrap_err().allowed, 10_000);
    let endless = Meter::new(Budget::unlimited().time(Duration::MAX));
    assert!(endless.deadline().is_none() && endless.admit().is_ok());
}

#[test]
fn numbers_of_any_size_neither_wrap_nor_panic() {
    let root = Meter::new(Budget::unlimited().tokens(u64::MAX).turns(3));
    let (meter, place) = child(&root, "a", Budget::unlimited().tokens(u64::MAX - 1)).unwrap();
    let huge = Usage {
        input: u64::MAX,
        output: u64::MAX,
        cache_read: u64::MAX,
        ..Usage::default()
    };
    meter.charge(&huge, micros(u64::MAX));
    meter.charge(&huge, micros(u64::MAX));
    drop((meter, place));
    assert_eq!(root.tokens_left(), Some(0));
    assert_eq!(root.spent(), sum(&root.ledger()));
}

#[test]
fn every_refusal_says_what_it_is_and_what_to_do() {
    let spent = |limit, allowed, held| Spent {
        held,
        ..Spent::new(limit, allowed)
    };
    #[rustfmt::skip]
    let rows = [
        (spent(Limit::Turns, 5, 0), "turns", "the limit of 5 model calls is reached", "finish with"),
        (spent(Limit::Tokens, 9, 4), "tokens", "the limit of 9 tokens is reached; 4 of it is held for children", "wait for a child"),
        (spent(Limit::Money, 1_500_000, 500_000), "money", "the limit of $1.5000 is reached; $0.5000 of it is held for children", "wait for a child"),
        (spent(Limit::Time, 10, 0), "time", "the limit of 10 ms is reached", "finish with"),
        (spent(Limit::Live, 20, 0), "live_children", "the limit of 20 agents at once is reached", "wait for a child to end, then start the next"),
        (spent(Limit::Spawns, 200, 0), "spawns", "the limit of 200 agents in all is reached", "do the rest yourself"),
        (spent(Limit::Processes, 64, 0), "processes", "the limit of 64 processes at once is reached", "wait for a process"),
        (spent(Limit::Depth, 3, 0), "depth", "the limit of 3 levels of agents is reached", "do the work yourself; no deeper agents are allowed"),
        (spent(Limit::Ended, 0, 0), "ended", "the agent has ended", "start a new agent"),
    ];
    for (spent, word, text, hint) in rows {
        assert_eq!((spent.limit.as_str(), &*spent.to_string()), (word, text));
        assert!(spent.hint().starts_with(hint), "{word}: {}", spent.hint());
    }
}
