//! The command on a real terminal: what a person sees, and what the keys do.
//! Refuses pipes, which are in `cli`; here the line discipline turns Ctrl-C into a signal.

#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    reason = "the command is a process, the screen a thread"
)]

mod keys;
mod sessions;
mod trust;

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use offshoot::{
    Usage,
    testing::{Answer, ModelServer, Reply, Script},
};
use pty_process::{
    Size,
    blocking::{Command, Pty, open},
};
use serde_json::json;

/// Longer than anything here takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const CTRL_C: &str = "\x03";
pub(super) const CTRL_D: &str = "\x04";
const UP: &str = "\x1b[A";

/// A terminal with the command in it.
pub(super) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    screen: Arc<Mutex<String>>,
    /// What was looked at already.
    seen: usize,
}

impl Terminal {
    pub(super) fn run(dir: &Path, args: &[&str], dress: impl FnOnce(Command) -> Command) -> Self {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(40, 120)).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let command = Command::new(env!("CARGO_BIN_EXE_offshoot"))
            .args(args)
            .env_clear()
            .env("PATH", path)
            .env("TERM", "xterm-256color")
            // No Ollama of this machine may answer.
            .env("OLLAMA_HOST", "127.0.0.1:9")
            .env("OFFSHOOT_HOME", dir.join("home"))
            .current_dir(dir);
        let child = dress(command).spawn(pts).unwrap();
        let (pty, screen) = (Arc::new(pty), Arc::<Mutex<String>>::default());
        let (reader, shown) = (pty.clone(), screen.clone());
        std::thread::spawn(move || {
            let (mut bytes, mut rest) = ([0; 4096], Vec::new());
            // The last process that has the terminal open ends it with an error.
            while let Ok(count @ 1..) = (&*reader).read(&mut bytes) {
                rest.extend_from_slice(&bytes[..count]);
                let whole = match std::str::from_utf8(&rest) {
                    Ok(text) => text.len(),
                    Err(error) => error.valid_up_to(),
                };
                let text: Vec<u8> = rest.drain(..whole).collect();
                shown
                    .lock()
                    .unwrap()
                    .push_str(std::str::from_utf8(&text).unwrap());
            }
        });
        Self {
            pty,
            child,
            screen,
            seen: 0,
        }
    }

    pub(super) fn resize(&self, rows: u16, columns: u16) {
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    pub(super) fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown, after what was waited for before; gives what came in between.
    pub(super) fn until(&mut self, what: &str) -> String {
        let began = Instant::now();
        loop {
            {
                let screen = self.screen.lock().unwrap();
                if let Some(at) = screen[self.seen..].find(what) {
                    let end = self.seen + at + what.len();
                    let between = screen[self.seen..end].to_owned();
                    self.seen = end;
                    return between;
                }
                let shown = &screen[self.seen..];
                assert!(began.elapsed() < PATIENCE, "no {what:?} in {shown:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the prompt of the conversation.
    pub(super) fn prompt(&mut self) -> String {
        self.until("> ")
    }

    /// Waits for the end of the process.
    pub(super) fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What it said last may still be on its way.
                std::thread::sleep(Duration::from_millis(50));
                return status;
            }
            let screen = self.screen.lock().unwrap().clone();
            assert!(began.elapsed() < PATIENCE, "it does not end: {screen:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(super) fn all(&self) -> String {
        self.screen.lock().unwrap().clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A server that answers, and a runtime that it lives in.
pub(super) fn serve(script: impl Into<Script>) -> (tokio::runtime::Runtime, ModelServer) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(async { ModelServer::start(script) });
    (runtime, server)
}

pub(super) fn asking(server: &ModelServer) -> impl FnOnce(Command) -> Command {
    let url = server.url();
    move |command| {
        command
            .env("ANTHROPIC_API_KEY", "sk-test")
            .env("ANTHROPIC_BASE_URL", url)
    }
}

pub(super) fn used(input: u64, output: u64) -> Usage {
    Usage {
        input,
        output,
        ..Usage::default()
    }
}

/// An answer that begins and does not go on.
fn stuck() -> Reply {
    let words = "It begins like this, and then there would be more to say. ".repeat(9);
    Reply::answer(Answer::text(words)).stall_at(1_200)
}

#[test]
fn a_conversation_streams_shows_its_status_and_ends_with_ctrl_d() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve([
        Reply::answer(Answer::text("Hello to you.").usage(used(70, 7))),
        Reply::answer(Answer::text("Still here.").usage(used(90, 9))),
    ]);
    let mut terminal = Terminal::run(dir.path(), &["chat"], asking(&server));
    terminal.until("Ctrl-D to leave");
    terminal.prompt();
    terminal.press("hello\r");
    terminal.until("Hello to you.");
    let status = terminal.until("1 model calls");
    assert!(status.contains("anthropic/"), "{status:?}");
    terminal.until("77 tokens");
    terminal.prompt();
    terminal.press("again\r");
    terminal.until("Still here.");
    // The line counts the whole conversation.
    terminal.until("2 model calls");
    terminal.until("176 tokens");
    terminal.prompt();
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    assert_eq!(server.count(), 2);
}

#[test]
fn the_arrow_up_repeats_the_last_line_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve(Script::with(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Reply::answer(if body.contains("second words") {
            "Two."
        } else {
            "One."
        })
    }));
    let mut terminal = Terminal::run(dir.path(), &["chat"], asking(&server));
    terminal.prompt();
    terminal.press("first words\r");
    terminal.until("One.");
    terminal.prompt();
    terminal.press(UP);
    terminal.until("first words");
    terminal.press("\r");
    terminal.until("One.");
    terminal.prompt();
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0));

    let mut terminal = Terminal::run(dir.path(), &["chat"], asking(&server));
    terminal.prompt();
    terminal.press("second words\r");
    terminal.until("Two.");
    terminal.prompt();
    terminal.press(UP);
    terminal.until("second words");
    terminal.press(UP);
    terminal.until("first words");
    terminal.press("\r");
    terminal.until("Two.");
    terminal.prompt();
    terminal.press(CTRL_D);
    assert_eq!(terminal.ended().code(), Some(0));
    let last = server.requests().pop().unwrap().json();
    let last = last["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .to_string();
    assert!(last.contains("first words"), "{last}");
}

#[test]
fn run_shows_its_live_line_and_colours_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = serve([
        Reply::answer(Answer::text("Looking.").call("LS", json!({}))),
        Reply::answer("Done."),
    ]);
    let mut terminal = Terminal::run(dir.path(), &["run", "hello"], asking(&server));
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let screen = terminal.all();
    for shown in [
        "Looking.",
        "Done.",
        "turn 1 ·",
        "turn 2 ·",
        "LS {}",
        "2 model calls",
    ] {
        assert!(screen.contains(shown), "{shown}: {screen:?}");
    }
    assert!(screen.contains("\x1b[2m"), "colours: {screen:?}");
    // The live line is wiped before anything else is shown.
    let after = screen.rsplit("turn 2 ·").next().unwrap();
    assert!(after.contains("\r\x1b[2K"), "{after:?}");
}

/// Each of the two streams decides for itself.
#[test]
fn run_shows_nothing_live_where_there_is_no_terminal() {
    let answers = || {
        serve([
            Reply::answer(Answer::text("Looking.").call("LS", json!({}))),
            Reply::answer("Done."),
        ])
    };
    // Standard error is a pipe: the words stream, and nothing else is on the screen.
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = answers();
    let mut terminal = Terminal::run(dir.path(), &["run", "hello"], |command| {
        asking(&server)(command).stderr(Stdio::piped())
    });
    let mut said = String::new();
    let mut err = terminal.child.stderr.take().unwrap();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(terminal.ended().code(), Some(0));
    let screen = terminal.all();
    assert_eq!(screen.replace('\r', ""), "Looking.\nDone.\n", "{screen:?}");
    assert_eq!(said, "", "nothing live, no colours");

    // Standard output is a pipe: it gets the answer alone, and the live line is on the screen.
    let dir = tempfile::tempdir().unwrap();
    let (_runtime, server) = answers();
    let mut terminal = Terminal::run(dir.path(), &["run", "hello"], |command| {
        asking(&server)(command).stdout(Stdio::piped())
    });
    let mut answer = String::new();
    let mut out = terminal.child.stdout.take().unwrap();
    out.read_to_string(&mut answer).unwrap();
    assert_eq!(terminal.ended().code(), Some(0));
    assert_eq!(answer, "Done.\n");
    let screen = terminal.all();
    assert!(
        screen.contains("turn 2 ·") && !screen.contains("Done."),
        "{screen:?}"
    );
}

#[test]
fn colours_stay_away_when_they_are_not_wanted() {
    let wishes: [&[(&str, &str)]; 2] = [&[("NO_COLOR", "1")], &[("TERM", "dumb")]];
    for wish in wishes {
        let dir = tempfile::tempdir().unwrap();
        let (_runtime, server) = serve([
            Reply::answer(Answer::text("Looking.").call("LS", json!({}))),
            Reply::answer("Done."),
        ]);
        let mut terminal = Terminal::run(dir.path(), &["run", "hello"], |command| {
            asking(&server)(command).envs(wish.iter().copied())
        });
        assert_eq!(terminal.ended().code(), Some(0));
        let screen = terminal.all();
        for code in ["\x1b[2m", "\x1b[36m", "\x1b[0m"] {
            assert!(!screen.contains(code), "{wish:?}: {screen:?}");
        }
        assert!(screen.contains("Done."), "{screen:?}");
        // A terminal that understands no sequence gets none.
        let dumb = wish[0].0 == "TERM";
        assert!(!dumb || !screen.contains('\x1b'), "{screen:?}");
    }
}

/// The first command of the README, as a person sees it.
#[test]
fn the_offline_model_works_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("README.md"), "# Kite\n\nA toy.\n").unwrap();
    let task = "Survey this folder and tell me what it is";
    let mut terminal = Terminal::run(dir.path(), &["run", task], |command| command);
    assert_eq!(terminal.ended().code(), Some(0), "{:?}", terminal.all());
    let screen = terminal.all();
    assert!(
        screen.contains("offline") && screen.contains("A toy."),
        "{screen:?}"
    );
}
