//! The peers a Rust program could pick instead, on the same bytes from the same local server.
//! Refuses wall time, and to let anybody pass who saw fewer deltas or calls than it must.

mod genai;
mod measure;
mod ours;
mod peer;
mod rig;
#[expect(dead_code, reason = "the turns ask it for more")]
#[path = "../../turns/server.rs"]
mod server;
mod swiftide;

use std::time::Duration;

use futures::StreamExt;

use measure::{Server, collected, cpu, own, rss_kib};
use peer::{Peer, Seen};

/// Name in the table, name on the command line, crate and version where it is not ours.
const PEERS: &[(&str, &str)] = &[
    ("offshoot", "ours"),
    ("genai 0.7.2", "genai"),
    ("swiftide 0.33.0", "swiftide"),
    ("rig 0.46.0", "rig"),
];

const PARKED: usize = 1_000;
const SESSIONS: usize = 1_000;

/// What is run: so many conversations, each so many turns with the same words.
#[derive(Clone, Copy)]
struct Work<'a> {
    prompt: &'a str,
    sessions: usize,
    turns: usize,
}

fn main() {
    // Some of the peers build an HTTP client that wants to know whose TLS it would use.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["serve"] => runtime().block_on(server::serve()),
        ["run", peer, url, sessions, prompt] => {
            let sessions = sessions.parse().unwrap();
            one(peer, url, prompt, sessions);
        }
        ["cpu", peer, url, sessions, turns, rounds, prompt] => {
            let (sessions, turns) = (sessions.parse().unwrap(), turns.parse().unwrap());
            let work = Work {
                prompt,
                sessions,
                turns,
            };
            println!("{}", cpu_of(peer, url, work, rounds.parse().unwrap()));
        }
        ["park", peer, url] => println!("{}", park(peer, url)),
        [] => table(PEERS),
        _ => {
            let wanted = |peer: &&(&str, &str)| args.contains(&peer.1);
            let some: Vec<_> = PEERS.iter().filter(wanted).copied().collect();
            table(&some);
        }
    }
}

/// Each figure is taken in a process of its own.
fn table(peers: &[(&str, &str)]) {
    let server = Server::start();
    let url = server.url.as_str();
    println!(
        "| | text, 2,000 deltas: instructions a delta | 50 tool turns: M instructions / CPU ms \
         | 200 tool turns: M instructions / CPU ms | 1,000 sessions x 3 turns: CPU ms a session \
         | a parked session, KiB |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for (name, peer) in peers {
        // Two sizes, and the difference: what a program spends before its first turn is in neither.
        let text = (collected(peer, url, "text", 3) - collected(peer, url, "text", 1)) / 2.0;
        let deltas = text / server::DELTAS as f64;
        let tools = |prompt: &str, rounds: usize| {
            let more = collected(peer, url, prompt, 2) - collected(peer, url, prompt, 1);
            let ms = own(&["cpu", peer, url, "1", "1", &rounds.to_string(), prompt]);
            format!("{:.0} / {ms:.1}", more / 1e6)
        };
        let (fifty, two_hundred) = (tools("tools 50", 9), tools("tools 200", 5));
        // All streams open at once: short answers would leave their connections to who comes late.
        let crowd = format!("crowd {SESSIONS}");
        let ms = own(&["cpu", peer, url, &SESSIONS.to_string(), "3", "3", &crowd]);
        let parked = own(&["park", peer, url]);
        println!(
            "| {name} | {deltas:.0} | {fifty} | {two_hundred} | {:.2} | {parked:.0} |",
            ms / SESSIONS as f64
        );
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Calls a generic function for the peer of that name.
macro_rules! with {
    ($peer:expr, $function:ident($($argument:expr),*)) => {
        match $peer {
            "ours" => $function::<ours::Ours>($($argument),*),
            "genai" => $function::<genai::Genai>($($argument),*),
            "swiftide" => $function::<swiftide::Swiftide>($($argument),*),
            "rig" => $function::<rig::Rig>($($argument),*),
            other => panic!("no such peer: `{other}`"),
        }
    };
}

/// One conversation after the other, each of one turn, over one connection.
fn one(peer: &str, url: &str, prompt: &str, sessions: usize) {
    async fn go<P: Peer>(url: &str, prompt: &str, sessions: usize) {
        let peer = P::new(url);
        for _ in 0..sessions {
            let seen = peer.turn(&mut peer.chat(), prompt).await;
            check(prompt, seen);
        }
    }
    fn run<P: Peer>(url: &str, prompt: &str, sessions: usize) {
        runtime().block_on(go::<P>(url, prompt, sessions));
    }
    with!(peer, run(url, prompt, sessions));
}

async fn all<P: Peer>(peer: &P, work: Work<'_>) -> Vec<P::Chat> {
    let one = async |_| {
        let mut chat = peer.chat();
        for _ in 0..work.turns {
            check(work.prompt, peer.turn(&mut chat, work.prompt).await);
        }
        chat
    };
    let work = futures::stream::iter(0..work.sessions).map(one);
    work.buffer_unordered(usize::MAX).collect().await
}

/// The median of CPU milliseconds, each round with a client of its own that is there already; the
/// first warms up.
fn cpu_of(peer: &str, url: &str, work: Work<'_>, rounds: usize) -> f64 {
    fn go<P: Peer>(url: &str, work: Work<'_>, rounds: usize) -> f64 {
        let runtime = runtime();
        let round = |_| {
            // Some set TLS up at once, which this is not about.
            let peer = runtime.block_on(async { P::new(url) });
            cpu(|| drop(runtime.block_on(all(&peer, work))))
        };
        let mut times: Vec<Duration> = (0..=rounds).map(round).skip(1).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    }
    with!(peer, go(url, work, rounds))
}

/// KiB of a session that has answered once, all at once, and waits with its connection.
fn park(peer: &str, url: &str) -> f64 {
    fn go<P: Peer>(url: &str) -> f64 {
        let crowd = format!("crowd {PARKED}");
        let work = |prompt, sessions| Work {
            prompt,
            sessions,
            turns: 1,
        };
        runtime().block_on(async {
            all(&P::new(url), work("short", 1)).await;
            let peer = P::new(url);
            let before = rss_kib();
            let kept = all(&peer, work(&crowd, PARKED)).await;
            (rss_kib() - before) / kept.len() as f64
        })
    }
    with!(peer, go(url))
}

fn check(prompt: &str, seen: Seen) {
    let calls: usize = match prompt.strip_prefix("tools ") {
        Some(number) => number.parse().unwrap(),
        None => 0,
    };
    let deltas = if prompt == "text" {
        server::DELTAS
    } else {
        10 + calls
    };
    assert!(
        seen.deltas >= deltas && seen.calls == calls,
        "`{prompt}` brought {seen:?}"
    );
}
