//! The coarse clock: time as of the kernel's last tick, for what happens with every record and where some milliseconds do
//! not matter. Reading the exact one costs ten times as much.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Time since the machine started, its sleep left out; it never goes back (clock_gettime(2), CLOCK_MONOTONIC_COARSE).
pub fn coarse() -> Duration {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
