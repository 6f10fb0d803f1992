//! Tests of the file beside its code: what needs the insides of the database.
//! Refuses what the contract suite says of every store.

use std::{path::Path, time::Instant};

use rusqlite::Connection;

use super::*;
use crate::{
    error::ErrorKind,
    store::{Row, Sum},
};

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

fn threads() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn next(claim: &Claim, body: &str) -> Batch {
    let seq = claim.last + 1;
    let row = Row {
        seq,
        sum: claim.sum.next(seq, false, body.as_bytes()),
        told: false,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    Batch {
        rows: vec![row],
        sync: true,
        card: Card::new(claim.session.clone()),
    }
}

fn commits(store: &SqliteStore) -> i64 {
    let conn = Connection::open(store.path()).unwrap();
    conn.query_row("SELECT epoch FROM sessions WHERE n = 0", [], |row| {
        row.get(0)
    })
    .unwrap()
}

#[test]
fn what_waits_is_written_in_one_transaction() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).unwrap();
    runtime().block_on(async {
        let ids = (0..100).map(|n| SessionId::new(format!("session {n}")));
        let claims = ids.map(|id| store.claim(&id, Claiming::IfFree));
        let claims = futures::future::join_all(claims).await;
        let claims: Vec<_> = claims.into_iter().map(Result::unwrap).collect();
        let before = commits(&store);
        // Something slow in front, so that the others have to wait.
        let slow = store.0.writer.ask(Size::default(), |_| {
            std::thread::sleep(Duration::from_millis(100));
            Ok(())
        });
        let appends = claims
            .iter()
            .map(|claim| store.append(claim, next(claim, "row")));
        let appends: Vec<_> = appends.collect();
        slow.await.unwrap();
        for last in futures::future::join_all(appends).await {
            assert_eq!(last.unwrap(), 1);
        }
        let made = commits(&store) - before;
        assert!(made <= 3, "{made} commits for 100 sessions");
    });
}

/// A piece of work that fails in the middle of a transaction, and one that is refused.
#[test]
fn a_piece_of_work_that_fails_spoils_no_other() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).unwrap();
    runtime().block_on(async {
        let (a, b) = (SessionId::new("a"), SessionId::new("b"));
        let a = store.claim(&a, Claiming::IfFree).await.unwrap();
        let b = store.claim(&b, Claiming::IfFree).await.unwrap();
        let slow = store.0.writer.ask(Size::default(), |_| {
            std::thread::sleep(Duration::from_millis(100));
            Ok(())
        });
        let first = store.append(&a, next(&a, "first"));
        // It is taken, given back with the transaction, and taken again.
        let claim = store.claim(&SessionId::new("c"), Claiming::IfFree);
        let failed = store
            .0
            .writer
            .ask(Size::default(), |_| -> Result<(), fault::Fault> {
                Err(rusqlite::Error::QueryReturnedNoRows.into())
            });
        let mut torn = next(&b, "torn");
        torn.rows[0].sum = Sum::START;
        let refused = store.append(&b, torn);
        let second = store.append(&b, next(&b, "second"));
        slow.await.unwrap();
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!(claim.await.unwrap().epoch, 1);
        assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Fenced);
        assert_eq!(second.await.unwrap(), 1);
        let rows = store.read(&b.session, 1..9).await.unwrap();
        assert_eq!(&*rows[0].body, b"second");
    });
}

#[test]
fn a_fork_copies_no_rows_and_the_last_of_a_family_takes_them_along() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).unwrap();
    let conn = Connection::open(store.path()).unwrap();
    let count = |table: &str| -> i64 {
        let text = format!("SELECT count(*) FROM {table}");
        conn.query_row(&text, [], |row| row.get(0)).unwrap()
    };
    runtime().block_on(async {
        let (a, b) = (SessionId::new("a"), SessionId::new("b"));
        let mut claim = store.claim(&a, Claiming::IfFree).await.unwrap();
        for _ in 0..10 {
            let batch = next(&claim, "row");
            claim.sum = batch.rows[0].sum;
            claim.last = store.append(&claim, batch).await.unwrap();
        }
        store.fork(&a, 7, &b).await.unwrap();
        assert_eq!(count("rows"), 10);
        store.cut(&claim, 9).await.unwrap();
        assert_eq!(count("rows"), 10, "what is cut off is kept");
        drop(claim);
        store.remove(&a).await.unwrap();
        assert_eq!(count("rows"), 7, "what the fork needs");
        store.remove(&b).await.unwrap();
        assert_eq!((count("rows"), count("sessions")), (0, 1));
    });
}

#[cfg(unix)]
#[test]
fn all_of_it_belongs_to_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    fn see(path: &Path, seen: &mut usize) {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", path.display());
        *seen += 1;
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                see(&entry.unwrap().path(), seen);
            }
        }
    }
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("deep/store");
    let store = SqliteStore::open(&folder).unwrap();
    runtime().block_on(async {
        let odd = SessionId::new("../../escaped");
        let claim = store.claim(&odd, Claiming::IfFree).await.unwrap();
        store.append(&claim, next(&claim, "row")).await.unwrap();
        let mut seen = 0;
        see(&home.path().join("deep"), &mut seen);
        // Two folders, the database with its three companions, the folder of locks with one.
        assert_eq!(seen, 8);
    });
}

#[test]
fn a_path_with_an_extension_is_the_database_itself() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path().join("mine.sqlite")).unwrap();
    assert_eq!(store.path(), home.path().join("mine.sqlite"));
    assert!(home.path().join("mine.sqlite.locks").is_dir());
    let same = SqliteStore::open(home.path().join("mine.sqlite")).unwrap();
    assert_eq!(same.path(), store.path());
}

#[test]
fn dropping_the_last_clone_waits_for_what_was_handed_over() {
    let home = tempfile::tempdir().unwrap();
    let id = SessionId::new("a");
    let store = SqliteStore::open(home.path()).unwrap();
    let runtime = runtime();
    let claim = runtime
        .block_on(store.claim(&id, Claiming::IfFree))
        .unwrap();
    drop(store.append(&claim, next(&claim, "row")));
    drop(claim);
    drop(store);
    assert!(
        !home.path().join("sessions.db-wal").exists(),
        "it is tidied up"
    );
    let store = SqliteStore::open(home.path()).unwrap();
    let rows = runtime.block_on(store.read(&id, 1..9)).unwrap();
    assert_eq!(rows.len(), 1);
}

/// Makes the store believe that its commits take so long.
fn believes(store: &SqliteStore, took: Duration) {
    store.0.writer.pen.lock().unwrap().pace.took = Some(took);
}

/// What an append without waiting gave, and the claim after it.
fn at_once(store: &SqliteStore, claim: &mut Claim) -> Option<Result<u64>> {
    let batch = next(claim, "row");
    let sum = batch.rows[0].sum;
    let done = store.append(claim, batch).now_or_never();
    if let Some(Ok(last)) = done {
        (claim.last, claim.sum) = (last, sum);
    }
    done
}

#[test]
fn who_writes_alone_on_a_quick_disk_is_answered_without_the_thread() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).unwrap();
    threads().block_on(async {
        let a = SessionId::new("a");
        let mut a = store.claim(&a, Claiming::IfFree).await.unwrap();
        store.settled().await;
        for last in 1..=20 {
            believes(&store, Duration::from_micros(50));
            assert_eq!(at_once(&store, &mut a).unwrap().unwrap(), last);
        }
        // Refused here as there, and nobody is harmed.
        believes(&store, Duration::from_micros(50));
        let mut torn = next(&a, "torn");
        torn.rows[0].sum = Sum::START;
        let torn = store.append(&a, torn).now_or_never().unwrap();
        assert_eq!(torn.unwrap_err().kind(), ErrorKind::Fenced);

        // Another process writes: the thread waits for it, not the caller.
        let other = Connection::open(store.path()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let since = Instant::now();
        let append = store.append(&a, next(&a, "behind it"));
        assert!(since.elapsed() < Duration::from_secs(1));
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(append.await.unwrap(), 21);
        let rows = store.read(&a.session, 21..22).await.unwrap();
        assert_eq!(&*rows[0].body, b"behind it");
    });
}

#[test]
fn a_runtime_of_one_thread_is_not_blocked() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).unwrap();
    let slow = |_: &mut work::Group<'_>| {
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    };
    let size = Size {
        bytes: 1,
        sync: true,
    };
    let asks = || async {
        store.settled().await;
        believes(&store, Duration::from_micros(50));
        let since = Instant::now();
        let answer = store.0.writer.ask_for(&SessionId::new("a"), size, slow);
        let took = since.elapsed();
        answer.await.unwrap();
        took
    };
    let took = runtime().block_on(asks());
    assert!(took < Duration::from_millis(400), "{took:?}");
    // The same where others go on meanwhile.
    let took = threads().block_on(asks());
    assert!(took >= Duration::from_millis(500), "{took:?}");
}

#[test]
fn what_waits_for_the_thread_is_not_overtaken() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).unwrap();
    threads().block_on(async {
        let a = SessionId::new("a");
        let mut a = store.claim(&a, Claiming::IfFree).await.unwrap();
        believes(&store, Duration::from_micros(50));
        let slow = store.0.writer.ask(Size::default(), |_| {
            std::thread::sleep(Duration::from_millis(50));
            Ok(())
        });
        let first = next(&a, "first");
        let sum = first.rows[0].sum;
        let first = store.append(&a, first);
        (a.last, a.sum) = (1, sum);
        let second = store.append(&a, next(&a, "second"));
        slow.await.unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (1, 2));
    });
}

#[test]
fn who_panics_with_the_pen_leaves_it_to_the_thread() {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).unwrap();
    threads().block_on(async {
        let a = SessionId::new("a");
        let a = store.claim(&a, Claiming::IfFree).await.unwrap();
        store.settled().await;
        believes(&store, Duration::from_micros(50));
        let size = Size {
            bytes: 1,
            sync: true,
        };
        let panics = || {
            let (writer, batch) = (&store.0.writer, next(&a, "half of it"));
            let claim = named(&a);
            drop(
                writer.ask_for(&a.session, size, move |group| -> Result<(), fault::Fault> {
                    group.append(&claim, &batch)?;
                    panic!("in the middle")
                }),
            );
        };
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
        assert!(caught.is_err());
        assert_eq!(store.append(&a, next(&a, "row")).await.unwrap(), 1);
        let rows = store.read(&a.session, 1..9).await.unwrap();
        assert_eq!((rows.len(), &*rows[0].body), (1, &b"row"[..]));
    });
}

#[test]
fn the_thread_has_whatever_is_slow_or_comes_together() {
    use super::pen::Pace;
    let (a, b) = (SessionId::new("a"), SessionId::new("b"));
    let now = Instant::now();
    let suits = |took: Option<u64>, last: Option<(&SessionId, u64)>| {
        let last = last.map(|(id, millis)| (id.clone(), now - Duration::from_millis(millis)));
        let took = took.map(Duration::from_micros);
        Pace { took, last }.suits(&a, now)
    };
    assert!(!suits(None, None), "nothing is known yet");
    assert!(suits(Some(200), None));
    assert!(!suits(Some(3_000), None), "a disk that is slow");
    assert!(suits(Some(200), Some((&a, 0))), "its own commit just now");
    assert!(!suits(Some(200), Some((&b, 1))), "another's just now");
    assert!(suits(Some(200), Some((&b, 20))), "another's long ago");
}

#[test]
fn pages_go_to_their_place_when_enough_wait() {
    // By the thread, and by who asks.
    for (runtime, at_once) in [(runtime(), false), (threads(), true)] {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(home.path()).unwrap();
        let wal = home.path().join("sessions.db-wal");
        let length = || std::fs::metadata(&wal).unwrap().len();
        runtime.block_on(async {
            let a = SessionId::new("a");
            let mut a = store.claim(&a, Claiming::IfFree).await.unwrap();
            let body = "x".repeat(20_000);
            for _ in 0..400 {
                let batch = next(&a, &body);
                let sum = batch.rows[0].sum;
                if at_once {
                    believes(&store, Duration::from_micros(50));
                }
                (a.last, a.sum) = (store.append(&a, batch).await.unwrap(), sum);
            }
        });
        // Eight million bytes went through it.
        assert!(length() < 5_000_000, "{}", length());
    }
}
