//! The command as a process: what it prints, where, and with which exit code.
//! Refuses a terminal: here every stream is a pipe, as in scripts.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use offshoot::testing::{Answer, ModelServer, Reply, Script};
use serde_json::{Value, json};

/// Where the runs of this process keep their sessions, unless a test has a home of its own.
static DATA: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    folder.keep()
});

/// The command with nothing of this machine's environment but what it needs.
pub(super) fn offshoot(cwd: &Path) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command is tested as a process"
    )]
    let mut command = Command::new(env!("CARGO_BIN_EXE_offshoot"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    // No Ollama of this machine may answer.
    command
        .env_clear()
        .env("PATH", path)
        .env("OLLAMA_HOST", "127.0.0.1:9")
        // Sessions are kept where no person's are.
        .env("XDG_DATA_HOME", &*DATA)
        .current_dir(cwd);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(super) fn run(cwd: &Path, args: &[&str]) -> Output {
    offshoot(cwd).args(args).output().unwrap()
}

pub(super) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(super) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(super) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("src")).unwrap();
    for (name, text) in [
        ("README.md", "# Kite\n\nA toy.\n"),
        ("src/main.rs", "fn main() {}\n"),
    ] {
        std::fs::OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(dir.path().join(name))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }
    dir
}

#[test]
fn the_first_command_works_without_a_key() {
    let dir = folder();
    let output = run(
        dir.path(),
        &["run", "Survey this folder and tell me what it is"],
    );
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("2 files"), "{text}");
    assert!(text.contains("Kite"), "{text}");
    let notes = err(&output);
    assert_eq!(
        notes.lines().count(),
        1,
        "one line says that it is offline: {notes}"
    );
    assert!(
        notes.contains("offline") && notes.contains("ANTHROPIC_API_KEY"),
        "{notes}"
    );
}

#[test]
fn json_begins_with_run_start_and_ends_with_the_roots_turn_end() {
    let dir = folder();
    let output = run(dir.path(), &["run", "--json", "how many files are there?"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let lines: Vec<Value> = out(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first = &lines[0];
    assert_eq!(
        (&first["type"], &first["format"]),
        (&json!("run_start"), &json!(1))
    );
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "turn_end");
    assert_eq!(last["stop"], json!({"why": "finished"}));
    assert!(last["usage"]["requests"].as_u64().unwrap() >= 2, "{last}");
    assert_eq!(last["cost"], json!({"micros": 0, "unknown": 0}));
    let seqs: Vec<_> = lines
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=lines.len() as u64).collect::<Vec<_>>());
}

#[test]
fn the_task_may_come_from_standard_input() {
    let dir = folder();
    for args in [&["run", "-"][..], &["run"]] {
        let mut child = offshoot(dir.path())
            .args(args)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(b"how many files are there?")
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{}", err(&output));
        assert!(out(&output).contains("2 files"), "{}", out(&output));
    }
}

#[test]
fn wrong_usage_says_what_is_wrong_and_ends_with_2() {
    let dir = folder();
    let table: &[(&[&str], &str)] = &[
        (&[], "Usage"),
        (&["fly"], "fly"),
        (&["run", "--model", "acme/x", "hi"], "acme"),
        (&["run", "--timeout", "soon", "hi"], "5m"),
        (&["run", "--max-budget-usd", "-1", "hi"], "max-budget-usd"),
        (&["run", "--max-turns", "0", "hi"], "0"),
        (&["run", "--permission-mode", "yolo", "hi"], "bypass"),
        (&["run", "--deny", "Bash(", "hi"], "Bash("),
        (&["run", "--schema", "missing.json", "hi"], "missing.json"),
        (&["run", "--cwd", "missing", "hi"], "missing"),
        (&["run", ""], "no task"),
    ];
    for (args, word) in table {
        let output = run(dir.path(), args);
        assert_eq!(code(&output), 2, "{args:?}: {}", err(&output));
        assert!(err(&output).contains(word), "{args:?}: {}", err(&output));
        assert!(out(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn help_version_completions_and_man_go_to_standard_output() {
    let dir = folder();
    for (args, word) in [
        (&["--help"][..], "run"),
        (&["help", "run"], "--max-budget-usd"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "_offshoot"),
        (&["completions", "zsh"], "compdef"),
        (&["man"], ".TH"),
    ] {
        let output = run(dir.path(), args);
        assert_eq!(code(&output), 0, "{args:?}: {}", err(&output));
        assert!(out(&output).contains(word), "{args:?}");
        assert!(
            !out(&output).contains('\u{1b}'),
            "no colour into a pipe: {args:?}"
        );
    }
}

#[test]
fn variables_are_read_or_refused() {
    let dir = folder();
    let output = offshoot(dir.path())
        .args(["run", "--json", "Survey this folder and tell me what it is"])
        .env("AGENT_MAX_TURNS", "1")
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", err(&output));
    for (variable, value) in [
        ("AGENT_MAX_TURNS", "many"),
        ("AGENT_TOOL_TIMEOUT_SECONDS", "0"),
    ] {
        let output = offshoot(dir.path())
            .args(["run", "hi"])
            .env(variable, value)
            .output()
            .unwrap();
        assert_eq!(code(&output), 2, "{variable}: {}", err(&output));
        assert!(err(&output).contains(variable), "{}", err(&output));
    }
}

#[test]
fn a_trace_holds_no_key() {
    let dir = folder();
    let said = "your key is sk-ant-secret-key-1, I see";
    let (_runtime, server) = serve(Script::repeat(
        Answer::text(said).split(offshoot::testing::Split::Whole),
    ));
    let output = with_anthropic(&mut offshoot(dir.path()), &server)
        .args(["run", "--trace", "trace.jsonl", "hi"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = std::fs::read_to_string(dir.path().join("trace.jsonl")).unwrap();
    assert!(text.contains("your key is [redacted], I see"), "{text}");
    assert!(!text.contains("sk-ant-secret-key-1"), "{text}");
}

/// A runtime for the server; the command is a process of its own.
pub(super) fn serve(script: Script) -> (tokio::runtime::Runtime, ModelServer) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(async { ModelServer::start(script) });
    (runtime, server)
}

pub(super) fn with_anthropic<'c>(
    command: &'c mut Command,
    server: &ModelServer,
) -> &'c mut Command {
    command
        .env("ANTHROPIC_BASE_URL", server.url())
        .env("ANTHROPIC_API_KEY", "sk-ant-secret-key-1")
}

#[test]
fn a_key_in_the_environment_means_that_vendor() {
    let dir = folder();
    let (_runtime, server) = serve(Script::repeat(Answer::text("Hello from afar.")));
    let output = with_anthropic(&mut offshoot(dir.path()), &server)
        .args(["run", "hi"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(out(&output), "Hello from afar.\n");
    assert_eq!(err(&output), "", "nothing but the answer into pipes");
    assert_eq!(server.count(), 1);
}

#[test]
fn failures_limits_and_refusals_have_their_exit_codes() {
    let dir = folder();
    let (_runtime, server) = serve(Script::repeat(
        Reply::bytes(
            "application/json",
            r#"{"type":"error","error":{"type":"authentication_error","message":"bad key"}}"#,
        )
        .status(401),
    ));
    let output = with_anthropic(&mut offshoot(dir.path()), &server)
        .args(["run", "hi"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(err(&output).contains("error:"), "{}", err(&output));
    assert!(
        !err(&output).contains("sk-ant-secret-key-1"),
        "a key is never shown"
    );
    assert_eq!(server.count(), 1, "a wrong key is not tried twice");

    let looping = || Answer::empty().call("Glob", json!({"pattern": "*"}));
    let (_runtime, server) = serve(Script::repeat(looping()));
    let output = with_anthropic(&mut offshoot(dir.path()), &server)
        .args(["run", "--max-turns", "2", "hi"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert!(err(&output).contains("turns"), "{}", err(&output));
    assert_eq!(server.count(), 2);

    let refusal = Answer::text("No.").stop(offshoot::provider::Stop::Refused {
        reason: "unsafe".into(),
    });
    let (_runtime, server) = serve(Script::repeat(refusal));
    let output = with_anthropic(&mut offshoot(dir.path()), &server)
        .args(["run", "hi"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 4, "{} {}", out(&output), err(&output));
}

#[test]
fn a_timeout_ends_a_hanging_run_with_3() {
    let dir = folder();
    let (_runtime, server) = serve(Script::repeat(
        Reply::answer(Answer::text("late")).stall_at(40),
    ));
    let start = Instant::now();
    let output = with_anthropic(&mut offshoot(dir.path()), &server)
        .args(["run", "--timeout", "300ms", "hi"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 3, "{}", err(&output));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_turn_and_ends_with_130() {
    let dir = folder();
    let (_runtime, server) = serve(Script::repeat(
        Reply::answer(Answer::text("late")).stall_at(40),
    ));
    let mut command = offshoot(dir.path());
    let child = with_anthropic(&mut command, &server)
        .args(["run", "hi"])
        .spawn()
        .unwrap();
    let start = Instant::now();
    while server.count() == 0 {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "the command never asked"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
    #[expect(clippy::disallowed_methods, reason = "sends a real signal")]
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let stopped = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", err(&output));
    assert!(
        stopped.elapsed() < Duration::from_secs(3),
        "{:?}",
        stopped.elapsed()
    );
}

#[test]
fn a_schema_makes_the_answer_json() {
    let dir = folder();
    let schema = json!({"type": "object", "required": ["files"], "properties": {"files": {"type": "integer"}}});
    std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .open(dir.path().join("shape.json"))
        .unwrap()
        .write_all(schema.to_string().as_bytes())
        .unwrap();
    let output = run(
        dir.path(),
        &["run", "--schema", "shape.json", "Survey this folder"],
    );
    assert_eq!(code(&output), 0, "{}", err(&output));
    let value: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(value["files"], 3, "two files and the schema: {value}");
}

#[test]
fn chat_takes_paragraphs_from_a_pipe() {
    let dir = folder();
    let mut child = offshoot(dir.path())
        .arg("chat")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let words = b"how many files are there?\n\nwhat is this folder?\n";
    child.stdin.take().unwrap().write_all(words).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(
        out(&output).contains("2 files") && out(&output).contains("Kite"),
        "{}",
        out(&output)
    );
}

#[test]
fn a_trace_holds_every_event() {
    let dir = folder();
    let args = ["run", "--trace", "trace.jsonl", "how many files are there?"];
    let output = run(dir.path(), &args);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = std::fs::read_to_string(dir.path().join("trace.jsonl")).unwrap();
    let types: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["type"]
                .as_str()
                .unwrap()
                .into()
        })
        .collect();
    assert_eq!(types.first().unwrap(), "run_start");
    assert_eq!(types.last().unwrap(), "turn_end");
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = folder();
    let (_runtime, server) = serve(Script::repeat(Answer::text("many words")));
    let mut command = offshoot(dir.path());
    let mut child = with_anthropic(&mut command, &server)
        .args(["run", "--json", "hi"])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let dir = folder();
    for args in [
        &["run", "Survey this folder"][..],
        &["run", "--json", "Survey this folder"],
    ] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = offshoot(dir.path())
            .args(args)
            .stdout(full)
            .output()
            .unwrap();
        assert_eq!(code(&output), 1, "{}", err(&output));
        assert!(
            err(&output).contains("standard output cannot be written"),
            "{}",
            err(&output)
        );
    }
}

#[test]
fn events_of_a_structured_answer_are_the_published_format() {
    let dir = folder();
    write(
        &dir,
        "s.json",
        r#"{"type":"object","properties":{"files":{"type":"integer"}},"required":["files"]}"#,
    );
    let output = run(
        dir.path(),
        &["run", "--json", "--schema", "s.json", "Survey this folder"],
    );
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = out(&output);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.first().unwrap()["type"], "run_start");
    assert_eq!(lines.last().unwrap()["type"], "turn_end");
}

#[test]
fn a_refused_structured_answer_has_the_code_of_a_refusal() {
    let dir = folder();
    write(&dir, "s.json", "true");
    let output = run(
        dir.path(),
        &["run", "--schema", "s.json", "Survey this folder"],
    );
    assert_eq!(code(&output), 4, "{}", err(&output));
}

#[test]
fn a_chat_from_a_pipe_is_text_and_stops_with_its_reader() {
    let dir = folder();
    let mut child = offshoot(dir.path())
        .arg("chat")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"\xff\xfe").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("not UTF-8"), "{}", err(&output));
}

#[test]
fn a_limit_in_dollars_needs_a_price() {
    let dir = folder();
    let output = offshoot(dir.path())
        .env("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        .args([
            "run",
            "-m",
            "openai-chat/nobody-knows-it",
            "--max-budget-usd",
            "0.01",
            "hi",
        ])
        .output()
        .unwrap();
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(
        err(&output).contains("price is not known"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_time_limit_beyond_the_clock_is_no_limit() {
    let dir = folder();
    let output = run(
        dir.path(),
        &[
            "run",
            "--timeout",
            "5000000000000000h",
            "Survey this folder",
        ],
    );
    assert_eq!(code(&output), 0, "{}", err(&output));
}

pub(super) fn write(dir: &tempfile::TempDir, name: &str, text: &str) {
    let file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .open(dir.path().join(name));
    file.unwrap().write_all(text.as_bytes()).unwrap();
}
