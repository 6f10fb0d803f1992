//! What a bench of the tree reads from the system: CPU time, memory, and counted instructions.
//! Refuses wall time where something else can be counted.

use std::{process::Command, time::Duration};

/// The CPU time of this process that the work took.
pub(crate) fn cpu(work: impl FnOnce()) -> Duration {
    let before = cpu_now();
    work();
    cpu_now() - before
}

/// The CPU time of this process, from the scheduler's own count.
pub(crate) fn cpu_now() -> Duration {
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task").expect("needs /proc, so Linux") {
        let path = task.unwrap().path().join("schedstat");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let nanos = text.split_whitespace().next();
        total += nanos.and_then(|n| n.parse().ok()).unwrap_or(0);
    }
    Duration::from_nanos(total)
}

pub(crate) fn rss_kib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What one more of something costs in instructions: `only WHAT` is run with two sizes under
/// callgrind, so that what is made once falls out. `None` without valgrind.
pub(crate) fn instructions(what: &str, sizes: [u64; 2]) -> Option<f64> {
    let [few, many] = sizes;
    let more = counted(what, many)? - counted(what, few)?;
    Some(more / (many - few) as f64)
}

/// All instructions of `only WHAT`, from the first to the last.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark is a program of its own"
)]
pub(crate) fn counted(what: &str, size: u64) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["only", what, &size.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.split_whitespace().next_back()?.parse().ok()
}
