//! Proofs of the budget: one meter, trees of meters, races, long chains.
//! Refuses to trust one schedule or one shape of tree.

use super::*;
use crate::{
    id::AgentPath,
    usage::{Cost, Usage},
};

fn tokens(n: u64) -> Usage {
    Usage {
        input: n,
        ..Usage::default()
    }
}

#[tokio::test]
async fn a_child_spends_only_what_all_above_have() {
    let root = Meter::new(Budget::unlimited().turns(2));
    let path = AgentPath::root().child("a");
    let (child, _place) = root.reserve(&path, "Agent", Budget::unlimited()).unwrap();
    assert!(child.admit().is_ok());
    assert!(root.admit().is_ok());
    assert_eq!(child.admit().unwrap_err(), Spent::new(Limit::Turns, 2));
}

#[tokio::test]
async fn tokens_and_money_are_refused_before_the_call() {
    let meter = Meter::new(Budget::unlimited().tokens(10).dollars(1.0));
    assert_eq!(meter.tokens_left(), Some(10));
    meter.charge(&tokens(10), Cost::default());
    assert_eq!(meter.admit().unwrap_err().limit, Limit::Tokens);
    let meter = Meter::new(Budget::unlimited().dollars(0.000_001));
    meter.charge(
        &Usage::default(),
        Cost {
            micros: 1,
            unknown: 0,
        },
    );
    assert_eq!(meter.admit().unwrap_err().limit, Limit::Money);
}
