//! Recursion bombs by agents that obey every rule: each starts ten children as long as it may.
//! Refuses to stop them by anything but the limits.

use super::*;

/// The most that was seen at any moment, and the refusals.
#[derive(Default)]
struct Seen {
    alive: u64,
    started: u64,
    deepest: usize,
    calls: u64,
    refusals: std::collections::BTreeMap<&'static str, u64>,
}

/// An agent that lives: its meter, its place, where it stands.
struct Spawner {
    meter: Meter,
    _place: Option<Place>,
    path: AgentPath,
}

impl Spawner {
    fn root(budget: Budget) -> Self {
        Self {
            meter: Meter::new(budget),
            _place: None,
            path: AgentPath::root(),
        }
    }
}

/// Level by level: each agent makes a call, then starts ten more. `start` is how.
fn explode(
    root: Spawner,
    most: u64,
    start: impl Fn(&Spawner, &AgentPath) -> Result<Spawner, Spent>,
) -> (Seen, Spawner) {
    let mut seen = Seen::default();
    let mut agents = vec![root];
    let mut at = 0;
    while at < agents.len() && seen.started < most {
        let agent = &agents[at];
        let mut children = Vec::new();
        let mut refuse = |spent: Spent| {
            *seen.refusals.entry(spent.limit.as_str()).or_default() += 1;
        };
        match agent.meter.admit() {
            Ok(()) => {
                seen.calls += 1;
                agent.meter.charge(&tokens(100), micros(1_000));
            }
            Err(spent) => refuse(spent),
        }
        for n in 0..10 {
            let path = agent.path.child(&n.to_string());
            match start(agent, &path) {
                Ok(child) => {
                    seen.started += 1;
                    seen.deepest = seen.deepest.max(path.depth());
                    children.push(child);
                }
                Err(spent) => refuse(spent),
            }
            seen.alive = seen.alive.max((agents.len() - 1 + children.len()) as u64);
        }
        agents.extend(children);
        at += 1;
    }
    agents.truncate(1);
    (seen, agents.remove(0))
}

/// As the rules want it: a child is reserved from the one above.
fn reserve(agent: &Spawner, path: &AgentPath) -> Result<Spawner, Spent> {
    // It asks for as much as it can think of; that helps nothing.
    let wish = Budget::unlimited().depth(1_000).live(1_000).spawns(100_000);
    let (meter, place) = agent.meter.reserve(path, "Agent", wish)?;
    Ok(Spawner {
        meter,
        _place: Some(place),
        path: path.clone(),
    })
}

#[test]
fn inv07_a_recursion_bomb_of_obedient_agents_ends_at_the_limits() {
    let budget = Budget::unlimited().tokens(1_500);
    let (seen, root) = explode(Spawner::root(budget), 100_000, reserve);
    assert_eq!(seen.alive, Budget::DEFAULT_LIVE);
    assert!(seen.deepest <= Budget::DEFAULT_DEPTH as usize);
    assert_eq!(seen.calls, 15, "the bill is bounded: 1,500 tokens");
    assert_eq!(root.meter.spent().0.total(), 1_500);
    assert_eq!(sum(&root.meter.ledger()), root.meter.spent());
    assert!(seen.refusals["live_children"] > 0 && seen.refusals["tokens"] > 0);
    assert_eq!(root.meter.left().live, Budget::DEFAULT_LIVE);

    // Wide enough for the other two limits to be the ones that hold.
    let wide = Budget::unlimited().live(1_000_000);
    let (seen, root) = explode(Spawner::root(wide), 100_000, reserve);
    assert_eq!(seen.started, Budget::DEFAULT_SPAWNS);
    assert_eq!(root.meter.left().spawns, 0);
    assert!(seen.refusals["spawns"] > 0);
    let wide = Budget::unlimited().live(1_000_000).spawns(1_000_000);
    let (seen, _root) = explode(Spawner::root(wide), 100_000, reserve);
    assert_eq!((seen.deepest, seen.started), (3, 10 + 100 + 1_000));
    assert_eq!(seen.refusals["depth"], 10_000);
}

/// The twin: limits that hold for each agent alone, and are not asked above.
#[test]
fn twin_inv07_a_bomb_outgrows_limits_that_nobody_above_is_asked_for() {
    let budget = Budget::unlimited().tokens(1_500);
    let alone = |agent: &Spawner, path: &AgentPath| {
        drop(agent.meter.reserve(path, "Agent", Budget::unlimited())?);
        Ok(Spawner {
            meter: Meter::new(Budget::unlimited().tokens(1_500)),
            _place: None,
            path: path.clone(),
        })
    };
    let (seen, _root) = explode(Spawner::root(budget), 5_000, alone);
    assert!(seen.alive > 10 * Budget::DEFAULT_LIVE);
    assert!(seen.started > 10 * Budget::DEFAULT_SPAWNS);
    assert!(seen.deepest > Budget::DEFAULT_DEPTH as usize);
    assert!(seen.calls * 100 > 10 * 1_500);
}

#[test]
fn inv07_a_depth_bomb_stops_at_the_inherited_limit() {
    for (limit, asked) in [(3, 1_000), (10_000, 20_000)] {
        let budget = Budget::unlimited().depth(limit).live(asked).spawns(asked);
        let root = Meter::new(budget);
        let mut line: Vec<(Meter, Place)> = Vec::new();
        let refused = loop {
            let above = line.last().map_or(&root, |(meter, _)| meter);
            // It cannot be set anew from below.
            match child(above, "deeper", Budget::unlimited().depth(asked)) {
                Ok(next) => line.push(next),
                Err(refused) => break refused,
            }
        };
        assert_eq!(line.len() as u64, limit);
        assert_eq!((refused.limit, refused.allowed), (Limit::Depth, limit));
    }
}
