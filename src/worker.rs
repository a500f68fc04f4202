//! A worker: takes a claimed batch, sends its records, one by one or in chunks, and has each outcome written down.
//!
//! It is at most one request ahead of its last committed outcome: that bounds what a kill can repeat to two requests.
//! It holds no reader and no transaction while it sends, and it never sends into the queue it takes from.

mod bulk;
mod single;

use crossbeam_channel::{Receiver, Sender};
use std::fmt::{self, Display};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::activity::{Activity, Doing, Role};
use crate::batch::{self, Claim, IdRange};
use crate::chunk::ChunkName;
use crate::db::fault::{self, Damaged};
use crate::db::pool::Readers;
use crate::db::settle::{self, Ending, Finished, UserDone};
use crate::db::writer::{WriteError, Writer};
use crate::endpoint::Endpoint;
use crate::gate::{Gate, Then};
use crate::metrics::Metrics;
use crate::outcome::{Answer, FailedState, Outcome};
use crate::pace::{Pace, Turn};
use crate::record::Record;
use crate::settings::{Current, Settings};
use crate::stop::Stop;
use crate::verdict::Verdict;

/// Pause of a worker whose record could not be sent.
const AFTER_HOLD: Duration = Duration::from_millis(20);

/// A record that waited longer than this for its turn is read again. Reading keeps others waiting meanwhile, so that it is
/// not for every short wait.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// What all workers share.
pub struct Shared {
    /// The API, and how to read records for it; taken once for a stretch of work.
    pub settings: Arc<Current>,
    /// The file, for a second look at what seems damaged.
    pub database: PathBuf,
    /// Reads records.
    pub readers: Readers,
    /// Writes outcomes.
    pub writer: Writer,
    /// Whether anything may be sent.
    pub gate: Arc<Gate>,
    /// How fast, and how many at a time.
    pub pace: Pace,
    /// The first part of every idempotency key.
    pub instance: String,
    /// Told when a batch got a due time.
    pub rescheduled: Sender<()>,
    /// What each worker does.
    pub activity: Arc<Activity>,
    /// What was sent.
    pub metrics: Arc<Metrics>,
    /// Ends the workers.
    pub stop: Stop,
}

/// Takes claims from the queue until it is closed or the stop comes, as the worker of this number.
///
/// # Errors
/// When outcomes cannot be written down.
pub fn run(shared: &Shared, number: u32, queue: &Receiver<Claim>) -> Result<(), WriteError> {
    let role = Role::Worker(number);
    serve(shared, role, queue, |claim| {
        Attempt::new(shared, role, claim).run()
    })
}

/// Makes an `attempt` at each claim; one that panics costs its batch a delay, and nothing else.
fn serve(
    shared: &Shared,
    role: Role,
    queue: &Receiver<Claim>,
    attempt: impl Fn(&Claim) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    while let Ok(claim) = queue.recv() {
        if shared.stop.requested() {
            return Ok(());
        }
        shared
            .activity
            .note_batch(role, claim.fence.batch_id, claim.user_id);
        shared.activity.note(role, Doing::Reading);
        let guarded = std::panic::AssertUnwindSafe(|| attempt(&claim));
        match std::panic::catch_unwind(guarded) {
            Ok(result) => result?,
            Err(_) => break_off(shared, &claim)?,
        }
        shared.activity.note(role, Doing::Resting);
    }
    Ok(())
}

/// A panic is a fault of ferryd: the batch keeps its place and waits for a retry, and the worker goes on.
fn break_off(shared: &Shared, claim: &Claim) -> Result<(), WriteError> {
    let fence = claim.fence;
    let policy = &shared.settings.get().policy;
    let delay = policy.delay(claim.attempt + 1, jitter(claim));
    log::error!(
        "A worker panicked; its batch waits for a retry. batch={} user={}",
        fence.batch_id,
        claim.user_id
    );
    shared
        .writer
        .call(move |conn| settle::break_off(conn, fence, delay))?;
    let _ = shared.rescheduled.try_send(());
    Ok(())
}

/// One attempt at one batch.
struct Attempt<'a> {
    shared: &'a Shared,
    role: Role,
    claim: &'a Claim,
    settings: Arc<Settings>,
    /// Where in undelivered_record to look for what this attempt has to send again.
    again: Option<IdRange>,
    /// What no request has touched.
    unsent: Option<IdRange>,
    page: usize,
    /// A turn that came when the page had become old: it is for the first record of the next one.
    turn: Option<Turn<'a>>,
    retry_after: Duration,
    /// The most attempts that a record has had which has to be sent again: they set the delay.
    most_attempts: i64,
    /// Where the last outcome's answer comes, until it was awaited.
    unsettled: Option<Receiver<Result<bool, WriteError>>>,
    /// The records that the last answer made dead, until the gate has counted them.
    refusals: Vec<(i64, Answer)>,
    sent: u64,
    /// Requests that were cut anew.
    recuts: i64,
    /// In bulk mode, the request that was begun last for a stretch that none had touched.
    begun: Option<ChunkName>,
    /// Time that the gate held it up, which is no work.
    held: Duration,
}

/// Whether the batch is still this worker's to go on with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Go {
    On,
    Away,
}

impl<'a> Attempt<'a> {
    fn new(shared: &'a Shared, role: Role, claim: &'a Claim) -> Attempt<'a> {
        Attempt {
            shared,
            role,
            claim,
            settings: shared.settings.get(),
            again: None,
            unsent: claim.unsent,
            page: single::FIRST_PAGE,
            turn: None,
            retry_after: Duration::ZERO,
            most_attempts: 1,
            unsettled: None,
            refusals: Vec::new(),
            sent: 0,
            recuts: 0,
            begun: claim.begun,
            held: Duration::ZERO,
        }
    }

    fn run(mut self) -> Result<(), WriteError> {
        let start = Instant::now();
        loop {
            let settings = self.shared.settings.get();
            self.settings = settings.clone();
            self.again = Some(IdRange::ALL);
            let sent = match settings.endpoint.bulk() {
                Some(bulk) => self.send_in_chunks(bulk)?,
                None => self.send_singly()?,
            };
            self.turn = None;
            // With newer settings the file is asked again what is left: it must know all that was sent.
            if self.await_settled()? == Go::Away || sent == Go::Away {
                return Ok(());
            }
            if !settings.are_replaced() {
                break;
            }
        }
        self.finish(start.elapsed().saturating_sub(self.held))
    }

    fn note(&self, doing: Doing) {
        self.shared.activity.note(self.role, doing);
    }

    /// Nothing is left half done while the gate is closed, which may be for hours.
    fn wait_at_gate(&mut self) -> Result<Go, WriteError> {
        if !self.shared.gate.is_wide_open() {
            self.turn = None;
            if self.await_settled()? == Go::Away {
                return Ok(Go::Away);
            }
            let start = Instant::now();
            self.note(Doing::AtGate);
            self.shared.gate.wait();
            self.note(Doing::Reading);
            self.held += start.elapsed();
        }
        Ok(match self.shared.stop.requested() {
            true => Go::Away,
            false => Go::On,
        })
    }

    /// `None` when the stop comes first.
    fn await_turn(&mut self) -> Option<Turn<'a>> {
        let Shared { pace, stop, .. } = self.shared;
        let turn = self.turn.take().or_else(|| {
            if pace.is_limited() {
                self.note(Doing::AwaitingTurn);
            }
            pace.await_turn(stop)
        });
        turn.filter(|_| !stop.requested())
    }

    /// The idempotency key of a record or a chunk of this batch.
    fn key(&self, name: impl Display) -> String {
        batch::idempotency_key(&self.shared.instance, self.claim.fence.batch_id, name)
    }

    /// Sends one request if the gate lets it, and says what came and what to do; nothing when it did not go. `what` names it
    /// in the log.
    fn transfer<T>(
        &self,
        turn: Turn,
        what: fmt::Arguments,
        send: impl FnOnce(&Endpoint) -> (Answer, T),
    ) -> Option<(Answer, T, Then)> {
        let Shared { gate, stop, .. } = self.shared;
        let permit = gate.try_pass()?;
        let flight = turn.begin();
        self.note(Doing::Sending);
        let start = Instant::now();
        let (answer, rest) = send(&self.settings.endpoint);
        self.shared.metrics.count_request(&answer, start.elapsed());
        self.note(Doing::Recording);
        let then = if stop.requested() && answer.http_status.is_none() {
            // The stop may have cut it off: that says nothing about the destination.
            drop((permit, flight));
            match has_begun(&answer) {
                true => Then::Settle,
                false => Then::Hold,
            }
        } else if flight.end(&answer) {
            drop(permit);
            Then::Excuse
        } else {
            let then = gate.leave(permit, &answer);
            if self.settings.are_replaced() {
                // It may have closed the gate for what the operator has just mended.
                gate.probe_at_once();
            }
            then
        };
        if answer.verdict != Verdict::Delivered {
            log::debug!(
                "A request was not accepted: {}. {what} batch={} user={}",
                answer.message,
                self.claim.fence.batch_id,
                self.claim.user_id
            );
        }
        Some((answer, rest, then))
    }

    /// What to write down for a record.
    fn judge(&mut self, record: &Record, answer: Answer, then: &Then) -> Outcome {
        if answer.verdict == Verdict::Dead {
            self.refusals.push((record.id, answer.clone()));
        }
        let counts = *then != Then::Excuse && has_begun(&answer);
        let attempts = record.attempts + i64::from(counts);
        let outcome = Outcome::of(answer, attempts, &self.settings.policy);
        if let Outcome::Failed(failure) = &outcome {
            let asked = failure.retry_after.unwrap_or_default();
            self.retry_after = self.retry_after.max(asked);
            if failure.state != FailedState::Dead {
                self.most_attempts = self.most_attempts.max(failure.attempts);
            }
        }
        outcome
    }

    /// Tells the gate of the records that were refused, once that is written down.
    fn count_refusals(&mut self) {
        for (record, refusal) in self.refusals.drain(..) {
            self.shared.gate.count_refusal(record, &refusal);
        }
    }

    /// The gate stays closed until the file can be read again; damage ends the worker.
    fn cannot_read(&self, error: &anyhow::Error) -> Result<(), WriteError> {
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

    fn await_settled(&mut self) -> Result<Go, WriteError> {
        let Some(settled) = self.unsettled.take() else {
            return Ok(Go::On);
        };
        let ours = settled.recv().unwrap_or(Err(WriteError::Ended))?;
        Ok(if ours { Go::On } else { Go::Away })
    }

    fn finish(&self, busy: Duration) -> Result<(), WriteError> {
        let claim = self.claim;
        let fence = claim.fence;
        let policy = &self.settings.policy;
        let backoff = policy.delay(self.most_attempts, jitter(claim));
        let delay = backoff.max(self.retry_after);
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
            self.claim.fence.batch_id,
            self.claim.user_id,
            self.claim.batch_offset,
            self.sent,
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
                self.claim.user_id
            );
        }
    }
}

/// Whether anything was sent.
fn has_begun(answer: &Answer) -> bool {
    match answer.verdict {
        Verdict::NotSent | Verdict::Shortage => false,
        // Without an answer it was ferryd that found no form for the record.
        Verdict::Dead => answer.http_status.is_some(),
        _ => true,
    }
}

/// From 0.0 to 1.0: different for each batch and attempt, the same when it is computed again.
fn jitter(claim: &Claim) -> f64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let hash = hasher.hash_one((claim.fence.batch_id, claim.attempt));
    hash as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests;
