//! The tables, as the steps that lead to them: a file of an older version is walked up the rest.
//! Refuses files of newer versions, and files that are not ours.

use rusqlite::Connection;

/// What the header of our files says they are: `ofsl`.
pub(super) const APPLICATION: u32 = 0x6f66_736c;

/// The version of the tables that this crate writes.
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// Step `k` leads from version `k` to the next. A step that was released is never changed.
const STEPS: &[&str] = &[
    // 1. A row of `sessions` without an id is the part of a log that was cut off, or of a removed
    // one, that others stand on. Row 0 is of all others together: in `shared` how many they are, in
    // `name` and `sum` what their names and marks add up to, in `epoch` the number of commits, in
    // `last` this version. It is no table of its own, because it is written with each commit, and
    // here it mostly shares a page with the other row that is.
    // The numbers of `rows` are the log's, times 2^32, and the record's.
    "CREATE TABLE sessions (
        n INTEGER PRIMARY KEY,
        id TEXT UNIQUE,
        name INTEGER NOT NULL,
        parent INTEGER,
        shared INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        last INTEGER NOT NULL,
        sum BLOB NOT NULL,
        card TEXT NOT NULL,
        mark BLOB NOT NULL
    ) STRICT;
    CREATE TABLE rows (
        at INTEGER PRIMARY KEY,
        told INTEGER NOT NULL,
        sum BLOB NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE blobs (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE snapshots (
        n INTEGER PRIMARY KEY,
        row INTEGER NOT NULL,
        sum BLOB NOT NULL,
        body BLOB NOT NULL,
        mark BLOB NOT NULL
    ) STRICT;
    INSERT INTO sessions (n, name, shared, epoch, last, sum, card, mark)
        VALUES (0, 0, 0, 0, 1, zeroblob(16), '', zeroblob(16));",
];

/// Brings a database from a version to ours, in one transaction.
pub(super) fn walk_up(conn: &Connection, from: u32) -> rusqlite::Result<()> {
    let mut script = String::from("BEGIN IMMEDIATE;\n");
    for step in STEPS.iter().skip(from as usize) {
        script.push_str(step);
    }
    script.push_str(&format!(
        "\nUPDATE sessions SET last = {VERSION} WHERE n = 0;
         PRAGMA application_id = {APPLICATION};
         PRAGMA user_version = {VERSION};
         COMMIT;"
    ));
    let walked = conn.execute_batch(&script);
    if walked.is_err() && !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK")?;
    }
    walked
}
