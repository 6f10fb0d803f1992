//! What tests of stores share: records that make sense, rows of them, folders, processes of our own.
//! Refuses to check anything.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use offshoot::{
    AgentPath, Message, SessionId, TurnId,
    store::{Batch, Body, Card, Claim, Claiming, LOG_FORMAT, Record, Row, SqliteStore, Store, Sum},
};

/// A record that a log may hold; the first of a log is another.
pub(super) fn record(seq: u64, text: &str) -> Record {
    let body = match seq {
        1 => Body::Opened {
            format: LOG_FORMAT,
            session: SessionId::new("any"),
            model: "test/model".into(),
            version: "0".into(),
        },
        _ => Body::User {
            message: Message::user(text),
        },
    };
    let mut record = Record::now(AgentPath::root(), TurnId(1), body);
    record.at = 1_700_000_000_000 + seq;
    record
}

/// A log as its writer sees it.
pub(super) struct Writer {
    pub(super) store: SqliteStore,
    pub(super) claim: Claim,
    pub(super) end: (u64, Sum),
}

impl Writer {
    pub(super) async fn claim(
        store: &SqliteStore,
        id: &str,
        claiming: Claiming,
    ) -> offshoot::Result<Self> {
        let claim = store.claim(&SessionId::new(id), claiming).await?;
        Ok(Self {
            store: store.clone(),
            end: (claim.last, claim.sum),
            claim,
        })
    }

    /// Rows that come next.
    pub(super) fn next(&self, texts: &[&str]) -> Vec<Row> {
        let mut end = self.end;
        let row = |text: &&str| {
            let body = record(end.0 + 1, text).encode().unwrap();
            end = (end.0 + 1, end.1.next(end.0 + 1, false, &body));
            Row {
                seq: end.0,
                sum: end.1,
                told: false,
                body: body.into(),
            }
        };
        texts.iter().map(row).collect()
    }

    pub(super) fn batch(&self, rows: Vec<Row>) -> Batch {
        let mut card = Card::new(self.claim.session.clone());
        card.title = format!("about {}", self.claim.session);
        card.model = "test/model".into();
        (card.created, card.touched) = (1_700_000_000_000, 1_700_000_000_000 + self.end.0);
        let sync = true;
        Batch { rows, sync, card }
    }

    /// Appends; the claim's end moves only when the store says that it is written.
    pub(super) async fn append(&mut self, texts: &[&str]) -> offshoot::Result<Vec<Row>> {
        let rows = self.next(texts);
        let batch = self.batch(rows.clone());
        self.store.append(&self.claim, batch).await?;
        let last = rows.last().unwrap();
        self.end = (last.seq, last.sum);
        Ok(rows)
    }
}

/// Copies the files of a store, without SQLite's shared memory, which no crash leaves behind.
pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_file() && !name.to_str().unwrap().ends_with("-shm") {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// Writes a file, as no library of ours would.
#[expect(clippy::disallowed_methods, reason = "a test damages files")]
pub(super) fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap();
}

/// A folder whose files are in memory where the system has such a place: what is tested there is
/// not whether the disk keeps them.
pub(super) fn quick_folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

pub(super) const ROLE: &str = "OFFSHOOT_STORE_ROLE";

/// What this process was started to do, when a test started it.
pub(super) fn role() -> Option<Vec<String>> {
    let role = std::env::var(ROLE).ok()?;
    Some(role.split('\n').map(str::to_owned).collect())
}

/// Starts this program again with one test and a role for it.
pub(super) fn start(test: &str, role: &[&str]) -> Child {
    start_with(test, role, &[])
}

/// The same with more of its surroundings.
#[expect(clippy::disallowed_methods, reason = "a test program starts itself")]
pub(super) fn start_with(test: &str, role: &[&str], env: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command.env(ROLE, role.join("\n"));
    command.envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}
