//! Every example runs without a key and shows what it promises.
//! Refuses to build them: `cargo test` has done that beside this program.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// An example stands beside the folder of this test program.
fn example(name: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    #[expect(
        clippy::disallowed_methods,
        reason = "examples are tested as processes"
    )]
    let mut command = Command::new(path.join("examples").join(name));
    command
        .env_clear()
        .env("OLLAMA_HOST", "127.0.0.1:9")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn output(name: &str) -> String {
    let output = example(name).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn hello_surveys_this_folder() {
    let text = output("01_hello");
    assert!(text.contains("offshoot"), "{text}");
    let source = include_str!("../../examples/01_hello.rs");
    let code = source
        .lines()
        .filter(|l| !l.trim().is_empty() && !l.starts_with("//"));
    assert!(code.count() <= 15, "at most 15 lines of code");
}

#[test]
fn typed_tools_answer_and_refuse() {
    let text = output("02_typed_tool");
    assert!(text.contains("weather: ok (4)"), "{text}");
    assert!(text.contains("weather: failed"), "{text}");
}

#[test]
fn a_structured_answer_is_counted() {
    let text = output("04_structured");
    assert!(text.contains(" files in "), "{text}");
}

#[test]
fn hooks_refuse_and_rewrite() {
    let text = output("05_hooks");
    assert!(text.contains("ok: age = 42"), "{text}");
    assert!(
        text.contains("denied: Permission denied: salaries are private"),
        "{text}"
    );
    assert!(text.contains("(It is Monday.)"), "{text}");
}

#[test]
fn helpers_survey_sub_folders_and_the_tree_is_shown() {
    let text = output("06_subagents");
    for place in [
        "+ root/explore/1:",
        "+ root/explore/2:",
        "- root/explore/1: ok",
    ] {
        assert!(text.contains(place), "{place}: {text}");
    }
    let grown = text.lines().filter(|l| l.starts_with("  + ")).count();
    let gone = text.lines().filter(|l| l.starts_with("  - ")).count();
    assert_eq!(grown, gone, "{text}");
}

#[test]
fn a_chat_is_woken_by_its_child() {
    let text = output("07_background_and_mail");
    for line in [
        "It is counting.",
        "I told it.",
        "(woken) It says: one, two, three.",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_bomb_ends_at_its_limits_and_every_token_has_a_name() {
    let text = output("08_budget_tree");
    let tokens = |line: &str| -> Option<u64> {
        let (number, _) = line.trim_start().split_once(" tokens")?;
        number.parse().ok()
    };
    let figures: Vec<u64> = text.lines().filter_map(tokens).collect();
    let (total, rows) = figures.split_last().unwrap();
    assert_eq!(rows.iter().sum::<u64>(), *total, "{text}");
    let started = text.lines().find(|l| l.contains("were started")).unwrap();
    let number: usize = started.split(' ').next().unwrap().parse().unwrap();
    assert!((8..=25).contains(&number), "{text}");
    assert_eq!(rows.len(), number + 1, "{text}");
    assert!(text.contains("No agent was started: "), "{text}");
}

#[cfg(feature = "sqlite")]
#[test]
fn a_letter_is_not_sent_twice_after_a_death() {
    let text = output("09_resume");
    for line in [
        "kept: Write to Kim, ",
        "resumed: I do not know whether it was sent",
        "sent: {",
        "fork: Ask Kim whether it came.",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(text.matches(r#"{"to":"Kim"}"#).count(), 1, "{text}");
}

#[test]
fn longer_examples_fit_on_a_page() {
    let sources = [
        include_str!("../../examples/06_subagents.rs"),
        include_str!("../../examples/07_background_and_mail.rs"),
        include_str!("../../examples/08_budget_tree.rs"),
        include_str!("../../examples/09_resume.rs"),
    ];
    for source in sources {
        assert!(source.lines().count() <= 60, "at most 60 lines: {source}");
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_chat_app_streams_turns_to_a_page() {
    let mut app = Killed(
        example("03_chat_app")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(app.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().strip_prefix("http://").unwrap();
    assert!(get(address, "/").contains("EventSource"));
    let first = get(address, "/turn?id=a&q=how%20many%20files%20are%20there%3F");
    assert!(first.contains("text/event-stream"), "{first}");
    assert!(first.contains(r#""type":"run_start""#), "{first}");
    assert!(first.contains(r#""type":"turn_end""#), "{first}");
    let second = get(address, "/turn?id=a&q=what%20can%20you%20do%3F");
    assert!(
        second.contains(r#""turn":2"#),
        "the page's session goes on: {second}"
    );
    let other = get(address, "/turn?id=b&q=what%20can%20you%20do%3F");
    assert!(
        other.contains(r#""turn":1"#),
        "another page has its own: {other}"
    );
    let source = include_str!("../../examples/03_chat_app.rs");
    assert!(
        source.lines().count() <= 120,
        "at most 120 lines with its page"
    );
}
