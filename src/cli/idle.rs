//! The moments in which nobody types: the prompt stands there and a key ends them.
//! Refuses to read the key: it is left for the line editor.

use std::io::{self, Write};

#[cfg(unix)]
pub(super) use self::unix::Keys;

/// The prompt of a chat.
pub(super) const PROMPT: &str = "> ";

/// Shows the prompt.
pub(super) fn prompt() {
    write!(io::stderr(), "{PROMPT}").ok();
    io::stderr().flush().ok();
}

/// Takes the prompt away.
pub(super) fn unprompt() {
    write!(io::stderr(), "\r\x1b[2K").ok();
    io::stderr().flush().ok();
}

#[cfg(unix)]
mod unix {
    use std::io;

    use rustix::{
        io::ioctl_fionread,
        termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
    };

    use super::super::keyboard::{self, Hold, LOOK};

    /// The terminal while it hands over each key at once and shows none; put back by drop.
    pub(in super::super) struct Keys {
        before: Termios,
        /// Whoever reads next finds the terminal as it was.
        _hold: Hold,
    }

    impl Keys {
        /// Listens for a key, once nobody else reads; `None` where the terminal cannot do that.
        pub(in super::super) async fn listen() -> Option<Self> {
            let hold = keyboard::take().await;
            let before = tcgetattr(io::stdin()).ok()?;
            let mut quiet = before.clone();
            // Ctrl-C is a key like any other here: the editor knows what to do with it.
            quiet.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            tcsetattr(io::stdin(), OptionalActions::Drain, &quiet).ok()?;
            Some(Self {
                before,
                _hold: hold,
            })
        }

        /// Waits until a key was pressed, or the terminal is gone.
        ///
        /// Cancel safety: safe, the key is not read.
        pub(in super::super) async fn pressed(&self) {
            // Where the terminal is gone, the editor says so.
            while matches!(ioctl_fionread(io::stdin()), Ok(0)) {
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    impl Drop for Keys {
        fn drop(&mut self) {
            tcsetattr(io::stdin(), OptionalActions::Drain, &self.before).ok();
        }
    }
}
