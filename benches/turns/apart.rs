//! Other processes of this program: the server, and whatever is measured alone.
//! Refuses to leave any of them behind.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

/// A program of the benchmark's own.
#[expect(clippy::disallowed_methods, reason = "a benchmark starts programs")]
pub(crate) fn command(program: &str) -> Command {
    Command::new(program)
}

/// This program once more.
pub(crate) fn own() -> String {
    let path = std::env::current_exe().unwrap();
    path.into_os_string().into_string().unwrap()
}

/// What this program prints when it is run with these words, as a number.
pub(crate) fn number(words: &[&str]) -> f64 {
    numbers(words)[0]
}

/// As [`number`], for more than one.
pub(crate) fn numbers(words: &[&str]) -> Vec<f64> {
    let output = command(&own()).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    said.split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect()
}

/// A model server in a process of its own, which ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut child = command(&own())
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Self {
            child,
            url: url.trim().to_owned(),
        }
    }

    /// How many streams of a crowd were open at once at most, and how many were sent whole.
    pub(crate) fn peak(&self) -> (usize, usize) {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        stream
            .write_all(b"POST /peak HTTP/1.1\r\ncontent-length: 4\r\n\r\npeak")
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        let (_, body) = said.split_once("\r\n\r\n").unwrap();
        let (peak, served) = body.split_once(' ').unwrap();
        (peak.parse().unwrap(), served.parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
