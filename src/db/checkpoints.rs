//! Checkpoints: what was committed is synced and brought into the database on a thread and a connection of its own, for a
//! sync takes as long as the disk likes, and whoever has an outcome written down should not wait for it.
//!
//! The writer goes on meanwhile. Only where that would break a promise it syncs by itself: when what was committed is not
//! safe in time, or the -wal grows too large. Must never happen here: a transaction, or a lock that is held during a sync.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{BUSY_TIMEOUT, CHECKPOINT_PAGES, OpenError};

/// With `durability = "normal"`, the longest that committed work may be lost to a power cut.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A sync begins so long after the first commit that needs it, which leaves it some time.
const SYNC_AFTER: Duration = Duration::from_millis(800);

/// Pages in the -wal that are worth a checkpoint: early enough that the writer seldom has to make one itself.
const PAGES: i64 = CHECKPOINT_PAGES as i64 * 5 / 8;

/// While the writer is busy, the size of the -wal is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What was committed and may be lost to a power cut.
#[derive(Debug, Clone, Copy)]
struct Unsynced {
    /// No commit of it is older.
    since: Instant,
    /// When the last one was done.
    last: Instant,
}

/// The writer's book of what it committed. Its end is that of the [`Checkpointer`].
#[derive(Debug)]
pub(super) struct Committed {
    unsynced: Arc<Mutex<Option<Unsynced>>>,
    look: Sender<()>,
    told: Option<Instant>,
}

/// What a [`Checkpointer`] follows.
#[derive(Debug, Clone)]
pub(super) struct Follow {
    unsynced: Arc<Mutex<Option<Unsynced>>>,
    looks: Receiver<()>,
}

/// An empty book, and what follows it.
pub(super) fn book() -> (Committed, Follow) {
    let unsynced = Arc::new(Mutex::new(None));
    let (look, looks) = crossbeam_channel::bounded(1);
    let follow = Follow {
        unsynced: unsynced.clone(),
        looks,
    };
    let committed = Committed {
        unsynced,
        look,
        told: None,
    };
    (committed, follow)
}

impl Committed {
    /// Whether the next commit has to be synced, because no checkpoint came in time.
    pub(super) fn needs_sync(&self) -> bool {
        lock(&self.unsynced).is_some_and(|unsynced| unsynced.since.elapsed() >= SYNC_EVERY)
    }

    /// A commit was begun at `begun`, and is done; a synced one makes all before it safe.
    pub(super) fn note(&mut self, begun: Instant, is_synced: bool) {
        let last = Instant::now();
        let mut unsynced = lock(&self.unsynced);
        let was_safe = unsynced.is_none();
        *unsynced = match *unsynced {
            _ if is_synced => None,
            Some(Unsynced { since, .. }) => Some(Unsynced { since, last }),
            None => Some(Unsynced { since: begun, last }),
        };
        let is_news = was_safe && unsynced.is_some();
        drop(unsynced);
        if is_news || self.told.is_none_or(|told| last - told >= LOOK_EVERY) {
            self.told = Some(last);
            // A full channel means that a look is due already.
            let _ = self.look.try_send(());
        }
    }
}

/// Makes checkpoints beside the writer.
#[derive(Debug)]
pub struct Checkpointer {
    conn: Connection,
    /// The -wal by its name; opened at the start, so that it stays the right one when the name goes to another file.
    wal: PathBuf,
    opened: Option<File>,
    follow: Follow,
}

/// Frames of the -wal, as `PRAGMA wal_checkpoint` tells.
struct Frames {
    all: i64,
    /// In the database too.
    done: i64,
}

impl Checkpointer {
    pub(super) fn new(path: &Path, follow: Follow) -> Result<Checkpointer, OpenError> {
        let conn = super::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, BUSY_TIMEOUT)?;
        // The name as SQLite made it out, without symbolic links.
        let wal = PathBuf::from(format!("{}-wal", conn.path().unwrap_or_default()));
        Ok(Checkpointer {
            // The writer has it open already, so that it is there.
            opened: File::open(&wal).ok(),
            conn,
            wal,
            follow,
        })
    }

    /// Runs until the writer has ended, and makes a last one then.
    pub fn run(mut self) {
        let mut tried: Option<Instant> = None;
        loop {
            let unsynced = *lock(&self.follow.unsynced);
            let looks = &self.follow.looks;
            let told = match unsynced {
                None => looks.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(Unsynced { since, .. }) => {
                    let again = tried.map_or(since, |tried| tried + LOOK_EVERY);
                    looks.recv_deadline(again.max(since + SYNC_AFTER))
                }
            };
            match told {
                Ok(()) if !self.is_worth_it() => continue,
                // Its size is no reason for a sync: a reader may keep it large for hours.
                Ok(()) => {}
                Err(_) => self.sync(),
            }
            self.checkpoint();
            tried = Some(Instant::now());
            if told == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn is_worth_it(&self) -> bool {
        // "NOOP" does nothing but tell.
        let frames = self.frames("PRAGMA wal_checkpoint(NOOP)");
        frames.is_ok_and(|frames| frames.all - frames.done >= PAGES)
    }

    /// Makes safe what was committed. A checkpoint that has nothing to do, or is kept from it, syncs nothing, and a commit may
    /// have to wait for a lock. SQLite has no lock on the -wal itself that a file opened here could end (they are on the
    /// database and the -shm).
    fn sync(&mut self) {
        let begun = Instant::now();
        match self.sync_wal() {
            Ok(()) => self.note_safe(begun),
            Err(error) => log::debug!("A sync failed, and is tried again. error={error}"),
        }
    }

    fn sync_wal(&mut self) -> std::io::Result<()> {
        let file = match self.opened.take() {
            Some(file) => file,
            None => File::open(&self.wal)?,
        };
        self.opened.insert(file).sync_data()
    }

    /// Brings into the database what readers let it.
    fn checkpoint(&self) {
        if let Err(error) = self.frames("PRAGMA wal_checkpoint(PASSIVE)") {
            log::debug!("A checkpoint failed, and is tried again. error={error}");
        }
    }

    /// All that was committed before `begun` is safe.
    fn note_safe(&self, begun: Instant) {
        let mut unsynced = lock(&self.follow.unsynced);
        *unsynced =
            unsynced
                .filter(|unsynced| unsynced.last > begun)
                .map(|Unsynced { since, last }| Unsynced {
                    since: since.max(begun),
                    last,
                });
    }

    fn frames(&self, pragma: &str) -> rusqlite::Result<Frames> {
        self.conn.prepare_cached(pragma)?.query_row([], |row| {
            Ok(Frames {
                all: row.get(1)?,
                done: row.get(2)?,
            })
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Room {
        _dir: tempfile::TempDir,
        writer: Connection,
        committed: Committed,
        checkpointer: Checkpointer,
    }

    fn room() -> Room {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        super::super::set_up(&path, BUSY_TIMEOUT).unwrap();
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "synchronous", "NORMAL").unwrap();
        let (committed, follow) = book();
        let checkpointer = Checkpointer::new(&path, follow).unwrap();
        Room {
            _dir: dir,
            writer,
            committed,
            checkpointer,
        }
    }

    impl Room {
        fn commit(&mut self) {
            let begun = Instant::now();
            let row = "INSERT INTO user_record (user_id) VALUES (1)";
            self.writer.execute_batch(row).unwrap();
            self.committed.note(begun, false);
        }

        fn is_safe(&self) -> bool {
            lock(&self.committed.unsynced).is_none()
        }
    }

    #[test]
    fn what_a_sync_has_seen_is_safe_and_what_came_later_is_not() {
        let mut room = room();
        room.commit();
        let begun = Instant::now();
        room.commit();
        room.checkpointer.note_safe(begun);
        let unsynced = lock(&room.committed.unsynced).unwrap();
        assert_eq!(unsynced.since, begun);
        room.checkpointer.sync();
        assert!(room.is_safe());
    }

    #[test]
    fn a_commit_that_was_synced_leaves_nothing_to_do() {
        let mut room = room();
        room.commit();
        assert!(!room.is_safe() && !room.committed.needs_sync());
        room.committed.note(Instant::now(), true);
        assert!(room.is_safe());
    }

    #[test]
    fn the_last_commit_is_brought_into_the_database_when_the_writer_ends() {
        let mut room = room();
        room.commit();
        drop(room.committed);
        room.checkpointer.run();
        let frames = |row: &rusqlite::Row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        let look = "PRAGMA wal_checkpoint(NOOP)";
        let (all, done) = room.writer.query_row(look, [], frames).unwrap();
        assert!(all > 0 && all == done, "{done} of {all}");
    }

    #[test]
    fn what_a_reader_keeps_in_the_wal_is_safe_all_the_same_also_while_somebody_writes() {
        let mut room = room();
        room.commit();
        let path = room.writer.path().unwrap().to_string();
        let reader = Connection::open(path).unwrap();
        reader
            .execute_batch("BEGIN; SELECT * FROM user_record")
            .unwrap();
        room.commit();
        room.writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        room.checkpointer.sync();
        assert!(room.is_safe());
    }

    #[test]
    fn nothing_is_safe_where_the_wal_cannot_be_synced() {
        let mut room = room();
        room.checkpointer.wal = "/nowhere/a.db-wal".into();
        room.checkpointer.opened = None;
        room.commit();
        room.checkpointer.sync();
        assert!(!room.is_safe());
    }

    #[test]
    fn a_checkpoint_for_the_size_of_the_wal_counts_as_no_sync() {
        let mut room = room();
        room.commit();
        room.checkpointer.checkpoint();
        assert!(!room.is_safe());
    }
}
