//! One attempt at one batch: what it has to send, where it is, and how it ends.
//!
//! An attempt passes from worker to worker: whoever is the last to leave a [`Stretch`] goes on with it. No other worker may
//! have its [`Work`] meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::page;
use super::stretch::{Done, End};
use super::tally::Tally;
use super::transfer::Courier;
use super::{AFTER_HOLD, Shared, jitter, single};
use crate::activity::{Doing, Role};
use crate::batch::{Claim, IdRange};
use crate::chunk::ChunkName;
use crate::db::fault::{self, Damaged};
use crate::db::settle::{self, Ending, Finished, Source, UserDone};
use crate::db::writer::WriteError;
use crate::pace::Turn;
use crate::settings::Settings;

/// An attempt, and the worker that has it.
pub(super) struct Attempt<'a> {
    pub(super) shared: &'a Shared,
    pub(super) role: Role,
    /// In bulk mode, a turn that came when the page had become old: it is for the first record of the next one.
    pub(super) turn: Option<Turn<'a>>,
    pub(super) work: Work,
}

/// How far an attempt is.
pub(super) struct Work {
    pub(super) claim: Claim,
    pub(super) settings: Arc<Settings>,
    /// Where in undelivered_record to look for what this attempt has to send again.
    pub(super) again: Option<IdRange>,
    /// What no request has touched.
    pub(super) unsent: Option<IdRange>,
    /// Records that are read at a time.
    pub(super) page: usize,
    pub(super) tally: Tally,
    /// Requests that were cut anew.
    pub(super) recuts: i64,
    /// In bulk mode, the request that was begun last for a stretch that none had touched.
    pub(super) begun: Option<ChunkName>,
    start: Instant,
    /// Time that the gate held it up, which is no work.
    pub(super) held: Duration,
}

/// Whether the batch is still this worker's to go on with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Go {
    On,
    Away,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(shared: &'a Shared, role: Role, claim: &Claim) -> Attempt<'a> {
        let work = Work {
            claim: claim.clone(),
            settings: shared.settings.get(),
            again: Some(IdRange::ALL),
            unsent: claim.unsent,
            page: page::FIRST_PAGE,
            tally: Tally::default(),
            recuts: 0,
            begun: claim.begun,
            start: Instant::now(),
            held: Duration::ZERO,
        };
        Attempt::of(shared, role, work)
    }

    fn of(shared: &'a Shared, role: Role, work: Work) -> Attempt<'a> {
        Attempt {
            shared,
            role,
            turn: None,
            work,
        }
    }

    /// Goes on with an attempt of which this worker was the last to leave a stretch.
    pub(super) fn take_over(
        shared: &'a Shared,
        role: Role,
        (work, done): (Work, Done),
    ) -> Result<(), WriteError> {
        let mut attempt = Attempt::of(shared, role, work);
        match attempt.take_in(done)? {
            Go::On => attempt.run(),
            Go::Away => Ok(()),
        }
    }

    /// Sends all that is left of the batch, and ends the attempt; or leaves that to somebody else.
    pub(super) fn run(mut self) -> Result<(), WriteError> {
        loop {
            if self.work.settings.are_replaced() {
                self.work.settings = self.shared.settings.get();
                self.work.again = Some(IdRange::ALL);
            }
            let settings = self.work.settings.clone();
            if let Some(bulk) = settings.endpoint.bulk() {
                if self.send_in_chunks(bulk)? == Go::Away {
                    return Ok(());
                }
                self.turn = None;
                if settings.are_replaced() {
                    continue;
                }
                break;
            }
            // What was tried before comes first.
            let what = match (self.work.again, self.work.unsent) {
                (Some(ids), _) => (Source::Undelivered, ids),
                (None, Some(ids)) => (Source::Range, ids),
                (None, None) => break,
            };
            if self.wait_at_gate() == Go::Away {
                return Ok(());
            }
            if settings.are_replaced() {
                continue;
            }
            let (shared, role) = (self.shared, self.role);
            let Some((work, done)) = single::send(shared, role, self.work, what) else {
                return Ok(());
            };
            self = Attempt::of(shared, role, work);
            if self.take_in(done)? == Go::Away {
                return Ok(());
            }
        }
        self.finish()
    }

    /// What became of a stretch.
    fn take_in(&mut self, done: Done) -> Result<Go, WriteError> {
        let work = &mut self.work;
        work.page = done.page_size;
        work.tally.add(done.tally);
        match done.source {
            Source::Undelivered => work.again = done.left,
            Source::Range => {
                work.unsent = done.left;
                work.again = done.excepted;
            }
        }
        match done.end {
            None | Some(End::Replaced) => {}
            Some(End::Held) => {
                // While the gate has not closed yet, what was not sent is not sent again at once.
                self.shared.stop.wait(AFTER_HOLD);
                work.held += AFTER_HOLD;
            }
            // Whoever panicked breaks the batch off.
            Some(End::Away | End::Panicked) => return Ok(Go::Away),
            Some(End::Unreadable(error)) => self.cannot_read(&error)?,
            Some(End::Failed(error)) => return Err(error),
        }
        Ok(Go::On)
    }

    /// Nothing is left half done while the gate is closed, which may be for hours.
    pub(super) fn wait_at_gate(&mut self) -> Go {
        if !self.shared.gate.is_wide_open() {
            self.turn = None;
            let start = Instant::now();
            self.courier().note(Doing::AtGate);
            self.shared.gate.wait();
            self.courier().note(Doing::Reading);
            self.work.held += start.elapsed();
        }
        match self.shared.stop.requested() {
            true => Go::Away,
            false => Go::On,
        }
    }

    pub(super) fn courier(&self) -> Courier<'_> {
        Courier {
            shared: self.shared,
            role: self.role,
            settings: &self.work.settings,
            claim: &self.work.claim,
        }
    }

    /// The gate stays closed until the file can be read again; damage ends the worker.
    pub(super) fn cannot_read(&self, error: &anyhow::Error) -> Result<(), WriteError> {
        let database = &self.shared.database;
        let damaged = |error| Damaged::confirmed(database, error);
        if let Some(damaged) = error.downcast_ref().and_then(damaged) {
            return Err(damaged.into());
        }
        let reason = fault::reason(database, error);
        self.shared
            .gate
            .close(&format!("records cannot be read: {reason}"));
        Ok(())
    }

    fn finish(&self) -> Result<(), WriteError> {
        let busy = self.work.start.elapsed().saturating_sub(self.work.held);
        let claim = &self.work.claim;
        let fence = claim.fence;
        let policy = &self.work.settings.policy;
        let backoff = policy.delay(self.work.tally.most_attempts.max(1), jitter(claim));
        let delay = backoff.max(self.work.tally.retry_after);
        self.courier().note(Doing::Recording);
        let finished = self
            .shared
            .writer
            .call(move |conn| settle::finish(conn, fence, delay, busy))?;
        if let Some(finished) = finished {
            self.report(finished, busy);
        }
        Ok(())
    }

    fn report(&self, finished: Finished, busy: Duration) {
        let Finished {
            ending,
            retrying,
            dead,
            user_done,
        } = finished;
        let batch = format!(
            "batch={} user={} offset={} sent={} ms={}",
            self.work.claim.fence.batch_id,
            self.work.claim.user_id,
            self.work.claim.batch_offset,
            self.work.tally.sent,
            busy.as_millis()
        );
        match ending {
            Ending::Success => log::info!("Batch delivered. {batch}"),
            Ending::Failed(due) => {
                log::warn!(
                    "Batch waits for a retry. {batch} retrying={retrying} dead={dead} due={due}"
                );
                let _ = self.shared.rescheduled.try_send(());
            }
            Ending::Dead => log::warn!("Batch has dead records. {batch} dead={dead}"),
        }
        if let Some(done) = user_done {
            let UserDone {
                delivered,
                dead,
                batches,
            } = done;
            log::info!(
                "Nothing is left to send of a user. user={} delivered={delivered} dead={dead} batches={batches}",
                self.work.claim.user_id
            );
        }
    }
}
