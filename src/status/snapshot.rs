//! One look at the file: all that is shown of it, read in one transaction, so that it tells of one moment.

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, named_params};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::db;
use crate::db::restored::{self, Mark};
use crate::db::summary::{self, Summary, User};
use crate::lock;
use crate::time::Timestamp;

/// A file that is looked at, once or again and again.
pub struct Look {
    database: PathBuf,
    conn: Connection,
    /// Device and inode that are open.
    identity: Option<(u64, u64)>,
}

/// What is shown.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When it was taken.
    pub now: Timestamp,
    /// The row of `delivery_summary`.
    pub summary: Summary,
    /// Since when the gate is open or not.
    pub gate_since: String,
    /// When a closed gate is probed next.
    pub probe_at: Option<String>,
    /// When the next failed batch is due that is not due yet.
    pub next_due: Option<String>,
    /// The file is a restored copy.
    pub restored: Option<Mark>,
    /// The process that works on the file.
    pub daemon: Option<u32>,
    /// The RUNNING batches, the longest first.
    pub running: Vec<Running>,
    /// The FAILED and DEAD batches, the newest first.
    pub failed: Vec<Failed>,
    /// The users with the most left to do.
    pub users: Vec<User>,
}

/// A batch in work.
#[derive(Debug, Clone)]
pub struct Running {
    pub batch: i64,
    pub user: i64,
    /// Records accepted so far.
    pub delivered: i64,
    pub size: i64,
    pub since: Option<String>,
}

/// A batch that waits for a retry, or that holds dead records.
#[derive(Debug, Clone)]
pub struct Failed {
    pub batch: i64,
    pub user: i64,
    pub status: String,
    /// Attempts that failed.
    pub attempts: i64,
    pub ended: String,
    pub due: Option<String>,
    /// Of its first record that was not accepted.
    pub error: String,
}

impl Look {
    /// Opens the file.
    ///
    /// # Errors
    /// When it is missing, refused or not set up.
    pub fn open(database: &Path) -> anyhow::Result<Look> {
        // Before it is opened: a file that takes its place in between is then noticed at the next look.
        let identity = identity(database);
        Ok(Look {
            database: database.to_path_buf(),
            conn: db::open_to_look(database)?,
            identity,
        })
    }

    /// The database.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// Opens the file anew if another one, such as a backup, has taken its place: the old one is still open, and would be
    /// shown for ever.
    ///
    /// # Errors
    /// As for [`Look::open`].
    pub fn follow(&mut self) -> anyhow::Result<()> {
        if identity(&self.database) != self.identity {
            *self = Look::open(&self.database)?;
        }
        Ok(())
    }

    /// The row of `delivery_summary`.
    ///
    /// # Errors
    /// SQLite's.
    pub fn summary(&self) -> anyhow::Result<Summary> {
        summary::summary(&self.conn).with_context(|| self.trouble())
    }

    /// A snapshot with up to so many rows of each kind.
    ///
    /// # Errors
    /// SQLite's.
    pub fn read(&self, rows: usize) -> anyhow::Result<Snapshot> {
        self.read_rows(rows as i64).with_context(|| self.trouble())
    }

    fn trouble(&self) -> String {
        format!("{}: the status cannot be read", self.database.display())
    }

    fn read_rows(&self, rows: i64) -> rusqlite::Result<Snapshot> {
        let tx = self.conn.unchecked_transaction()?;
        let now = Timestamp::now();
        let held = include_str!("../../sql/look/held.sql");
        let held = tx.query_row(held, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (gate_since, probe_at) = held.optional()?.unwrap_or_default();
        Ok(Snapshot {
            now,
            summary: summary::summary(&tx)?,
            gate_since,
            probe_at,
            next_due: next_due(&tx, now)?,
            daemon: lock::holder_of(&self.database),
            running: running(&tx, rows)?,
            failed: failed(&tx, rows)?,
            users: summary::users(&tx, rows as usize)?,
            restored: restored::look(&tx)?,
        })
    }
}

fn identity(database: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(database).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn next_due(conn: &Connection, now: Timestamp) -> rusqlite::Result<Option<String>> {
    let sql = include_str!("../../sql/look/next_due.sql");
    let mut statement = conn.prepare_cached(sql)?;
    let due = statement.query_row(named_params! {":now": now.to_string()}, |row| row.get(0));
    due.optional()
}

fn running(conn: &Connection, rows: i64) -> rusqlite::Result<Vec<Running>> {
    let sql = include_str!("../../sql/look/running.sql");
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(named_params! {":batches": rows}, |row| {
        Ok(Running {
            batch: row.get("id")?,
            user: row.get("user_id")?,
            delivered: row.get("delivered_count")?,
            size: row.get("batch_size")?,
            since: row.get("started_at")?,
        })
    })?;
    rows.collect()
}

fn failed(conn: &Connection, rows: i64) -> rusqlite::Result<Vec<Failed>> {
    let sql = include_str!("../../sql/look/failures.sql");
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(named_params! {":batches": rows}, |row| {
        let error: Option<String> = row.get("error_message")?;
        Ok(Failed {
            batch: row.get("id")?,
            user: row.get("user_id")?,
            status: row.get("status")?,
            attempts: row.get("retry_count")?,
            ended: row.get("last_attempt_at")?,
            due: row.get("next_attempt_at")?,
            error: error
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or_default()
                .to_string(),
        })
    })?;
    rows.collect()
}
