//! Whether anybody has committed to the file since the last look, which is the cheapest question that can be asked of it.
//!
//! Must never happen here: a statement that reads the schema. The connection is there for as long as the daemon, and has
//! nothing in memory but the file's first page.

use rusqlite::Connection;
use std::path::Path;

use super::{BUSY_TIMEOUT, OpenError};

/// Notices commits of all other connections, in this process and in others.
#[derive(Debug)]
pub struct Commits {
    conn: Connection,
    /// `PRAGMA data_version` at the last look.
    seen: Option<i64>,
}

impl Commits {
    /// Of a database that is set up. The first look finds some.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be opened.
    pub fn open(path: &Path) -> Result<Commits, OpenError> {
        let conn = super::open_read_only(path, BUSY_TIMEOUT)?;
        Ok(Commits { conn, seen: None })
    }

    /// Whether there was a commit since the last look; a file that cannot be read may have had one.
    pub fn are_new(&mut self) -> bool {
        let look = || -> rusqlite::Result<i64> {
            let mut statement = self.conn.prepare_cached("PRAGMA data_version")?;
            statement.query_row([], |row| row.get(0))
        };
        let found = look().ok();
        found.is_none() || std::mem::replace(&mut self.seen, found) != found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_commit_is_new_once_and_what_is_not_committed_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        crate::db::set_up(&path, Duration::from_secs(5)).unwrap();
        let mut commits = Commits::open(&path).unwrap();
        assert!(commits.are_new(), "nobody has looked yet");
        assert!(!commits.are_new());
        let other = Connection::open(&path).unwrap();
        let row = "BEGIN; INSERT INTO user_record (user_id) VALUES (1)";
        other.execute_batch(row).unwrap();
        assert!(!commits.are_new());
        other.execute_batch("COMMIT").unwrap();
        assert!(commits.are_new());
        assert!(!commits.are_new());
    }
}
