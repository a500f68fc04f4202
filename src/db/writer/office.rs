//! The office: a tray for work, and the desk at which one thread at a time does all that is in the tray.
//!
//! Must never happen here: work that is done, or answered, under the lock of the tray.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::desk::Desk;
use super::task::{Group, Task};

/// See the module's text.
pub(super) struct Office {
    tray: Mutex<Tray>,
    /// Tells the writer's thread that there is work, or no more comes.
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
    /// The writer's thread waits for work.
    is_awaited: bool,
    /// Threads that wait for the desk.
    waiting: usize,
    /// No more work is taken.
    is_closed: bool,
}

enum Place {
    Free(Box<Desk>),
    Taken,
    /// The office is closed.
    Gone,
}

/// A thread at the desk.
struct Seat<'a> {
    office: &'a Office,
    /// `None` once it was left.
    desk: Option<Box<Desk>>,
}

impl Office {
    pub(super) fn new(desk: Desk) -> Office {
        Office {
            tray: Mutex::new(Tray {
                work: Vec::new(),
                desk: Place::Free(Box::new(desk)),
                begun: 0,
                done: 0,
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

    /// Like [`Office::commit`], but lets others go first that are about to hand in work: then one transaction does for all.
    pub(super) fn commit_with_others(&self) {
        let round = self.lock().round();
        std::thread::yield_now();
        self.commit_round(round);
    }

    /// When it returns, all work that was handed in before is answered.
    pub(super) fn commit(&self) {
        let round = self.lock().round();
        self.commit_round(round);
    }

    fn commit_round(&self, round: u64) {
        if let Some((seat, group)) = self.sit_down(round) {
            seat.serve(group);
        }
    }

    /// Whether the work of a round is still in the tray.
    pub(super) fn is_left(&self, round: u64) -> bool {
        self.lock().begun < round
    }

    /// Waits for work that nobody has called for yet, and returns the round that it belongs to; nothing when no more comes.
    pub(super) fn await_work(&self) -> Option<u64> {
        let mut tray = self.lock();
        while tray.work.is_empty() && !tray.is_closed {
            tray.is_awaited = true;
            tray = wait(&self.came, tray);
        }
        (!tray.is_closed).then(|| tray.round())
    }

    /// Takes no more work, and gives the desk up. What is in the tray is answered with [`super::WriteError::Ended`].
    pub(super) fn close(&self) {
        let mut tray = self.lock();
        tray.is_closed = true;
        let work = std::mem::take(&mut tray.work);
        let desk = match tray.desk {
            // Whoever is there gives it up.
            Place::Taken => Place::Taken,
            Place::Free(_) | Place::Gone => std::mem::replace(&mut tray.desk, Place::Gone),
        };
        self.call_writer(tray);
        drop((work, desk));
    }

    /// Waits for the desk, and takes it with all that is in the tray; nothing when the round is done by then, or the office is
    /// closed.
    fn sit_down(&self, round: u64) -> Option<(Seat<'_>, Group)> {
        let mut tray = self.lock();
        while tray.done < round {
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
                Place::Gone => {
                    tray.desk = Place::Gone;
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
    /// Does the work of the round, and leaves the desk.
    fn serve(mut self, group: Group) {
        if let Some(desk) = &mut self.desk {
            desk.serve(group);
        }
        let mut tray = self.office.lock();
        tray.done = tray.begun;
        match self.desk.take() {
            Some(desk) if !tray.is_closed => tray.desk = Place::Free(desk),
            _ => tray.desk = Place::Gone,
        }
        if tray.waiting > 0 {
            self.office.left.notify_all();
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // Only a panic comes here otherwise: nobody knows how far the work is.
        if self.desk.is_some() {
            // Before anybody goes on who waits here, all is answered.
            self.office.close();
            self.office.lock().desk = Place::Gone;
            self.office.left.notify_all();
        }
    }
}

fn wait<'a>(condvar: &Condvar, tray: MutexGuard<'a, Tray>) -> MutexGuard<'a, Tray> {
    condvar.wait(tray).unwrap_or_else(PoisonError::into_inner)
}
