//! The writer: the one thread that owns the one connection that writes.
//!
//! Others hand it work and are answered after the commit. It takes what is there, does all of it in one transaction and
//! commits once (group commit). It never answers "done" for work that is not committed, and it never gives up on a
//! fault that may end by itself: a lock held by another program, a full disk.
//!
//! Work runs again after a COMMIT that failed with an I/O error, and that counts nothing twice: in WAL mode a commit is
//! done when the header of the wal-index is written, which is its last step and memory alone (`walFrames` in SQLite's
//! wal.c). A COMMIT that failed before it is seen by nobody, and its frames are overwritten by the next one. Only the
//! recovery of a -wal that no process has open reads such frames as committed: then this process is gone, with what it
//! would have run again.

use crossbeam_channel::{Receiver, RecvTimeoutError, SendError, Sender};
use rusqlite::{Connection, ErrorCode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::checkpoints::{self, Checkpointer, Committed, Follow};
use super::fault::{self, Damaged};
use super::{OpenError, ballast, is_locked, receipt};
use crate::activity::{Activity, Doing, Role};
use crate::config::Durability;

/// Work in one transaction at most, so that nobody waits long for an answer.
const GROUP: usize = 256;

/// How long one try waits for another program's lock: short, for a try cannot be broken off when the process has to end.
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// Pause between tries while the file cannot be written.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Other programs may hold the write lock this long without a word: an import takes it for a moment.
const WARN_OF_LOCK_AFTER: Duration = Duration::from_secs(1);

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
    /// The writer thread is gone.
    #[error("the writer has ended")]
    Ended,
}

/// Hands work to the writer thread. Clones are cheap.
#[derive(Clone)]
pub struct Writer {
    queue: Sender<Order>,
    follow: Follow,
}

/// What the writer thread is told.
enum Order {
    Work(Box<dyn Task>),
    End,
}

/// Work that may be run again when its transaction was rolled back, and is answered once.
trait Task: Send {
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), WriteError>);
    /// Ends unanswered.
    fn forget(self: Box<Self>);
}

struct Work<F, T, A: FnOnce(Result<T, WriteError>)> {
    work: F,
    value: Option<T>,
    /// `None` once it was called.
    answer: Option<A>,
}

impl<F, T, A> Task for Work<F, T, A>
where
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
    A: FnOnce(Result<T, WriteError>) + Send,
{
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.value = Some((self.work)(conn)?);
        Ok(())
    }

    fn answer(mut self: Box<Self>, committed: Result<(), WriteError>) {
        let value = match (committed, self.value.take()) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(WriteError::Ended),
            (Err(error), _) => Err(error),
        };
        if let Some(answer) = self.answer.take() {
            answer(value);
        }
    }

    fn forget(mut self: Box<Self>) {
        self.answer = None;
    }
}

impl<F, T, A: FnOnce(Result<T, WriteError>)> Drop for Work<F, T, A> {
    /// Whoever asked is told also when the writer died.
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer(Err(WriteError::Ended));
        }
    }
}

impl Writer {
    /// A writer for a connection, and the work of its thread. That ends with [`Writer::end`], or when the last `Writer` is
    /// dropped; it gives up on an unwritable file once `deadline` is disconnected.
    ///
    /// # Errors
    /// SQLite's.
    pub fn new(
        conn: Connection,
        durability: Durability,
        deadline: Receiver<()>,
        activity: Arc<Activity>,
    ) -> rusqlite::Result<(Writer, impl FnOnce() + Send + 'static)> {
        conn.busy_timeout(LOCK_WAIT)?;
        let (queue, orders) = crossbeam_channel::unbounded();
        let (committed, follow) = checkpoints::book();
        let mut desk = Desk {
            database: PathBuf::from(conn.path().unwrap_or_default()),
            conn,
            durability,
            deadline,
            activity,
            committed,
        };
        let writer = Writer { queue, follow };
        Ok((writer, move || desk.serve(&orders)))
    }

    /// What makes checkpoints beside this writer; it ends after the writer's thread. Without one, the writer syncs by itself.
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
        let (handover, receipt) = receipt::receipt();
        self.submit(work, |value| handover.hand_over(value))?;
        receipt.wait()
    }

    /// Like [`Writer::call`], without waiting: `answer` is called with the value, on the writer's thread, also when the writer
    /// dies. It must be short.
    ///
    /// # Errors
    /// When the writer has ended; `answer` is not called then.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        answer: impl FnOnce(Result<T, WriteError>) + Send + 'static,
    ) -> Result<(), WriteError> {
        let task = Work {
            work,
            value: None,
            answer: Some(answer),
        };
        match self.queue.send(Order::Work(Box::new(task))) {
            Err(SendError(Order::Work(task))) => {
                task.forget();
                Err(WriteError::Ended)
            }
            _ => Ok(()),
        }
    }

    /// Ends the writer thread after the work it was handed so far; later work is answered with [`WriteError::Ended`].
    pub fn end(self) {
        // It may have ended already.
        let _ = self.queue.send(Order::End);
    }
}

/// What the writer thread works with.
struct Desk {
    conn: Connection,
    durability: Durability,
    deadline: Receiver<()>,
    activity: Arc<Activity>,
    committed: Committed,
    database: PathBuf,
}

impl Desk {
    fn serve(&mut self, orders: &Receiver<Order>) {
        let mut group: Vec<Box<dyn Task>> = Vec::with_capacity(GROUP);
        let mut ended = false;
        while !ended {
            let Ok(first) = orders.recv() else { break };
            let orders = std::iter::once(first).chain(orders.try_iter().take(GROUP - 1));
            for order in orders {
                match order {
                    Order::Work(task) => group.push(task),
                    Order::End => ended = true,
                }
            }
            self.note(Doing::Recording);
            self.commit_group(&mut group);
            self.note(Doing::Resting);
        }
    }

    fn note(&self, doing: Doing) {
        self.activity.note(Role::Writer, doing);
    }

    /// Commits all of the group, or finds the one task that SQLite refuses and commits the others.
    fn commit_group(&mut self, group: &mut Vec<Box<dyn Task>>) {
        if group.is_empty() {
            return;
        }
        match self.commit_when_possible(group) {
            Ok(()) => group.drain(..).for_each(|task| task.answer(Ok(()))),
            Err(error) if group.len() == 1 || matches!(error, WriteError::GivenUp(_)) => {
                for task in group.drain(..) {
                    task.answer(Err(error.clone()));
                }
            }
            Err(_) => {
                for task in std::mem::take(group) {
                    self.commit_group(&mut vec![task]);
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
        let _ = super::checkpoint(&self.conn);
    }

    fn commit(&mut self, group: &mut [Box<dyn Task>]) -> rusqlite::Result<()> {
        let begun = Instant::now();
        let sync_now = self.durability == Durability::Normal && self.committed.needs_sync();
        if sync_now {
            self.conn.pragma_update(None, "synchronous", "FULL")?;
        }
        let done = self.transact(group);
        if sync_now {
            self.conn.pragma_update(None, "synchronous", "NORMAL")?;
        }
        done?;
        let is_synced = sync_now || self.durability == Durability::Full;
        self.committed.note(begun, is_synced);
        Ok(())
    }

    fn transact(&self, group: &mut [Box<dyn Task>]) -> rusqlite::Result<()> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let done = group
            .iter_mut()
            .try_for_each(|task| task.run(&self.conn))
            .and_then(|()| self.conn.prepare_cached("COMMIT")?.execute([]).map(drop));
        if done.is_err() && !self.conn.is_autocommit() {
            self.conn.execute_batch("ROLLBACK")?;
        }
        done
    }
}
