//! The ballast: some room on the disk, kept in a file beside the database and given up when the disk is full.
//!
//! The -wal has room of its own only after it has grown, and what is in it goes into a growing database only if that finds
//! room too. With the ballast's room the outcomes of what was sent are written down, and the reason why sending stops.

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{beside, place};

/// In bytes: outcomes of all workers and the gate's reason need far less.
pub const SIZE: u64 = 1 << 20;

/// Gives its room to the disk, if there is one.
pub fn give_up(database: &Path) {
    // None is left, or the disk is read-only: then there is nothing to gain.
    let _ = std::fs::remove_file(beside(database, ".ballast"));
}

/// Whether there is one.
pub fn exists(database: &Path) -> bool {
    beside(database, ".ballast").exists()
}

/// Makes one where there is none. Returns false when the disk has no room for it; a file system that cannot reserve room
/// is done without, and so is one without an inode: what is open can grow all the same.
pub fn keep(database: &Path) -> bool {
    if exists(database) {
        return true;
    }
    let path = beside(database, ".ballast");
    let file = match make(&path) {
        Err(error) if error.kind() == ErrorKind::StorageFull => {
            return place::has_no_inodes(database);
        }
        Err(_) => return true,
        Ok(file) => file,
    };
    if fallocate(&file, FallocateFlags::empty(), 0, SIZE) == Err(Errno::NOSPC) {
        give_up(database);
        return false;
    }
    true
}

fn make(path: &Path) -> std::io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_real_room_and_is_made_again_after_it_was_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        let file = dir.path().join("a.db.ballast");
        for _ in 0..2 {
            assert!(keep(&database) && keep(&database));
            let metadata = std::fs::metadata(&file).unwrap();
            assert_eq!(metadata.len(), SIZE);
            give_up(&database);
            assert!(!file.exists());
        }
    }
}
