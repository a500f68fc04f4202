//! Opening the file for a pipeline: the instance lock, the set-up, and freeing what a dead process left RUNNING.
//!
//! A fault that may end by itself (a disk that is full or has no inodes left, a lock of another program, a file system
//! mounted read-only) is waited for: ending with an error would make a supervisor start ferryd over and over. What an
//! operator has to mend is refused.

use rusqlite::{Connection, ErrorCode};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::db::fault::{self, FREE_SPACE, advice};
use crate::db::pool::Readers;
use crate::db::{self, OpenError, ballast, claims, place, pool, steer, summary};
use crate::gate::Sign;
use crate::lock::{InstanceLock, LockError};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::time::Timestamp;

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// How long one try waits for another program's lock: short, for a stop cannot break it off.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// What ends within this time is not worth a word: an import takes the lock for a moment.
const WARN_AFTER: Duration = Duration::from_secs(1);

/// Pages are read in a moment, so that a few readers serve any number of workers: one may be long with the planner, another
/// with the progress of a drain. Each takes 0.3 MB of memory, and 1 ms of the start.
pub(super) const READERS: u32 = 3;

/// A database that is this process's to work on.
pub(super) struct File {
    pub(super) lock: InstanceLock,
    pub(super) conn: Connection,
    pub(super) readers: Readers,
    pub(super) instance: String,
    pub(super) sign: Sign,
    /// How long a closed gate must not be probed yet; `None` when a fault of the machine had closed it.
    pub(super) probe_in: Option<Duration>,
}

/// Locks the file, sets it up, and frees what a dead process left RUNNING.
///
/// # Errors
/// When the file is refused, or the stop comes while a fault is waited for.
pub(super) fn open(config: &Config, settings: &Settings, stop: &Stop) -> anyhow::Result<File> {
    let path = &config.database.path;
    let lock = patiently(path, stop, || Ok(InstanceLock::take(path)?))?;
    let conn = patiently(path, stop, || {
        db::set_up(path, LOCK_WAIT)?;
        let conn = db::open_writer(path, config.database.durability, LOCK_WAIT)?;
        let rescued = claims::rescue(&conn).map_err(|error| OpenError::of(path, error))?;
        if rescued > 0 {
            log::info!("Freed batches that an earlier process left running. batches={rescued}");
        }
        Ok(conn)
    })?;
    settings.check_columns(&conn)?;
    let (sign, probe_at) = steer::load_gate(&conn)?;
    Ok(File {
        lock,
        readers: pool::open(path.clone(), READERS)?,
        instance: summary::instance_id(&conn)?,
        sign,
        probe_in: probe_at.map(|at| at.after(Timestamp::now())),
        conn,
    })
}

/// The stop came while the start waited for the file. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{}: stopped while the start waited: {reason}", .path.display())]
pub struct StoppedWaiting {
    path: PathBuf,
    reason: String,
}

/// Tries until it works, or fails in a way that waiting does not help.
fn patiently<T>(
    path: &Path,
    stop: &Stop,
    attempt: impl Fn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    let mut told = None;
    loop {
        let error = match attempt() {
            Ok(done) => {
                if told.is_some() {
                    log::info!("The start goes on.");
                }
                return Ok(done);
            }
            Err(error) => error,
        };
        let Some(reason) = passing_fault(path, &error) else {
            return Err(error);
        };
        let cause = error.to_string();
        // A stop that came meanwhile has the last word in the log.
        let stopped = stop.requested();
        if !stopped && start.elapsed() >= WARN_AFTER && told.as_ref() != Some(&cause) {
            log::warn!(
                "The start waits, and goes on by itself: {}: {reason}.",
                path.display()
            );
            told = Some(cause);
        }
        if place::is_full(path) {
            ballast::give_up(path);
        }
        if stopped || stop.wait(PAUSE) {
            let path = path.to_path_buf();
            return Err(StoppedWaiting { path, reason }.into());
        }
    }
}

/// Cause and remedy of a fault that may end by itself; `None` for any other error.
fn passing_fault(path: &Path, error: &anyhow::Error) -> Option<String> {
    if let Some(LockError::Io { source, .. }) = error.downcast_ref() {
        return match source.kind() {
            ErrorKind::StorageFull => {
                Some(no_inodes(path).unwrap_or_else(|| format!("the disk is full; {FREE_SPACE}")))
            }
            ErrorKind::ReadOnlyFilesystem => Some(read_only()),
            _ => None,
        };
    }
    match error.downcast_ref()? {
        OpenError::Permission { .. } | OpenError::CannotCreate { .. } => {
            place::is_read_only(path).then(read_only)
        }
        OpenError::Shortage { .. } => no_inodes(path),
        OpenError::Corrupt { .. } => fault::unreadable(path),
        OpenError::Sqlite { source, .. } => {
            let passing = fault::may_end_by_itself(source)
                && source.sqlite_error_code() != Some(ErrorCode::ReadOnly);
            passing.then(|| advice(path, source))
        }
        _ => None,
    }
}

fn no_inodes(path: &Path) -> Option<String> {
    place::has_no_inodes(path).then(|| place::NO_INODES.into())
}

fn read_only() -> String {
    "its file system is mounted read-only; mount it for writing again".into()
}
