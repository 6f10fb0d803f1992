//! The spread of many readings of one thing: the middle, the least and the most.
//! Refuses an average, which one bad reading moves.

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

/// A reading of a time.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
