//! Retention: the daemon prunes by itself what was delivered long ago, as `[retention]` says.
//!
//! A thread of its own, which hands short steps to the writer and rests nine times as long as each took, so that deliveries
//! hardly notice. Nothing that goes wrong here may end the daemon: it is told once, and tried again at the next run.

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

/// A reload may change the settings: they are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Rest after a step, in times of what it took.
const REST: u32 = 9;

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
        loop {
            let retention = self.settings.get().retention;
            if let Some(age) = retention.older_than {
                let every = (age / 10).clamp(LOOK_EVERY, RUN_EVERY);
                if last_run.is_none_or(|last| last.elapsed() >= every) {
                    self.prune(age, retention)?;
                    last_run = Some(Instant::now());
                }
            }
            if self.stop.wait(LOOK_EVERY) {
                return Ok(());
            }
        }
    }

    fn prune(&self, age: Duration, retention: Retention) -> Result<(), WriteError> {
        let order = Order {
            before: Timestamp::now().minus(age),
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
                "Pruned what was delivered long ago. before={} batches={batches} records={records}",
                order.before
            );
        }
        Ok(())
    }
}
