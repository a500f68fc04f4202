//! The watcher: notices that somebody wrote to the file, and wakes the planner.
//!
//! Once a second it also looks whether the place of the file still allows sending, and closes the gate while it does not.
//!
//! It only ever says "look again": whether there is work is for the planner to read from the file. It watches the -wal
//! with inotify, and looks once a second all the same, so that a lost event costs a second and not a record.

use crossbeam_channel::{Receiver, Sender};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify;
use std::io::PipeReader;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db;
use crate::db::place::Place;
use crate::gate::Gate;
use crate::stop::Stop;

/// The longest time between two looks.
const POLL: Duration = Duration::from_secs(1);

/// Looks again this long after an event: the -wal is written shortly before the commit can be seen.
const AFTER_EVENT: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(5)];

/// And then, while nothing else happens, so long after that: a commit that is synced can be seen only after the sync, which
/// takes its time on a slow disk.
const WHILE_SYNCING: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(150),
    Duration::from_millis(400),
];

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
    stopped: PipeReader,
    place: Place,
    gate: Arc<Gate>,
}

impl Watcher {
    /// Watches until the writing end of `stopped` is closed. Where inotify cannot be had, looking once a second remains.
    /// The first look at the file's place is taken here, before anything is sent.
    pub fn new(database: &Path, stopped: PipeReader, gate: Arc<Gate>) -> Watcher {
        let inotify = watch(database)
            .inspect_err(|error| {
                log::warn!("inotify cannot be used; new rows are found by looking once a second. error={error}");
            })
            .ok();
        let mut watcher = Watcher {
            inotify,
            stopped,
            place: Place::of(database),
            gate,
        };
        watcher.look_at_place();
        watcher
    }

    /// Wakes them until the stop.
    pub fn run(mut self, stop: &Stop, wakers: &[Waker]) {
        let wake_all = || wakers.iter().for_each(Waker::wake);
        let mut looked = Instant::now();
        let mut looks = WHILE_SYNCING.iter();
        while !stop.requested() {
            let event = self.wait(looks.next().copied().unwrap_or(POLL));
            if looked.elapsed() >= POLL {
                looked = Instant::now();
                self.look_at_place();
            }
            wake_all();
            if !event {
                continue;
            }
            for pause in AFTER_EVENT {
                if stop.wait(pause) {
                    return;
                }
                wake_all();
            }
            looks = WHILE_SYNCING.iter();
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
        let event = fds.len() > 1 && fds[1].revents().contains(PollFlags::IN);
        if event {
            self.drain();
        }
        event
    }

    fn drain(&self) {
        let Some(inotify) = &self.inotify else { return };
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        while rustix::io::read(inotify, &mut buffer).is_ok_and(|(read, _)| !read.is_empty()) {}
    }
}

fn watch(database: &Path) -> rustix::io::Result<OwnedFd> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let wal = db::beside(database, "-wal");
    inotify::add_watch(&fd, wal, inotify::WatchFlags::MODIFY)?;
    Ok(fd)
}
