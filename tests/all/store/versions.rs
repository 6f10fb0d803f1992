//! Databases of each version: kept ones are opened, read and gone on with, newer ones are left alone.
//! Refuses to make the kept ones anew, unless `OFFSHOOT_GOLDEN=write` asks for those of this version.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use offshoot::{
    ErrorKind, SessionId,
    store::{Claiming, Snapshot, SqliteStore, Store, recall},
};

use super::shelf::{Writer, copy, put, runtime};

/// The versions there have been; a version that was released is never taken away.
const VERSIONS: [u32; 1] = [1];

fn golden(version: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/store");
    folder.join(format!("v{version}"))
}

/// What a store says of all that is in it.
async fn told(store: &SqliteStore) -> String {
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let mut text = String::new();
    for card in store.list().await.unwrap() {
        let recalled = recall(&shared, &card.id).await.unwrap();
        assert_eq!(recalled.damage, None);
        let (id, title, last, sum) = (&card.id, &card.title, recalled.last, recalled.sum);
        writeln!(text, "{id}: {title}, {last} records, {sum}").unwrap();
        if let Some((origin, last)) = &card.forked {
            writeln!(text, "  a fork of {origin} at {last}").unwrap();
        }
        if let Some(snapshot) = store.snapshot(&card.id).await.unwrap() {
            writeln!(
                text,
                "  a snapshot at {}: {:?}",
                snapshot.row, snapshot.body
            )
            .unwrap();
        }
    }
    let name = store.keep("kept out of line".into()).await.unwrap();
    let kept = store.kept(&name).await.unwrap().unwrap();
    writeln!(text, "{name}: {kept:?}").unwrap();
    text
}

#[test]
fn d8_a_store_of_every_version_is_opened_read_and_gone_on_with() {
    let runtime = runtime();
    for version in VERSIONS {
        let golden = golden(version);
        if std::env::var("OFFSHOOT_GOLDEN").is_ok_and(|asked| asked == "write")
            && version == VERSIONS[VERSIONS.len() - 1]
        {
            runtime.block_on(write(&golden));
        }
        let home = tempfile::tempdir().unwrap();
        copy(&golden, home.path());
        let expected = std::fs::read_to_string(golden.join("expected.txt")).unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(home.path()).unwrap();
            assert_eq!(told(&store).await, expected, "version {version}");
            for id in ["one", "two", "three"] {
                let writer = Writer::claim(&store, id, Claiming::IfFree).await;
                let mut writer = writer.unwrap();
                let last = writer.end.0;
                writer.append(&["and it goes on"]).await.unwrap();
                assert_eq!(writer.end.0, last + 1);
            }
            drop(store);
            let store = SqliteStore::open(home.path()).unwrap();
            assert_eq!(store.list().await.unwrap().len(), 3);
            told(&store).await;
        });
    }
}

async fn write(golden: &Path) {
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path()).unwrap();
    let mut one = Writer::claim(&store, "one", Claiming::IfFree)
        .await
        .unwrap();
    one.append(&["", "what is it?", "a store"]).await.unwrap();
    let (from, to) = (SessionId::new("one"), SessionId::new("two"));
    store.fork(&from, 2, &to).await.unwrap();
    let mut two = Writer::claim(&store, "two", Claiming::IfFree)
        .await
        .unwrap();
    two.append(&["something else"]).await.unwrap();
    let mut three = Writer::claim(&store, "three", Claiming::IfFree)
        .await
        .unwrap();
    three.append(&["", "set aside"]).await.unwrap();
    store.cut(&three.claim, 1).await.unwrap();
    drop(three);
    let mut three = Writer::claim(&store, "three", Claiming::IfFree)
        .await
        .unwrap();
    three
        .append(&["ünïcödé", &"long ".repeat(1_200)])
        .await
        .unwrap();
    let snapshot = Snapshot {
        row: three.end.0,
        sum: three.end.1,
        body: "what it comes to".into(),
    };
    store.put_snapshot(&three.claim, snapshot).await.unwrap();
    let text = told(&store).await;
    drop((one, two, three));
    drop(store);
    let _ = std::fs::remove_dir_all(golden);
    copy(home.path(), golden);
    put(&golden.join("expected.txt"), text);
}

/// Every file of a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        files.insert(path.display().to_string(), bytes);
    }
    files
}

/// Opens a changed store, which must be refused and left as it was.
fn refused(change: impl FnOnce(&Path), kind: ErrorKind) {
    let home = tempfile::tempdir().unwrap();
    copy(&golden(VERSIONS[0]), home.path());
    change(home.path());
    let before = files(home.path());
    let error = SqliteStore::open(home.path()).unwrap_err();
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    assert_eq!(files(home.path()), before, "nothing was written");
}

fn patch(folder: &Path, at: usize, bytes: &[u8]) {
    let path = folder.join("sessions.db");
    let mut whole = std::fs::read(&path).unwrap();
    whole[at..at + bytes.len()].copy_from_slice(bytes);
    put(&path, whole);
}

#[test]
fn d8_a_newer_store_is_refused_and_not_a_byte_is_written() {
    let newer = VERSIONS[VERSIONS.len() - 1] + 1;
    refused(
        |home| patch(home, 60, &newer.to_be_bytes()),
        ErrorKind::TooNew,
    );
    refused(
        |home| patch(home, 60, &u32::MAX.to_be_bytes()),
        ErrorKind::TooNew,
    );
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let corrupt = ErrorKind::Corrupt;
    refused(|home| patch(home, 68, b"else"), corrupt);
    refused(|home| patch(home, 60, &[0; 4]), corrupt);
    refused(|home| patch(home, 0, b"SQLITE"), corrupt);
    refused(|home| put(&home.join("sessions.db"), ""), corrupt);
    refused(|home| put(&home.join("sessions.db"), "text"), corrupt);
    refused(
        |home| std::fs::remove_file(home.join("sessions.db")).unwrap(),
        corrupt,
    );
}
