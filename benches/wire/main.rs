//! TLS and HTTP/2 on the path: a hundred sessions on one connection, and what that costs.
//! Refuses wall time; each side starts cold in a process of its own, handshakes and all.

mod bare;
#[path = "../shared/cpu.rs"]
mod cpu;
mod server;
#[path = "../shared/spread.rs"]
mod spread;

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use futures::StreamExt;
use offshoot::{Agent, EventKind, Session, provider::Anthropic};

use self::spread::{Spread, millis};

const SESSIONS: usize = 100;
const TURNS: usize = 3;
const ROUNDS: usize = 15;
const SIDES: [&str; 2] = ["bare", "ours"];

fn main() {
    // reqwest alone must be told; this library chooses ring by itself.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match args[..] {
        ["serve", folder] => runtime().block_on(server::serve(folder, SESSIONS)),
        ["cpu", side, url] => {
            // Not where instructions are counted: valgrind knows no vDSO to ask for the time.
            let used = cpu::counted();
            once(side, url, SESSIONS);
            println!("{}", millis(used()));
        }
        ["count", side, url] => once(side, url, SESSIONS),
        ["start", side, url] => once(side, url, 0),
        _ => table(),
    }
}

/// One row: how both sides fared on the same server.
#[derive(Default)]
struct Row {
    cpu: [Vec<f64>; 2],
    instructions: [Option<f64>; 2],
    connections: [usize; 2],
    peak: [usize; 2],
}

fn table() {
    let server = Server::start();
    println!(
        "| 100 sessions x 3 turns | reqwest: CPU ms (min-max) | offshoot: CPU ms (min-max) | ratio \
         | reqwest: M instructions | offshoot: M instructions | ratio \
         | connections, reqwest / offshoot | streams open at once |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (name, url) in ["plain HTTP/1.1", "TLS, HTTP/1.1", "TLS, HTTP/2"]
        .into_iter()
        .zip(&server.urls)
    {
        let row = server.row(url);
        let [bare, ours] = row.cpu.map(Spread::of);
        let counts = match row.instructions {
            [Some(bare), Some(ours)] => {
                format!("{bare:.0} | {ours:.0} | {:.2}", ours / bare)
            }
            _ => "- | - | -".into(),
        };
        println!(
            "| {name} | {bare} | {ours} | {:.2} | {counts} | {} / {} | {} |",
            ours.median / bare.median,
            row.connections[0],
            row.connections[1],
            row.peak[1],
        );
        if name == "TLS, HTTP/2" {
            assert_eq!(row.connections[1], 1, "all sessions share one connection");
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// From nothing to the last word of the last session.
fn once(side: &str, url: &str, sessions: usize) {
    runtime().block_on(async {
        if side == "ours" {
            return ours(url, sessions).await;
        }
        let bytes = bare::run(&bare::client(), url, sessions, TURNS).await;
        assert!(bytes >= sessions * TURNS * server::DELTAS * 50);
    });
}

async fn ours(url: &str, sessions: usize) {
    let model = Anthropic::builder("bench")
        .base_url(url)
        .api_key("k")
        .build()
        .unwrap();
    let agent = Agent::builder(model)
        .system("You are a benchmark.")
        .build()
        .unwrap();
    let session = async |_| {
        let mut session = Session::new(agent.clone());
        for _ in 0..TURNS {
            let mut deltas = 0;
            let mut turn = session.submit_message("short");
            while let Some(event) = turn.next().await {
                let event = std::hint::black_box(event);
                deltas += usize::from(matches!(event.kind, EventKind::TextDelta { .. }));
            }
            assert_eq!(deltas, server::DELTAS, "a turn was lost");
        }
    };
    let all = (0..sessions).map(session);
    futures::future::join_all(all).await;
}

struct Server {
    child: Child,
    urls: Vec<String>,
    told: String,
    certificate: String,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(&own())
            .arg("serve")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let [plain, http1, http2, told, certificate] = words.try_into().unwrap();
        Self {
            child,
            urls: vec![plain, http1, http2],
            told,
            certificate,
            _folder: folder,
        }
    }

    fn row(&self, url: &str) -> Row {
        let mut row = Row::default();
        for _ in 0..ROUNDS {
            for (at, side) in SIDES.into_iter().enumerate() {
                let cpu = self.run(command(&own()).args(["cpu", side, url]));
                let [connections, peak, answered] = self.seen();
                assert_eq!(peak, SESSIONS, "all are open at once");
                assert_eq!(answered, SESSIONS * TURNS, "none is lost");
                row.cpu[at].push(cpu.trim().parse().unwrap());
                row.connections[at] = row.connections[at].max(connections);
                row.peak[at] = peak;
            }
        }
        for (at, side) in SIDES.into_iter().enumerate() {
            let all = self.instructions(["count", side, url]);
            let start = self.instructions(["start", side, url]);
            row.instructions[at] = all.zip(start).map(|(all, start)| all - start);
            self.seen();
        }
        row
    }

    /// Runs this program again, with the server's certificate as the only one there is.
    fn run(&self, command: &mut Command) -> String {
        let output = command
            .env("SSL_CERT_FILE", &self.certificate)
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &said
    }

    /// Millions; nothing where there is no valgrind.
    fn instructions(&self, args: [&str; 3]) -> Option<f64> {
        command("valgrind").arg("--version").output().ok()?;
        let mut command = command("valgrind");
        command
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(own())
            .args(args);
        let said = self.run(&mut command);
        let line = said.lines().find(|line| line.contains("Collected :"))?;
        let number: f64 = line.split_whitespace().last()?.parse().ok()?;
        Some(number / 1e6)
    }

    /// Connections, most streams open at once, answers, since the last time.
    fn seen(&self) -> [usize; 3] {
        let mut text = String::new();
        let mut socket = TcpStream::connect(&self.told).unwrap();
        socket.read_to_string(&mut text).unwrap();
        let words: Vec<usize> = text
            .split_whitespace()
            .map(|w| w.parse().unwrap())
            .collect();
        words.try_into().unwrap()
    }
}

fn own() -> String {
    let path = std::env::current_exe().unwrap();
    path.to_str().unwrap().to_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is a program of its own"
)]
fn command(program: &str) -> Command {
    Command::new(program)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
