//! The place of the file: whether the names still lead to what is open, and whether the disk takes more.
//!
//! It looks from outside and never opens the files. What it finds holds sending before an outcome could be lost: SQLite
//! goes on "working" on a deleted file, and on a full disk there is only the -wal's own room for what was sent already.

use rustix::fs::{Access, StatVfs, StatVfsMountFlags, access, statvfs};
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{OpenError, WAL_LIMIT, ballast, beside, holders};

/// A disk with less room than this, in bytes, is full: a second's outcomes may still come.
const FULL_BELOW: u64 = 1 << 20;

/// A full disk has room again above this: the ballast is made anew then.
const ROOM_ABOVE: u64 = FULL_BELOW + ballast::SIZE;

/// A -wal of more bytes than this is not emptied any more: in normal work it stays below half of it.
pub const PINNED_ABOVE: u64 = 2 * WAL_LIMIT as u64;

/// Cause and remedy of a disk on which no file can be made.
pub const NO_INODES: &str = "no inodes are left; remove some files";

/// What a database that is open in this process stands on.
#[derive(Debug)]
pub struct Place {
    database: PathBuf,
    /// The database, its -wal and its -shm, each with device and inode as they are open.
    files: Vec<(PathBuf, Option<Identity>)>,
    full: bool,
    /// The -wal was too big at the last look.
    wal_was_big: bool,
    wal_named: bool,
}

type Identity = (u64, u64);

impl Place {
    /// The place of a database whose -wal and -shm are there.
    pub fn of(database: &Path) -> Place {
        let files = ["", "-wal", "-shm"].map(|suffix| beside(database, suffix));
        let files = files.map(|file| {
            // It was opened a moment ago, so this user may look.
            let identity = identity(&file).unwrap_or_default();
            (file, identity)
        });
        Place {
            database: database.to_path_buf(),
            files: files.to_vec(),
            full: false,
            wal_was_big: false,
            wal_named: false,
        }
    }

    /// Why nothing may be sent now, with the remedy; `None` when all is well.
    pub fn fault(&mut self) -> Option<String> {
        self.moved().or_else(|| self.unwritable())
    }

    fn moved(&self) -> Option<String> {
        let mut files = self.files.iter();
        let look = |(file, opened): &(PathBuf, _)| match identity(file) {
            Ok(found) if found == *opened => None,
            found => Some((file.clone(), found)),
        };
        let (file, found) = files.find_map(look)?;
        let what = match found {
            Ok(Some(_)) => "replaced by another file",
            Ok(None) => "deleted or moved away",
            Err(error) => return Some(error.to_string()),
        };
        let remedy = match file == self.database {
            true => "put the same file back, or stop ferryd and restore a backup",
            false => {
                "put the same file back, or restart ferryd before any other program opens the database"
            }
        };
        Some(format!("{} was {what}; {remedy}", file.display()))
    }

    fn unwritable(&mut self) -> Option<String> {
        let database = self.database.display();
        if is_read_only(&self.database) {
            return Some(format!(
                "the file system of {database} is mounted read-only; mount it for writing again"
            ));
        }
        self.full = match room(&self.database) {
            Some(room) if room < FULL_BELOW => true,
            // What is free now may be the room of a ballast that was given up, also before a restart.
            Some(room) if room < ROOM_ABOVE && (self.full || !ballast::exists(&self.database)) => {
                true
            }
            _ => !ballast::keep(&self.database),
        };
        let least = ROOM_ABOVE >> 20;
        self.full
            .then(|| format!("the disk of {database} is full; free at least {least} MiB"))
    }

    /// Who keeps the -wal from being emptied, told once each time.
    pub fn new_pin(&mut self) -> Option<String> {
        let size = holders::wal_size(&self.database);
        let big = size > PINNED_ABOVE;
        // One big transaction also makes it big; a short look of somebody's at that moment is no pin.
        let lasting = std::mem::replace(&mut self.wal_was_big, big) && big;
        if !lasting {
            self.wal_named &= big;
            return None;
        }
        let readers = holders::readers(&self.database);
        if readers.is_empty() || std::mem::replace(&mut self.wal_named, true) {
            return None;
        }
        Some(format!("{readers}. bytes={size}"))
    }
}

/// What is there under this name, if anything is.
///
/// # Errors
/// When this user may not look: whether there is something is not known then.
pub fn find(file: &Path) -> Result<Option<Metadata>, OpenError> {
    match std::fs::metadata(file) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(OpenError::Permission {
            path: file.to_path_buf(),
            reason: "a directory on its path may not be searched".into(),
        }),
        Err(_) => Ok(None),
    }
}

fn identity(file: &Path) -> Result<Option<Identity>, OpenError> {
    let found = find(file)?;
    Ok(found.map(|found| (found.dev(), found.ino())))
}

/// Refuses a database of which some file cannot be read and written, also its -wal or -shm: another user may have made
/// them.
///
/// # Errors
/// See [`OpenError::Permission`], which names the file and its owner.
pub fn check_access(database: &Path) -> Result<(), OpenError> {
    for file in ["", "-wal", "-shm"].map(|suffix| beside(database, suffix)) {
        let Some(metadata) = find(&file)? else {
            continue;
        };
        access(&file, Access::READ_OK | Access::WRITE_OK).map_err(|error| {
            OpenError::Permission {
                path: file,
                reason: format!("{error}; it belongs to the user with id {}", metadata.uid()),
            }
        })?;
    }
    Ok(())
}

/// Whether the file system of a database is mounted read-only.
pub fn is_read_only(database: &Path) -> bool {
    file_system(database).is_some_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether the disk of a database is full.
pub fn is_full(database: &Path) -> bool {
    room(database).is_some_and(|room| room < FULL_BELOW)
}

/// Whether the disk of a database takes no further file, however much room it has. A file system that counts none, such as
/// btrfs, says that it has none in all.
pub fn has_no_inodes(database: &Path) -> bool {
    file_system(database).is_some_and(|found| {
        let free = match rustix::process::geteuid().is_root() {
            true => found.f_ffree,
            false => found.f_favail,
        };
        found.f_files > 0 && free == 0
    })
}

/// Bytes that this process may still write there; `None` where the file system does not tell.
pub fn room(database: &Path) -> Option<u64> {
    let found = file_system(database)?;
    // What is kept back for root is there for root.
    let blocks = match rustix::process::geteuid().is_root() {
        true => found.f_bfree,
        false => found.f_bavail,
    };
    (found.f_blocks > 0).then(|| blocks.saturating_mul(found.f_frsize))
}

/// The file system of a database, or of the directory where it would be.
fn file_system(database: &Path) -> Option<StatVfs> {
    let directory = directory_of(database);
    statvfs(database).or_else(|_| statvfs(directory)).ok()
}

/// The directory that a file is in, or would be.
pub fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_moves_away_and_comes_back_is_noticed_and_one_in_its_place_too() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        for suffix in ["", "-wal", "-shm"] {
            std::fs::write(beside(&database, suffix), "").unwrap();
        }
        let mut place = Place::of(&database);
        assert_eq!(place.fault(), None);
        for suffix in ["", "-wal", "-shm"] {
            let file = beside(&database, suffix);
            let away = beside(&file, ".away");
            std::fs::rename(&file, &away).unwrap();
            let fault = place.fault().unwrap();
            assert!(
                fault.contains(&format!("a.db{suffix} was deleted")),
                "{fault}"
            );
            std::fs::write(&file, "").unwrap();
            let fault = place.fault().unwrap();
            assert!(
                fault.contains(&format!("a.db{suffix} was replaced")),
                "{fault}"
            );
            std::fs::rename(&away, &file).unwrap();
            assert_eq!(place.fault(), None);
        }
    }
}
