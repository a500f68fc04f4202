//! The desk: the one connection that writes, and how work is done there.
//!
//! All of a group is done in one transaction and committed once. Nothing is answered with "done" that is not committed, and
//! a fault that may end by itself is waited for: a lock held by another program, a full disk.
//!
//! Work runs again after a COMMIT that failed with an I/O error, and that counts nothing twice: in WAL mode a commit is
//! done when the header of the wal-index is written, which is its last step and memory alone (`walFrames` in SQLite's
//! wal.c). A COMMIT that failed before it is seen by nobody, and its frames are overwritten by the next one. Only the
//! recovery of a -wal that no process has open reads such frames as committed: then this process is gone, with what it
//! would have run again.

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rusqlite::{Connection, ErrorCode};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::WriteError;
use super::task::{Group, Task};
use crate::activity::{Activity, Doing, Role};
use crate::config::Durability;
use crate::db::checkpoints::Committed;
use crate::db::fault::{self, Damaged};
use crate::db::{ballast, checkpoint, is_locked, touch};

/// How long one try waits for another program's lock: short, for a try cannot be broken off when the process has to end.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// Pause between tries while the file cannot be written.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Other programs may hold the write lock this long without a word: an import takes it for a moment.
const WARN_OF_LOCK_AFTER: Duration = Duration::from_secs(1);

/// See the module's text.
pub(super) struct Desk {
    conn: Connection,
    durability: Durability,
    deadline: Receiver<()>,
    activity: Arc<Activity>,
    committed: Committed,
    database: PathBuf,
}

impl Desk {
    pub(super) fn new(
        conn: Connection,
        durability: Durability,
        deadline: Receiver<()>,
        activity: Arc<Activity>,
        committed: Committed,
    ) -> rusqlite::Result<Desk> {
        conn.busy_timeout(LOCK_WAIT)?;
        Ok(Desk {
            database: PathBuf::from(conn.path().unwrap_or_default()),
            conn,
            durability,
            deadline,
            activity,
            committed,
        })
    }

    /// Does a group of work, in one transaction if SQLite refuses none of it, and answers it.
    pub(super) fn serve(&mut self, group: Group) {
        if group.is_empty() {
            return;
        }
        self.note(Doing::Recording);
        self.commit_group(group);
        self.note(Doing::Resting);
    }

    fn note(&self, doing: Doing) {
        self.activity.note(Role::Writer, doing);
    }

    /// Commits all of the group, or finds the one task that SQLite refuses and commits the others.
    fn commit_group(&mut self, mut group: Group) {
        match self.commit_when_possible(&mut group) {
            Ok(()) => group.into_iter().for_each(|task| task.answer(Ok(()))),
            Err(error) if group.len() == 1 || matches!(error, WriteError::GivenUp(_)) => {
                for task in group {
                    task.answer(Err(error.clone()));
                }
            }
            Err(_) => {
                for task in group {
                    self.commit_group(vec![task]);
                }
            }
        }
    }

    /// Tries again while the fault may end by itself and the process may wait for it.
    fn commit_when_possible(&mut self, group: &mut [Box<dyn Task>]) -> Result<(), WriteError> {
        let start = Instant::now();
        let (mut warned, mut held_up) = (false, false);
        loop {
            let error = match self.commit(group) {
                Ok(()) => {
                    if warned {
                        let seconds = start.elapsed().as_secs();
                        log::info!("The database can be written again. waited_s={seconds}");
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            if let Some(damaged) = Damaged::confirmed(&self.database, &error) {
                return Err(damaged.into());
            }
            if !fault::may_end_by_itself(&error) && Damaged::of(&error).is_none() {
                return Err(WriteError::Refused(error.to_string()));
            }
            let advice = || fault::advice(&self.database, &error);
            if !warned && (!is_locked(&error) || start.elapsed() >= WARN_OF_LOCK_AFTER) {
                warned = true;
                log::warn!(
                    "The database cannot be written: {}. Sending waits and goes on by itself.",
                    advice()
                );
            }
            // Once, so that it can be seen how long it lasts.
            if !std::mem::replace(&mut held_up, true) {
                self.note(Doing::HeldUp);
            }
            let deadline = self.deadline.recv_timeout(RETRY_PAUSE);
            if deadline == Err(RecvTimeoutError::Disconnected) {
                return Err(WriteError::GivenUp(advice()));
            }
            if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
                self.make_room();
            }
        }
    }

    /// The ballast is given up, and what stands in the -wal goes into the database: then the -wal starts anew in the room
    /// that it has, and outcomes can be written down although the disk is full.
    fn make_room(&self) {
        ballast::give_up(&self.database);
        // That it fails on a full disk is no news.
        let _ = checkpoint(&self.conn);
    }

    fn commit(&mut self, group: &mut [Box<dyn Task>]) -> rusqlite::Result<()> {
        let begun = Instant::now();
        let sync_now = self.durability == Durability::Normal && self.committed.needs_sync();
        match sync_now {
            true => self.transact_durably(group)?,
            false => self.transact(|conn| run(group, conn))?,
        }
        let is_synced = sync_now || self.durability == Durability::Full;
        self.committed.note(begun, is_synced);
        Ok(())
    }

    /// Whatever was committed before is safe from a power cut too, once this is.
    fn transact_durably(&self, group: &mut [Box<dyn Task>]) -> rusqlite::Result<()> {
        self.conn.pragma_update(None, "synchronous", "FULL")?;
        let done = self.transact(|conn| run(group, conn).and_then(|()| touch(conn)));
        // Were that to fail, later work would be synced more often than it has to be. It is no reason to do this work again.
        let _ = self.conn.pragma_update(None, "synchronous", "NORMAL");
        done
    }

    fn transact(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = work(&self.conn)
            .and_then(|()| self.conn.prepare_cached("COMMIT")?.execute([]).map(drop));
        if done.is_err() && !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        done
    }
}

fn run(group: &mut [Box<dyn Task>], conn: &Connection) -> rusqlite::Result<()> {
    group.iter_mut().try_for_each(|task| task.run(conn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::writer::task::Work;
    use crate::db::{self, checkpoints};

    fn frames(desk: &Desk) -> i64 {
        let sql = "PRAGMA wal_checkpoint(PASSIVE)";
        desk.conn.query_row(sql, [], |row| row.get(1)).unwrap()
    }

    #[test]
    fn work_that_changes_nothing_makes_safe_what_was_committed_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ferryd.db");
        db::set_up(&path, db::BUSY_TIMEOUT).unwrap();
        let conn = db::open_writer(&path, Durability::Normal, db::BUSY_TIMEOUT).unwrap();
        let (_end, deadline) = crossbeam_channel::bounded(0);
        let activity = Arc::new(Activity::new(1));
        let (committed, _follow) = checkpoints::book();
        let mut desk = Desk::new(conn, Durability::Normal, deadline, activity, committed).unwrap();
        let insert = |conn: &Connection| {
            conn.execute("INSERT INTO user_record VALUES (1, 1, NULL, NULL)", [])
        };
        desk.serve(vec![Box::new(Work::new(insert, |_| ()))]);
        // A reader, so that the -wal does not start anew.
        let reader = db::open_reader(&path, db::BUSY_TIMEOUT).unwrap();
        let look = "BEGIN; SELECT * FROM user_record";
        reader.execute_batch(look).unwrap();
        let before = frames(&desk);
        desk.committed.note(Instant::now(), true);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        desk.committed.note(long_ago, false);
        let nothing = |_: &Connection| Ok(());
        desk.serve(vec![Box::new(Work::new(nothing, |_| ()))]);
        // SQLite syncs the -wal only when it appends to it.
        assert!(frames(&desk) > before || desk.committed.needs_sync());
    }
}
