//! Turns beside the floors: instructions, CPU time and memory, on the same bytes from one server.
//! Refuses wall time, which on a shared machine measures the neighbours.

mod apart;
mod count;
#[path = "../shared/cpu.rs"]
mod cpu;
mod floors;
mod gate;
#[path = "../shared/memory.rs"]
mod memory;
mod rows;
mod server;
mod side;
#[path = "../shared/spread.rs"]
mod spread;

/// How often each thing is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Full,
    Quick,
}

impl Pace {
    fn rounds(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => full.div_ceil(5),
        }
    }
}

fn main() {
    // The floors build their own clients; like ours, they get ring.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    many_files();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let has = |word: &str| args.contains(&word);
    match *args {
        ["serve"] => return runtime().block_on(server::serve()),
        ["work", side, url, prompt, times] => return count::work(side, url, prompt, times),
        ["crowd", side, url, many] => return rows::crowd(side, url, many),
        ["park", side, url, prompt] => return rows::park(side, url, prompt),
        _ => {}
    }
    // Whoever benches says `--bench` too.
    if has("count") {
        return if has("--gate") {
            count::gate()
        } else {
            count::table()
        };
    }
    let pace = if has("--quick") {
        Pace::Quick
    } else {
        Pace::Full
    };
    let missed = rows::table(pace);
    if !missed.is_empty() {
        println!("\nabove target: {}", missed.join("; "));
    }
}

/// Lets this process open as many files as it may.
fn many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
