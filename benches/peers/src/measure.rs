//! Processes of this program's own, and what they cost: instructions, CPU time, memory.
//! Refuses other systems than Linux, and to run without valgrind.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Runs this program again and reads the one number it prints.
pub fn own(args: &[&str]) -> f64 {
    let output = this().args(args).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.trim().parse().unwrap_or_else(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        panic!("`{}` printed no number: {printed}{said}", args.join(" "))
    })
}

/// Instructions of a whole process with so many conversations, one after the other.
pub fn collected(peer: &str, url: &str, prompt: &str, sessions: usize) -> f64 {
    let output = program("valgrind".as_ref())
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["run", peer, url, &sessions.to_string(), prompt])
        .output()
        .expect("valgrind counts the instructions");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{peer}` failed: {said}");
    let line = said.lines().find(|line| line.contains("Collected :"));
    let number = line.and_then(|line| line.split_whitespace().last());
    number
        .and_then(|n| n.parse().ok())
        .expect("callgrind says what it collected")
}

/// The CPU time that all threads of this process used for the work.
pub fn cpu(work: impl FnOnce()) -> Duration {
    let before = cpu_now();
    work();
    cpu_now() - before
}

/// Threads that have ended included.
fn cpu_now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident memory.
pub fn rss_kib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn this() -> Command {
    program(std::env::current_exe().unwrap().as_os_str())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is a program of its own"
)]
fn program(name: &std::ffi::OsStr) -> Command {
    Command::new(name)
}

/// The model server, another process.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    pub fn start() -> Self {
        let mut child = this().arg("serve").stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
