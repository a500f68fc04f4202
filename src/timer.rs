//! The timer: sleeps until the next FAILED batch is due, and wakes the planner then. It says "due", nothing else.
//!
//! Due times are wall-clock times, for the next process must be able to read them. The clock may be set: one that was
//! ahead leaves due times that would stall a batch for years, and those are brought back to now.

use crossbeam_channel::{Receiver, select};
use std::time::Duration;

use crate::db::batches;
use crate::db::pool::Readers;
use crate::db::writer::{WriteError, Writer};
use crate::stop::Stop;
use crate::time::Timestamp;
use crate::wake::Waker;

/// The clock may be set while the timer sleeps: it looks again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Pause after a read that failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// What the timer works with.
pub struct Timer {
    /// Reads due times.
    pub readers: Readers,
    /// Corrects them.
    pub writer: Writer,
    /// `retry.max_interval`: no delay is longer, but for a tenth of jitter.
    pub longest_delay: Duration,
    /// A message says that a batch got a new due time.
    pub rescheduled: Receiver<()>,
    /// Told when a batch is due.
    pub planner: Waker,
    /// Ends the timer.
    pub stop: Stop,
}

impl Timer {
    /// Runs until the stop.
    ///
    /// # Errors
    /// When the writer refuses or has ended.
    pub fn run(&self) -> Result<(), WriteError> {
        loop {
            let sleep = self.until_next_due()?.min(LONGEST_SLEEP);
            select! {
                recv(self.stop.channel()) -> _ => return Ok(()),
                recv(self.rescheduled) -> _ => {}
                default(sleep) => self.planner.wake(),
            }
        }
    }

    fn until_next_due(&self) -> Result<Duration, WriteError> {
        let now = Timestamp::now();
        let look = || anyhow::Ok(batches::next_due(&*self.readers.get()?, now)?);
        let (first, last) = match look() {
            Ok(Some(due)) => due,
            Ok(None) => return Ok(LONGEST_SLEEP),
            Err(error) => {
                log::debug!("The next due time cannot be read; trying again. error={error:#}");
                return Ok(AFTER_ERROR);
            }
        };
        let latest = now.plus(self.longest_delay.saturating_mul(12) / 10);
        let latest = latest.plus(LONGEST_SLEEP);
        if last > latest {
            let batches = self
                .writer
                .call(move |conn| batches::clamp_due(conn, now, latest))?;
            log::warn!(
                "The clock was set back: batches that were due in a far future are due now. batches={batches}"
            );
            self.planner.wake();
        }
        Ok(first.after(now))
    }
}
