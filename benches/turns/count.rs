//! Instructions, counted by callgrind: what a delta costs, what 50 and 200 tool turns cost.
//! Refuses to count the start of a process, the server, or anything the kernel does.

use std::path::Path;

use crate::{
    apart::{Server, command, own},
    gate::{self, Figure},
    runtime,
    server::DELTAS,
    side::Side,
};

/// Turns of text that one count covers, so that a chance read more or less weighs little.
const TEXTS: usize = 3;
/// What a row may cost, as a ratio to the careful floor.
const TARGETS: [f64; 2] = [1.15, 1.25];
/// How much faster than the careful floor it may grow.
const GROWTH: f64 = 1.1;

/// The names of the rows.
const ROWS: [&str; 3] = [
    "text, instructions a delta",
    "50 tool turns, M instructions",
    "200 tool turns, M instructions",
];

/// What one side costs, in the order of [`ROWS`].
struct Counted([f64; 3]);

impl Counted {
    fn growth(&self) -> f64 {
        self.0[2] / self.0[1]
    }
}

/// What the callgrind process does: warms up, then runs this many sessions of one turn.
pub(crate) fn work(side: &str, url: &str, prompt: &str, times: &str) {
    runtime().block_on(async {
        let client = Side::named(side).client(url);
        client.run("short", 1, 1).await;
        for _ in 0..times.parse().unwrap() {
            std::hint::black_box(client.run(prompt, 1, 1).await);
        }
    });
}

/// Counts all sides and prints the table.
pub(crate) fn table() {
    let server = Server::start();
    let [bare, careful, obvious, ours] = side_by_side(Side::ALL, &server.url);
    println!("| row | bare | careful | obvious | offshoot | / careful | at most |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (at, name) in ROWS.iter().enumerate() {
        let digits = if at == 0 { 0 } else { 1 };
        let ratio = ours.0[at] / careful.0[at];
        let target = match at {
            0 => TARGETS[0].to_string(),
            2 => TARGETS[1].to_string(),
            _ => "-".into(),
        };
        let cells = [&bare, &careful, &obvious, &ours].map(|c| format!("{:.digits$}", c.0[at]));
        println!("| {name} | {} | {ratio:.2} | {target} |", cells.join(" | "));
    }
    let ratio = ours.growth() / careful.growth();
    let cells = [&bare, &careful, &obvious, &ours].map(|c| format!("{:.2}", c.growth()));
    println!(
        "| growth from 50 to 200 turns | {} | {ratio:.2} | {GROWTH} |",
        cells.join(" | ")
    );
    accept(&figures(&careful, &ours));
}

/// Counts what the gate needs and judges it.
pub(crate) fn gate() {
    let server = Server::start();
    let [careful, ours] = side_by_side([Side::Careful, Side::Ours], &server.url);
    let found = figures(&careful, &ours);
    for Figure { row, ours, ratio } in &found {
        println!("{row}: {ours:.2}, {ratio:.3} x the careful floor");
    }
    if accept(&found) {
        return;
    }
    let accepted = std::fs::read_to_string(accepted()).unwrap_or_default();
    let accepted = gate::parse(&accepted).unwrap_or_else(|error| panic!("{error}"));
    let judged = gate::judge(&accepted, &found);
    for gain in &judged.gains {
        println!("less than accepted, keep it so with OFFSHOOT_BLESS=1 just count: {gain}");
    }
    for failure in &judged.failures {
        eprintln!("more than accepted: {failure}");
    }
    if !judged.failures.is_empty() {
        eprintln!("if it is worth that, accept it in the open: OFFSHOOT_BLESS=1 just count");
        std::process::exit(1);
    }
}

fn accepted() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/turns/accepted.txt"
    ))
}

/// Writes the figures down as accepted, when that was asked for.
#[expect(clippy::disallowed_methods, reason = "no part of the library")]
fn accept(found: &[Figure]) -> bool {
    let asked = std::env::var("OFFSHOOT_BLESS").is_ok_and(|value| value == "1");
    if asked {
        std::fs::write(accepted(), gate::write(found)).unwrap();
        println!("\naccepted: benches/turns/accepted.txt");
    }
    asked
}

fn figures(careful: &Counted, ours: &Counted) -> Vec<Figure> {
    let figure = |at: usize| Figure {
        row: ROWS[at].to_owned(),
        ours: ours.0[at],
        ratio: ours.0[at] / careful.0[at],
    };
    (0..ROWS.len()).map(figure).collect()
}

/// Counts several sides at once: unlike time, instructions do not depend on the neighbours.
fn side_by_side<const N: usize>(sides: [Side; N], url: &str) -> [Counted; N] {
    std::thread::scope(|scope| {
        let counts = sides.map(|side| scope.spawn(move || count(side, url)));
        counts.map(|count| count.join().unwrap())
    })
}

/// What each row costs beyond a process that only warmed up.
fn count(side: Side, url: &str) -> Counted {
    let nothing = instructions(side, url, "text", 0);
    let cost = |prompt, times| instructions(side, url, prompt, times) - nothing;
    Counted([
        cost("text", TEXTS) / (TEXTS * DELTAS) as f64,
        cost("tools 50", 1) / 1e6,
        cost("tools 200", 1) / 1e6,
    ])
}

fn instructions(side: Side, url: &str, prompt: &str, times: usize) -> f64 {
    let output = command("valgrind")
        .args([
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            &own(),
            "work",
            side.name(),
            url,
            prompt,
            &times.to_string(),
        ])
        .output()
        .expect("valgrind is missing: install it with the system's package manager");
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, number)) if output.status.success() => number.trim().parse().unwrap(),
        _ => panic!("callgrind failed: {said}"),
    }
}
