//! The second look: whether a file that seems damaged really is, or only cannot be read now.
//!
//! It reads the whole file, which can take minutes, and whoever met the error tries again and meets it again: so what it
//! found serves everybody for a while. A file that is looked at all the time would wear out a disk that is at its end.

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fault::may_end_by_itself;
use super::{BUSY_TIMEOUT, OpenError};

/// SQLITE_IOERR_CORRUPTFS, as `PRAGMA integrity_check` names it for a page that could not be read.
const UNREADABLE_PAGE: &str = "error code=8458";

/// What was found serves at least this long.
const SERVES: Duration = Duration::from_secs(5);

/// And so many times as long as it took to find: looking takes no more than a tenth of the time.
const SHARE: u32 = 9;

/// What a second look at a file found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Look {
    Sound,
    Damaged,
    /// The disk does not give it.
    Unreadable,
}

/// What was found in which file, and until when that serves.
#[derive(Debug)]
struct Found {
    database: PathBuf,
    look: Look,
    serves_until: Instant,
}

/// The last look of this process, which works on one file.
static LAST: Mutex<Option<Found>> = Mutex::new(None);

/// Looks at the file, unless that was done a short while ago.
pub(super) fn look_again(database: &Path) -> Look {
    look_unless_done(&LAST, database, read_all)
}

/// Whoever comes while another looks waits for what that one finds.
fn look_unless_done(
    last: &Mutex<Option<Found>>,
    database: &Path,
    read: impl FnOnce(&Path) -> Look,
) -> Look {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    if let Some(found) = &*last
        && found.database == database
        && start < found.serves_until
    {
        return found.look;
    }
    let look = read(database);
    let end = Instant::now();
    *last = Some(Found {
        database: database.to_path_buf(),
        look,
        serves_until: end + SERVES.max((end - start) * SHARE),
    });
    look
}

/// With a connection of its own, whose errors come before any statement could disguise them. An index that lacks a row is
/// damage too, which a `quick_check` does not find.
fn read_all(database: &Path) -> Look {
    let check = |conn: &Connection| -> rusqlite::Result<String> {
        conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
    };
    let found = match super::open_reader(database, BUSY_TIMEOUT) {
        Ok(conn) => check(&conn),
        Err(OpenError::Corrupt { .. }) => return Look::Damaged,
        Err(_) => return Look::Unreadable,
    };
    match found {
        Ok(text) if text == "ok" => Look::Sound,
        Ok(text) if text.contains(UNREADABLE_PAGE) => Look::Unreadable,
        Err(error) if may_end_by_itself(&error) => Look::Unreadable,
        Ok(_) | Err(_) => Look::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_file_is_not_read_again_at_once_and_another_one_is() {
        let (last, reads) = (Mutex::new(None), Cell::new(0));
        let look = |database: &str, look: Look| {
            look_unless_done(&last, Path::new(database), |_| {
                reads.set(reads.get() + 1);
                look
            })
        };
        for _ in 0..3 {
            assert_eq!(look("a.db", Look::Unreadable), Look::Unreadable);
        }
        assert_eq!(reads.get(), 1);
        assert_eq!(look("b.db", Look::Damaged), Look::Damaged);
        assert_eq!(reads.get(), 2);
    }

    #[test]
    fn what_took_long_to_find_serves_longer_and_then_it_is_read_anew() {
        let last = Mutex::new(None);
        let slow = |_: &Path| {
            std::thread::sleep(Duration::from_millis(700));
            Look::Unreadable
        };
        look_unless_done(&last, Path::new("a.db"), slow);
        let end = last.lock().unwrap().as_ref().unwrap().serves_until;
        assert!(end > Instant::now() + SERVES + Duration::from_secs(1));
        last.lock().unwrap().as_mut().unwrap().serves_until = Instant::now();
        let anew = look_unless_done(&last, Path::new("a.db"), |_| Look::Sound);
        assert_eq!(anew, Look::Sound);
    }
}
