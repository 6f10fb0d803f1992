//! Real processes that are killed: at random moments, and at every write of their log.
//! Refuses the log's own word for what was done: effects are counted in a file beside it.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the test starts itself as the process that dies, and says what it saw"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use offshoot::{
    SessionId, StopReason,
    store::{Body, Durability, LostChildren, Record, SqliteStore, Store},
    testing::check_history,
};

use super::{
    around::around,
    boundaries::records,
    world::{self, Deeds},
};

const FOLDER: &str = "OFFSHOOT_TEST_LIFE";
const AT: &str = "OFFSHOOT_TEST_DIES_AT";
const WHEN: &str = "OFFSHOOT_TEST_DIES_WHEN";
const DURABILITY: &str = "OFFSHOOT_TEST_DURABILITY";
const CHILDREN: &str = "OFFSHOOT_TEST_CHILDREN";

fn id() -> SessionId {
    SessionId::new("the-session")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The life of one process: not a test, but what the tests start.
#[test]
fn life() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = Path::new(&folder);
        let store = Arc::new(SqliteStore::open(folder.join("home")).unwrap());
        let (at, before) = (number(AT), std::env::var(WHEN).as_deref() == Ok("before"));
        // The process dies at one of its appends.
        let store = around(store, move |number, append| {
            let dies = Some(number) == at;
            if dies && before {
                std::process::abort();
            }
            let answer = append();
            async move {
                let answer = answer.await;
                if dies {
                    std::process::abort();
                }
                answer
            }
            .boxed()
        });
        let deeds = Deeds::in_file(&folder.join("deeds"));
        let known = store.card(&id()).await.unwrap();
        let builder = world::session(&deeds, &store)
            .durability(match std::env::var(DURABILITY).as_deref() {
                Ok("off") => Durability::Off,
                _ => Durability::Step,
            })
            .on_lost_children(match std::env::var(CHILDREN).as_deref() {
                Ok("restart") => LostChildren::Restart,
                _ => LostChildren::Report,
            });
        let builder = match known.is_some_and(|card| card.records > 0) {
            true => builder.resume(id()),
            false => builder.id(id()),
        };
        let mut session = builder.open().await.unwrap();
        let end = if session.is_unfinished() {
            session.go_on().finish().await
        } else if session.history().is_empty() {
            session.submit_message("do the work").finish().await
        } else {
            session.close().await;
            fs::write(folder.join("done"), "").unwrap();
            return;
        };
        assert_eq!(end.stop, StopReason::Finished, "{end:?}");
        check_history(&session.history()).unwrap();
        session.close().await;
        fs::write(folder.join("done"), "").unwrap();
    });
}

fn start(folder: &Path, more: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "log::kills::life", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(
            fs::File::options()
                .create(true)
                .append(true)
                .open(folder.join("said"))
                .unwrap(),
        );
    for (name, value) in more {
        command.env(name, value);
    }
    command.spawn().unwrap()
}

/// What is known after a death: how often each deed was done, and the records.
async fn seen(folder: &Path) -> (BTreeMap<String, usize>, Vec<Record>) {
    let text = fs::read_to_string(folder.join("deeds")).unwrap_or_default();
    let mut deeds = BTreeMap::new();
    for line in text.lines() {
        *deeds.entry(line.to_owned()).or_default() += 1;
    }
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.join("home")).unwrap());
    let known = store.card(&id()).await.unwrap().is_some();
    let records = if known {
        records(&store, &id()).await
    } else {
        Vec::new()
    };
    (deeds, records)
}

/// What must hold after each death.
fn wrong(deeds: &BTreeMap<String, usize>, before: &[Record], records: &[Record]) -> Option<String> {
    if records.len() < before.len() || records[..before.len()] != *before {
        return Some(format!(
            "{} records were there, now {}",
            before.len(),
            records.len()
        ));
    }
    let mut keys = BTreeMap::new();
    for deed in deeds.keys() {
        if let Some((what, key)) = deed.split_once(" key ")
            && let Some(other) = keys.insert(what, key)
        {
            return Some(format!("{what} was done under two keys: {key}, {other}"));
        }
    }
    let intended = super::boundaries::intended(records);
    for (deed, count) in deeds.iter().filter(|(deed, _)| deed.starts_with("act")) {
        if *count > 1 {
            return Some(format!("{deed} was done {count} times"));
        }
        if !intended.contains(deed) {
            return Some(format!("{deed} was done, and its intent is not in the log"));
        }
    }
    None
}

fn finished(folder: &Path) -> bool {
    folder.join("done").exists()
}

/// Kills lives of one session after another at random moments, so often; gives what went wrong.
async fn kill_at_random(kills: usize, seed: u64, more: &[(&str, &str)]) -> Option<String> {
    let (mut killed, mut sessions) = (0, 0);
    let mut random = seed | 1;
    while killed < kills {
        let folder = tempfile::tempdir().unwrap();
        let mut before = Vec::new();
        sessions += 1;
        while !finished(folder.path()) && killed < kills {
            let mut child = start(folder.path(), more);
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let moment = Duration::from_micros(random % 250_000);
            tokio::time::sleep(moment).await;
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                continue;
            }
            killed += 1;
            let (deeds, records) = seen(folder.path()).await;
            if let Some(wrong) = wrong(&deeds, &before, &records) {
                return Some(format!("seed {seed}, kill {killed}: {wrong}"));
            }
            before = records;
        }
        if !finished(folder.path()) {
            let status = start(folder.path(), more).wait().unwrap();
            if !status.success() {
                let said = fs::read_to_string(folder.path().join("said")).unwrap_or_default();
                return Some(format!("seed {seed}: the last life failed:\n{said}"));
            }
        }
        let (deeds, records) = seen(folder.path()).await;
        if let Some(wrong) = wrong(&deeds, &before, &records) {
            return Some(format!("seed {seed}, the end: {wrong}"));
        }
    }
    println!("{killed} kills in {sessions} sessions");
    None
}

fn kills() -> usize {
    match std::env::var("OFFSHOOT_PROOF").as_deref() {
        Ok("full") => 500,
        _ => 100,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_a_kill_at_any_moment_loses_nothing_and_repeats_nothing() {
    let wrong = kill_at_random(kills() / 2, 0x5eed, &[]).await;
    assert_eq!(wrong, None);
    let wrong = kill_at_random(kills() / 2, 0xfeed, &[(CHILDREN, "restart")]).await;
    assert_eq!(wrong, None);
}

/// The order is the guarantee: where nobody waits for the intent, the same kills find it broken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_twin_without_the_order_kills_find_deeds_that_the_log_does_not_know() {
    let mut found = None;
    for seed in 1..=10 {
        found = kill_at_random(20, seed * 77, &[(DURABILITY, "off")]).await;
        if found.is_some() {
            break;
        }
    }
    let found = found.expect("a deed without its intent");
    assert!(found.contains("act("), "{found}");
}

/// Death at every write: just before it and just after it, of each life in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_a_death_at_every_write_of_the_log() {
    let step = match std::env::var("OFFSHOOT_PROOF").as_deref() {
        Ok("full") => 1,
        _ => 3,
    };
    let mut writes = 0;
    for at in (1..).step_by(step) {
        let mut survived = true;
        for when in ["before", "after"] {
            let folder = tempfile::tempdir().unwrap();
            let at = at.to_string();
            let first = start(folder.path(), &[(AT, &at), (WHEN, when)])
                .wait()
                .unwrap();
            survived &= first.success();
            let (deeds, before) = seen(folder.path()).await;
            assert_eq!(wrong(&deeds, &[], &before), None, "write {at}, {when}");
            let second = start(folder.path(), &[]).wait().unwrap();
            let said = fs::read_to_string(folder.path().join("said")).unwrap_or_default();
            assert!(second.success(), "write {at}, {when}: {said}");
            assert!(finished(folder.path()));
            let (deeds, records) = seen(folder.path()).await;
            assert_eq!(wrong(&deeds, &before, &records), None, "write {at}, {when}");
            let ended = |record: &&Record| {
                record.agent.depth() == 0 && matches!(record.body, Body::TurnEnd { .. })
            };
            assert_eq!(
                records.iter().filter(ended).count(),
                1,
                "write {at}, {when}"
            );
            writes += 1;
        }
        if survived {
            break;
        }
    }
    assert!(writes > 20, "{writes}");
    println!("{writes} deaths at writes");
    std::io::stdout().flush().unwrap();
}
