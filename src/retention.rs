//! Retention: the daemon prunes by itself what was delivered long ago, as `[retention]` says.
//!
//! A thread of its own, which hands short steps to the writer and rests nine times as long as each took, so that deliveries
//! hardly notice. Nothing that goes wrong here may end the daemon: it is told once, and tried again at the next run.
//!
//! What is old, the wall clock decides, and a clock that is set years ahead makes all of it old at once. So after a leap
//! forward nothing is pruned for a day, in which the clock can be set right.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Retention;
use crate::db::place;
use crate::db::prune::{self, Order, Place, Pruned};
use crate::db::writer::{WriteError, Writer};
use crate::settings::Current;
use crate::stop::Stop;
use crate::time::Timestamp;

/// Longest time from one run to the next. A short `retention.older_than` is looked after more often: ten times in that time.
const RUN_EVERY: Duration = Duration::from_secs(3600);

/// How often it is looked whether a run is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whether a reload has brought `retention.older_than`: an idle daemon should sleep.
const LOOK_SELDOM: Duration = Duration::from_secs(10);

/// Rest after a step, in times of what it took.
const REST: u32 = 9;

/// A wall clock that gains so much on the monotonic one was set. So it seems after a suspend too, and that does no harm.
const LEAP: Duration = Duration::from_secs(3600);

/// Nothing is pruned for so long after a leap.
const DOUBT: Duration = Duration::from_secs(24 * 3600);

/// What the thread works with.
pub struct Pruner {
    /// The file, to see whether its disk is full.
    pub database: PathBuf,
    /// Does the steps.
    pub writer: Writer,
    /// `[retention]`.
    pub settings: Arc<Current>,
    /// Ends it.
    pub stop: Stop,
}

impl Pruner {
    /// Runs until the stop.
    ///
    /// # Errors
    /// When the writer has ended, or the file is damaged.
    pub fn run(&self) -> Result<(), WriteError> {
        let mut last_run: Option<Instant> = None;
        let mut looked = (Timestamp::now(), Instant::now());
        let mut leapt: Option<Instant> = None;
        loop {
            let now = (Timestamp::now(), Instant::now());
            let retention = self.settings.get().retention;
            if has_leapt(looked, now) {
                leapt = Some(now.1);
                if retention.older_than.is_some() {
                    log::warn!(
                        "The clock leapt forward: nothing is pruned for a day. See that it is right."
                    );
                }
            }
            looked = now;
            let in_doubt = leapt.is_some_and(|at| at.elapsed() < DOUBT);
            if let Some(age) = retention.older_than
                && !in_doubt
            {
                let every = (age / 10).clamp(LOOK_EVERY, RUN_EVERY);
                if last_run.is_none_or(|last| last.elapsed() >= every) {
                    self.prune(now.0.minus(age), retention)?;
                    last_run = Some(Instant::now());
                }
            }
            let pause = match retention.older_than {
                Some(_) => LOOK_EVERY,
                None => LOOK_SELDOM,
            };
            if self.stop.wait(pause) {
                return Ok(());
            }
        }
    }

    fn prune(&self, before: Timestamp, retention: Retention) -> Result<(), WriteError> {
        let order = Order {
            before,
            records: retention.records,
        };
        let mut total = Pruned::default();
        let mut next = Some(Place::default());
        // A run that began with other settings ends. What room a full disk has is for the outcomes of deliveries.
        while let Some(place) = next.take()
            && self.settings.get().retention == retention
            && !place::is_full(&self.database)
        {
            let step = self.writer.call(move |conn| {
                let start = Instant::now();
                let done = prune::step(conn, order, &place)?;
                Ok((done, start.elapsed()))
            });
            let ((pruned, place), took) = match step {
                Ok(step) => step,
                Err(WriteError::Refused(reason)) => {
                    log::warn!("Old batches are not pruned: {reason}.");
                    break;
                }
                Err(WriteError::GivenUp(_)) => break,
                Err(error) => return Err(error),
            };
            total += pruned;
            next = place;
            if self.stop.wait(took * REST) {
                break;
            }
        }
        if total != Pruned::default() {
            let Pruned { batches, records } = total;
            log::info!(
                "Pruned what was delivered long ago. before={before} batches={batches} records={records}"
            );
        }
        Ok(())
    }
}

/// Whether the wall clock was set forward between two looks at both clocks.
fn has_leapt(before: (Timestamp, Instant), now: (Timestamp, Instant)) -> bool {
    now.0.after(before.0) > now.1.duration_since(before.1) + LEAP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_was_set_forward_has_leapt() {
        let before = (Timestamp::now(), Instant::now());
        let after = |wall: Duration, time: Duration| (before.0.plus(wall), before.1 + time);
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86400));
        assert!(!has_leapt(before, after(second, second)));
        assert!(!has_leapt(before, after(day, day)));
        assert!(!has_leapt(before, (before.0.minus(day), before.1 + second)));
        assert!(has_leapt(before, after(day, second)));
    }
}
