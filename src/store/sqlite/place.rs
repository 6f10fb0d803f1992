//! Where a store lies: its database, the locks of its sessions, the count of what is on the disk.
//! Refuses to open what is not whole, not ours or too new, before SQLite may touch it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, ffi};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    fault::{corrupt, typed},
    schema::{APPLICATION, VERSION, walk_up},
};
use crate::{
    durable,
    error::{Error, ErrorKind, Result},
    id::SessionId,
};

/// The database's name in a folder.
const NAME: &str = "sessions.db";

/// How long another process's transaction is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What the writer's connection is told. It keeps few pages: it writes at the end of a log and looks
/// at little else, and memory that it need not ask for costs nothing.
const WRITING: &str = "PRAGMA synchronous = NORMAL; PRAGMA cache_size = 64;
    PRAGMA cache_spill = OFF;";

/// The bytes with which each SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The paths of a store.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) db: PathBuf,
    locks: PathBuf,
    head: PathBuf,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

impl Place {
    /// Of a folder, or of the file itself where the path has an extension or is one already.
    pub(super) fn of(path: &Path) -> Self {
        // So that it stays where it is when the process goes elsewhere, and is never taken for a
        // URI, which SQLite would understand.
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let is_file = !path.is_dir() && (path.is_file() || path.extension().is_some());
        let (db, locks) = match is_file {
            true => (path.to_owned(), beside(path, ".locks")),
            false => (path.join(NAME), path.join("locks")),
        };
        let head = beside(&db, "-head");
        Self { db, locks, head }
    }

    /// Makes what is not there, and looks at what is.
    pub(super) fn prepare(&self) -> Result<()> {
        if let Some(folder) = self.db.parent()
            && !folder.as_os_str().is_empty()
        {
            durable::make_folder(folder)?;
        }
        if !self.check_header()? {
            self.create()?;
            self.check_header()?;
        }
        durable::make_folder(&self.locks)
    }

    /// Whether there is a database that may be opened. SQLite is not asked: opening one may already
    /// write beside it, and an empty file is a new database to it.
    fn check_header(&self) -> Result<bool> {
        let mut header = Vec::new();
        let read = File::open(&self.db).and_then(|file| file.take(100).read_to_end(&mut header));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let witness = [&beside(&self.db, "-wal"), &self.head];
                return match witness.into_iter().any(|path| path.exists()) {
                    false => Ok(false),
                    true => Err(corrupt(format!(
                        "the session log is gone, but not what lies beside it: `{}`",
                        self.db.display()
                    ))),
                };
            }
            Err(error) => {
                let text = format!("cannot open the file: `{}`", self.db.display());
                return Err(Error::new(ErrorKind::Io, text).with_hint(error.to_string()));
            }
        }
        let number = |at: usize| {
            let bytes = header.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        let db = self.db.display();
        // With SQLite's own log, by which the bytes at 18 say that it is written.
        let logged = header.get(18..20) == Some(&[2, 2]);
        if header.len() < 100
            || !header.starts_with(MAGIC)
            || number(68) != Some(APPLICATION)
            || !logged
        {
            return Err(corrupt(format!("the file is no session log: `{db}`")));
        }
        match number(60).unwrap_or_default() {
            0 => Err(corrupt(format!("the session log is damaged: `{db}`"))),
            found if found > VERSION => Err(self.too_new(found)),
            _ => Ok(true),
        }
    }

    fn too_new(&self, found: u32) -> Error {
        let text = format!(
            "the session log was written by a newer version: `{}`",
            self.db.display()
        );
        let hint = format!("its tables are of version {found}, this one knows up to {VERSION}");
        Error::new(ErrorKind::TooNew, text).with_hint(hint)
    }

    /// Makes a database under another name and gives it its own when it is whole, so that there is
    /// never half a database, nor an empty one.
    fn create(&self) -> Result<()> {
        let draft = durable::draft(&self.db)?;
        let made = Connection::open_with_flags(&draft, flags()).and_then(|conn| {
            walk_up(&conn, 0)?;
            log_writes(&conn)?;
            conn.close().map_err(|(_, error)| error)
        });
        if let Err(error) = made {
            for end in ["", "-wal", "-shm", "-journal"] {
                // Drafts that stay would be litter, not damage.
                let _ = std::fs::remove_file(beside(&draft, end));
            }
            return Err(typed(&self.db, error));
        }
        durable::adopt(&draft, &self.db)
    }

    /// A connection whose tables are those of our version.
    pub(super) fn connect(&self, role: Role) -> Result<Connection> {
        let told = |error| typed(&self.db, error);
        let conn = Connection::open_with_flags(&self.db, flags()).map_err(told)?;
        conn.busy_timeout(PATIENCE).map_err(told)?;
        // What the file says of itself is not believed more than need be.
        let careful = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;";
        conn.execute_batch(careful).map_err(told)?;
        let ask = |name| conn.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let found = ask("user_version").map_err(told)?;
        if found > VERSION {
            return Err(self.too_new(found));
        }
        if found == 0 || ask("application_id").map_err(told)? != APPLICATION {
            let db = self.db.display();
            return Err(corrupt(format!("the session log is damaged: `{db}`")));
        }
        if found < VERSION {
            walk_up(&conn, found).map_err(told)?;
        }
        match role {
            Role::Reader => conn.execute_batch("PRAGMA query_only = ON;"),
            Role::Writer => conn.execute_batch(WRITING),
        }
        .map_err(told)?;
        Ok(conn)
    }

    /// The lock file of a session. Its name is a hash, because the session's may be anything.
    pub(super) fn lock(&self, id: &SessionId) -> PathBuf {
        let hash = Sha256::digest(id.as_str().as_bytes());
        self.locks.join(format!("{}.lock", hex(&hash)))
    }

    /// The count of commits that are known to be on the disk.
    pub(super) fn head(&self) -> Result<Head> {
        Ok(Head(durable::Slate::open(&self.head)?))
    }
}

/// How many commits are known to be on the disk, in a file beside the database: what is cut off the
/// end of SQLite's own log leaves an older state that is whole, and nothing in it says so.
#[derive(Debug)]
pub(super) struct Head(durable::Slate);

impl Head {
    /// What it says; `None` when it says nothing, or nothing that can be believed.
    pub(super) fn read(&mut self) -> Result<Option<u64>> {
        let bytes = self.0.read(16)?;
        let half = |at: usize| {
            let half = bytes.get(at..at + 8)?;
            Some(u64::from_le_bytes(half.try_into().ok()?))
        };
        let known = half(0).filter(|known| half(8) == Some(xxh3_64(&known.to_le_bytes())));
        Ok(known)
    }

    /// Says it.
    pub(super) fn write(&mut self, commits: u64) -> Result<()> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&commits.to_le_bytes());
        bytes[8..].copy_from_slice(&xxh3_64(&commits.to_le_bytes()).to_le_bytes());
        self.0.write(&bytes)
    }
}

/// Lets a database be written by way of SQLite's own log.
fn log_writes(conn: &Connection) -> rusqlite::Result<()> {
    let mut statement = conn.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = statement.query([])?;
    let mut mode = String::new();
    // To the end, because the answer is given before it is on the disk.
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    // Where it cannot be, SQLite may give the old mode and no error.
    match mode.as_str() {
        "wal" => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_IOERR),
            None,
        )),
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SQLite creates no database: an empty one must never take the place of one that is gone. A
/// connection is used by one thread at a time, so it needs no lock of its own.
fn flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// A path with something after its last name.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
