//! Random lives of many sessions in two stores at once: both must answer the same, always.
//! Refuses to know which of them is right.

use std::sync::Arc;

use offshoot::{
    Result, SessionId,
    store::{Batch, Card, Claim, Claiming, MemoryStore, Row, SqliteStore, Store, Sum},
};

use super::shelf::{quick_folder, runtime};
use crate::kit::{Dice, size};

/// Names that sessions may have.
const NAMES: u64 = 6;

/// A session that is being written, in both stores.
struct Pen {
    claims: [Claim; 2],
    last: u64,
    sum: Sum,
}

/// Both answers, which must be alike; the first.
fn alike<T: PartialEq + std::fmt::Debug>(what: &str, answers: [Result<T>; 2]) -> Option<T> {
    let [a, b] = answers;
    let kinds = (a.as_ref().err(), b.as_ref().err());
    assert_eq!(
        kinds.0.map(|e| e.kind()),
        kinds.1.map(|e| e.kind()),
        "{what}"
    );
    if let (Ok(a), Ok(b)) = (&a, &b) {
        assert_eq!(a, b, "{what}");
    }
    a.ok()
}

/// A card whose times are not those of the clock.
fn timeless(mut card: Card) -> Card {
    (card.created, card.touched) = (0, 0);
    card
}

fn rows(dice: &mut Dice, pen: &Pen) -> Vec<Row> {
    let mut end = (pen.last, pen.sum);
    let row = |n: u64| {
        let body = vec![n as u8; (n % 50) as usize];
        let seq = end.0 + 1;
        end = (seq, end.1.next(seq, n.is_multiple_of(2), &body));
        Row {
            seq,
            sum: end.1,
            told: n.is_multiple_of(2),
            body: body.into(),
        }
    };
    let count = dice.below(5);
    let seeds: Vec<_> = (0..count).map(|_| dice.roll()).collect();
    seeds.into_iter().map(row).collect()
}

async fn life(seed: u64) {
    let home = quick_folder();
    let stores: [Arc<dyn Store>; 2] = [
        Arc::new(MemoryStore::new()),
        Arc::new(SqliteStore::open(home.path()).unwrap()),
    ];
    macro_rules! both {
        ($store:ident => $ask:expr) => {{
            let [$store, other] = &stores;
            let first = $ask.await;
            let $store = other;
            [first, $ask.await]
        }};
    }
    let mut dice = Dice(seed * 7919 + 1);
    let mut pens: Vec<Pen> = Vec::new();
    for step in 0..60 {
        let what = format!("seed {seed}, step {step}");
        let id = SessionId::new(format!("session {}", dice.below(NAMES)));
        let other = SessionId::new(format!("session {}", dice.below(NAMES)));
        let pen = pens
            .len()
            .checked_sub(1)
            .map(|last| dice.below(last as u64 + 1) as usize);
        match (dice.below(12), pen) {
            (0 | 1, _) | (_, None) => {
                let claiming = match dice.below(3) {
                    0 => Claiming::TakeOver,
                    _ => Claiming::IfFree,
                };
                let claims = both!(store => store.claim(&id, claiming.clone()));
                let ends = claims.each_ref().map(|claim| match claim {
                    Ok(claim) => Ok((claim.last, claim.sum)),
                    Err(error) => Err(error.clone()),
                });
                if let (Some((last, sum)), [Ok(a), Ok(b)]) = (alike(&what, ends), claims) {
                    let claims = [a, b];
                    pens.push(Pen { claims, last, sum });
                }
            }
            (2..=5, Some(pen)) => {
                let pen = &mut pens[pen];
                let rows = rows(&mut dice, pen);
                let mut card = Card::new(pen.claims[0].session.clone());
                card.title = what.clone();
                let sync = dice.below(2) == 0;
                let batch = Batch { rows, sync, card };
                let answers = [
                    stores[0].append(&pen.claims[0], batch.clone()).await,
                    stores[1].append(&pen.claims[1], batch.clone()).await,
                ];
                if let (Some(_), Some(row)) = (alike(&what, answers), batch.rows.last()) {
                    (pen.last, pen.sum) = (row.seq, row.sum);
                }
            }
            (6, Some(pen)) => {
                let pen = &mut pens[pen];
                let last = dice.below(pen.last + 2);
                let answers = [
                    stores[0].cut(&pen.claims[0], last).await,
                    stores[1].cut(&pen.claims[1], last).await,
                ];
                if alike(&what, answers).is_some() {
                    let id = &pen.claims[0].session;
                    let page = stores[0].read(id, 1..u64::MAX).await.unwrap();
                    let end = page.last().map(|row| (row.seq, row.sum));
                    (pen.last, pen.sum) = end.unwrap_or_default();
                }
            }
            (7, Some(pen)) => drop(pens.swap_remove(pen)),
            (8, _) => {
                alike(&what, both!(store => store.remove(&id)));
            }
            (9 | 10, _) => {
                let last = dice.below(8);
                alike(&what, both!(store => store.fork(&id, last, &other)));
            }
            _ => {
                let from = dice.below(8);
                let to = from + dice.below(8);
                alike(&what, both!(store => store.read(&id, from..to)));
            }
        }
    }
    for n in 0..NAMES {
        let id = SessionId::new(format!("session {n}"));
        let what = format!("seed {seed}, {id}");
        let cards = both!(store => store.card(&id));
        alike(&what, cards.map(|card| Ok(card?.map(timeless))));
        alike(&what, both!(store => store.read(&id, 1..u64::MAX)));
    }
    let lists = both!(store => store.list());
    let sorted = lists.map(|cards| {
        let mut cards: Vec<_> = cards?.into_iter().map(timeless).collect();
        cards.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(cards)
    });
    alike(&format!("seed {seed}, the list"), sorted);
}

#[test]
fn random_lives_in_memory_and_in_a_file_are_the_same_lives() {
    let runtime = runtime();
    for seed in 0..size(100, 10_000) {
        runtime.block_on(life(seed));
    }
}
