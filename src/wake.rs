//! The watcher: notices that somebody wrote to the file, and wakes the planner.
//!
//! Once a second it also looks whether the place of the file still allows sending, and closes the gate while it does not.
//!
//! It only ever says "look again": whether there is work is for the planner to read from the file. It watches the -wal
//! with inotify, and looks once a second all the same, so that a lost event costs a second and not a record. A look asks
//! SQLite whether anybody has committed, which is much cheaper than to wake somebody in vain.

use crossbeam_channel::{Receiver, Sender};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify;
use std::io::PipeReader;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::commits::Commits;
use crate::db::place::Place;
use crate::db::{self, OpenError};
use crate::gate::Gate;
use crate::stop::Stop;

/// The longest time between two looks.
const POLL: Duration = Duration::from_secs(1);

/// After an event, the first look waits so long: the -wal is written shortly before the commit can be seen. Each of the next
/// comes after twice the time, for a commit that is synced can be seen only after the sync, which may take long.
const FIRST_LOOK: Duration = Duration::from_micros(50);

/// While events keep coming, ferryd's own among them, looks come more and more slowly, down to one in this time.
const BUSY: Duration = Duration::from_millis(5);

/// So long without an event, and the next one is looked after at once again.
const QUIET: Duration = Duration::from_millis(1);

/// Commands need no answer as quickly as records, and every look keeps others from computing.
const STEWARD_EVERY: Duration = Duration::from_millis(20);

/// Wakes a thread; many wakes before it looks are one.
#[derive(Debug, Clone)]
pub struct Waker(Sender<()>);

impl Waker {
    /// A waker, and what it wakes.
    pub fn new() -> (Waker, Receiver<()>) {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        (Waker(sender), receiver)
    }

    /// Says "look again".
    pub fn wake(&self) {
        // A full channel means that a wake is on its way already.
        let _ = self.0.try_send(());
    }
}

/// Watches the -wal of a database that is open in this process.
#[derive(Debug)]
pub struct Watcher {
    inotify: Option<OwnedFd>,
    commits: Commits,
    stopped: PipeReader,
    place: Place,
    gate: Arc<Gate>,
}

impl Watcher {
    /// Watches until the writing end of `stopped` is closed. Where inotify cannot be had, looking once a second remains.
    /// The first look at the file's place is taken here, before anything is sent.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn new(
        database: &Path,
        stopped: PipeReader,
        gate: Arc<Gate>,
    ) -> Result<Watcher, OpenError> {
        let inotify = watch(database)
            .inspect_err(|error| {
                log::warn!("inotify cannot be used; new rows are found by looking once a second. error={error}");
            })
            .ok();
        let mut watcher = Watcher {
            inotify,
            commits: Commits::open(database)?,
            stopped,
            place: Place::of(database),
            gate,
        };
        watcher.look_at_place();
        Ok(watcher)
    }

    /// Wakes them when there was a commit, until the stop.
    pub fn run(mut self, stop: &Stop, planner: &Waker, steward: &Waker) {
        let mut looked_at_place = Instant::now();
        let mut woke_steward = Instant::now();
        let mut steward_waits = false;
        let mut looks = Looks::default();
        while !stop.requested() {
            match self.wait(looks.pause) {
                true => {
                    if stop.wait(looks.after_event()) {
                        return;
                    }
                    self.drain();
                }
                false => looks.after_pause(),
            }
            if self.commits.are_new() {
                planner.wake();
                steward_waits = true;
            }
            if steward_waits && woke_steward.elapsed() >= STEWARD_EVERY {
                steward.wake();
                woke_steward = Instant::now();
                steward_waits = false;
            }
            if looked_at_place.elapsed() >= POLL {
                looked_at_place = Instant::now();
                self.look_at_place();
            }
        }
    }

    fn look_at_place(&mut self) {
        self.gate.set_local_fault(self.place.fault());
        if let Some(readers) = self.place.new_pin() {
            log::warn!(
                "The -wal file cannot be emptied, and grows until an open transaction ends, which belongs to {readers}"
            );
        }
    }

    /// Waits for an event, the stop, or this long, at most; says whether there was an event.
    fn wait(&self, time: Duration) -> bool {
        let mut fds = vec![PollFd::new(&self.stopped, PollFlags::IN)];
        if let Some(inotify) = &self.inotify {
            fds.push(PollFd::new(inotify, PollFlags::IN));
        }
        let timeout = Timespec {
            tv_sec: time.as_secs() as i64,
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        // An interrupted or failed wait is an early look, nothing worse.
        let _ = rustix::event::poll(&mut fds, Some(&timeout));
        fds.len() > 1 && fds[1].revents().contains(PollFlags::IN)
    }

    fn drain(&self) {
        let Some(inotify) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        while rustix::io::read(inotify, &mut buffer).is_ok_and(|(read, _)| !read.is_empty()) {}
    }
}

/// When to look.
#[derive(Debug)]
struct Looks {
    /// Until the next look, unless there is an event before.
    pause: Duration,
    /// From the next event to the look after it.
    delay: Duration,
}

impl Default for Looks {
    fn default() -> Looks {
        Looks {
            pause: POLL,
            delay: FIRST_LOOK,
        }
    }
}

impl Looks {
    /// There was an event; says when to look.
    fn after_event(&mut self) -> Duration {
        self.pause = self.delay;
        self.delay = (self.delay * 2).min(BUSY);
        self.pause
    }

    /// The pause passed without one.
    fn after_pause(&mut self) {
        if self.pause >= QUIET {
            self.delay = FIRST_LOOK;
        }
        self.pause = (self.pause * 2).min(POLL);
    }
}

fn watch(database: &Path) -> rustix::io::Result<OwnedFd> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let wal = db::beside(database, "-wal");
    inotify::add_watch(&fd, wal, inotify::WatchFlags::MODIFY)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_takes_its_time_is_looked_for_again_and_again_and_then_once_a_second() {
        let mut looks = Looks::default();
        let first = looks.after_event();
        assert!(first < QUIET, "{first:?}");
        let mut pauses = vec![looks.pause];
        while looks.pause < POLL {
            looks.after_pause();
            pauses.push(looks.pause);
        }
        assert!(pauses.windows(2).all(|two| two[1] <= two[0] * 2));
        looks.after_pause();
        assert_eq!(looks.pause, POLL);
    }

    #[test]
    fn events_without_end_are_looked_after_ever_more_slowly_until_there_is_a_rest() {
        let mut looks = Looks::default();
        let delays: Vec<Duration> = (0..20).map(|_| looks.after_event()).collect();
        assert_eq!((delays[0], delays[19]), (FIRST_LOOK, BUSY));
        assert!(delays.is_sorted());
        looks.after_pause();
        assert_eq!(looks.after_event(), FIRST_LOOK);
    }
}
