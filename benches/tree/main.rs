//! What the agent tree costs: a child's way to its first poll, its life, its memory, its mail, a cancel.
//! Refuses figures without a floor: each stands beside bare parts of the same shape in the same run.

mod cancel;
mod children;
mod clock;
#[path = "../shared/cpu.rs"]
mod cpu;
mod depth;
#[path = "../turns/floors/obvious.rs"]
mod floor;
mod hundred;
mod mail;
#[path = "../shared/memory.rs"]
mod memory;
mod parent;
mod server;
mod spawn;

use std::time::Duration;

use self::children::CHILDREN;

/// Runs of each row, of which the median counts.
const RUNS: usize = 5;

fn main() {
    // The floor builds its own client; like ours, it gets ring.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let args: Vec<String> = std::env::args().collect();
    let after = |word: &str| args.iter().position(|arg| arg == word).map(|at| at + 1);
    if after("serve").is_some() {
        return runtime().block_on(server::serve());
    }
    if let Some(at) = after("only") {
        return only(&args[at], args[at + 1].parse().unwrap());
    }
    let runs = if after("--quick").is_some() { 1 } else { RUNS };
    println!("| row | floor | offshoot | ratio | target |\n|---|--:|--:|--:|--:|");
    let runtime = runtime();
    // First, because what later rows free would be used again and count for nothing.
    let (before, tree) = (memory::rss_kib(), runtime.block_on(children::alive()));
    let each = (memory::rss_kib() - before) / CHILDREN as f64;
    drop(tree);
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let floor = median(runs, || runtime.block_on(spawn::floor()));
    let ours = median(runs, || runtime.block_on(spawn::ours()));
    row(
        "spawn to first poll, µs",
        micros(floor),
        micros(ours),
        "10 µs",
    );
    let floor = median(runs, || {
        let used = cpu::counted();
        runtime.block_on(children::floor(CHILDREN));
        used()
    });
    let ours = median(runs, || {
        let used = cpu::counted();
        runtime.block_on(children::ours(CHILDREN));
        used()
    });
    let each_of = |time: Duration| micros(time) / CHILDREN as f64;
    row(
        "1,000 children x 2 turns, CPU µs a child",
        each_of(floor),
        each_of(ours),
        "",
    );
    for (name, above) in cancel::SHAPES {
        let name = format!("cancel of 10,000 descendants, {name}, ms");
        let floor = median(runs, || runtime.block_on(cancel::floor(above)));
        let ours = median(runs, || runtime.block_on(cancel::ours(above)));
        row(&name, micros(floor) / 1e3, micros(ours) / 1e3, "3");
    }
    let (floor, ours) = hundred::both(runs);
    let millis = |time: Duration| micros(time) / 1e3;
    row(
        "100 children with streams at once, CPU ms",
        millis(floor.cpu),
        millis(ours.cpu),
        "1",
    );
    row(
        "the same, from beginning to end, ms",
        millis(floor.wall),
        millis(ours.wall),
        "1.03",
    );
    let (floor, ours) = (mail::best(runs, mail::floor), mail::best(runs, mail::ours));
    row(
        "mailbox, one thread in and one out, million notes a second",
        floor / 1e6,
        ours / 1e6,
        "2 million",
    );
    counted();
    println!("| memory of a live child, KiB | - | {each:.1} | | |");
}

/// The rows that are counted in instructions, where there is something to count them with.
fn counted() {
    let sizes = [100, 300];
    let floor = clock::instructions("sessions", sizes);
    if let (Some(floor), Some(ours)) = (floor, clock::instructions("children", sizes)) {
        row(
            "children x 2 turns, thousand instructions a child",
            floor / 1e3,
            ours / 1e3,
            "",
        );
    }
    let floor = clock::counted("bare", 1);
    if let (Some(floor), Some(ours)) = (floor, clock::counted("tree", 1)) {
        row(
            "100 children with streams at once, million instructions of all",
            floor / 1e6,
            ours / 1e6,
            "1",
        );
    }
    let sizes = [1_000, 3_000];
    let floor = clock::instructions("queue", sizes);
    if let (Some(floor), Some(ours)) = (floor, clock::instructions("mail", sizes)) {
        row("a note by mail, ten at once, instructions", floor, ours, "");
    }
    let shallow = clock::instructions("depth-1", sizes);
    if let (Some(shallow), Some(deep)) = (shallow, clock::instructions("depth-10", sizes)) {
        row(
            "an event from depth 10 beside one from depth 1, instructions",
            shallow,
            deep,
            "1.5",
        );
    }
}

/// For a profiler: one thing of one size, once.
fn only(what: &str, size: u64) {
    let runtime = runtime();
    match what {
        "sessions" => runtime.block_on(children::floor(size as usize)),
        "children" => runtime.block_on(children::ours(size as usize)),
        "depth-1" => runtime.block_on(depth::run(1, size)),
        "depth-10" => runtime.block_on(depth::run(10, size)),
        "queue" => mail::floor_alone(size),
        "mail" => mail::alone(size),
        "bare" => runtime.block_on(hundred::bare(&server::Server::start().url())),
        "tree" => runtime.block_on(hundred::tree(&server::Server::start().url())),
        other => panic!("nothing of this name: {other}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn row(name: &str, floor: f64, ours: f64, target: &str) {
    let ratio = ours / floor;
    println!("| {name} | {floor:.2} | {ours:.2} | {ratio:.2} | {target} |");
}

fn median(runs: usize, mut run: impl FnMut() -> Duration) -> Duration {
    run();
    let mut times: Vec<_> = (0..runs).map(|_| run()).collect();
    times.sort();
    times[times.len() / 2]
}
