//! Who holds the file: the processes behind SQLite's locks, as /proc/locks tells them.
//!
//! SQLite locks single bytes of the -shm file (<https://sqlite.org/walformat.html> §2.3.1): byte 120 to write, bytes 123
//! to 127 to read. A program in exclusive locking mode, or one that found the file not in WAL mode yet, locks bytes of the
//! database itself (<https://sqlite.org/lockingv3.html> §3). What cannot be found out is left out: this is for messages,
//! and decides nothing.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::beside;

/// Bytes of the -shm file.
const WRITE_LOCK: RangeInclusive<u64> = 120..=120;
const READ_LOCKS: RangeInclusive<u64> = 123..=127;

/// Bytes of the database: PENDING, RESERVED, and the 510 of SHARED, which every open connection has locked for reading.
const FILE_LOCKS: RangeInclusive<u64> = 0x4000_0000..=0x4000_0000 + 511;

/// Looks at the kernel's list before nobody is found there.
const LOOKS: usize = 3;

/// Other processes that hold the write lock, as `sqlite3 (pid 42)`; empty when none is known.
pub fn writers(database: &Path) -> String {
    let (file, shm) = (inode(database), inode(&beside(database, "-shm")));
    holders(|lock| lock.writes && (lock.covers(shm, &WRITE_LOCK) || lock.covers(file, &FILE_LOCKS)))
}

/// Other processes with an open read transaction.
pub fn readers(database: &Path) -> String {
    let shm = inode(&beside(database, "-shm"));
    holders(|lock| lock.covers(shm, &READ_LOCKS))
}

/// The process that holds the instance lock of a database, if another one does. The lock itself is not touched: a start at the
/// same moment must not be refused for it.
pub fn of_instance_lock(database: &Path) -> Option<u32> {
    let file = inode(&beside(database, ".lock"));
    let whole = 0..=u64::MAX;
    let found = pids(|lock| lock.writes && lock.covers(file, &whole));
    found.first().copied()
}

/// The size of the -wal file in bytes; 0 when there is none.
pub fn wal_size(database: &Path) -> u64 {
    std::fs::metadata(beside(database, "-wal")).map_or(0, |metadata| metadata.len())
}

fn inode(file: &Path) -> Option<u64> {
    Some(std::fs::metadata(file).ok()?.ino())
}

fn holders(wanted: impl Fn(&Lock) -> bool) -> String {
    let look = || pids(&wanted);
    // The kernel hands the list out in pieces, and while others lock and unlock, an entry can be missed between two.
    let mut looks = std::iter::repeat_with(look).take(LOOKS);
    let found = looks.find(|pids| !pids.is_empty()).unwrap_or_default();
    let names: Vec<String> = found.into_iter().map(name).collect();
    names.join(", ")
}

/// Other processes with such a lock.
fn pids(wanted: impl Fn(&Lock) -> bool) -> BTreeSet<u32> {
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let locks = locks.lines().filter_map(parse_lock).filter(wanted);
    let pids = locks.map(|lock| lock.pid);
    pids.filter(|pid| *pid != std::process::id()).collect()
}

#[derive(Debug, PartialEq)]
struct Lock {
    /// It lets nobody else in.
    writes: bool,
    pid: u32,
    inode: u64,
    start: u64,
    end: u64,
}

impl Lock {
    fn covers(&self, file: Option<u64>, bytes: &RangeInclusive<u64>) -> bool {
        file == Some(self.inode) && self.start <= *bytes.end() && self.end >= *bytes.start()
    }
}

/// A line of proc_locks(5): `1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 120 120`.
fn parse_lock(line: &str) -> Option<Lock> {
    let mut fields = line.split_whitespace().skip(3);
    let writes = fields.next()? == "WRITE";
    let pid = fields.next()?.parse().ok()?;
    let inode = fields.next()?.rsplit(':').next()?.parse().ok()?;
    let start = fields.next()?.parse().ok()?;
    let end = match fields.next()? {
        "EOF" => u64::MAX,
        end => end.parse().ok()?,
    };
    Some(Lock {
        writes,
        pid,
        inode,
        start,
        end,
    })
}

fn name(pid: u32) -> String {
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let comm = crate::text::printable(comm.trim(), 32).into_owned();
    match comm.as_str() {
        "" => format!("pid {pid}"),
        comm => format!("{comm} (pid {pid})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_locks_is_understood_and_a_blocked_one_passed_over() {
        let lock = parse_lock("1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 120 EOF");
        let expected = Lock {
            writes: true,
            pid: 3568,
            inode: 2_531_452,
            start: 120,
            end: u64::MAX,
        };
        assert_eq!(lock, Some(expected));
        assert_eq!(
            parse_lock("1: -> POSIX  ADVISORY  WRITE 3568 fd:00:2531452 120 120"),
            None
        );
        assert_eq!(parse_lock("nonsense"), None);
    }
}
