//! Counts instructions: one more of something, or all of it, under callgrind.
//! Refuses to fail where valgrind is missing; the row is left out.

use std::process::Command;

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
