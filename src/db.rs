//! The file: opening it in named phases, and the errors of doing so.
//!
//! SQLite alone may open the database, its -wal and its -shm in this process: closing any other descriptor of them
//! would drop SQLite's POSIX locks (<https://sqlite.org/howtocorrupt.html> §2.2). A file that is not ours is refused
//! before anything is written to it.

pub mod ballast;
pub mod batches;
pub mod checkpoints;
pub mod claims;
pub mod commits;
pub mod fault;
pub mod glance;
pub mod holders;
pub mod place;
pub mod pool;
pub mod preview;
pub mod prune;
pub mod records;
pub mod restored;
pub mod schema;
mod second_look;
pub mod settle;
pub mod steer;
pub mod summary;
pub mod writer;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Durability;
use crate::limits;
pub use fault::{Damaged, REPAIR};

/// `PRAGMA application_id` of a ferryd file: "FERY".
pub const APPLICATION_ID: i32 = 0x4645_5259;

/// How long a statement waits for another program's lock before it reports it, where nobody has to break that off.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long whoever waits at a terminal is not told what for.
const SILENCE: Duration = Duration::from_secs(1);

/// Pages in the -wal (4 KiB each) after which a commit also checkpoints: the -wal stays below 4 MB.
const CHECKPOINT_PAGES: i32 = 800;

/// A -wal of more bytes than this is one that some reader pins.
const WAL_LIMIT: i64 = 4_000_000;

/// The database is gone that was worked on before: an empty one in its place would hide the loss.
#[derive(Debug, thiserror::Error)]
#[error("{}: the database is gone; put it or a backup back, or remove {} to start with an empty one", .database.display(), .lock.display())]
pub struct Lost {
    /// The database.
    pub database: PathBuf,
    /// Its lock file, which shows that it was worked on.
    pub lock: PathBuf,
}

impl Lost {
    /// A database that is not there, but has a lock file that a ferryd has written to.
    pub fn look(database: &Path) -> Option<Lost> {
        let lock = lock_path(database);
        let was_worked_on = std::fs::metadata(&lock).is_ok_and(|found| found.len() > 0);
        (was_worked_on && !database.exists()).then(|| Lost {
            database: database.to_path_buf(),
            lock,
        })
    }
}

/// Why a database cannot be used. The message names cause and remedy in one line.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file, and this command does not make one.
    #[error("{}: there is no such database; make one with `ferryd init` or `ferryd import`", .0.display())]
    Missing(PathBuf),
    /// There is no file any more.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The file is a database of something else.
    #[error("{}: {reason}; set database.path to another file", .path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What shows it.
        reason: String,
    },
    /// The file has no ferryd tables yet.
    #[error("{}: ferryd has not set this database up yet; `ferryd init` or `ferryd run` does", .0.display())]
    NotSetUp(PathBuf),
    /// The file was written by a newer ferryd.
    #[error("{}: the file has schema {found}, this ferryd knows up to {known}; install the newer ferryd again", .path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i32,
        /// The newest that this program knows.
        known: i32,
    },
    /// The file was written by an older ferryd, and this command does not change it.
    #[error("{}: the file has schema {found}, this command needs {known}; `ferryd init`, `run` or `drain` brings it up", .path.display())]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i32,
        /// The one that this program writes.
        known: i32,
    },
    /// `user_record` is there, but lacks what ferryd needs.
    #[error("{}: the database cannot be adopted: {reason}", .path.display())]
    NotAdoptable {
        /// The database.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// SQLite says that the file is damaged or no database.
    #[error("{}: the file is damaged or not a database ({reason}); {REPAIR}", .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// The file cannot be made.
    #[error("{}: the database cannot be created ({reason}); make the directory and give this user the right to write there", .path.display())]
    CannotCreate {
        /// The database.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// The file or its directory may not be read or written by this user.
    #[error("{}: no permission ({reason}); give this user read and write access to the file and its directory", .path.display())]
    Permission {
        /// The database.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
    /// Too many files are open, or there are too many for one more.
    #[error("{}: the database cannot be opened: {shortage}", .path.display())]
    Shortage {
        /// The database.
        path: PathBuf,
        /// What there is too little of, and what to do.
        shortage: &'static str,
    },
    /// Anything else that SQLite reports.
    #[error("{}: {source}", .path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
}

impl OpenError {
    /// Sorts SQLite's errors into those above.
    pub fn of(path: &Path, source: rusqlite::Error) -> OpenError {
        let path = path.to_path_buf();
        let reason = source.to_string();
        let code = source.sqlite_error_code();
        if code == Some(ErrorCode::CannotOpen)
            && let Some(shortage) = shortage_of_files(&path)
        {
            return OpenError::Shortage { path, shortage };
        }
        match code {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                OpenError::Corrupt { path, reason }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                OpenError::Permission { path, reason }
            }
            Some(ErrorCode::CannotOpen) => match place::find(&path) {
                Ok(Some(_)) => OpenError::Permission { path, reason },
                Ok(None) => OpenError::CannotCreate { path, reason },
                Err(error) => error,
            },
            _ => OpenError::Sqlite { path, source },
        }
    }
}

/// Why a file that was to be opened or made beside the database cannot be, when that is no matter of rights.
fn shortage_of_files(database: &Path) -> Option<&'static str> {
    let no_inodes = || place::has_no_inodes(database).then_some(place::NO_INODES);
    limits::shortage_of_files().or_else(no_inodes)
}

/// Makes the database, or brings its schema up to this version, if that is needed. The caller holds the instance lock. Here
/// and below, `wait` is the longest time that a statement waits for another program's lock.
///
/// # Errors
/// When the file is refused; then it is as it was.
pub fn set_up(path: &Path, wait: Duration) -> Result<(), OpenError> {
    if !needs_set_up(path, wait)? {
        return Ok(());
    }
    let mut conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(|e| OpenError::of(path, e))?;
    schema::migrate(&mut conn, wait).map_err(|e| OpenError::of(path, e))
}

/// Whether [`set_up`] has something to do.
///
/// # Errors
/// When the file is refused.
pub fn needs_set_up(path: &Path, wait: Duration) -> Result<bool, OpenError> {
    Ok(place::find(path)?.is_none() || !schema::inspect(path, wait)?.is_current())
}

/// A connection that may write. Only the writer and `import` have one; for checkpoints there is another, which changes nothing.
///
/// # Errors
/// When there is no such file, or it cannot be opened for writing.
pub fn open_writer(
    path: &Path,
    durability: Durability,
    wait: Duration,
) -> Result<Connection, OpenError> {
    place::check_access(path)?;
    let conn = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, wait)?;
    let prepared = prepare_writer(&conn, durability);
    let mode = prepared.map_err(|e| OpenError::of(path, e))?;
    if mode != "wal" {
        // Without one a failed COMMIT may have happened, which the writer relies on that it cannot.
        return Err(OpenError::Foreign {
            path: path.to_path_buf(),
            reason: format!(
                "SQLite keeps no -wal there, but journal mode {mode}; ferryd needs a local disk"
            ),
        });
    }
    restored::announce(&conn, path).map_err(|e| OpenError::of(path, e))?;
    Ok(conn)
}

/// A connection that cannot write, with a small page cache.
///
/// # Errors
/// When there is no such file, or it cannot be read.
pub fn open_reader(path: &Path, wait: Duration) -> Result<Connection, OpenError> {
    let conn = open_read_only(path, wait)?;
    // 128 KiB of cache reads as fast as SQLite's default of 2 MB here, which each of the readers would come to hold.
    let pragmas = "PRAGMA query_only = ON; PRAGMA cache_size = -128;";
    conn.execute_batch(pragmas)
        .map_err(|e| OpenError::of(path, e))?;
    Ok(conn)
}

fn open_read_only(path: &Path, wait: Duration) -> Result<Connection, OpenError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, wait)
}

/// A reader for the commands that only look: refuses what is not a ferryd file of this version.
///
/// # Errors
/// When the file is missing, refused or not set up.
pub fn open_to_look(path: &Path) -> Result<Connection, OpenError> {
    if !schema::inspect(path, BUSY_TIMEOUT)?.is_ours() {
        return Err(OpenError::NotSetUp(path.to_path_buf()));
    }
    open_reader(path, BUSY_TIMEOUT)
}

fn open(path: &Path, mode: OpenFlags, wait: Duration) -> Result<Connection, OpenError> {
    let Some(found) = place::find(path)? else {
        return Err(match Lost::look(path) {
            Some(lost) => lost.into(),
            None => OpenError::Missing(path.to_path_buf()),
        });
    };
    if !found.is_file() {
        return Err(OpenError::Foreign {
            path: path.to_path_buf(),
            reason: "it is not a regular file".into(),
        });
    }
    let conn = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|e| OpenError::of(path, e))?;
    conn.busy_timeout(wait)
        .and_then(|()| keep_wal(&conn))
        .and_then(|()| keep_statements(&conn))
        .map_err(|e| OpenError::of(path, e))?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Leaves the -wal and -shm in place when the last connection closes: members of the file's group who may not write to
/// the directory can then read a stopped database.
fn keep_wal(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// A prepared statement stays as it is. Without this, SQLite prepares one with a LIMIT anew whenever the limit is bound, in
/// case that another plan suits it better, which costs more than most of them.
fn keep_statements(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Returns the journal mode that the file has now.
fn prepare_writer(conn: &Connection, durability: Durability) -> rusqlite::Result<String> {
    let synchronous = match durability {
        Durability::Normal => "NORMAL",
        Durability::Full => "FULL",
    };
    // A copy made with VACUUM INTO is not in WAL mode.
    let mode = conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // What a pinned -wal grew beyond this is given back to the disk; the rest is kept as a reserve for a full disk.
    conn.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    Ok(mode)
}

/// The file of the instance lock, which stays for good.
pub fn lock_path(database: &Path) -> PathBuf {
    beside(database, ".lock")
}

/// The file that stands beside a database under its name and a suffix, such as `-wal`.
pub fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Whether another program holds the lock that the statement needed.
pub fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Begins a transaction that may write, and waits for it as long as another program holds the lock.
///
/// # Errors
/// SQLite's others.
pub fn begin_patiently(conn: &Connection) -> rusqlite::Result<()> {
    let mut warned = false;
    conn.busy_timeout(SILENCE)?;
    loop {
        match conn.execute_batch("BEGIN IMMEDIATE") {
            Err(error) if is_locked(&error) => {}
            begun => {
                conn.busy_timeout(BUSY_TIMEOUT)?;
                return begun;
            }
        }
        if !warned {
            warned = true;
            let holders = holders::writers(Path::new(conn.path().unwrap_or_default()));
            log::warn!("The database is locked; waiting for it. holders=\"{holders}\"");
        }
    }
}

/// Writes a page as it is, so that the commit syncs the -wal: SQLite syncs nothing for a transaction that changed none.
fn touch(conn: &Connection) -> rusqlite::Result<()> {
    let version: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    conn.pragma_update(None, "user_version", version)
}

/// Writes the -wal back into the database, as far as readers let it. Never blocks anybody.
///
/// # Errors
/// When the checkpoint fails other than by being busy.
pub fn checkpoint(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
