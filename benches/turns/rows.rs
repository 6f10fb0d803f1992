//! The table of CPU time and memory: every side on the same bytes from the same server, in one run.
//! Refuses a figure without its floors, and a crowd of which one stream was lost.

use tokio::runtime::Runtime;

use crate::{
    Pace,
    apart::{Server, number, numbers},
    cpu,
    memory::rss_kib,
    runtime,
    side::{Client, Side},
    spread::{Spread, millis},
};

/// One row: what is run, and how much CPU it may cost as a share of the obvious floor's.
struct Row {
    name: &'static str,
    prompt: &'static str,
    rounds: usize,
    target: f64,
}

const ROWS: &[Row] = &[
    Row {
        name: "text, 2,000 deltas",
        prompt: "text",
        rounds: 21,
        target: 0.8,
    },
    Row {
        name: "50 tool turns",
        prompt: "tools 50",
        rounds: 15,
        target: 1.0,
    },
    Row {
        name: "200 tool turns",
        prompt: "tools 200",
        rounds: 9,
        target: 0.6,
    },
];

/// Sessions of a crowd, all of whose streams are open at once, and how often it is measured.
const CROWDS: [(usize, usize); 2] = [(1_000, 9), (10_000, 5)];
/// Turns of each of them.
const CROWD_TURNS: usize = 3;
/// What a crowd may cost beside the obvious floor.
const CROWD_TARGET: f64 = 1.0;

/// Sessions that are parked.
const PARKED: usize = 1_000;
/// How often they are.
const PARKED_ROUNDS: usize = 5;

/// Prints the table. Returns what is above its target.
pub(crate) fn table(pace: Pace) -> Vec<String> {
    println!("| row | bare | careful | obvious | offshoot | / careful | / obvious | at most |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut missed = Vec::new();
    let server = Server::start();
    for row in ROWS {
        let measure = |side: Side| {
            let (runtime, client) = warm(side, &server.url);
            let used = cpu::counted();
            std::hint::black_box(runtime.block_on(client.run(row.prompt, 1, 1)));
            millis(used())
        };
        // The first round warms up.
        let rounds = pace.rounds(row.rounds) + 1;
        let spreads = interleaved(rounds, 1, measure);
        let name = format!("{}, CPU ms", row.name);
        missed.extend(print(&name, spreads, row.target));
    }
    for (many, rounds) in CROWDS {
        if many > CROWDS[0].0 && pace == Pace::Quick {
            continue;
        }
        let spreads = interleaved(pace.rounds(rounds), 0, |side| crowd_apart(side, many));
        let name = format!(
            "{many},000 sessions x {CROWD_TURNS} turns, all streams open at once, CPU ms",
            many = many / 1_000
        );
        missed.extend(print(&name, spreads, CROWD_TARGET));
    }
    for answered in [Answered::AtOnce, Answered::AsAsked] {
        missed.extend(parked(answered, pace));
    }
    missed
}

/// Measures all sides in turn, so that a noisy neighbour disturbs all of them.
fn interleaved(rounds: usize, skip: usize, measure: impl Fn(Side) -> f64) -> [Spread; 4] {
    let mut readings: [Vec<f64>; 4] = Default::default();
    for round in 0..rounds {
        for (side, out) in Side::ALL.into_iter().zip(&mut readings) {
            let reading = measure(side);
            if round >= skip {
                out.push(reading);
            }
        }
    }
    readings.map(Spread::of)
}

fn print(name: &str, spreads: [Spread; 4], target: f64) -> Option<String> {
    let [_, careful, obvious, ours] = spreads;
    let ratio = ours.median / obvious.median;
    println!(
        "| {name} | {} | {:.2} | {ratio:.2} | {target} |",
        spreads.map(|spread| spread.to_string()).join(" | "),
        ours.median / careful.median,
    );
    (ratio > target).then(|| format!("{name}: {ratio:.2} > {target}"))
}

/// Measures a crowd in a process of its own, with a server that only it talks to.
fn crowd_apart(side: Side, many: usize) -> f64 {
    let server = Server::start();
    let cpu = number(&["crowd", side.name(), &server.url, &many.to_string()]);
    let (peak, served) = server.peak();
    assert_eq!(peak, many, "{}: streams open at once", side.name());
    assert_eq!(served, many * CROWD_TURNS, "{}: streams", side.name());
    cpu
}

/// How those were answered who are parked.
#[derive(Clone, Copy, PartialEq)]
enum Answered {
    /// All streams were open at once, so that each has a connection of its own.
    AtOnce,
    /// Whoever was answered early left its connection to others.
    AsAsked,
}

/// Measures parked sessions of each side in a process of its own.
fn parked(answered: Answered, pace: Pace) -> Option<String> {
    let (name, prompt) = match answered {
        Answered::AtOnce => ("all answered at once", format!("crowd {PARKED}")),
        Answered::AsAsked => ("answered as they asked", "short".to_owned()),
    };
    let mut held = [0.0; 4];
    let mut kib: [Vec<f64>; 4] = Default::default();
    for _ in 0..pace.rounds(PARKED_ROUNDS) {
        for ((side, kib), held) in Side::ALL.into_iter().zip(&mut kib).zip(&mut held) {
            let server = Server::start();
            let numbers = numbers(&["park", side.name(), &server.url, &prompt]);
            let [each, connections] = numbers[..] else {
                panic!("{}: {numbers:?}", side.name())
            };
            if answered == Answered::AtOnce {
                assert_eq!(server.peak(), (PARKED, PARKED), "{}", side.name());
                assert!(connections >= PARKED as f64, "{}", side.name());
            }
            kib.push(each);
            *held = connections;
        }
    }
    let kib = kib.map(Spread::of);
    let cells: Vec<_> = kib
        .iter()
        .zip(held)
        .map(|(kib, held)| format!("{kib}, {held}"))
        .collect();
    let [bare, careful, obvious, ours] = kib.each_ref().map(|kib| kib.median);
    let most = bare + 10.0;
    println!(
        "| a parked session, {name}, KiB, and connections | {} | {:.2} | {:.2} | bare + 10: {most:.1} |",
        cells.join(" | "),
        ours / careful,
        ours / obvious,
    );
    (ours > most).then(|| format!("a parked session, {name}: {ours:.1} > {most:.1}"))
}

/// What the process of a crowd does; every turn must end as it should.
pub(crate) fn crowd(side: &str, url: &str, many: &str) {
    let many = many.parse().unwrap();
    let prompt = format!("crowd {many}");
    let (runtime, client) = warm(Side::named(side), url);
    let used = cpu::counted();
    let crowd = client.crowd(&prompt, many, CROWD_TURNS);
    std::hint::black_box(runtime.block_on(crowd));
    println!("{}", millis(used()));
}

/// A client that has been made and has had one short answer.
fn warm(side: Side, url: &str) -> (Runtime, Client) {
    let runtime = runtime();
    let client = side.client(url);
    runtime.block_on(client.run("short", 1, 1));
    (runtime, client)
}

/// What the process of parked sessions does: opens them side by side, has them answered, keeps them
/// with their connections, and prints KiB for each and how many connections there are.
pub(crate) fn park(side: &str, url: &str, prompt: &str) {
    runtime().block_on(async {
        let client = Side::named(side).client(url);
        let others = sockets();
        client.run("short", 1, 1).await;
        let before = rss_kib();
        let kept = client.run(prompt, PARKED, 1).await;
        let kib = (rss_kib() - before) / kept.len() as f64;
        println!("{kib} {}", sockets() - others);
    });
}

/// How many sockets this process has.
fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    open.filter(|to| to.to_string_lossy().starts_with("socket:"))
        .count()
}
