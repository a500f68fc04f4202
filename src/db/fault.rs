//! Faults of the storage, as SQLite reports them: which may end by themselves, which are damage, and what people are told.
//!
//! Damage is never believed at first sight: SQLite reports a page that the disk could not read as a malformed one
//! (SQLITE_IOERR_CORRUPTFS becomes SQLITE_CORRUPT inside a statement).

use rusqlite::ErrorCode;
use std::path::Path;

use super::second_look::{Look, look_again};
use super::{holders, is_locked, place};
use crate::limits;

/// What to do about a damaged file.
pub const REPAIR: &str = "restore a backup, or save what is left with `sqlite3 FILE .recover`";

/// What to do about a full disk.
pub const FREE_SPACE: &str = "free some space";

/// What to do about a disk that gives errors.
const SEE_TO_DISK: &str = "see to the disk and its mount, the kernel's log tells more";

/// A damaged page was met after the file had been opened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the database is damaged ({0}); {REPAIR}")]
pub struct Damaged(String);

impl Damaged {
    /// The damage that an error of SQLite's tells of, if it does.
    pub fn of(error: &rusqlite::Error) -> Option<Damaged> {
        let damaged = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        );
        damaged.then(|| Damaged(error.to_string()))
    }

    /// The same, but only if a second look at the file finds damage too, and no page that just cannot be read now.
    pub fn confirmed(database: &Path, error: &rusqlite::Error) -> Option<Damaged> {
        let damaged = Damaged::of(error)?;
        (look_again(database) == Look::Damaged).then_some(damaged)
    }
}

/// Cause and remedy for a file that seems damaged, if it only cannot be read now.
pub fn unreadable(database: &Path) -> Option<String> {
    (look_again(database) == Look::Unreadable).then(unreadable_page)
}

fn unreadable_page() -> String {
    format!("a page cannot be read; {SEE_TO_DISK}")
}

/// Whether waiting may help: the fault lies with the disk or with another program, not with the work or the file.
pub fn may_end_by_itself(error: &rusqlite::Error) -> bool {
    let passing = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
        )
    );
    passing || is_locked(error)
}

/// Cause and remedy of a fault that may end by itself.
pub fn advice(database: &Path, error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        _ if is_locked(error) => {
            let holders = holders::writers(database);
            let holders = match holders.as_str() {
                "" => "another program",
                known => known,
            };
            format!("{holders} holds the write lock; let it end its transaction, or end it")
        }
        // The -shm that cannot grow, for one, is an I/O error to SQLite.
        code if code == Some(ErrorCode::DiskFull) || place::is_full(database) => {
            format!("the disk is full; {FREE_SPACE}")
        }
        _ if place::is_read_only(database) => {
            "its file system is mounted read-only; mount it for writing again".to_string()
        }
        _ if Damaged::of(error).is_some() => unreadable_page(),
        Some(ErrorCode::CannotOpen) if place::has_no_inodes(database) => place::NO_INODES.into(),
        _ => match limits::shortage_of_files() {
            Some(shortage) => shortage.to_string(),
            None => format!("{error}; {SEE_TO_DISK}"),
        },
    }
}

/// The same for an error of any kind that a reader of the file met.
pub fn reason(database: &Path, error: &anyhow::Error) -> String {
    match error.downcast_ref() {
        Some(error) => advice(database, error),
        None => format!("{error:#}"),
    }
}
