//! What every test needs: a place with a configuration, the executable, the sqlite3 shell, an API that does as it is
//! told, and waiting with a deadline.

mod api;
mod door;
mod journal;
mod run;
mod site;
mod wired;

pub use api::{Api, Latch, Seen};
pub use door::Door;
pub use journal::Change;
pub use run::{Daemon, Ran, peak_memory_mb, threads};
pub use site::{Site, shell};
pub use wired::Wired;

use std::process::Command;
use std::time::{Duration, Instant};

/// Nothing in a test may take longer than this.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds, or fails with `what` after the deadline.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "it never came true that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}
