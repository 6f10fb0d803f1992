//! The live area: a few lines at the bottom of the terminal that are drawn again and again.
//! Refuses to draw while a person is asked, and to leave anything behind.

use std::{
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::terminal::{Stream, painted};

/// Lines of the terminal that the area leaves to what was said before.
const KEPT_FREE: usize = 6;

/// Lines of a terminal that does not tell its height.
const USUAL_HEIGHT: usize = 24;

/// The terminal has one bottom, whoever writes to it.
static AREA: Mutex<Area> = Mutex::new(Area {
    lines: Vec::new(),
    asked: 0,
});

struct Area {
    /// What is drawn now.
    lines: Vec<String>,
    /// Questions that wait for the person.
    asked: usize,
}

/// A question on the terminal: while it lives nothing is drawn over it.
#[derive(Debug)]
#[must_use = "dropped, the area may be drawn again"]
pub(super) struct Asking(());

impl Asking {
    /// Makes room for a question.
    pub(super) fn begin() -> Self {
        let mut area = area();
        area.wipe();
        area.asked += 1;
        Self(())
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        area().asked -= 1;
    }
}

/// Draws these lines in place of those that are there.
pub(super) fn draw(lines: &[String]) {
    let mut area = area();
    if area.asked > 0 || area.lines == lines {
        return;
    }
    area.wipe();
    // Cut at the right edge: a line that wraps cannot be wiped.
    let text = format!("\x1b[?7l{}\x1b[?7h", painted_lines(lines));
    let mut err = io::stderr().lock();
    err.write_all(text.as_bytes()).ok();
    err.flush().ok();
    area.lines = lines.to_vec();
}

/// Takes the lines away; the cursor stands where the first one began.
pub(super) fn wipe() {
    area().wipe();
}

/// How many lines the area may have.
pub(super) fn height() -> usize {
    height_of_terminal()
        .unwrap_or(USUAL_HEIGHT)
        .saturating_sub(KEPT_FREE)
        .max(2)
}

fn area() -> MutexGuard<'static, Area> {
    AREA.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Area {
    fn wipe(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let up = "\x1b[1A\x1b[2K".repeat(self.lines.len() - 1);
        self.lines.clear();
        let mut err = io::stderr().lock();
        write!(err, "\r\x1b[2K{up}").ok();
        err.flush().ok();
    }
}

fn painted_lines(lines: &[String]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|line| painted(Stream::Err, "2", line))
        .collect();
    lines.join("\r\n")
}

#[cfg(unix)]
fn height_of_terminal() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_row > 0).then_some(usize::from(size.ws_row))
}

#[cfg(not(unix))]
fn height_of_terminal() -> Option<usize> {
    None
}
