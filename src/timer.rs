//! The timer: sleeps until the next FAILED batch is due, and wakes the planner then. It says "due", nothing else.
//!
//! Due times are wall-clock times, for the next process must be able to read them. The clock may be set. Forward, batches
//! are due early, once. Back, due times would be as much later as it was set: they move with it. What a wrong clock left in
//! the file before this process started may stall a batch for years, and is brought back to now.

use crossbeam_channel::{Receiver, select};
use rusqlite::Connection;
use std::sync::Arc;
use std::time::Duration;

use crate::activity::{Activity, Doing, Role};
use crate::db::claims;
use crate::db::pool::Readers;
use crate::db::writer::{WriteError, Writer};
use crate::settings::Current;
use crate::stop::Stop;
use crate::time::Timestamp;
use crate::wake::Waker;

/// The clock may be set: the timer looks again at least this often, also while no batch waits for its time, for one that gets
/// its time after that must not be taken for one that had it before.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Clocks are always set a little, and that delays nothing.
const SMALL_STEP: Duration = Duration::from_secs(1);

/// A due time that is this much beyond the longest delay was set by a wrong clock.
const SLACK: Duration = Duration::from_secs(60);

/// What the timer works with.
pub struct Timer {
    /// Reads due times.
    pub readers: Readers,
    /// Corrects them.
    pub writer: Writer,
    /// No delay is longer than `retry.max_interval` here, but for a tenth of jitter.
    pub settings: Arc<Current>,
    /// A message says that a batch got a new due time.
    pub rescheduled: Receiver<()>,
    /// Told when a batch is due.
    pub planner: Waker,
    /// What it does.
    pub activity: Arc<Activity>,
    /// Ends the timer.
    pub stop: Stop,
}

impl Timer {
    /// Runs until the stop.
    ///
    /// # Errors
    /// When the writer refuses or has ended.
    pub fn run(&self) -> Result<(), WriteError> {
        let mut looked = Timestamp::now();
        loop {
            self.activity.note(Role::Timer, Doing::Reading);
            let now = Timestamp::now();
            // Time that the machine was suspended is no step back, nor is anything but a clock that was set.
            let step = looked.after(now);
            looked = now;
            if step >= SMALL_STEP {
                self.follow_clock(now, step)?;
            }
            let due = self.until_next_due(now)?;
            let sleep = due.map_or(LOOK_EVERY, |due| due.min(LOOK_EVERY));
            self.activity.note(Role::Timer, Doing::Dozing);
            select! {
                recv(self.stop.channel()) -> _ => return Ok(()),
                recv(self.rescheduled) -> _ => {}
                // The clock may have been set forward too.
                default(sleep) => if due.is_some() {
                    self.planner.wake();
                },
            }
        }
    }

    fn follow_clock(&self, now: Timestamp, step: Duration) -> Result<(), WriteError> {
        let shift = move |conn: &Connection| claims::shift_due(conn, now, step);
        let batches = self.writer.call(shift)?;
        let seconds = step.as_secs();
        log::warn!(
            "The clock was set back; waiting batches keep their delays. by_s={seconds} batches={batches}"
        );
        self.planner.wake();
        Ok(())
    }

    /// Nothing when no batch waits for its time.
    fn until_next_due(&self, now: Timestamp) -> Result<Option<Duration>, WriteError> {
        let look = || anyhow::Ok(claims::next_due(&*self.readers.get()?, now)?);
        let (first, last) = match look() {
            Ok(Some(due)) => due,
            Ok(None) => return Ok(None),
            Err(error) => {
                log::debug!("The next due time cannot be read; trying again. error={error:#}");
                return Ok(Some(LOOK_EVERY));
            }
        };
        let longest_delay = self.settings.get().policy.max_interval;
        let latest = now.plus(longest_delay.saturating_mul(12) / 10);
        let latest = latest.plus(SLACK);
        if last > latest {
            let batches = self
                .writer
                .call(move |conn| claims::clamp_due(conn, now, latest))?;
            log::warn!(
                "Batches that were due later than any delay allows are due now: the clock was set back, or retry.max_interval lowered. batches={batches}"
            );
            self.planner.wake();
        }
        Ok(Some(first.after(now)))
    }
}
