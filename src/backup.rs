//! `ferryd backup`: a checked copy of the database as a single file, with the daemon up or down.
//!
//! SQLite's online backup API copies page by page, so that the copy is the file as it is, row ids of the owner's tables
//! included, which VACUUM INTO may renumber. The API begins anew whenever another process has written between two of its
//! steps; so all steps read from one snapshot, that of a read transaction held around them. Nobody waits for it, but while
//! it lasts, what others write stays in the -wal, which is why nothing else is done meanwhile: copying runs at the speed of
//! the disk, and the checks come after.
//!
//! A copy gets its name only when it was checked and is on the disk. Never is a file replaced.

use anyhow::Context;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::check;
use crate::db::{self, place, restored, schema};
use crate::progress;
use crate::stop::Stop;
use crate::time::Timestamp;

/// Pages between two looks at the stop: some milliseconds.
const STEP: i32 = 1000;

/// Room in bytes that the disk must have left beside the copy, for the database itself among others.
const MARGIN: u64 = 16 << 20;

/// What the check of the copy is nicer by than all else, nice(2).
const NICE: i32 = 19;

/// Pause when the source cannot be read for a moment.
const PAUSE: Duration = Duration::from_millis(50);

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
pub enum NoBackup {
    /// A file has that name.
    #[error("{}: there is such a file already, and a backup replaces none; name another", .0.display())]
    Exists(PathBuf),
    /// The files of a database that had this name would be taken for those of the copy.
    #[error("{}: this belongs to another database, and SQLite would take it for the backup's; remove it, or name another file", .0.display())]
    Leftover(PathBuf),
    /// Another backup is being made, or one was killed.
    #[error("{}: a backup is being made there, or one was killed; in that case remove this file", .0.display())]
    UnderWay(PathBuf),
    /// The copy cannot be made there.
    #[error("{}: the backup cannot be created ({source}); make the directory and give this user the right to write there", .path.display())]
    CannotCreate {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: std::io::Error,
    },
    /// It would not fit.
    #[error("{}: the backup needs {} MB and {} MB are free there; free some space, or name a file on another disk", .path.display(), .needed >> 20, .free >> 20)]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// In bytes.
        needed: u64,
        /// In bytes.
        free: u64,
    },
    /// A signal came.
    #[error("the backup was stopped; nothing was made")]
    Stopped,
}

/// A backup that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Its size in bytes.
    pub bytes: u64,
}

/// Copies the database to a file that is not there yet.
///
/// # Errors
/// [`NoBackup`]; or when the database cannot be read, or the copy turns out not to be sound. Nothing is left behind then.
pub fn run(database: &Path, to: &Path, stop: &Stop) -> anyhow::Result<Made> {
    refuse_leftovers(to)?;
    let source = db::open_to_look(database)?;
    schema::expect_this_version(&source, database)?;
    let bytes = size(&source)?;
    if let Some(free) = place::room(to)
        && free < bytes + MARGIN
    {
        let path = to.to_path_buf();
        let needed = bytes + MARGIN;
        return Err(NoBackup::NoRoom { path, needed, free }.into());
    }
    let partial = Partial::create(to, database)?;
    let made = Timestamp::now();
    copy(&source, &partial.path, stop)
        .with_context(|| format!("{} cannot be copied", database.display()))?;
    drop(source);
    seal(&partial.path, made).with_context(|| format!("{}", partial.path.display()))?;
    partial.give_name(to)?;
    Ok(Made { bytes })
}

fn refuse_leftovers(to: &Path) -> Result<(), NoBackup> {
    if to.symlink_metadata().is_ok() {
        return Err(NoBackup::Exists(to.to_path_buf()));
    }
    let mut beside = ["-wal", "-journal"]
        .iter()
        .map(|suffix| db::beside(to, suffix));
    match beside.find(|file| file.symlink_metadata().is_ok()) {
        Some(file) => Err(NoBackup::Leftover(file)),
        None => Ok(()),
    }
}

/// In bytes, with what is still in the -wal.
fn size(conn: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let bytes: i64 = conn.query_row(sql, [], |row| row.get(0))?;
    Ok(bytes.unsigned_abs())
}

/// Copies everything as it is at one moment.
fn copy(source: &Connection, to: &Path, stop: &Stop) -> anyhow::Result<()> {
    let snapshot = source.unchecked_transaction()?;
    let pages = size(&snapshot)?;
    let mut copy = Connection::open(to)?;
    // Nobody else knows the file yet, and it is worth nothing before it is complete and synced.
    copy.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE",
    )?;
    let bar = progress::bytes(Some(pages), "copying");
    let backup = Backup::new(&snapshot, &mut copy)?;
    loop {
        let step = backup.step(STEP)?;
        let progress = backup.progress();
        let done = f64::from(progress.pagecount - progress.remaining);
        let share = done / f64::from(progress.pagecount.max(1));
        bar.set_position((share * pages as f64) as u64);
        let pause = match step {
            StepResult::Done => break,
            StepResult::More => Duration::ZERO,
            _ => PAUSE,
        };
        if stop.wait(pause) {
            return Err(NoBackup::Stopped.into());
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Marks the copy, makes a single file of it that needs no -wal, and checks it.
fn seal(copy: &Path, made: Timestamp) -> anyhow::Result<()> {
    let conn = Connection::open(copy)?;
    // It is not in WAL mode from here on; the first ferryd that writes to it changes that.
    conn.pragma_update(None, "journal_mode", "DELETE")?;
    restored::mark_copy(&conn, made)?;
    conn.execute_batch("PRAGMA cache_size = -64000")?;
    // Nobody waits for the check, while a daemon may want the processor. Where that is not allowed, it is done without.
    let _ = rustix::process::nice(NICE);
    check::integrity(copy, &conn)?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// A copy in the making; removed unless it gets its name.
struct Partial {
    path: PathBuf,
}

impl Partial {
    /// An empty file that those may read who may read the database.
    fn create(to: &Path, database: &Path) -> Result<Partial, NoBackup> {
        let path = db::beside(to, ".partial");
        let mode = place::find(database).ok().flatten();
        let mode = mode.map_or(0o600, |found| found.permissions().mode() & 0o666);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        match options.open(&path) {
            Ok(_) => Ok(Partial { path }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(NoBackup::UnderWay(path)),
            Err(source) => Err(NoBackup::CannotCreate { path, source }),
        }
    }

    /// Brings it to the disk, and to its name unless that is taken by now.
    fn give_name(self, to: &Path) -> anyhow::Result<()> {
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.with_context(|| format!("{}: the backup cannot be synced", self.path.display()))?;
        match renameat_with(CWD, &self.path, CWD, to, RenameFlags::NOREPLACE) {
            // Some file systems know no such flag.
            Err(Errno::INVAL) if to.symlink_metadata().is_err() => {
                std::fs::rename(&self.path, to)?;
            }
            Err(Errno::EXIST | Errno::INVAL) => {
                return Err(NoBackup::Exists(to.to_path_buf()).into());
            }
            renamed => renamed.map_err(std::io::Error::from)?,
        }
        let directory = place::directory_of(to);
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.with_context(|| format!("{}: the directory cannot be synced", directory.display()))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            // It has its name by now, or is not there.
            let _ = std::fs::remove_file(db::beside(&self.path, suffix));
        }
    }
}
