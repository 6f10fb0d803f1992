//! Proofs of the budget: one meter, a child's share, random trees, races, bombs, long chains.
//! Refuses to trust one schedule or one shape of tree.

mod bombs;
mod chains;
mod ledgers;
mod model;
mod races;
mod shares;
mod trees;

use super::*;
use crate::{
    id::AgentPath,
    usage::{Cost, Spending, Usage},
};

/// Tokens that were read.
fn tokens(n: u64) -> Usage {
    Usage {
        input: n,
        requests: 1,
        ..Usage::default()
    }
}

fn micros(n: u64) -> Cost {
    Cost {
        micros: n,
        unknown: 0,
    }
}

/// A child of this name below the root.
fn child(of: &Meter, name: &str, budget: Budget) -> Result<(Meter, Place), Spent> {
    of.reserve(&AgentPath::root().child(name), "Agent", budget)
}

fn sum(rows: &[Spending]) -> (Usage, Cost) {
    let mut sum = (Usage::default(), Cost::default());
    for row in rows {
        sum.0 += row.usage;
        sum.1 += row.cost;
    }
    sum
}

/// The smaller size of a proof, or the whole of it under `OFFSHOOT_PROOF=full`.
fn size<T>(ci: T, full: T) -> T {
    if std::env::var("OFFSHOOT_PROOF").is_ok_and(|size| size == "full") {
        full
    } else {
        ci
    }
}
