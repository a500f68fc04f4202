//! The fault table: what may go wrong around the daemon. Each fault is injected while it is at work or before it starts;
//! then nothing is lost, nothing is said to be delivered that was not, nothing storms or stalls, the memory stays below
//! 64 MB, and it goes on by itself.
//!
//! | fault | tests |
//! |---|---|
//! | write lock of another program | `lock` |
//! | full disk | `full_disk` |
//! | no inodes left | `inodes` |
//! | I/O errors | `io_error` |
//! | read-only file system | `read_only` |
//! | database, -wal deleted or replaced | `lost` |
//! | files of a foreign owner, a directory that may not be searched | `owner` |
//! | damaged file | `damage`; at the start: `file::damage_inside_a_file_of_ours_is_a_data_error_with_a_remedy` |
//! | -wal too big, or pinned by a reader | `wal` |
//! | the clock jumps by years, either way | `clock` |
//! | the machine is suspended | `suspend` |
//! | file descriptors run short | `descriptors` |
//! | threads cannot be had | `threads` |
//! | standard error is closed, or stuck | `streams` |
//! | a worker or another thread panics | unit tests beside `src/worker.rs` and in `src/daemon/crew.rs` |
//!
//! What needs root or strace skips with a line `SKIPPED <test>: <reason>`: count them with `grep -c ^SKIPPED`.

mod clock;
mod damage;
mod descriptors;
mod full_disk;
mod injection;
mod inodes;
mod io_error;
mod lock;
mod lost;
mod mounts;
mod owner;
mod read_only;
mod streams;
mod suspend;
mod threads;
mod wal;

use crate::harness::{Api, Daemon, Latch, Site, eventually};
use ferryd::server::Answer;
use std::time::{Duration, Instant};

/// Workers of a daemon under test.
const WORKERS: usize = 2;

/// Small batches, so that much is planned, claimed and finished around the fault.
const SETTINGS: &str = "[workers]\nthreads = 2\n[batch]\nsize = 50\n";

/// Under every fault.
const MEMORY: u64 = 64 << 20;

/// An API that takes its time while there is a fault to meet, and hurries after it.
struct SlowApi {
    api: Api,
    hurry: Latch,
}

impl std::ops::Deref for SlowApi {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// At most a hundred records a second from two workers, so that a fault meets a daemon at work.
fn slow_api() -> SlowApi {
    let hurry = Latch::default();
    let hurries = hurry.clone();
    let api = Api::answering(move |_, request| {
        if !hurries.is_open() {
            request.sleep(Duration::from_millis(20));
        }
        Answer::status(200)
    });
    SlowApi { api, hurry }
}

/// Waits until the daemon is in the midst of its work, and has most of it before it.
#[track_caller]
fn await_work(api: &Api) -> usize {
    eventually("some records came", || api.seen().len() >= 30);
    api.seen().len()
}

/// Fails unless sending goes on within this time after the fault has ended.
#[track_caller]
fn assert_goes_on_within(time: Duration, api: &SlowApi) {
    let start = Instant::now();
    let before = api.seen().len();
    eventually("it is sent again", || api.seen().len() > before);
    assert!(start.elapsed() <= time, "{:?}", start.elapsed());
    api.hurry.open();
}

/// Waits until the last requests under way are through, and nothing more comes.
#[track_caller]
fn await_silence(api: &Api) {
    eventually("sending has stopped", || {
        let before = api.seen().len();
        std::thread::sleep(Duration::from_millis(400));
        api.seen().len() == before
    });
}

/// Waits for the end; then every record was sent once and is delivered, and the daemon has stayed small.
#[track_caller]
fn assert_unharmed(site: &Site, api: &Api, daemon: Daemon, records: i64) {
    site.await_delivered(records);
    let memory = daemon.peak_memory();
    assert!(memory <= MEMORY, "{memory} bytes at the peak");
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=records);
    site.assert_adds_up(0);
    let found: String = site.value("PRAGMA integrity_check");
    assert_eq!(found, "ok");
}

/// How often the log says this.
fn times_logged(site: &Site, text: &str) -> usize {
    let log = std::fs::read_to_string(site.path("daemon.log")).unwrap();
    log.matches(text).count()
}
