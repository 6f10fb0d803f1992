//! A byte of a store's files is changed, or their end is missing: what was is there, or it is said.
//! Refuses an answer in between: never a panic, never a blank session, never other words.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use offshoot::{
    ErrorKind, SessionId,
    store::{Card, Claiming, Recalled, Snapshot, SqliteStore, Store, recall},
};

use super::shelf::{Writer, copy, put, quick_folder, runtime};
use crate::kit::size;

const IDS: [&str; 3] = ["one", "two", "three"];

/// How a store was left.
#[derive(Clone, Copy, PartialEq)]
enum Left {
    /// In order.
    Closed,
    /// In the middle of its life.
    Alive,
}

/// What there was before anything was damaged.
struct Original {
    folder: PathBuf,
    logs: Vec<String>,
    cards: Vec<Card>,
}

/// A recalled log in words.
fn words(recalled: &Recalled) -> String {
    let mut agents: Vec<_> = recalled.agents.iter().collect();
    agents.sort_by_key(|(path, _)| path.to_string());
    format!("{} {} {agents:?}", recalled.last, recalled.sum)
}

async fn write(folder: &Path) -> SqliteStore {
    let store = SqliteStore::open(folder).unwrap();
    let mut one = Writer::claim(&store, "one", Claiming::IfFree)
        .await
        .unwrap();
    one.append(&["", "what is it?", "a store"]).await.unwrap();
    one.append(&["and then?"]).await.unwrap();
    let (from, to) = (SessionId::new("one"), SessionId::new("two"));
    store.fork(&from, 3, &to).await.unwrap();
    let mut two = Writer::claim(&store, "two", Claiming::IfFree)
        .await
        .unwrap();
    two.append(&["something else", "and more of it"])
        .await
        .unwrap();
    let mut three = Writer::claim(&store, "three", Claiming::IfFree)
        .await
        .unwrap();
    // Longer than a page, so that it overflows into others.
    three.append(&["", &"long ".repeat(1_200)]).await.unwrap();
    let snapshot = Snapshot {
        row: three.end.0,
        sum: three.end.1,
        body: "what it comes to".into(),
    };
    store.put_snapshot(&three.claim, snapshot).await.unwrap();
    store.keep("kept out of line".into()).await.unwrap();
    one.append(&["the end"]).await.unwrap();
    store
}

/// A store of some sessions, and what it says of them.
async fn original(home: &Path, left: Left) -> Original {
    let (live, folder) = (home.join("live"), home.join("original"));
    let store = write(&live).await;
    if left == Left::Closed {
        drop(store);
        copy(&live, &folder);
    } else {
        store.settled().await;
        copy(&live, &folder);
        drop(store);
    }
    let shown = home.join("shown");
    copy(&folder, &shown);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&shown).unwrap());
    let mut logs = Vec::new();
    for id in IDS {
        logs.push(words(&recall(&store, &SessionId::new(id)).await.unwrap()));
    }
    let cards = store.list().await.unwrap();
    assert_eq!(cards.len(), IDS.len());
    Original {
        folder,
        logs,
        cards,
    }
}

/// Says what is wrong with what a damaged store answers.
async fn examine(folder: &Path, original: &Original, lied: &mut Vec<String>) {
    let store = match SqliteStore::open(folder) {
        Ok(store) => store,
        Err(error) => return typed("open", error, lied),
    };
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    for (id, log) in IDS.iter().zip(&original.logs) {
        let id = SessionId::new(*id);
        match store.card(&id).await {
            Ok(Some(card)) if original.cards.contains(&card) => {}
            Ok(card) => lied.push(format!("the card of {id} is {card:?}")),
            Err(error) => typed("card", error, lied),
        }
        match recall(&shared, &id).await {
            Ok(recalled) if recalled.damage.is_some() => {}
            Ok(recalled) if words(&recalled) == *log => {}
            Ok(recalled) => lied.push(format!("{id} is {}", words(&recalled))),
            Err(error) => typed("recall", error, lied),
        }
    }
    match store.list().await {
        Ok(cards) if cards == original.cards => {}
        Ok(cards) => lied.push(format!("the list is {cards:?}")),
        Err(error) => typed("list", error, lied),
    }
    let _ = store.claim(&SessionId::new("new"), Claiming::IfFree).await;
    for id in IDS {
        match store.claim(&SessionId::new(id), Claiming::IfFree).await {
            Ok(claim) if claim.last > 1 && claim.epoch > 1 => {}
            Ok(claim) => lied.push(format!("{id} looks new: {claim:?}")),
            Err(error) => typed("claim", error, lied),
        }
    }
}

fn typed(what: &str, error: offshoot::Error, lied: &mut Vec<String>) {
    if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::TooNew) {
        lied.push(format!("{what}: {error:?}"));
    }
}

/// Where a file of this length is changed: the beginnings of its pages, and every few bytes.
fn places(length: usize, page: usize, every: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |at| at % every == 0 || at % page < 16 || *at < 100)
}

/// Examines the store once for each change of one of its files.
fn each(
    left: Left,
    file: &str,
    before: impl Fn(&Path),
    changes: impl Fn(usize) -> Vec<Change>,
) -> (usize, Vec<String>) {
    let home = quick_folder();
    let runtime = runtime();
    let original = runtime.block_on(original(home.path(), left));
    let whole = std::fs::read(original.folder.join(file)).unwrap();
    let changes = changes(whole.len());
    let mut lied = Vec::new();
    let case = home.path().join("case");
    for change in &changes {
        copy(&original.folder, &case);
        before(&case);
        let mut bytes = whole.clone();
        match *change {
            Change::Flip(at, mask) => bytes[at] ^= mask,
            Change::Cut(at) => bytes.truncate(at),
        }
        put(&case.join(file), bytes);
        let known = lied.len();
        runtime.block_on(examine(&case, &original, &mut lied));
        for lie in &mut lied[known..] {
            *lie = format!("{change:?} of {file}: {lie}");
        }
        std::fs::remove_dir_all(&case).unwrap();
    }
    (changes.len(), lied)
}

#[derive(Clone, Copy, Debug)]
enum Change {
    /// A byte is another.
    Flip(usize, u8),
    /// The file ends here.
    Cut(usize),
}

fn flips(page: usize) -> impl Fn(usize) -> Vec<Change> {
    move |length| {
        let (every, masks) = size((16, &[0x55][..]), (1, &[0x01, 0x80, 0xff][..]));
        let places = places(length, page, every);
        let flip = |at| masks.iter().map(move |mask| Change::Flip(at, *mask));
        places.flat_map(flip).collect()
    }
}

fn cuts(page: usize) -> impl Fn(usize) -> Vec<Change> {
    move |length| {
        let every = size(256, 1);
        let places = (0..length).filter(|at| at % every == 0 || at % page < 2);
        places.map(Change::Cut).collect()
    }
}

fn check((cases, lied): (usize, Vec<String>)) {
    assert!(cases > 50, "{cases} cases");
    let first = &lied[..lied.len().min(5)];
    assert!(
        lied.is_empty(),
        "{} of {cases} cases lie: {first:#?}",
        lied.len()
    );
}

#[test]
fn a_changed_byte_of_a_database_is_told_or_changes_nothing() {
    check(each(Left::Closed, "sessions.db", |_| {}, flips(4096)));
}

#[test]
fn a_changed_byte_of_sqlites_own_log_is_told_or_changes_nothing() {
    check(each(
        Left::Alive,
        "sessions.db-wal",
        |_| {},
        flips(4096 + 24),
    ));
}

#[test]
fn a_database_without_its_end_is_told() {
    check(each(Left::Closed, "sessions.db", |_| {}, cuts(4096)));
}

#[test]
fn a_log_of_sqlite_without_its_end_is_told() {
    check(each(
        Left::Alive,
        "sessions.db-wal",
        |_| {},
        cuts(4096 + 24),
    ));
}

/// Without the chain, which [`recall`] follows, other words in a record are simply other words.
#[test]
fn twin_a_changed_byte_of_a_record_goes_unseen_where_the_chain_is_not_followed() {
    let home = quick_folder();
    let runtime = runtime();
    let original = runtime.block_on(original(home.path(), Left::Closed));
    let path = original.folder.join("sessions.db");
    let whole = std::fs::read(&path).unwrap();
    let words = b"what is it?";
    let at = whole.windows(words.len()).position(|found| found == words);
    let mut bytes = whole.clone();
    bytes[at.unwrap()] ^= 0x20;
    put(&path, bytes);
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&original.folder).unwrap());
    runtime.block_on(async {
        let id = SessionId::new("one");
        let rows = store.read(&id, 1..9).await.unwrap();
        assert_eq!(rows.len(), 5);
        let text = String::from_utf8_lossy(&rows[1].body);
        assert!(text.contains("What is it?"), "{text}");
        let recalled = recall(&store, &id).await.unwrap();
        assert_eq!((recalled.last, recalled.damage.unwrap().lost), (1, 4));
    });
}

/// Without the count of commits beside it, a store whose newest commits are cut off is an older
/// store, and says nothing.
#[test]
fn twin_a_log_of_sqlite_without_its_end_goes_unseen_where_commits_are_not_counted() {
    let forget = |folder: &Path| std::fs::remove_file(folder.join("sessions.db-head")).unwrap();
    let (_, lied) = each(Left::Alive, "sessions.db-wal", forget, |length| {
        vec![Change::Cut(length / 2)]
    });
    assert!(!lied.is_empty());
}
