//! Several processes with one store: races for a session, owners that sleep, owners that are killed.
//! Refuses threads in their place: locks and signals are the operating system's.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use offshoot::{
    ErrorKind, SessionId,
    store::{Body, Claiming, SqliteStore, Store, recall},
};

use super::shelf::{Writer, role, runtime, start};
use crate::kit::{Dice, size};

/// A process that was started, and the lines it says.
struct Other {
    child: Child,
    stdin: ChildStdin,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(test: &str, role: &[&str]) -> Self {
        let mut child = start(test, role);
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// The next line that is meant for us; what the test harness says is not.
    fn line(&mut self) -> Option<String> {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines.find_map(|line| line.strip_prefix('@').map(str::to_owned))
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a signal that the library never sends"
    )]
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next line of whoever started this process; `None` when it is gone.
fn heard() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim().to_owned())
}

#[expect(
    clippy::print_stdout,
    reason = "the one who started this process listens"
)]
fn say(line: &str) {
    // The harness has no line end after the name of the test.
    println!("\n@{line}");
}

#[test]
fn d7_of_fifty_processes_one_has_the_session_and_the_others_hear_which() {
    const TEST: &str =
        "store::processes::d7_of_fifty_processes_one_has_the_session_and_the_others_hear_which";
    if let Some(role) = role() {
        return race(Path::new(&role[0]));
    }
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    drop(SqliteStore::open(&folder).unwrap());
    let mut others: Vec<_> = (0..50)
        .map(|_| Other::start(TEST, &[folder.to_str().unwrap()]))
        .collect();
    for other in &mut others {
        assert_eq!(other.line().as_deref(), Some("ready"));
    }
    for other in &mut others {
        other.say("go");
    }
    let mut winners = Vec::new();
    let mut refusals = Vec::new();
    for other in &mut others {
        let line = other.line().unwrap();
        match line.strip_prefix("busy ") {
            Some(refusal) => refusals.push(refusal.to_owned()),
            None => winners.push((line, other.child.id())),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let (line, pid) = &winners[0];
    assert_eq!(line, "won");
    for refusal in &refusals {
        let (millis, hint) = refusal.split_once(' ').unwrap();
        assert!(hint.contains(&format!("process {pid} on ")), "{hint}");
        assert!(millis.parse::<u64>().unwrap() <= 1_000, "{millis} ms");
    }
    assert_eq!(refusals.len(), 49);
    // The operating system gives it back.
    drop(others);
    let store = SqliteStore::open(&folder).unwrap();
    let claim = runtime().block_on(Writer::claim(&store, "one", Claiming::IfFree));
    assert_eq!(claim.unwrap().end.0, 1);
}

fn race(folder: &Path) {
    let store = SqliteStore::open(folder).unwrap();
    let runtime = runtime();
    say("ready");
    heard();
    let began = Instant::now();
    let claim = runtime.block_on(Writer::claim(&store, "one", Claiming::IfFree));
    let millis = began.elapsed().as_millis();
    match claim {
        Ok(mut writer) => {
            runtime.block_on(writer.append(&["won"])).unwrap();
            say("won");
            heard();
        }
        Err(error) if error.kind() == ErrorKind::Busy => {
            say(&format!("busy {millis} {}", error.hint().unwrap()));
        }
        Err(error) => say(&format!("{error:?}")),
    }
}

#[test]
fn d7_an_owner_that_slept_while_it_was_taken_over_writes_nothing_more() {
    const TEST: &str =
        "store::processes::d7_an_owner_that_slept_while_it_was_taken_over_writes_nothing_more";
    if let Some(role) = role() {
        return sleeper(Path::new(&role[0]));
    }
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let store = SqliteStore::open(&folder).unwrap();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let runtime = runtime();
    let mut owner = Other::start(TEST, &[folder.to_str().unwrap()]);
    for trial in 0..size(30, 1_000) {
        let id = format!("session {trial}");
        owner.say(&id);
        assert_eq!(owner.line().as_deref(), Some("1"));
        owner.signal("-STOP");
        runtime.block_on(async {
            let busy = Writer::claim(&store, &id, Claiming::IfFree).await;
            assert_eq!(busy.err().unwrap().kind(), ErrorKind::Busy);
            let mut new = Writer::claim(&store, &id, Claiming::TakeOver)
                .await
                .unwrap();
            new.append(&["taken over"]).await.unwrap();
            owner.say("append");
            owner.signal("-CONT");
            assert_eq!(owner.line().as_deref(), Some("Fenced"), "its first append");
            new.append(&["and goes on"]).await.unwrap();
            let recalled = recall(&shared, &SessionId::new(id)).await.unwrap();
            assert_eq!((recalled.last, recalled.damage), (3, None));
        });
    }
}

fn sleeper(folder: &Path) {
    let store = SqliteStore::open(folder).unwrap();
    let runtime = runtime();
    while let Some(id) = heard() {
        let claim = Writer::claim(&store, &id, Claiming::IfFree);
        let mut writer = runtime.block_on(claim).unwrap();
        runtime.block_on(writer.append(&[""])).unwrap();
        say(&writer.end.0.to_string());
        heard();
        match runtime.block_on(writer.append(&["stale"])) {
            Ok(_) => say("written"),
            Err(error) => say(&format!("{:?}", error.kind())),
        }
    }
}

/// Sessions that a process writes at the same time.
const SESSIONS: usize = 4;

#[test]
fn d1_what_was_acknowledged_before_a_kill_is_there_after_it() {
    const TEST: &str = "store::processes::d1_what_was_acknowledged_before_a_kill_is_there_after_it";
    if let Some(role) = role() {
        return runtime().block_on(writers(Path::new(&role[0])));
    }
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("store");
    let mut dice = Dice(0x5eed);
    let runtime = runtime();
    let mut written: BTreeMap<String, u64> = BTreeMap::new();
    let mut acknowledged = 0;
    for _ in 0..size(15, 500) {
        let mut other = Other::start(TEST, &[folder.to_str().unwrap()]);
        // From its first word on, so that the moment falls into its writing.
        let mut lines = other.line().into_iter().collect::<Vec<_>>();
        std::thread::sleep(Duration::from_micros(dice.below(40_000)));
        other.child.kill().unwrap();
        lines.extend(std::iter::from_fn(|| other.line()));
        for line in &lines {
            // The last line may be half a line.
            if let Some((id, last)) = line.strip_suffix(';').and_then(|l| l.split_once('=')) {
                written.insert(id.to_owned(), last.parse().unwrap());
                acknowledged += 1;
            }
        }
        runtime.block_on(see(&folder, &written));
    }
    assert!(
        acknowledged > 100,
        "{acknowledged} are too few to prove much"
    );
}

async fn see(folder: &Path, written: &BTreeMap<String, u64>) {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder).unwrap());
    for (id, last) in written {
        let id = SessionId::new(id.as_str());
        let recalled = recall(&store, &id).await.unwrap();
        assert_eq!(recalled.damage, None);
        assert!(recalled.last >= *last, "{id}: {} of {last}", recalled.last);
        let records = recalled.agents.values().flat_map(|agent| &agent.records);
        for (n, record) in records.enumerate() {
            match &record.body {
                Body::User { message } => assert_eq!(message.text(), format!("{id}: {}", n + 1)),
                Body::Opened { .. } => assert_eq!(n, 0),
                other => panic!("{other:?}"),
            }
        }
        let card = store.card(&id).await.unwrap().unwrap();
        assert_eq!(card.records, recalled.last);
        let claim = store.claim(&id, Claiming::IfFree).await.unwrap();
        assert_eq!((claim.last, claim.sum), (recalled.last, recalled.sum));
    }
}

async fn writers(folder: &Path) {
    let store = SqliteStore::open(folder).unwrap();
    let each = (0..SESSIONS).map(async |n| {
        let id = format!("session {n}");
        let claim = Writer::claim(&store, &id, Claiming::IfFree).await;
        let mut writer = claim.unwrap();
        loop {
            let count = 1 + writer.end.0 % 3;
            let texts = (1..=count).map(|n| format!("{id}: {}", writer.end.0 + n));
            let texts: Vec<_> = texts.collect();
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            writer.append(&texts).await.unwrap();
            say(&format!("{id}={};", writer.end.0));
        }
    });
    futures::future::join_all(each).await;
}
