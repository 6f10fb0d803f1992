//! Chains of many thousand agents: what they cost, and that nothing about them recurses.
//! Refuses small stacks as an excuse; the proofs run on one.

use super::*;

fn deep() -> Budget {
    let many = u64::MAX;
    Budget::unlimited()
        .tokens(many)
        .depth(many)
        .live(many)
        .spawns(many)
}

/// A chain below a root. The paths are flat: long ones are quadratic by themselves.
fn chain(root: &Meter, length: usize, each: &Budget) -> Vec<(Meter, Place)> {
    let mut agents: Vec<(Meter, Place)> = Vec::with_capacity(length);
    for n in 0..length {
        let above = agents.last().map_or(root, |(meter, _)| meter);
        let next = child(above, &n.to_string(), each.clone()).unwrap();
        agents.push(next);
    }
    agents
}

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 * 1024);
    thread.spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_chain_of_ten_thousand_ends_in_any_order_without_recursion() {
    on_a_small_stack(|| {
        let length = 10_000;
        for order in [
            "leaf first",
            "root first",
            "meters first",
            "root's meter first",
        ] {
            let root = Meter::new(deep());
            let mut agents = chain(&root, length, &Budget::unlimited());
            agents.iter().for_each(|(meter, _)| {
                meter.admit().unwrap();
                meter.charge(&tokens(1), Cost::default());
            });
            assert_eq!(root.spent().0.total(), length as u64);
            match order {
                "leaf first" => while agents.pop().is_some() {},
                "root first" => agents.into_iter().for_each(drop),
                "meters first" => {
                    let (meters, places): (Vec<_>, Vec<_>) = agents.into_iter().unzip();
                    drop(meters);
                    drop(places);
                }
                _ => {
                    drop(root);
                    drop(agents);
                    continue;
                }
            }
            assert_eq!(root.spent().0.total(), length as u64, "{order}");
            assert_eq!(sum(&root.ledger()), root.spent());
            assert_eq!((root.left().live, root.books().len()), (u64::MAX, 1));
        }
    });
}

/// What this thread has had of a processor, because the machine has other things to do.
#[cfg(unix)]
fn cpu_nanos() -> u128 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u128 * 1_000_000_000 + time.tv_nsec as u128
}

#[cfg(not(unix))]
fn cpu_nanos() -> u128 {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN
        .get_or_init(std::time::Instant::now)
        .elapsed()
        .as_nanos()
}

/// How long it takes to make a chain in which each agent makes a call, for one agent; the best of
/// several.
fn nanos_an_agent(length: usize, each: &Budget) -> u128 {
    let one = || {
        let root = Meter::new(deep());
        let began = cpu_nanos();
        let agents = chain(&root, length, each);
        for (meter, _) in &agents {
            meter.admit().unwrap();
            meter.charge(&tokens(1), Cost::default());
        }
        agents.into_iter().rev().for_each(drop);
        (cpu_nanos() - began) / length as u128
    };
    (0..7).map(|_| one()).min().unwrap()
}

#[test]
fn the_cost_of_an_agent_does_not_grow_with_the_depth_of_the_chain() {
    let (short, long) = (
        nanos_an_agent(500, &Budget::unlimited()),
        nanos_an_agent(10_000, &Budget::unlimited()),
    );
    assert!(long < 4 * short, "{short} ns an agent, then {long}");
}

/// The twin: where each agent has a limit of its own, all above are asked, and the proof sees it.
#[test]
fn twin_the_cost_of_an_agent_grows_when_every_pot_above_is_asked() {
    let each = Budget::unlimited().live(u64::MAX);
    let (short, long) = (nanos_an_agent(250, &each), nanos_an_agent(5_000, &each));
    assert!(long > 4 * short, "{short} ns an agent, then {long}");
}
