//! Turns against the floor: CPU time of both on the same bytes from the same server, in one run.
//! Refuses wall time, which on a shared machine measures the neighbours.

mod floor;
mod server;

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures::StreamExt;
use offshoot::{Agent, Session, ToolOutput, provider::Anthropic, tool_fn};

/// One row: what is run, and how much CPU it may cost as a share of the floor's.
struct Row {
    name: &'static str,
    prompt: &'static str,
    sessions: usize,
    turns: usize,
    rounds: usize,
    target: f64,
}

const ROWS: &[Row] = &[
    Row {
        name: "text, 2,000 deltas",
        prompt: "text",
        sessions: 1,
        turns: 1,
        rounds: 21,
        target: 1.0,
    },
    Row {
        name: "50 tool turns",
        prompt: "tools 50",
        sessions: 1,
        turns: 1,
        rounds: 15,
        target: 1.0,
    },
    Row {
        name: "200 tool turns",
        prompt: "tools 200",
        sessions: 1,
        turns: 1,
        rounds: 11,
        target: 0.6,
    },
    Row {
        name: "1,000 sessions x 3 turns",
        prompt: "short",
        sessions: 1000,
        turns: 3,
        rounds: 3,
        target: f64::INFINITY,
    },
];

fn main() {
    // The floor builds its own client; like ours, it gets ring.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let args: Vec<String> = std::env::args().collect();
    let has = |word: &str| args.iter().any(|a| a == word);
    if has("serve") {
        return runtime().block_on(server::serve());
    }
    if let Some(at) = args.iter().position(|a| a == "park") {
        return park(&args[at + 1], &args[at + 2]);
    }
    let server = Server::start();
    if let Some(at) = args.iter().position(|a| a == "only") {
        // For a profiler: one row of one side, once.
        let row = &ROWS[args[at + 2].parse::<usize>().unwrap()];
        return runtime().block_on(async {
            match args[at + 1].as_str() {
                "floor" => run_floor(&server.url, row).await,
                _ => run_ours(&server.url, row).await,
            }
        });
    }
    let rounds = |row: &Row| {
        if has("--quick") {
            row.rounds.div_ceil(3)
        } else {
            row.rounds
        }
    };
    println!("| row | floor CPU ms (min-max) | offshoot CPU ms (min-max) | ratio | target |");
    println!("|---|--:|--:|--:|--:|");
    let mut missed = Vec::new();
    for row in ROWS {
        let (mut floor, mut ours) = (Vec::new(), Vec::new());
        for round in 0..=rounds(row) {
            // Interleaved, so that a noisy neighbour disturbs both; the first round warms up.
            let a = cpu(|| runtime().block_on(run_floor(&server.url, row)));
            let b = cpu(|| runtime().block_on(run_ours(&server.url, row)));
            if round > 0 {
                floor.push(a);
                ours.push(b);
            }
        }
        let (a, b) = (Spread::of(&mut floor), Spread::of(&mut ours));
        let ratio = b.median / a.median;
        let target = if row.target.is_finite() {
            row.target.to_string()
        } else {
            "-".into()
        };
        println!("| {} | {a} | {b} | {ratio:.2} | {target} |", row.name);
        if ratio > row.target {
            missed.push(format!("{}: {ratio:.2} > {:.2}", row.name, row.target));
        }
    }
    let (a, b) = (parked("floor", &server.url), parked("ours", &server.url));
    println!(
        "| a parked session, KiB | {a:.1} | {b:.1} | {:.2} | |",
        b / a
    );
    if !missed.is_empty() {
        println!("\nabove target: {}", missed.join("; "));
        if has("--gate") {
            std::process::exit(1);
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn run_floor(url: &str, row: &Row) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let one = async |_| {
        let mut history = Vec::new();
        for _ in 0..row.turns {
            std::hint::black_box(floor::turn(&client, url, &mut history, row.prompt).await);
        }
    };
    futures::stream::iter(0..row.sessions)
        .for_each_concurrent(None, one)
        .await;
}

async fn run_ours(url: &str, row: &Row) {
    let agent = agent(url);
    let one = async |_| {
        let mut session = Session::new(agent.clone());
        for _ in 0..row.turns {
            let mut turn = session.submit_message(row.prompt);
            while let Some(event) = turn.next().await {
                std::hint::black_box(event);
            }
        }
    };
    futures::stream::iter(0..row.sessions)
        .for_each_concurrent(None, one)
        .await;
}

fn agent(url: &str) -> Agent {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Echo {
        text: String,
    }
    let echo = tool_fn("echo", "Says it again", |args: Echo| async move {
        ToolOutput::ok(format!("echo: {}", args.text))
    });
    let model = Anthropic::builder("bench")
        .base_url(url)
        .api_key("k")
        .build()
        .unwrap();
    Agent::builder(model)
        .system("You are a benchmark.")
        .tool(echo)
        .max_steps(1_000)
        .build()
        .unwrap()
}

struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(times: &mut [Duration]) -> Self {
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let median = ms(times[times.len() / 2]);
        Self {
            median,
            min: ms(times[0]),
            max: ms(times[times.len() - 1]),
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2}-{:.2})", self.median, self.min, self.max)
    }
}

/// The CPU time that all threads of this process used for the work.
fn cpu(work: impl FnOnce()) -> Duration {
    let before = cpu_now();
    work();
    cpu_now() - before
}

fn cpu_now() -> Duration {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task").expect("needs /proc, so Linux") {
        let path = task.unwrap().path().join("schedstat");
        if let Ok(text) = std::fs::read_to_string(path) {
            nanos += text
                .split(' ')
                .next()
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    Duration::from_nanos(nanos)
}

fn rss_kib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

const PARKED: usize = 1_000;

/// In a process of its own: opens sessions side by side, lets each say a word, keeps them with
/// their connections, and prints KiB for each.
fn park(kind: &str, url: &str) {
    let row = Row {
        name: "",
        prompt: "short",
        sessions: 1,
        turns: 1,
        rounds: 0,
        target: 0.0,
    };
    runtime().block_on(async {
        if kind == "floor" {
            run_floor(url, &row).await;
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let before = rss_kib();
            let one = async |_| {
                let mut history = Vec::new();
                floor::turn(&client, url, &mut history, row.prompt).await;
                history
            };
            let kept = futures::future::join_all((0..PARKED).map(one)).await;
            println!("{}", (rss_kib() - before) / kept.len() as f64);
        } else {
            run_ours(url, &row).await;
            let agent = agent(url);
            let before = rss_kib();
            let one = async |_| {
                let mut session = Session::new(agent.clone());
                session.submit_message(row.prompt).finish().await;
                session
            };
            let kept = futures::future::join_all((0..PARKED).map(one)).await;
            println!("{}", (rss_kib() - before) / kept.len() as f64);
        }
    });
}

fn parked(kind: &str, url: &str) -> f64 {
    let output = own_command().args(["park", kind, url]).output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap_or(f64::NAN)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is a program of its own"
)]
fn own_command() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut child = own_command()
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
