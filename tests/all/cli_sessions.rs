//! Sessions as the command keeps them: listed, shown, gone on with, forked, moved and removed.
//! Refuses the library: every session here is made and read by processes.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use offshoot::testing::{Answer, ModelServer, Script};
use serde_json::{Value, json};

use super::cli::{code, err, offshoot, out, serve, with_anthropic};

/// A folder to work in and a home beside it.
struct House(tempfile::TempDir);

impl House {
    fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(house.folder()).unwrap();
        put(&house.folder().join("README.md"), "# Kite\n\nA toy.\n");
        house
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("work")
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn command(&self) -> Command {
        let mut command = offshoot(&self.folder());
        command.env("OFFSHOOT_HOME", self.home());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// What a verb prints that must succeed.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(
            code(&output),
            0,
            "{args:?}: {}{}",
            out(&output),
            err(&output)
        );
        out(&output)
    }

    fn list(&self) -> Vec<Value> {
        serde_json::from_str(&self.ok(&["sessions", "--json"])).unwrap()
    }

    /// The session that was touched last.
    fn newest(&self) -> String {
        self.list()[0]["id"].as_str().unwrap().to_owned()
    }

    /// A text without what differs from run to run.
    fn tidy(&self, text: &str) -> String {
        let mut text = text.replace(
            &*self.folder().canonicalize().unwrap().to_string_lossy(),
            "DIR",
        );
        for (number, card) in self.list().iter().rev().enumerate() {
            text = text.replace(card["id"].as_str().unwrap(), &format!("ID{}", number + 1));
        }
        text
    }
}

fn put(path: &Path, text: &str) {
    let mut open = std::fs::OpenOptions::new();
    let mut file = open
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn runs_are_kept_and_listed_the_last_touched_first() {
    let house = House::new();
    assert_eq!(house.ok(&["sessions"]), "");
    assert_eq!(house.ok(&["sessions", "--json"]), "[]\n");
    house.ok(&["run", "how many files are there?"]);
    house.ok(&["run", "what can you do?"]);
    let list = house.list();
    let titles: Vec<_> = list.iter().map(|card| &card["title"]).collect();
    assert_eq!(titles, ["what can you do?", "how many files are there?"]);
    assert_eq!(
        (&list[0]["turns"], &list[1]["turns"]),
        (&json!(1), &json!(1))
    );
    let old = list[1]["id"].as_str().unwrap();
    // By the end of its name, which differs more than the beginning.
    house.ok(&["resume", &old[old.len() - 6..], "show `README.md`"]);
    let lines = house.ok(&["sessions"]);
    let first: Vec<_> = lines.lines().next().unwrap().split('\t').collect();
    assert_eq!(
        first[..4],
        [old, "how many files are there?", "2", "$0"],
        "{lines}"
    );
    let elsewhere = house.ok(&["sessions", "--json", "--folder", "/"]);
    assert_eq!(elsewhere, "[]\n");
    let here: Value =
        serde_json::from_str(&house.ok(&["sessions", "--json", "--folder", "."])).unwrap();
    assert_eq!(here.as_array().unwrap().len(), 2);
}

#[test]
fn a_session_is_shown_with_its_calls_and_results_and_by_record() {
    let house = House::new();
    house.ok(&["run", "how many files are there?"]);
    let id = house.newest();
    insta::assert_snapshot!(house.tidy(&house.ok(&["sessions", "show", &id])));
    insta::assert_snapshot!(house.tidy(&house.ok(&["sessions", "show", &id, "--records"])));
    let value: Value =
        serde_json::from_str(&house.ok(&["sessions", "show", &id, "--json"])).unwrap();
    let roles: Vec<_> = value["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["role"])
        .collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant"]);
    assert_eq!(value["session"]["id"], json!(id));
    let records = house.ok(&["sessions", "show", &id, "--json", "--records"]);
    let records: Value = serde_json::from_str(&records).unwrap();
    assert_eq!(records[0]["seq"], 1);
    assert!(
        records[0]["record"]["body"]["opened"].is_object(),
        "{records}"
    );
}

/// Starts a run and kills it once the model was asked so many times.
fn killed(house: &House, server: &ModelServer, args: &[&str], asked: u64) {
    let mut command = house.command();
    let mut child = with_anthropic(&mut command, server)
        .args(args)
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while server.count() < asked {
        assert!(
            Instant::now() < until,
            "the model was asked {} times",
            server.count()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_that_was_killed_is_finished_by_resume() {
    let house = House::new();
    let (_runtime, server) = serve(Script::replies([
        Answer::text("I look.").call("LS", json!({"path": "."})),
        Answer::text("half an answer").stall_after(1),
        Answer::text("It holds a toy."),
        Answer::text("You are welcome."),
    ]));
    killed(&house, &server, &["run", "what is here?"], 2);
    let id = house.newest();
    let shown = house.ok(&["sessions", "show", &id]);
    assert!(shown.contains("README.md"), "the result was safe: {shown}");
    let mut command = house.command();
    let output = with_anthropic(&mut command, &server)
        .args(["resume", &id])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(out(&output), "It holds a toy.\n");
    assert!(
        err(&output).contains("the last turn was cut short"),
        "{}",
        err(&output)
    );
    // The same model goes on, and it has read what its earlier life had.
    let mut command = house.command();
    let output = with_anthropic(&mut command, &server)
        .args(["run", "--resume", &id[..], "thanks"])
        .output()
        .unwrap();
    assert_eq!(out(&output), "You are welcome.\n", "{}", err(&output));
    assert_eq!(err(&output), "");
    assert_eq!(server.count(), 4);
    assert_eq!(house.list().len(), 1);
    assert_eq!(house.list()[0]["turns"], 3, "to finish one is a turn too");
}

#[test]
fn a_message_that_a_death_left_unanswered_is_answered_with_the_next() {
    let house = House::new();
    let (_runtime, server) = serve(Script::replies([
        Answer::text("half an answer").stall_after(1),
        Answer::text("One and two."),
    ]));
    killed(&house, &server, &["run", "one"], 1);
    let mut command = house.command();
    let output = with_anthropic(&mut command, &server)
        .args(["run", "--continue", "two"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(
        err(&output).contains("the last turn was cut short"),
        "{}",
        err(&output)
    );
    assert_eq!(out(&output), "One and two.\n");
    let shown = house.ok(&["sessions", "show", &house.newest()]);
    let asked: Vec<_> = shown.lines().filter(|l| l.starts_with("> ")).collect();
    assert_eq!(asked, ["> one", "> two"]);
}

#[test]
fn bad_names_and_wrong_wishes_are_refused() {
    let house = House::new();
    house.ok(&["run", "what can you do?"]);
    house.ok(&["run", "what can you do?"]);
    let id = house.newest();
    let table: &[(&[&str], i32, &str)] = &[
        (
            &["sessions", "show", "nothing"],
            1,
            "no such session: `nothing`",
        ),
        (&["sessions", "show", ""], 1, "no such session: ``"),
        (&["sessions", "show"], 2, "Usage"),
        (
            &["resume", "s0", "hi"],
            2,
            "several sessions have this name: `s0`",
        ),
        (&["resume", "s0", "hi"], 2, &id),
        (&["resume", &id], 2, "nothing left to finish"),
        (&["resume", &id, ""], 2, "no task"),
        (
            &["run", "--resume", "nothing", "hi"],
            1,
            "`offshoot sessions` lists them",
        ),
        (
            &["run", "--resume", &id, "--continue", "hi"],
            2,
            "--continue",
        ),
        (
            &["run", "--resume", &id, "--log", "none", "hi"],
            2,
            "--log none",
        ),
        (&["run", "--log", "sometimes", "hi"], 2, "step"),
        (
            &["run", "--continue", "--cwd", "/", "hi"],
            1,
            "no session has worked in this folder: `/`",
        ),
        (&["fork", &id, "--at", "0"], 2, "0"),
        (&["fork", &id, "--at", "99999"], 1, "no record `99999`"),
        (&["export", "nothing"], 1, "nothing"),
        (&["export", &id, "missing/x.jsonl"], 1, "missing/x.jsonl"),
        (&["import", "missing.jsonl"], 1, "missing.jsonl"),
        (&["import", "README.md"], 2, "neither an exported session"),
        (&["import", "."], 1, "cannot read the file: `.`"),
        (&["replay", "nothing"], 1, "nothing"),
        (&["diff", &id, "nothing"], 2, "nothing"),
        (&["prune"], 2, "--older-than"),
        (&["prune", "--older-than", "3"], 2, "30d"),
        (&["prune", "nothing"], 1, "nothing"),
    ];
    for (args, wanted, word) in table {
        let output = house.run(args);
        assert_eq!(
            code(&output),
            *wanted,
            "{args:?}: {}{}",
            out(&output),
            err(&output)
        );
        assert!(err(&output).contains(word), "{args:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{args:?}");
    }
    assert_eq!(house.list().len(), 2, "none of it left anything");
}

#[test]
fn where_no_log_can_be_kept_a_run_goes_on_and_says_so() {
    let house = House::new();
    put(&house.home(), "a file where the home should be");
    let output = house.run(&["run", "--model", "offline", "how many files are there?"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("1 file"), "{}", out(&output));
    let said = err(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("no log of this session is kept: "),
        "{said}"
    );
    let output = house.run(&["sessions"]);
    assert_eq!(code(&output), 1, "who asks for sessions wants to know");
    // Nobody said where, and there is no home.
    let mut nowhere = offshoot(&house.folder());
    nowhere
        .env_remove("XDG_DATA_HOME")
        .args(["run", "--model", "offline", "what can you do?"]);
    let output = nowhere.output().unwrap();
    assert_eq!(code(&output), 0);
    assert!(err(&output).contains("OFFSHOOT_HOME"), "{}", err(&output));
    let quiet = house.run(&[
        "run",
        "--log",
        "none",
        "--model",
        "offline",
        "what can you do?",
    ]);
    assert_eq!(err(&quiet), "", "who wants no log is told nothing");
}

#[test]
fn without_a_log_no_tool_is_offered_that_reads_what_is_kept() {
    let house = House::new();
    let (_runtime, server) = serve(Script::repeat(Answer::text("Yes.")));
    for log in ["step", "none"] {
        let mut command = house.command();
        let output = with_anthropic(&mut command, &server)
            .args(["run", "--log", log, "hi"])
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", err(&output));
    }
    let offered = server.requests().into_iter().map(|asked| {
        let asked: Value = serde_json::from_slice(&asked.body).unwrap();
        let tools = asked["tools"].as_array().unwrap();
        tools.iter().any(|tool| tool["name"] == "KeptOutput")
    });
    assert_eq!(offered.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_newer_store_is_left_alone() {
    let house = House::new();
    house.ok(&["run", "what can you do?"]);
    let path = house.home().join("sessions/sessions.db");
    let mut open = std::fs::OpenOptions::new();
    let mut file = open.read(true).write(true).open(&path).unwrap();
    // Where SQLite keeps the number that a program gives its tables.
    file.seek(SeekFrom::Start(60)).unwrap();
    file.write_all(&99_u32.to_be_bytes()).unwrap();
    drop(file);
    let before = std::fs::read(&path).unwrap();
    let output = house.run(&["run", "--model", "offline", "what can you do?"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(err(&output).contains("newer version"), "{}", err(&output));
    assert_eq!(err(&output).lines().count(), 1, "{}", err(&output));
    let output = house.run(&["sessions"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("newer version"), "{}", err(&output));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_log_goes_on_from_its_last_good_record_and_says_so() {
    let house = House::new();
    house.ok(&["run", "how many files are there?"]);
    let id = house.newest();
    let path = house.home().join("sessions/sessions.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let words = b"Hidden and ignored";
    let places: Vec<_> = (0..bytes.len() - words.len())
        .filter(|at| bytes[*at..].starts_with(words))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] = b'B';
    }
    let mut open = std::fs::OpenOptions::new();
    let mut file = open.write(true).open(&path).unwrap();
    file.write_all(&bytes).unwrap();
    let output = house.run(&["sessions", "show", &id]);
    assert_eq!(
        code(&output),
        1,
        "what is good is shown, and then it is said"
    );
    assert!(
        out(&output).contains("1 files, 0 folders"),
        "{}",
        out(&output)
    );
    assert!(
        err(&output).contains("is not what was written"),
        "{}",
        err(&output)
    );
    for args in [&["export", &id][..], &["replay", &id]] {
        assert_eq!(code(&house.run(args)), 1, "{args:?}");
    }
    let output = house.run(&["resume", &id, "--model", "offline", "what can you do?"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let said = err(&output);
    assert!(said.contains("the log is damaged: "), "{said}");
    assert!(said.contains("records are lost"), "{said}");
    let records = house.ok(&["sessions", "show", &id, "--records"]);
    assert!(records.contains("records lost"), "{records}");
    let output = house.run(&["resume", &id, "--model", "offline", "what can you do?"]);
    assert!(
        !err(&output).contains("damaged"),
        "it is whole again: {}",
        err(&output)
    );
}

#[test]
fn forks_share_a_beginning_and_nothing_else() {
    let house = House::new();
    house.ok(&["run", "how many files are there?"]);
    let id = house.newest();
    let records = house.ok(&["sessions", "show", &id, "--records"]);
    let line = records.lines().find(|line| line.contains("user:")).unwrap();
    let at = line.split_whitespace().next().unwrap();
    let fork = house.ok(&["fork", &id, "--at", at]);
    let fork = fork.trim();
    assert_ne!(fork, id);
    // It was cut in the middle of a turn, which its next life finishes.
    let output = house.run(&["resume", fork]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("1 file"), "{}", out(&output));
    assert_eq!(house.ok(&["sessions", "show", &id, "--records"]), records);
    let output = house.run(&["fork", &id, "what can you do?"]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let name = err(&output)
        .lines()
        .find_map(|line| line.strip_prefix("forked as ").map(str::to_owned));
    let list = house.list();
    assert_eq!(list[0]["id"], json!(name.unwrap()));
    assert_eq!(list[0]["forked"][0], json!(id));
    assert_eq!((list.len(), &list[0]["turns"]), (3, &json!(2)));
}

#[test]
fn a_session_moves_to_another_home_and_replays_the_same() {
    let (here, there) = (House::new(), House::new());
    let told = here.ok(&["run", "--json", "how many files are there?"]);
    let id = here.newest();
    let file = here.0.path().join("session.jsonl");
    here.ok(&["export", &id, file.to_str().unwrap()]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(here.ok(&["export", &id]), text);
    let again = here.run(&["export", &id, file.to_str().unwrap()]);
    assert_eq!(
        (code(&again), std::fs::read_to_string(&file).unwrap()),
        (2, text.clone())
    );
    let copy = there.ok(&["import", file.to_str().unwrap()]);
    let copy = copy.trim();
    let replayed = there.ok(&["replay", copy]);
    assert_eq!(replayed, here.ok(&["replay", &id]));
    let kinds = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut kinds: Vec<_> = lines.map(|line| line["type"].to_string()).collect();
        // Pieces that were told apart are told again as one.
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds(&replayed), kinds(&told));
    // Back again: another name for the same.
    let back = here.ok(&["import", file.to_str().unwrap()]);
    let same = here.run(&["diff", &id, back.trim()]);
    assert_eq!(code(&same), 0, "{}", out(&same));
    put(&file, &text.replace("how many files", "how many flies"));
    let output = there.run(&["import", file.to_str().unwrap()]);
    assert_eq!((code(&output), out(&output)), (1, String::new()));
    assert!(err(&output).contains("damaged in line"), "{}", err(&output));
    assert_eq!(there.list().len(), 1);
}

#[test]
fn two_sessions_are_laid_side_by_side() {
    let house = House::new();
    house.ok(&["run", "how many files are there?"]);
    house.ok(&["run", "what can you do?"]);
    let list = house.list();
    let [one, two] = [1, 0].map(|at| list[at]["id"].as_str().unwrap());
    let output = house.run(&["diff", one, two]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let text = house.tidy(&out(&output));
    insta::assert_snapshot!(text.split("\n- ID1: ").next().unwrap_or_default());
    let output = house.run(&["diff", "--json", one, two]);
    assert_eq!(code(&output), 1);
    let value: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        (&value["same"], &value["common"]),
        (&json!(false), &json!(1))
    );
    assert_eq!(value["left"]["turns"], 1);
}

#[test]
fn prune_removes_what_it_is_asked_to_and_says_how_much() {
    let house = House::new();
    for _ in 0..4 {
        house.ok(&["run", "what can you do?"]);
    }
    let ids: Vec<_> = house.list().iter().map(|card| card["id"].clone()).collect();
    let said = house.ok(&["prune", "--keep", "2", "--dry-run"]);
    assert!(said.starts_with("would remove 2 sessions with "), "{said}");
    assert_eq!(house.list().len(), 4);
    assert!(
        house
            .ok(&["prune", "--older-than", "1h"])
            .starts_with("removed 0 sessions")
    );
    let said = house.ok(&["prune", "--keep", "3"]);
    assert!(
        said.starts_with("removed 1 session with ") && said.contains("KiB"),
        "{said}"
    );
    assert!(
        house.list().iter().all(|card| card["id"] != ids[3]),
        "the oldest went"
    );
    let first = ids[0].as_str().unwrap();
    house.ok(&["prune", first]);
    assert_eq!(house.list().len(), 2);
    house.ok(&["prune", "--older-than", "0s"]);
    assert_eq!(house.list().len(), 0);
}

#[test]
fn a_session_that_is_written_to_is_not_removed_and_not_written_twice() {
    let house = House::new();
    let (_runtime, server) = serve(Script::repeat(
        Answer::text("half an answer").stall_after(1),
    ));
    let mut command = house.command();
    let mut child = with_anthropic(&mut command, &server)
        .args(["run", "hi"])
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while server.count() < 1 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = house.newest();
    let output = house.run(&["prune", &id]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    assert!(
        err(&output).contains(&id) && err(&output).contains("it stays"),
        "{}",
        err(&output)
    );
    let said = house.ok(&["prune", "--older-than", "0s"]);
    assert!(said.starts_with("removed 0 sessions"), "{said}");
    let output = house.run(&["run", "--model", "offline", "--resume", &id, "hi"]);
    assert_eq!(code(&output), 1, "{}", err(&output));
    let pid = format!("process {}", child.id());
    assert!(
        err(&output).contains(&pid),
        "it says who has it: {}",
        err(&output)
    );
    // Readers are welcome meanwhile.
    assert!(house.ok(&["sessions", "show", &id]).contains("> hi"));
    let output = house.run(&[
        "resume",
        "--model",
        "offline",
        "--take-over",
        &id,
        "what can you do?",
    ]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_transcript_of_claude_code_goes_on_here() {
    let house = House::new();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/claude/parallel.jsonl"
    );
    let output = house.run(&["import", file]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    let id = out(&output).trim().to_owned();
    let said = err(&output);
    assert!(
        said.contains("6 messages") && said.contains("left out: 1 lines"),
        "{said}"
    );
    insta::assert_snapshot!(house.tidy(&house.ok(&["sessions", "show", &id])));
    let (_runtime, server) = serve(Script::repeat(Answer::text("It is red.")));
    let mut command = house.command();
    let output = with_anthropic(&mut command, &server)
        .args(["resume", &id, "which colour?"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert_eq!(out(&output), "It is red.\n");
    // A key of this machine is not kept, wherever it stands.
    let leak = house.folder().join("leak.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    put(
        &leak,
        &text.replace("One pixel.", "The key is sk-ant-secret-key-1."),
    );
    let mut command = house.command();
    let command = with_anthropic(&mut command, &server).args(["import", "leak.jsonl"]);
    let id = out(&command.output().unwrap()).trim().to_owned();
    let sent = house.ok(&["export", &id]);
    assert!(sent.contains("The key is [redacted].") && !sent.contains("secret-key"));
    // Standard input will do as well.
    let mut command = house.command();
    let mut child = command
        .args(["import", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = Vec::new();
    std::fs::File::open(file)
        .unwrap()
        .read_to_end(&mut text)
        .unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    assert_eq!(code(&child.wait_with_output().unwrap()), 0);
    assert_eq!(house.list().len(), 3);
    assert_eq!(house.list()[0]["title"], "Two small files");
}

#[test]
fn what_a_log_holds_cannot_move_the_cursor() {
    let house = House::new();
    let evil = "\u{1b}[2J\u{1b}]0;owned\u{7}hello";
    let (_runtime, server) = serve(Script::repeat(Answer::text(evil)));
    let mut command = house.command();
    let output = with_anthropic(&mut command, &server)
        .args(["run", evil])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", err(&output));
    let id = house.newest();
    for args in [
        &["sessions"][..],
        &["sessions", "show", &id],
        &["sessions", "show", "--full", &id],
        &["sessions", "show", "--records", &id],
        &["prune", "--dry-run", &id],
    ] {
        let output = house.run(args);
        assert_eq!(code(&output), 0, "{args:?}");
        let text = out(&output) + &err(&output);
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{args:?}: {text:?}");
    }
}
