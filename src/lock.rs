//! The instance lock `<database.path>.lock`: the proof that no other ferryd works on the file.
//!
//! It is an advisory lock of the operating system (flock) that ends with its process, however that ends. The file stays:
//! removing it would let two processes lock two files of the same name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::db::{Lost, holders, lock_path};

/// Held for as long as this value lives.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{}: another ferryd works on this file (pid {pid}); stop it first", .database.display())]
    Held {
        /// The database.
        database: PathBuf,
        /// What the holder wrote.
        pid: String,
    },
    /// There is nothing to lock any more.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The lock file cannot be made or locked.
    #[error("{}: the lock file cannot be used ({source}); make its directory, and give this user the right to write there", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What failed.
        source: std::io::Error,
    },
}

impl InstanceLock {
    /// Takes the lock of a database, or says who has it. Does not wait.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn take(database: &Path) -> Result<InstanceLock, LockError> {
        let path = lock_path(database);
        if let Some(lost) = Lost::look(database) {
            return Err(lost.into());
        }
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    database: database.to_path_buf(),
                    pid: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        // Written over what was there, which needs no room on a full disk.
        let pid = format!("{}\n", std::process::id());
        file.rewind()
            .and_then(|()| file.write_all(pid.as_bytes()))
            .and_then(|()| file.set_len(pid.len() as u64))
            .map_err(io)?;
        Ok(InstanceLock { _file: file })
    }
}

/// The process that has the lock now; `None` when there is none, or none that can be seen from here. The lock itself is not
/// tried: that would turn away a ferryd which starts at that moment.
pub fn holder_of(database: &Path) -> Option<u32> {
    let path = lock_path(database);
    let file = File::open(&path).ok();
    let written = file.and_then(|mut file| holder(&mut file).parse().ok());
    holders::of_whole_file(&path, written)
}

/// The number in the file. The holder writes it after it has locked, so it may not be there yet.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let mut start = file.take(32);
    match start.read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => text.trim().to_string(),
        _ => "unknown".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        std::fs::write(&database, "").unwrap();
        let held = InstanceLock::take(&database).unwrap();
        let error = InstanceLock::take(&database).unwrap_err();
        let pid = format!("(pid {})", std::process::id());
        assert!(error.to_string().contains(&pid), "{error}");
        drop(held);
        InstanceLock::take(&database).unwrap();
    }

    #[test]
    fn a_database_that_is_gone_is_not_replaced_by_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        drop(InstanceLock::take(&database).unwrap());
        let error = InstanceLock::take(&database).unwrap_err();
        assert!(matches!(error, LockError::Lost(_)), "{error}");
    }
}
