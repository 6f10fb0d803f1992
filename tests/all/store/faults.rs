//! Disks that fail: the Nth write, truncation or sync for every N, and a disk that is really full.
//! Refuses to show what no file system call shows: shared memory that is mapped, a lost power line.

use std::{
    fs::File,
    io::ErrorKind as Io,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use offshoot::{
    ErrorKind, SessionId,
    store::{Claiming, Row, SqliteStore, Store, recall},
};

use super::shelf::{Writer, put, quick_folder, role, runtime, start_with};
use crate::kit::size;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// KiB that are given free in the end.
const BALLAST: usize = 160;

/// Orders to the library that makes calls fail; see `tests/data/faults/failing.c`.
fn order(order: &str) -> bool {
    File::open(format!("/fail-{order}")).unwrap_err().kind() == Io::AlreadyExists
}

fn succeeded(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("1 passed"), "{said}");
}

/// Compiles the library that makes calls fail.
#[expect(clippy::disallowed_methods, reason = "a test builds its tool")]
fn failing_library(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faults/failing.c");
    let library = folder.join("failing.so");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
    let built = cc.arg(source).arg("-ldl").output().unwrap();
    let complained = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{complained}");
    library
}

#[test]
fn d6_the_nth_call_fails_for_every_n_and_the_same_store_goes_on() {
    const TEST: &str =
        "store::faults::d6_the_nth_call_fails_for_every_n_and_the_same_store_goes_on";
    if role().is_some() {
        return every_n();
    }
    let home = tempfile::tempdir().unwrap();
    let library = failing_library(home.path());
    let child = start_with(TEST, &["all"], &[("LD_PRELOAD", library.to_str().unwrap())]);
    succeeded(&child.wait_with_output().unwrap());
}

fn every_n() {
    let home = quick_folder();
    assert!(!order("seen"), "the library is not loaded");
    let (mut failed, mut told) = (0, 0);
    for (mode, code) in [
        ("once", EIO),
        ("once", ENOSPC),
        ("from", ENOSPC),
        ("from", EIO),
    ] {
        for n in (1..).step_by(size(2, 1)) {
            let folder = home.path().join(format!("{mode}-{code}-{n}"));
            order(&format!("{mode}/{n}/{code}"));
            told += runtime().block_on(life(&folder, code));
            let seen = order("seen");
            order("never");
            std::fs::remove_dir_all(&folder).unwrap();
            if !seen {
                break;
            }
            failed += 1;
        }
    }
    assert!(failed > 100, "only {failed} calls failed");
    assert!(told > 50, "only {told} failures were told");
}

/// Lives with a store; at the first failure the disk is well again. Gives the number of failures.
async fn life(folder: &Path, code: i32) -> usize {
    let mut told = 0;
    // What was begun and failed is asked again, of the same store.
    macro_rules! twice {
        ($ask:expr) => {
            match $ask {
                Ok(answer) => answer,
                Err(error) => {
                    typed(&error, code);
                    told += 1;
                    order("never");
                    $ask.unwrap_or_else(|error| panic!("it does not go on: {error:?}"))
                }
            }
        };
    }
    let store = twice!(SqliteStore::open(folder));
    let mut one = twice!(Writer::claim(&store, "one", Claiming::IfFree).await);
    let mut rows = twice!(one.append(&["", "first"]).await);
    let mut two = twice!(Writer::claim(&store, "two", Claiming::IfFree).await);
    rows.extend(twice!(one.append(&["second"]).await));
    let others = twice!(two.append(&["", &"long ".repeat(2_000)]).await);
    twice!(
        store
            .fork(&SessionId::new("one"), 2, &SessionId::new("fork"))
            .await
    );
    rows.extend(twice!(one.append(&["third", "fourth"]).await));
    drop((one, two));
    drop(store);
    // Also what happened while it was closed is over.
    order("never");
    let store = SqliteStore::open(folder).unwrap();
    whole(&store, "one", &rows).await;
    whole(&store, "two", &others).await;
    whole(&store, "fork", &rows[..2]).await;
    assert_eq!(store.list().await.unwrap().len(), 3);
    told
}

fn typed(error: &offshoot::Error, code: i32) {
    // The disk is not full in truth, which is asked where SQLite does not say itself.
    let kinds: &[_] = match code {
        ENOSPC => &[ErrorKind::StorageFull, ErrorKind::Io],
        _ => &[ErrorKind::Io],
    };
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
}

async fn whole(store: &SqliteStore, id: &str, rows: &[Row]) {
    let id = SessionId::new(id);
    let found = store.read(&id, 1..u64::MAX).await.unwrap();
    assert_eq!(found, rows, "{id}");
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    assert_eq!(recall(&shared, &id).await.unwrap().damage, None);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a disk of its own needs a program"
)]
fn d6_a_full_disk_is_told_keeps_what_it_has_and_goes_on_when_there_is_room() {
    const TEST: &str =
        "store::faults::d6_a_full_disk_is_told_keeps_what_it_has_and_goes_on_when_there_is_room";
    if let Some(role) = role() {
        return runtime().block_on(full_disk(Path::new(&role[0])));
    }
    let own = |script: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        unshare
    };
    if !own("true").status().is_ok_and(|status| status.success()) {
        return say_skipped();
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    for kib in [16, 48, 96, 128, 200, 400]
        .into_iter()
        .chain(size(0..0, 4..300))
    {
        let all = kib + BALLAST;
        let script = format!(
            "mount -t tmpfs -o size={all}k tmpfs \"$1\" && exec \"$0\" --exact {TEST} --nocapture"
        );
        let mut child = own(&script);
        child.arg(std::env::current_exe().unwrap()).arg(home);
        child.env(super::shelf::ROLE, home);
        succeeded(&child.output().unwrap());
    }
}

#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn say_skipped() {
    eprintln!("skipped: this system gives no disk of one's own");
}

async fn full_disk(folder: &Path) {
    let ballast = folder.join("ballast");
    put(&ballast, vec![0; BALLAST * 1024]);
    let path = folder.join("store");
    let store = match SqliteStore::open(&path) {
        Ok(store) => store,
        Err(error) => {
            // Not even an empty one fits.
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
            std::fs::remove_file(&ballast).unwrap();
            SqliteStore::open(&path).unwrap();
            return;
        }
    };
    let text = "words ".repeat(300);
    let mut rows = Vec::new();
    let mut writer = None;
    let error = loop {
        if writer.is_none() {
            match Writer::claim(&store, "one", Claiming::IfFree).await {
                Ok(claimed) => writer = Some(claimed),
                Err(error) => break error,
            }
        }
        match writer.as_mut().unwrap().append(&[&text, "more"]).await {
            Ok(more) => rows.extend(more),
            Err(error) => break error,
        }
        assert!(rows.len() < 10_000, "it is never full");
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
    if let Some(writer) = &mut writer {
        // What SQLite's log held may have gone to its place, which made room for a little more.
        for _ in 0..5 {
            match writer.append(&[&text, "more"]).await {
                Ok(more) => rows.extend(more),
                Err(error) => assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}"),
            }
        }
    }
    if !rows.is_empty() {
        whole(&store, "one", &rows).await;
    }
    std::fs::remove_file(&ballast).unwrap();
    let mut writer = match writer {
        Some(writer) => writer,
        None => Writer::claim(&store, "one", Claiming::IfFree)
            .await
            .unwrap(),
    };
    rows.extend(writer.append(&[&text, "more"]).await.unwrap());
    whole(&store, "one", &rows).await;
    drop(writer);
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    whole(&store, "one", &rows).await;
}
