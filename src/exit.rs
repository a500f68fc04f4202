//! Exit codes: which kind of trouble ended the process. Numbers from 64 up are those of BSD's sysexits.h.

use crate::backup::NoBackup;
use crate::check::Unreachable;
use crate::client::BadProxy;
use crate::config::ConfigError;
use crate::daemon::{Panicked, StoppedWaiting};
use crate::db::fault::{self, FREE_SPACE};
use crate::db::records::NoColumn;
use crate::db::writer::WriteError;
use crate::db::{self, Damaged, OpenError, REPAIR};
use crate::import::BadLine;
use crate::init::CannotCreate;
use crate::journal::BadJournal;
use crate::limits::TooFewFiles;
use crate::listener::DoorError;
use crate::lock::LockError;
use rusqlite::ErrorCode;

/// All done.
pub const DONE: u8 = 0;
/// Failed in a way that has no code of its own.
pub const FAILED: u8 = 1;
/// The command line is wrong; clap ends the process with it.
pub const WRONG_USAGE: u8 = 2;
/// `drain` ended with records not delivered.
pub const NOT_DELIVERED: u8 = 3;
/// The data cannot be used.
pub const DATA: u8 = 65;
/// `check --probe` cannot reach the API.
pub const UNREACHABLE: u8 = 69;
/// An internal error.
pub const INTERNAL: u8 = 70;
/// A file cannot be created.
pub const CANNOT_CREATE: u8 = 73;
/// An input/output error.
pub const IO: u8 = 74;
/// Another ferryd holds the file.
pub const HELD: u8 = 75;
/// No permission.
pub const PERMISSION: u8 = 77;
/// The configuration is wrong.
pub const CONFIG: u8 = 78;

/// Every code and what it means, for the manual.
pub const MEANINGS: [(u8, &str); 12] = [
    (DONE, "Done."),
    (
        FAILED,
        "Failed; or audit found a promise that does not hold, or what preview --send sent was not accepted.",
    ),
    (WRONG_USAGE, "Wrong usage."),
    (
        NOT_DELIVERED,
        "drain or demo ended with records not delivered.",
    ),
    (
        DATA,
        "The data cannot be used: a bad import line, a damaged, foreign or newer database.",
    ),
    (UNREACHABLE, "check --probe cannot reach the API."),
    (INTERNAL, "An internal error."),
    (CANNOT_CREATE, "A file cannot be created."),
    (IO, "An input/output error, or too few files or threads."),
    (HELD, "Another ferryd works on the file."),
    (PERMISSION, "No permission."),
    (CONFIG, "The configuration is wrong."),
];

/// The code for an error: the outermost cause that has one decides, unless the file turned out to be damaged.
pub fn code(error: &anyhow::Error) -> u8 {
    if is_damage(error) {
        return DATA;
    }
    error.chain().find_map(code_of).unwrap_or(FAILED)
}

/// The error as people see it: its causes in one line, without those that the line tells already.
pub fn message(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    match remedy(error) {
        Some(remedy) if !line.contains(&remedy) => format!("{line}; {remedy}"),
        _ => line,
    }
}

/// What to do about an error of SQLite's that can come up in any statement.
fn remedy(error: &anyhow::Error) -> Option<String> {
    let is_full = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DiskFull);
    let mut sqlite = error.chain().filter_map(|cause| cause.downcast_ref());
    if is_damage(error) {
        return Some(REPAIR.into());
    }
    if let Some(OpenError::Sqlite { path, source }) = error.chain().find_map(|e| e.downcast_ref())
        && db::is_locked(source)
    {
        return Some(fault::advice(path, source));
    }
    sqlite.any(is_full).then(|| FREE_SPACE.into())
}

/// Damage to the file shows only when SQLite comes to the damaged page, in whatever statement that is.
fn is_damage(error: &anyhow::Error) -> bool {
    let mut sqlite = error.chain().filter_map(|cause| cause.downcast_ref());
    sqlite.any(|error| Damaged::of(error).is_some())
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if cause.is::<ConfigError>() {
        return Some(CONFIG);
    }
    if cause.is::<NoColumn>() || cause.is::<BadProxy>() {
        return Some(CONFIG);
    }
    if cause.is::<BadLine>() || cause.is::<BadJournal>() {
        return Some(DATA);
    }
    // A `drain` that had not even begun; a `run` has done what it was told to, and makes no error of it.
    if cause.is::<StoppedWaiting>() {
        return Some(NOT_DELIVERED);
    }
    if cause.is::<Unreachable>() {
        return Some(UNREACHABLE);
    }
    if cause.is::<CannotCreate>() {
        return Some(CANNOT_CREATE);
    }
    if let Some(error) = cause.downcast_ref::<NoBackup>() {
        return Some(match error {
            NoBackup::Stopped => FAILED,
            NoBackup::CannotCreate { source, .. } if of_io(source) == PERMISSION => PERMISSION,
            _ => CANNOT_CREATE,
        });
    }
    if let Some(error) = cause.downcast_ref::<LockError>() {
        return Some(match error {
            LockError::Held { .. } => HELD,
            LockError::Lost(_) => DATA,
            LockError::Io { source, .. } => match of_io(source) {
                PERMISSION => PERMISSION,
                _ => CANNOT_CREATE,
            },
        });
    }
    if let Some(error) = cause.downcast_ref::<DoorError>() {
        return Some(match error {
            DoorError::Address { source, .. } => of_io(source),
            DoorError::Taken(_) => IO,
            DoorError::NoSocket(_) => CANNOT_CREATE,
            DoorError::Socket { source, .. } => match of_io(source) {
                PERMISSION => PERMISSION,
                _ => CANNOT_CREATE,
            },
        });
    }
    if let Some(error) = cause.downcast_ref::<OpenError>() {
        return Some(match error {
            OpenError::Missing(_) | OpenError::NotSetUp(_) => FAILED,
            OpenError::Lost(_)
            | OpenError::Foreign { .. }
            | OpenError::Newer { .. }
            | OpenError::Older { .. }
            | OpenError::NotAdoptable { .. }
            | OpenError::Corrupt { .. } => DATA,
            OpenError::CannotCreate { .. } => CANNOT_CREATE,
            OpenError::Permission { .. } => PERMISSION,
            OpenError::Shortage { .. } | OpenError::Sqlite { .. } => IO,
        });
    }
    match cause.downcast_ref() {
        Some(WriteError::Damaged(_)) => return Some(DATA),
        // The writer outlives all who write, unless it panicked.
        Some(WriteError::Ended) => return Some(INTERNAL),
        _ => {}
    }
    if cause.is::<Panicked>() {
        return Some(INTERNAL);
    }
    if cause.is::<TooFewFiles>() {
        return Some(IO);
    }
    if cause.is::<WriteError>() || cause.is::<r2d2::Error>() {
        return Some(IO);
    }
    if cause.is::<rusqlite::Error>() {
        return Some(IO);
    }
    cause.downcast_ref::<std::io::Error>().map(of_io)
}

fn of_io(error: &std::io::Error) -> u8 {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => PERMISSION,
        _ => IO,
    }
}
