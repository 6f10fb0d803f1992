//! A bar for what takes longer than a second, on a terminal.
//! Refuses to show itself for less, and to anybody who is not looking.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::{Stream, is_dumb};

/// Work shorter than this shows nothing.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// How often the bar is drawn again.
const DRAWS_A_SECOND: u8 = 10;

/// How far some work is. Gone from the screen when this is dropped.
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of so many steps.
    pub(super) fn new(what: &'static str, total: u64) -> Self {
        Self {
            what,
            total,
            done: 0,
            began: Instant::now(),
            bar: None,
        }
    }

    /// So many more are done.
    pub(super) fn add(&mut self, steps: u64) {
        self.done += steps;
        if self.bar.is_none() && self.began.elapsed() > SHOWN_AFTER {
            self.bar = Some(self.show());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done.min(self.total));
        }
    }

    fn show(&self) -> ProgressBar {
        let target = if Stream::Err.is_terminal() && !is_dumb() {
            ProgressDrawTarget::stderr_with_hz(DRAWS_A_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(self.total), target);
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent}% · {eta} left");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(self.what);
        bar
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
