//! Readers: a pool of connections that cannot write.
//!
//! No caller may keep one across a request to the API: a forgotten read transaction lets the -wal grow without bound.

use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::OpenError;
use crate::limits;

/// A pool of read-only connections.
pub type Readers = r2d2::Pool<ReaderManager>;

/// Opens readers of one file for r2d2.
#[derive(Debug)]
pub struct ReaderManager {
    path: PathBuf,
}

impl r2d2::ManageConnection for ReaderManager {
    type Connection = Connection;
    type Error = OpenError;

    fn connect(&self) -> Result<Connection, OpenError> {
        super::open_reader(&self.path, super::BUSY_TIMEOUT)
    }

    fn is_valid(&self, _: &mut Connection) -> Result<(), OpenError> {
        Ok(())
    }

    /// A reader that comes back with a transaction open is closed, never handed on.
    fn has_broken(&self, conn: &mut Connection) -> bool {
        !conn.is_autocommit()
    }
}

/// Opens a pool of `size` readers of a database that is set up. They are opened now, so that none is missing when files run
/// short later.
///
/// # Errors
/// When a reader cannot be opened, or there is no thread for the pool.
pub fn open(path: PathBuf, size: u32) -> anyhow::Result<Readers> {
    // The pool's helper thread would panic.
    limits::try_thread("of the pool of readers")?;
    let pool = r2d2::Pool::builder()
        .max_size(size)
        .max_lifetime(None)
        .idle_timeout(None)
        .test_on_check_out(false)
        // Whoever needs a reader says what became of it, once.
        .error_handler(Box::new(r2d2::NopErrorHandler))
        .connection_timeout(Duration::from_secs(5))
        .thread_pool(Arc::new(scheduled_thread_pool::ScheduledThreadPool::new(1)))
        .build(ReaderManager { path })?;
    Ok(pool)
}
