//! The command with a tree of agents: whose words are shown, who lives, and which files are trusted.
//! Refuses a terminal; what is drawn there is tested where it is drawn.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use offshoot::testing::{Answer, ModelServer, Received, Reply, Script};
use serde_json::{Value, json};

use super::cli::{code, err, offshoot, out, run, serve, with_anthropic};

/// How long a test waits for another process.
const PATIENCE: Duration = Duration::from_secs(60);

const SURVEY: &str = "Survey this folder and tell me what it is";

fn put(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "README.md", "# Kite\n\nA toy.\n");
    put(dir.path(), "one/main.rs", "fn main() {}\n");
    put(dir.path(), "two/notes.txt", "a\nb\n");
    dir
}

fn lines(output: &Output) -> Vec<Value> {
    let text = out(output);
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn agent(line: &Value) -> &str {
    line["agent"].as_str().unwrap()
}

#[test]
fn a_survey_with_helpers_prints_only_the_roots_words() {
    let dir = folder();
    let output = run(dir.path(), &["run", SURVEY]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("3 files in 2 folders"), "{text}");
    assert!(text.contains("a helper has surveyed each"), "{text}");
    assert!(
        !text.contains("Most files of"),
        "words of a helper are its parent's to read: {text}"
    );
    let notes = err(&output);
    assert_eq!(
        notes.lines().count(),
        1,
        "nothing is drawn into a pipe: {notes}"
    );
    assert!(!notes.contains('\x1b'), "{notes}");
}

#[test]
fn json_holds_the_whole_tree_and_ends_with_the_root() {
    let dir = folder();
    let output = run(dir.path(), &["run", "--json", SURVEY]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let lines = lines(&output);
    assert_eq!(lines[0]["type"], "run_start");
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "turn_end");
    assert_eq!(agent(last), "root");
    let seqs: Vec<_> = lines.iter().map(|l| l["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=lines.len() as u64).collect::<Vec<_>>());
    let of = |kind: &str| {
        let found = lines.iter().filter(|line| line["type"] == kind);
        let mut agents: Vec<_> = found.map(agent).collect();
        agents.sort_unstable();
        agents
    };
    assert_eq!(of("child_start"), ["root/explore/1", "root/explore/2"]);
    assert_eq!(of("child_end"), of("child_start"));
    for line in lines.iter().filter(|line| agent(line) != "root") {
        assert_eq!(line["parent"], "root", "{line}");
    }
    let spent = last["spent_by"].as_array().unwrap();
    assert_eq!(spent.len(), 3, "{last}");
    let sum = |key: &str| -> u64 {
        let rows = spent.iter().map(|row| row["usage"][key].as_u64().unwrap());
        rows.sum()
    };
    for key in ["input", "output", "requests"] {
        assert_eq!(Some(sum(key)), last["usage"][key].as_u64(), "{key}: {last}");
    }
}

/// Whether a request is one of a helper's: its conversation begins with its order.
fn is_helper(request: &Received) -> bool {
    let first = request.json()["messages"][0].to_string();
    first.contains("THE ORDER")
}

/// How many messages stand in a request.
fn length(request: &Received) -> usize {
    request.json()["messages"].as_array().map_or(0, Vec::len)
}

fn order(background: Value) -> Answer {
    let input = json!({
        "description": "look into it",
        "prompt": "THE ORDER: look",
        "subagent_type": "explore",
        "run_in_background": background,
    });
    Answer::empty().call("Agent", input)
}

fn failure() -> Reply {
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
    Reply::bytes("application/json", body).status(400)
}

#[test]
fn the_exit_code_is_the_roots() {
    let dir = folder();
    let go = |server: &ModelServer| {
        let mut command = offshoot(dir.path());
        let command = with_anthropic(&mut command, server);
        command.args(["run", "go"]).output().unwrap()
    };
    let (_runtime, server) = serve(Script::with(|request| {
        match (is_helper(request), length(request)) {
            (true, _) => failure(),
            (_, 1) => order(json!(false)).into(),
            _ => Reply::from(Answer::text("It failed, so I did it myself.")),
        }
    }));
    let output = go(&server);
    assert_eq!(code(&output), 0, "{} {}", out(&output), err(&output));
    assert_eq!(out(&output), "It failed, so I did it myself.\n");
    assert_eq!(err(&output), "", "the end of a helper is not the run's");

    let (_runtime, server) = serve(Script::with(|request| {
        match (is_helper(request), length(request)) {
            (true, _) => Reply::from(Answer::text("Fine here.")),
            (_, 1) => order(json!(false)).into(),
            _ => failure(),
        }
    }));
    let output = go(&server);
    assert_eq!(code(&output), 1, "{} {}", out(&output), err(&output));
    assert!(!out(&output).contains("Fine here."), "{}", out(&output));
}

#[test]
fn a_chat_from_a_pipe_waits_for_what_works_in_the_background() {
    let dir = folder();
    let (_runtime, server) = serve(Script::with(|request| {
        let last = request.json()["messages"]
            .as_array()
            .and_then(|messages| messages.last().map(Value::to_string))
            .unwrap_or_default();
        if is_helper(request) {
            Reply::from(Answer::text("found it")).delay(Duration::from_millis(300))
        } else if last.contains("<note from") {
            Answer::text("I have heard of it.").into()
        } else if length(request) == 1 {
            order(json!(true)).into()
        } else {
            Answer::text("It is on its way.").into()
        }
    }));
    let mut command = offshoot(dir.path());
    let mut child = with_anthropic(&mut command, &server)
        .arg("chat")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(out(&output), "It is on its way.\nI have heard of it.\n");
}

#[test]
fn limits_of_the_tree_are_told_and_kept() {
    let dir = folder();
    let body = |args: &[&str], depth: Option<&str>| {
        let (_runtime, server) = serve(Script::repeat(Answer::text("hi")));
        let mut command = offshoot(dir.path());
        let command = with_anthropic(&mut command, &server).args(args);
        if let Some(depth) = depth {
            command.env("AGENT_MAX_DEPTH", depth);
        }
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0, "{}", err(&output));
        server.requests()[0].json().to_string()
    };
    let usual = body(&["run", "hi"], None);
    assert!(usual.contains("At most 20 agents"), "{usual}");
    assert!(usual.contains("\"SendMessage\""), "{usual}");
    let two = body(&["run", "--max-agents", "2", "hi"], None);
    assert!(two.contains("At most 2 agents"), "{two}");
    for none in [
        body(&["run", "--max-depth", "0", "hi"], None),
        body(&["run", "hi"], Some("0")),
    ] {
        assert!(!none.contains("At most 20 agents"), "{none}");
        assert!(none.contains("\"Read\""), "{none}");
    }
    let output = offshoot(dir.path())
        .args(["run", "hi"])
        .env("AGENT_MAX_DEPTH", "deep")
        .output()
        .unwrap();
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("AGENT_MAX_DEPTH"), "{}", err(&output));
}

#[test]
fn help_lists_what_a_tree_needs() {
    let dir = folder();
    for verb in ["run", "chat"] {
        let text = out(&run(dir.path(), &[verb, "--help"]));
        for flag in ["--max-depth", "--max-agents", "--trust"] {
            assert!(text.contains(flag), "{verb}: {flag}");
        }
    }
    let text = out(&run(dir.path(), &["agents", "--help"]));
    assert!(text.contains("--why") && text.contains("--json"), "{text}");
    let text = out(&run(dir.path(), &["completions", "bash"]));
    assert!(text.contains("agents"), "completions come from the table");
}

/// A run whose helper waits for its model until it is killed.
struct Stuck {
    child: Child,
}

impl Stuck {
    fn start(dir: &Path, sockets: &Path, server: &ModelServer) -> Self {
        let mut command = offshoot(dir);
        let child = with_anthropic(&mut command, server)
            .env("XDG_RUNTIME_DIR", sockets)
            .args(["run", "go"])
            .spawn();
        Self {
            child: child.unwrap(),
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn agents(dir: &Path, sockets: &Path, args: &[&str]) -> Output {
    let mut command: Command = offshoot(dir);
    // Neither place may hold runs of other tests.
    command
        .env("XDG_RUNTIME_DIR", sockets)
        .env("TMPDIR", sockets)
        .arg("agents");
    let output = command.args(args).output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    output
}

/// The runs once so many of them have a helper each.
fn runs_with_helpers(dir: &Path, sockets: &Path, many: usize) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = agents(dir, sockets, &["--json", "--why"]);
        let runs: Vec<Value> = serde_json::from_str(&out(&output)).unwrap();
        let full = |run: &&Value| run["agents"].as_array().unwrap().len() == 2;
        if runs.iter().filter(full).count() == many {
            return runs;
        }
        assert!(Instant::now() < until, "{runs:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn sockets_in(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.join("offshoot"));
    entries
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default()
}

#[test]
fn agents_shows_the_trees_that_live_and_why() {
    let (dir, sockets) = (folder(), tempfile::tempdir().unwrap());
    let (dir, sockets) = (dir.path(), sockets.path());
    assert_eq!(out(&agents(dir, sockets, &[])), "no run lives\n");
    let (_runtime, server) = serve(Script::with(|request| {
        if is_helper(request) {
            Answer::text("half an answer").stall_after(1)
        } else {
            order(json!(false))
        }
    }));
    let first = Stuck::start(dir, sockets, &server);
    let runs = runs_with_helpers(dir, sockets, 1);
    let session = runs[0]["session"].as_str().unwrap();
    let (root, helper) = (&runs[0]["agents"][0], &runs[0]["agents"][1]);
    assert_eq!(root["path"], "root");
    assert_eq!(helper["path"], "root/explore/1");
    assert_eq!(helper["kind"], "explore");
    assert_eq!(helper["description"], "look into it");
    assert_eq!(root["why"]["children"], json!(["root/explore/1"]), "{root}");

    let text = out(&agents(dir, sockets, &[]));
    let told = text.lines().collect::<Vec<_>>();
    assert_eq!(told.len(), 3, "{text}");
    assert!(told[0].contains(session), "{text}");
    assert!(told[2].contains("root/explore/1 · explore"), "{text}");
    let text = out(&agents(dir, sockets, &["--why"]));
    assert!(text.contains("cannot end before root/explore/1"), "{text}");
    assert!(text.contains("waits for model"), "{text}");

    let socket = &sockets_in(sockets)[0];
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(socket), 0o600);
    assert_eq!(mode(socket.parent().unwrap()), 0o700);

    let second = Stuck::start(dir, sockets, &server);
    runs_with_helpers(dir, sockets, 2);
    second.kill();
    assert_eq!(
        sockets_in(sockets).len(),
        2,
        "it had no chance to take it away"
    );
    let runs = runs_with_helpers(dir, sockets, 1);
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["session"], session, "the other one still answers");
    assert_eq!(sockets_in(sockets).len(), 1, "what is dead is cleaned away");
    first.kill();
    assert_eq!(out(&agents(dir, sockets, &["--json"])), "[]\n");
    assert!(sockets_in(sockets).is_empty());
}

#[test]
fn a_run_takes_its_socket_away() {
    let (dir, sockets) = (folder(), tempfile::tempdir().unwrap());
    let output = offshoot(dir.path())
        .env("XDG_RUNTIME_DIR", sockets.path())
        .args(["run", SURVEY])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(sockets.path().join("offshoot").is_dir(), "it did listen");
    assert!(sockets_in(sockets.path()).is_empty());
}

#[test]
fn nonsense_at_a_socket_harms_nobody() {
    use std::{io::Read, os::unix::net::UnixStream};
    let (dir, sockets) = (folder(), tempfile::tempdir().unwrap());
    let (_runtime, server) = serve(Script::with(|request| {
        if is_helper(request) {
            Answer::text("half an answer").stall_after(1)
        } else {
            order(json!(false))
        }
    }));
    let stuck = Stuck::start(dir.path(), sockets.path(), &server);
    runs_with_helpers(dir.path(), sockets.path(), 1);
    let socket = sockets_in(sockets.path()).remove(0);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(&[b'x'; 4096]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("{\"error\":"), "{answer}");
    // One that says nothing is let go, and holds up nobody.
    let mut mute = UnixStream::connect(&socket).unwrap();
    runs_with_helpers(dir.path(), sockets.path(), 1);
    mute.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(mute.read(&mut [0; 1]).unwrap(), 0);
    stuck.kill();
}

/// A project whose hook leaves a mark when a message is submitted.
fn hostile() -> (tempfile::TempDir, tempfile::TempDir) {
    let (dir, home) = (folder(), tempfile::tempdir().unwrap());
    put(dir.path(), ".claude/settings.json", &hook("touch marker"));
    (dir, home)
}

fn hook(command: &str) -> String {
    let hook = json!({"hooks": [{"type": "command", "command": command}]});
    json!({
        "hooks": {"UserPromptSubmit": [hook]},
        "permissions": {"deny": ["Glob"]},
    })
    .to_string()
}

fn at_home(dir: &Path, home: &Path, args: &[&str]) -> Output {
    let mut command = offshoot(dir);
    command.env("HOME", home).stdin(Stdio::piped()).args(args);
    let mut child = command.spawn().unwrap();
    // A yes that nobody asked for. Nobody may read it, which is no matter.
    child.stdin.take().unwrap().write_all(b"y\n").ok();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    output
}

#[test]
fn a_projects_hook_runs_only_once_its_folder_is_trusted() {
    let (dir, home) = hostile();
    let (dir, home) = (dir.path(), home.path());
    let marker = dir.join("marker");
    let output = at_home(dir, home, &["run", SURVEY]);
    assert!(!marker.exists());
    let notes = err(&output);
    assert_eq!(notes.lines().count(), 2, "one line of it: {notes}");
    assert!(notes.contains(".claude/settings.json (1 hook)"), "{notes}");
    assert!(notes.contains("--trust"), "{notes}");
    assert!(!notes.contains("[y/N]"), "a pipe is never asked: {notes}");

    let output = at_home(dir, home, &["run", "--trust", SURVEY]);
    assert!(marker.exists(), "{}", err(&output));
    assert!(!err(&output).contains("settings.json"), "{}", err(&output));
    std::fs::remove_file(&marker).unwrap();

    at_home(dir, home, &["run", SURVEY]);
    assert!(marker.exists(), "it is remembered");
    std::fs::remove_file(&marker).unwrap();

    put(dir, ".claude/settings.json", &hook("touch marker && true"));
    let output = at_home(dir, home, &["run", SURVEY]);
    assert!(!marker.exists(), "trust is bound to the content");
    assert!(err(&output).contains("changed since"), "{}", err(&output));
}

#[test]
fn a_deny_rule_needs_no_trust_and_holds_for_helpers() {
    let (dir, home) = hostile();
    let output = at_home(dir.path(), home.path(), &["run", "--json", SURVEY]);
    let lines = lines(&output);
    let denied = |line: &&Value| line["type"] == "tool_end" && line["outcome"] == "denied";
    let denied: Vec<_> = lines.iter().filter(denied).collect();
    assert!(
        denied
            .iter()
            .any(|line| line["name"] == "Glob" && agent(line) != "root"),
        "{denied:?}"
    );
    let ran = |line: &Value| line["type"] == "tool_start" && line["name"] == "Glob";
    assert!(!lines.iter().any(ran));
}

#[test]
fn kinds_and_words_of_a_project_reach_the_model_once_trusted() {
    let (dir, home) = (folder(), tempfile::tempdir().unwrap());
    put(dir.path(), "AGENTS.md", "Always say KITE-WORDS.\n");
    let kind = "---\nname: taster\ndescription: TASTES-IT\nmodel: nobodys-model\n---\nTaste.\n";
    put(dir.path(), ".claude/agents/taster.md", kind);
    put(dir.path(), ".offshoot/settings.json", "{not json");
    let body = |args: &[&str]| {
        let (_runtime, server) = serve(Script::repeat(Answer::text("hi")));
        let mut command = offshoot(dir.path());
        let command = with_anthropic(&mut command, &server).env("HOME", home.path());
        let output = command.args(args).output().unwrap();
        assert_eq!(code(&output), 0, "{}", err(&output));
        (server.requests()[0].json().to_string(), err(&output))
    };
    let (before, notes) = body(&["run", "hi"]);
    assert!(!before.contains("KITE-WORDS") && !before.contains("TASTES-IT"));
    assert!(notes.contains("AGENTS.md (instructions)"), "{notes}");
    let (after, notes) = body(&["run", "--trust", "hi"]);
    assert!(after.contains("KITE-WORDS"), "{after}");
    assert!(after.contains("taster: TASTES-IT"), "{after}");
    let problems: Vec<_> = notes.lines().collect();
    assert_eq!(problems.len(), 2, "one line each: {notes}");
    assert!(
        problems[0].starts_with(".offshoot/settings.json: "),
        "{notes}"
    );
    assert!(problems[1].contains("nobodys-model"), "{notes}");
}
