//! The office: a tray for work, and the desk at which one thread at a time does all that is in the tray.
//!
//! Must never happen here: work that is done, or answered, under the lock of the tray.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::task::{Group, Task};

/// See the module's text.
pub(super) struct Office {
    tray: Mutex<Tray>,
    /// Tells the writer's thread that there is a job.
    came: Condvar,
    /// Tells others that the desk was left.
    left: Condvar,
}

struct Tray {
    work: Group,
    desk: Place,
    /// Rounds of work that were begun; the one that is under way counts.
    begun: u64,
    /// Rounds whose work is answered.
    done: u64,
    /// When what was committed has to be safe from a power cut.
    sync_due: Option<Instant>,
    /// The writer's thread waits for a job.
    is_awaited: bool,
    /// Threads that wait for the desk.
    waiting: usize,
    /// No more work is taken.
    is_closed: bool,
}

enum Place {
    Free(Desk),
    Taken,
    /// A thread panicked there: nobody knows how far its work is.
    Lost,
}

/// What the writer's thread has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// There is work, for this round.
    Commit(u64),
    Sync,
}

/// A thread at the desk.
struct Seat<'a> {
    office: &'a Office,
    /// `None` once it was left.
    desk: Option<Desk>,
}

impl Office {
    pub(super) fn new(desk: Desk) -> Office {
        Office {
            tray: Mutex::new(Tray {
                work: Vec::new(),
                desk: Place::Free(desk),
                begun: 0,
                done: 0,
                sync_due: None,
                is_awaited: false,
                waiting: 0,
                is_closed: false,
            }),
            came: Condvar::new(),
            left: Condvar::new(),
        }
    }

    /// Puts a task in the tray; false, and it is not answered, when none is taken any more. Unless its owner commits it, the
    /// writer's thread has to be called.
    pub(super) fn hand_in(&self, task: Box<dyn Task>, calls_writer: bool) -> bool {
        let mut tray = self.lock();
        if tray.is_closed {
            drop(tray);
            task.forget();
            return false;
        }
        tray.work.push(task);
        if calls_writer {
            self.call_writer(tray);
        }
        true
    }

    /// When it returns, all work that was handed in before is answered.
    pub(super) fn commit(&self) {
        let round = self.lock().round();
        // Others that are about to hand in work are let go first: then one transaction does for all.
        std::thread::yield_now();
        if let Some((mut seat, group)) = self.sit_down(|tray| tray.done >= round) {
            seat.work(|desk| desk.serve(group));
        }
    }

    /// Makes safe from a power cut what was committed.
    pub(super) fn sync(&self) {
        if let Some((mut seat, group)) = self.sit_down(|_| false) {
            seat.work(|desk| {
                desk.serve(group);
                desk.sync();
            });
        }
    }

    /// Whether the work of a round is still in the tray.
    pub(super) fn is_left(&self, round: u64) -> bool {
        self.lock().begun < round
    }

    /// The next job of the writer's thread; nothing when it has to end.
    pub(super) fn await_job(&self) -> Option<Job> {
        let mut tray = self.lock();
        loop {
            if tray.is_closed {
                return None;
            }
            if !tray.work.is_empty() {
                return Some(Job::Commit(tray.round()));
            }
            let now = Instant::now();
            let left = tray.sync_due.map(|due| due.saturating_duration_since(now));
            if left == Some(Duration::ZERO) {
                return Some(Job::Sync);
            }
            tray.is_awaited = true;
            tray = match left {
                None => wait(&self.came, tray),
                Some(left) => {
                    let waited = self.came.wait_timeout(tray, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            tray.is_awaited = false;
        }
    }

    /// Takes no more work; what is in the tray is answered with [`super::WriteError::Ended`].
    pub(super) fn close(&self) {
        let mut tray = self.lock();
        tray.is_closed = true;
        let work = std::mem::take(&mut tray.work);
        self.call_writer(tray);
        drop(work);
    }

    /// Waits for the desk, and takes it with all that is in the tray; nothing when `is_done` by then, or the desk is lost.
    fn sit_down(&self, is_done: impl Fn(&Tray) -> bool) -> Option<(Seat<'_>, Group)> {
        let mut tray = self.lock();
        while !is_done(&tray) {
            match std::mem::replace(&mut tray.desk, Place::Taken) {
                Place::Free(desk) => {
                    tray.begun += 1;
                    let group = std::mem::take(&mut tray.work);
                    let desk = Some(desk);
                    return Some((Seat { office: self, desk }, group));
                }
                Place::Taken => {
                    tray.waiting += 1;
                    tray = wait(&self.left, tray);
                    tray.waiting -= 1;
                }
                Place::Lost => {
                    tray.desk = Place::Lost;
                    break;
                }
            }
        }
        None
    }

    /// Waking nobody costs a system call too.
    fn call_writer(&self, mut tray: MutexGuard<Tray>) {
        if std::mem::take(&mut tray.is_awaited) {
            drop(tray);
            self.came.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tray {
    /// The round in which all is answered that was handed in so far.
    fn round(&self) -> u64 {
        self.begun + u64::from(!self.work.is_empty())
    }
}

impl Seat<'_> {
    fn work(&mut self, work: impl FnOnce(&mut Desk)) {
        let Some(desk) = &mut self.desk else {
            return;
        };
        work(desk);
        let sync_due = desk.sync_due();
        let mut tray = self.office.lock();
        if let Some(desk) = self.desk.take() {
            tray.desk = Place::Free(desk);
        }
        tray.done = tray.begun;
        let is_new = tray.sync_due.is_none() && sync_due.is_some();
        tray.sync_due = sync_due;
        if tray.waiting > 0 {
            self.office.left.notify_all();
        }
        if is_new {
            self.office.call_writer(tray);
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Only a panic comes here otherwise.
        if self.desk.is_some() {
            self.office.lock().desk = Place::Lost;
            self.office.left.notify_all();
            self.office.close();
        }
    }
}

fn wait<'a>(condvar: &Condvar, tray: MutexGuard<'a, Tray>) -> MutexGuard<'a, Tray> {
    condvar.wait(tray).unwrap_or_else(PoisonError::into_inner)
}
