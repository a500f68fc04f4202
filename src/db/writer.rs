//! The writer: all that is written to the file while ferryd sends.
//!
//! Whoever has work hands it in and is told when it is committed. One connection does it all, many pieces of work in one
//! transaction (group commit), on the thread of whoever cannot go on before its own is done; what nobody waits for is
//! done by the writer's own thread a moment later. So a busy daemon commits without waking anybody, which costs more than
//! the commit. Must never happen here: a lock that somebody holds while it calls the writer and that an answer needs.

use crossbeam_channel::Receiver;
use rusqlite::Connection;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::desk::Desk;
use super::fault::Damaged;
use crate::activity::Activity;
use crate::config::Durability;

mod desk;

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
    /// The writer thread is gone.
    #[error("the writer has ended")]
    Ended,
}

/// Takes work. Clones are cheap.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

struct Shared {
    desk: Mutex<Desk>,
    tray: Mutex<Tray>,
    /// Tells the writer's thread that there is work, or that it has to end.
    came: Condvar,
}

/// What waits for the next transaction.
#[derive(Default)]
struct Tray {
    work: Vec<Box<dyn Task>>,
    /// How often it was emptied.
    round: u64,
    /// When what was committed has to be safe from a power cut.
    sync_due: Option<Instant>,
    /// The writer's thread waits, and has to be woken.
    is_awaited: bool,
    /// No more work is taken.
    is_closed: bool,
}

impl Tray {
    fn empty(&mut self) -> Vec<Box<dyn Task>> {
        self.round += 1;
        std::mem::take(&mut self.work)
    }
}

/// Work that may be run again when its transaction was rolled back, and is answered once.
trait Task: Send {
    fn run(&mut self, conn: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), WriteError>);
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
        let desk = Desk::new(conn, durability, deadline, activity)?;
        let shared = Arc::new(Shared {
            desk: Mutex::new(desk),
            tray: Mutex::default(),
            came: Condvar::new(),
        });
        let writer = Writer { shared };
        Ok((writer.clone(), move || writer.serve()))
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
        self.hand_in(work, move |value| *lock(&answer) = Some(value), false)?;
        self.commit();
        let value = lock(&place).take();
        value.unwrap_or(Err(WriteError::Ended))
    }

    /// Like [`Writer::call`], without waiting: `answer` is called with the value, on any thread, also when the writer has ended
    /// meanwhile. It must be short.
    ///
    /// # Errors
    /// When the writer has ended; `answer` is not called then.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        answer: impl FnOnce(Result<T, WriteError>) + Send + 'static,
    ) -> Result<(), WriteError> {
        self.hand_in(work, answer, true)
    }

    fn hand_in<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        answer: impl FnOnce(Result<T, WriteError>) + Send + 'static,
        wakes: bool,
    ) -> Result<(), WriteError> {
        let mut task = Box::new(Work {
            work,
            value: None,
            answer: Some(answer),
        });
        let mut tray = lock(&self.shared.tray);
        if tray.is_closed {
            task.answer = None;
            return Err(WriteError::Ended);
        }
        tray.work.push(task);
        if wakes {
            self.wake(tray);
        }
        Ok(())
    }

    /// When it returns, all work that was handed in before is answered.
    pub fn commit(&self) {
        // A thread panicked here: the process has to end, for nobody knows how far its work is.
        let Ok(mut desk) = self.shared.desk.lock() else {
            return self.close();
        };
        let group = lock(&self.shared.tray).empty();
        desk.serve(group);
        self.note_sync(&desk);
    }

    /// The writer's thread sees to it that what was committed is synced in time.
    fn note_sync(&self, desk: &Desk) {
        let mut tray = lock(&self.shared.tray);
        let was_synced = tray.sync_due.is_none();
        tray.sync_due = desk.sync_due();
        if was_synced && tray.sync_due.is_some() {
            self.wake(tray);
        }
    }

    /// Waking nobody costs a system call too.
    fn wake(&self, mut tray: MutexGuard<Tray>) {
        if std::mem::take(&mut tray.is_awaited) {
            drop(tray);
            self.shared.came.notify_one();
        }
    }

    /// The writer's thread.
    fn serve(&self) {
        while let Some(job) = self.await_job() {
            match job {
                Job::Commit(round) => {
                    std::thread::sleep(LINGER);
                    // Somebody else may have come to it.
                    if lock(&self.shared.tray).round == round {
                        self.commit();
                    }
                }
                Job::Sync => self.sync(),
            }
        }
        self.commit();
        self.sync();
    }

    fn sync(&self) {
        if let Ok(mut desk) = self.shared.desk.lock() {
            desk.sync();
            self.note_sync(&desk);
        }
    }

    /// Nothing when the writer has to end.
    fn await_job(&self) -> Option<Job> {
        let mut tray = lock(&self.shared.tray);
        loop {
            if tray.is_closed {
                return None;
            }
            if !tray.work.is_empty() {
                return Some(Job::Commit(tray.round));
            }
            let now = Instant::now();
            let left = tray.sync_due.map(|due| due.saturating_duration_since(now));
            if left == Some(Duration::ZERO) {
                return Some(Job::Sync);
            }
            tray.is_awaited = true;
            let came = &self.shared.came;
            tray = match left {
                None => came.wait(tray).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    let waited = came.wait_timeout(tray, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            tray.is_awaited = false;
        }
    }

    /// Ends the writer's thread after the work it was handed so far; later work is answered with [`WriteError::Ended`].
    pub fn end(self) {
        self.commit();
        self.close();
    }

    fn close(&self) {
        let mut tray = lock(&self.shared.tray);
        tray.is_closed = true;
        let work = tray.empty();
        drop(tray);
        drop(work);
        self.shared.came.notify_one();
    }
}

/// What the writer's thread has to do.
enum Job {
    /// What is in the tray, in this round.
    Commit(u64),
    Sync,
}

/// A lock that is held where nothing can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
