//! The timer: sleeps until the next FAILED batch is due, and wakes the planner then. It says "due", nothing else.

use crossbeam_channel::{Receiver, select};
use std::time::Duration;

use crate::db::batches;
use crate::db::pool::Readers;
use crate::stop::Stop;
use crate::time::Timestamp;
use crate::wake::Waker;

/// Due times are wall-clock times, and the clock may be set: look again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Pause after a read that failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Runs until the stop. A message on `rescheduled` says that a batch got a new due time.
pub fn run(readers: &Readers, rescheduled: &Receiver<()>, stop: &Stop, planner: &Waker) {
    loop {
        let sleep = match until_next_due(readers) {
            Ok(sleep) => sleep.min(LONGEST_SLEEP),
            Err(error) => {
                log::warn!("The next due time cannot be read; trying again. error={error:#}");
                AFTER_ERROR
            }
        };
        select! {
            recv(stop.channel()) -> _ => return,
            recv(rescheduled) -> _ => {}
            default(sleep) => planner.wake(),
        }
    }
}

fn until_next_due(readers: &Readers) -> anyhow::Result<Duration> {
    let now = Timestamp::now();
    let due = batches::next_due(&*readers.get()?, now)?;
    Ok(due.map_or(LONGEST_SLEEP, |due| due.after(now)))
}
