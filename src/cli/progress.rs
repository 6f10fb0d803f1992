//! A bar for what takes longer than a second, on a terminal.
//! Refuses to show itself for less, and to anybody who is not looking.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal::{Stream, is_dumb};

/// Work shorter than this shows nothing.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// How often the bar is drawn again.
const DRAWS_A_SECOND: u8 = 10;

/// How often one looks at work that does not say how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// Does some work that does not say how far it is.
///
/// Cancel safety: that of the work.
pub(super) async fn during<T>(what: &'static str, work: impl Future<Output = T>) -> T {
    let mut progress = Progress::new(what, 0);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            out = &mut work => return out,
            () = tokio::time::sleep(LOOK) => progress.add(0),
        }
    }
}

/// How far some work is. Gone from the screen when this is dropped.
pub(super) struct Progress {
    what: &'static str,
    total: u64,
    done: u64,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of so many steps; 0 when nobody knows how many.
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
            match self.total {
                0 => bar.tick(),
                total => bar.set_position(self.done.min(total)),
            }
        }
    }

    fn show(&self) -> ProgressBar {
        let target = if Stream::Err.is_terminal() && !is_dumb() {
            ProgressDrawTarget::stderr_with_hz(DRAWS_A_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(self.total), target);
        let style = ProgressStyle::with_template(match self.total {
            0 => "{msg} {spinner} {elapsed}",
            _ => "{msg} [{bar:30}] {percent}% · {eta} left",
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_comes_after_a_second_and_knows_how_far_it_is() {
        let mut progress = Progress::new("working", 10);
        progress.add(3);
        assert!(progress.bar.is_none(), "not yet a second");
        progress.began -= SHOWN_AFTER + LOOK;
        progress.add(4);
        let bar = progress.bar.as_ref().unwrap();
        assert_eq!((bar.position(), bar.length()), (7, Some(10)));
        progress.add(40);
        assert_eq!(progress.bar.as_ref().unwrap().position(), 10);
        let bar = progress.bar.clone().unwrap();
        drop(progress);
        assert!(bar.is_finished());
    }
}
