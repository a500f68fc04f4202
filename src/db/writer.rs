//! The writer: all that is written to the file while ferryd sends.
//!
//! Whoever has work hands it in and is told when it is committed. One connection does it all, many pieces of work in one
//! transaction (group commit), on the thread of whoever cannot go on before its own is done; what nobody waits for is
//! done by the writer's own thread a moment later. So a busy daemon commits without waking anybody, which costs more than
//! the commit. Must never happen here: a lock that somebody holds while it calls the writer and that an answer needs.

use crossbeam_channel::Receiver;
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::desk::Desk;
use self::office::Office;
use self::task::Work;
use super::OpenError;
use super::checkpoints::{self, Checkpointer, Follow};
use super::fault::Damaged;
use crate::activity::Activity;
use crate::config::Durability;

mod desk;
mod office;
mod task;

/// How long work that nobody waits for may wait for other work to share its transaction.
const LINGER: Duration = Duration::from_millis(1);

/// Why work was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The file stayed unwritable until the process had to end.
    #[error("the database could not be written before the process had to end: {0}")]
    GivenUp(String),
    /// The file is damaged.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// SQLite refused the work for good.
    #[error("the database refused a write: {0}")]
    Refused(String),
    /// The writer has ended. While there is work that is because a thread panicked at the desk.
    #[error("the writer has ended, which is a fault in ferryd; nothing is lost, start it again")]
    Ended,
}

/// Takes work. Clones are cheap.
#[derive(Clone)]
pub struct Writer {
    office: Arc<Office>,
    follow: Follow,
}

impl Writer {
    /// A writer for a connection, and the work of its thread, which ends with [`Writer::end`]. Work is given up on an unwritable
    /// file once `deadline` is disconnected.
    ///
    /// # Errors
    /// SQLite's.
    pub fn new(
        conn: Connection,
        durability: Durability,
        deadline: Receiver<()>,
        activity: Arc<Activity>,
    ) -> rusqlite::Result<(Writer, impl FnOnce() + Send + 'static)> {
        let (committed, follow) = checkpoints::book();
        let desk = Desk::new(conn, durability, deadline, activity, committed)?;
        let writer = Writer {
            office: Arc::new(Office::new(desk)),
            follow,
        };
        Ok((writer.clone(), move || writer.serve()))
    }

    /// What makes checkpoints beside this writer; it ends after it. Without one, the writer syncs by itself.
    ///
    /// # Errors
    /// When the database cannot be opened once more.
    pub fn checkpointer(&self, database: &Path) -> Result<Checkpointer, OpenError> {
        Checkpointer::new(database, self.follow.clone())
    }

    /// Does `work` in a transaction and returns its value after the commit. `work` runs again if the commit fails.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn call<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, WriteError> {
        let place = Arc::new(Mutex::new(None));
        let answer = place.clone();
        let answer =
            move |value| *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        if !self
            .office
            .hand_in(Box::new(Work::new(work, answer)), false)
        {
            return Err(WriteError::Ended);
        }
        self.office.commit();
        let value = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.unwrap_or(Err(WriteError::Ended))
    }

    /// Like [`Writer::call`], without waiting: `answer` is called with the value, on any thread, also when the writer ends
    /// before it comes to it. It must be short.
    ///
    /// # Errors
    /// When the writer has ended; `answer` is not called then.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        answer: impl FnOnce(Result<T, WriteError>) + Send + 'static,
    ) -> Result<(), WriteError> {
        match self.office.hand_in(Box::new(Work::new(work, answer)), true) {
            true => Ok(()),
            false => Err(WriteError::Ended),
        }
    }

    /// When it returns, all work that was handed in before is answered. For whoever has submitted some of many pieces.
    pub fn commit(&self) {
        self.office.commit_with_others();
    }

    /// Ends the writer's thread after the work it was handed so far; later work is answered with [`WriteError::Ended`].
    pub fn end(self) {
        self.office.commit();
        self.office.close();
    }

    /// The writer's thread.
    fn serve(&self) {
        while let Some(round) = self.office.await_work() {
            std::thread::sleep(LINGER);
            // Somebody who waits may have come to it.
            if self.office.is_left(round) {
                self.office.commit();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Sender, bounded};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn writer() -> (Writer, impl FnOnce() + Send, Sender<()>) {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE t (n)").unwrap();
        let (end, deadline) = bounded(0);
        let activity = Arc::new(Activity::new(1));
        let (writer, write) = Writer::new(conn, Durability::Full, deadline, activity).unwrap();
        (writer, write, end)
    }

    fn insert(conn: &Connection) -> rusqlite::Result<usize> {
        conn.execute("INSERT INTO t VALUES (1)", [])
    }

    fn count(conn: &Connection) -> rusqlite::Result<i64> {
        conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
    }

    #[test]
    fn what_nobody_waits_for_is_done_by_the_writers_thread_and_what_is_left_at_the_end_too() {
        let (writer, write, _end) = writer();
        let thread = std::thread::spawn(write);
        let (told, answers) = bounded(2);
        let tell = move |value: Result<usize, WriteError>| told.send(value).unwrap();
        writer.submit(insert, tell.clone()).unwrap();
        assert_eq!(answers.recv_timeout(PATIENCE).unwrap().unwrap(), 1);
        writer.submit(insert, tell).unwrap();
        writer.clone().end();
        assert_eq!(answers.recv_timeout(PATIENCE).unwrap().unwrap(), 1);
        thread.join().unwrap();
        assert!(matches!(writer.call(count), Err(WriteError::Ended)));
    }

    #[test]
    fn whoever_waits_does_what_others_handed_in_before_also_without_a_thread_of_the_writer() {
        let (writer, _, _end) = writer();
        let (told, answer) = bounded(1);
        writer
            .submit(insert, move |value| told.send(value).unwrap())
            .unwrap();
        assert_eq!(writer.call(count).unwrap(), 1);
        assert_eq!(answer.try_recv().unwrap().unwrap(), 1);
    }

    #[test]
    fn many_who_write_at_a_time_are_all_answered() {
        let (writer, _, _end) = writer();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..200).for_each(|_| assert_eq!(writer.call(insert).unwrap(), 1)));
            }
        });
        assert_eq!(writer.call(count).unwrap(), 8 * 200);
    }

    #[test]
    fn a_panic_at_the_desk_is_told_to_all_who_wait_for_it() {
        let (writer, _, _end) = writer();
        let (inside, is_inside) = bounded(1);
        let (go_on, wait) = bounded::<()>(0);
        let fault = move |_: &Connection| -> rusqlite::Result<()> {
            inside.send(()).unwrap();
            let _ = wait.recv();
            panic!("a fault for the test");
        };
        std::thread::scope(|scope| {
            let at_the_desk = scope.spawn(|| writer.call(fault));
            is_inside.recv_timeout(PATIENCE).unwrap();
            let waiting = scope.spawn(|| writer.call(insert));
            drop(go_on);
            assert!(at_the_desk.join().is_err());
            let answer = waiting.join().unwrap();
            assert!(matches!(answer, Err(WriteError::Ended)), "{answer:?}");
        });
        assert!(matches!(writer.call(count), Err(WriteError::Ended)));
    }
}
