//! The fault table: what may go wrong around the daemon. Each fault is injected while it is at work or before it starts;
//! then nothing is lost, nothing is said to be delivered that was not, nothing storms or stalls, the memory stays below
//! 64 MB, and it goes on by itself.
//!
//! | fault | tests |
//! |---|---|
//! | write lock of another program | `lock` |
//! | full disk | `full_disk` |
//! | I/O errors | `io_error` |
//! | read-only file system | `read_only` |
//! | database, -wal deleted or replaced | `lost` |
//! | files of a foreign owner | `owner` |
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

use crate::harness::{Api, Daemon, Site, eventually};
use ferryd::server::Answer;
use std::time::{Duration, Instant};

/// Workers of a daemon under test.
const WORKERS: usize = 2;

/// Small batches, so that much is planned, claimed and finished around the fault.
const SETTINGS: &str = "[workers]\nthreads = 2\n[batch]\nsize = 50\n";

/// Under every fault.
const MEMORY: u64 = 64 << 20;

/// An API that takes a moment for each answer, so that a fault meets a daemon at work.
fn slow_api() -> Api {
    Api::answering(|_, request| {
        request.sleep(Duration::from_millis(2));
        Answer::status(200)
    })
}

/// Waits until the daemon is in the midst of its work, and has most of it before it.
#[track_caller]
fn await_work(api: &Api) -> usize {
    eventually("some records came", || api.seen().len() >= 40);
    api.seen().len()
}

/// Fails unless sending goes on within this time after the fault has ended.
#[track_caller]
fn assert_goes_on_within(time: Duration, api: &Api) {
    let start = Instant::now();
    let before = api.seen().len();
    eventually("it is sent again", || api.seen().len() > before);
    assert!(start.elapsed() <= time, "{:?}", start.elapsed());
}

/// Fails if anything comes within some looks of the daemon at the fault.
#[track_caller]
fn assert_nothing_is_sent(api: &Api) {
    let before = api.seen().len();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(api.seen().len(), before, "it is sent although it is held");
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
