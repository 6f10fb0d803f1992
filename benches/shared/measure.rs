//! What is read off a process: CPU time, memory, open files; and the spread of many readings.
//! Refuses wall time, which on a shared machine measures the neighbours.

use std::{fmt, time::Duration};

/// The middle of many readings, and how far apart they were.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    pub(crate) fn of(mut readings: Vec<f64>) -> Self {
        readings.sort_by(f64::total_cmp);
        Self {
            median: readings[readings.len() / 2],
            min: readings[0],
            max: readings[readings.len() - 1],
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}-{:.2})", self.median, self.min, self.max)
    }
}

/// The CPU time that all threads of this process used for the work.
pub(crate) fn cpu(work: impl FnOnce()) -> Duration {
    let before = cpu_now();
    work();
    cpu_now() - before
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The CPU time that all threads of this process have used, those that have ended included.
pub(crate) fn cpu_now() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap()
}

/// The resident memory of this process.
pub(crate) fn rss_kib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Lets this process open as many files as it may.
pub(crate) fn many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
