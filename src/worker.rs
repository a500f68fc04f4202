//! A worker: takes a claimed batch, sends its records one by one, and has each outcome written down.
//!
//! It is at most one record ahead of its last committed outcome: that bounds what a kill can repeat to two requests.
//! It holds no reader and no transaction while it sends, and it never sends into the queue it takes from.

use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::batch::{Claim, IdRange};
use crate::db::Damaged;
use crate::db::pool::Readers;
use crate::db::records::Loader;
use crate::db::settle::{self, Ending, Finished, Source};
use crate::db::writer::{WriteError, Writer};
use crate::endpoint::Endpoint;
use crate::gate::{Gate, Then};
use crate::outcome::{Answer, FailedState, Outcome};
use crate::pace::{Pace, Turn};
use crate::record::Record;
use crate::retry::RetryPolicy;
use crate::stop::Stop;
use crate::verdict::Verdict;

/// The first page of a batch, and the most that a page grows to. It starts small, for nobody knows how slow the API is.
const PAGE: std::ops::RangeInclusive<usize> = 2..=256;

/// Pages grow while they take less than this and shrink when they take longer, so that a row is sent as it was at most
/// about this long ago, however slow the API is.
const PAGE_TIME: Duration = Duration::from_millis(200);

/// A record that waited longer than this for its turn is read again. Reading keeps others waiting meanwhile, so that it is
/// not for every short wait.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Pause of a worker whose record could not be sent.
const AFTER_HOLD: Duration = Duration::from_millis(20);

/// What all workers share.
pub struct Shared {
    /// The API.
    pub endpoint: Endpoint,
    /// Reads records.
    pub readers: Readers,
    /// How to read them.
    pub loader: Loader,
    /// Writes outcomes.
    pub writer: Writer,
    /// Whether anything may be sent.
    pub gate: Arc<Gate>,
    /// How fast, and how many at a time.
    pub pace: Pace,
    /// When to try again.
    pub policy: RetryPolicy,
    /// The first part of every idempotency key.
    pub instance: String,
    /// Told when a batch got a due time.
    pub rescheduled: Sender<()>,
    /// Ends the workers.
    pub stop: Stop,
}

/// Takes claims from the queue until it is closed or the stop comes.
///
/// # Errors
/// When outcomes cannot be written down.
pub fn run(shared: &Arc<Shared>, queue: &Receiver<Claim>) -> Result<(), WriteError> {
    while let Ok(claim) = queue.recv() {
        if shared.stop.requested() {
            return Ok(());
        }
        let attempt = std::panic::AssertUnwindSafe(|| Attempt::new(shared, &claim).run());
        match std::panic::catch_unwind(attempt) {
            Ok(result) => result?,
            Err(_) => break_off(shared, &claim)?,
        }
    }
    Ok(())
}

/// A panic is a fault of ferryd: the batch keeps its place and waits for a retry, and the worker goes on.
fn break_off(shared: &Shared, claim: &Claim) -> Result<(), WriteError> {
    let fence = claim.fence;
    let delay = shared.policy.delay(claim.attempt + 1, jitter(claim));
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
    claim: &'a Claim,
    page: usize,
    /// A turn that came when the page had become old: it is for the first record of the next one.
    turn: Option<Turn<'a>>,
    retry_after: Duration,
    /// The most attempts that a record has had which has to be sent again: they set the delay.
    most_attempts: i64,
    reply: Sender<Result<bool, WriteError>>,
    settled: Receiver<Result<bool, WriteError>>,
    unsettled: bool,
    /// The answer that made the last record dead, until the gate has counted it.
    refusal: Option<Answer>,
    sent: u64,
}

/// Whether the batch is still this worker's to go on with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Go {
    On,
    Away,
}

/// How far a page of records came.
struct Progress {
    /// The last record whose outcome was handed over.
    last: Option<i64>,
    end: PageEnd,
}

#[derive(PartialEq)]
enum PageEnd {
    /// All of it was sent.
    Through,
    /// The gate held it up: the rest may be old by the time it opens, and is read again.
    Held,
    /// So did the pace.
    Old,
    /// The stop came, or the batch is not ours any more.
    Away,
}

impl<'a> Attempt<'a> {
    fn new(shared: &'a Shared, claim: &'a Claim) -> Attempt<'a> {
        let (reply, settled) = crossbeam_channel::bounded(1);
        Attempt {
            shared,
            claim,
            page: *PAGE.start(),
            turn: None,
            retry_after: Duration::ZERO,
            most_attempts: 1,
            reply,
            settled,
            unsettled: false,
            refusal: None,
            sent: 0,
        }
    }

    fn run(mut self) -> Result<(), WriteError> {
        let start = Instant::now();
        let again = self.send_all(Source::Undelivered, Some(IdRange::ALL))?;
        if again == Go::Away || self.send_all(Source::Range, self.claim.unsent)? == Go::Away {
            return self.await_settled().map(drop);
        }
        if self.await_settled()? == Go::Away {
            return Ok(());
        }
        self.finish(start.elapsed())
    }

    /// Sends what there is of `left`, page by page.
    fn send_all(&mut self, source: Source, mut left: Option<IdRange>) -> Result<Go, WriteError> {
        while let Some(range) = left {
            if self.wait_at_gate()? == Go::Away {
                return Ok(Go::Away);
            }
            let page = match self.load(source, range) {
                Ok(page) => page,
                Err(error) => {
                    if let Some(damaged) = error.downcast_ref().and_then(Damaged::of) {
                        return Err(damaged.into());
                    }
                    self.shared
                        .gate
                        .close(&format!("records cannot be read: {error:#}"));
                    continue;
                }
            };
            if page.is_empty() {
                self.turn = None;
                break;
            }
            let full = page.len() == self.page;
            let progress = self.send_page(source, &page)?;
            let above_last = progress.last.map_or(Some(range), |id| range.above(id));
            left = match progress.end {
                PageEnd::Away => return Ok(Go::Away),
                PageEnd::Held => {
                    // While the gate has not closed yet, what was not sent is not sent again at once.
                    self.shared.stop.wait(AFTER_HOLD);
                    above_last
                }
                PageEnd::Through if !full => None,
                PageEnd::Through | PageEnd::Old => above_last,
            };
        }
        Ok(Go::On)
    }

    /// Nothing is left half done while the gate is closed, which may be for hours.
    fn wait_at_gate(&mut self) -> Result<Go, WriteError> {
        if !self.shared.gate.is_wide_open() {
            self.turn = None;
            if self.await_settled()? == Go::Away {
                return Ok(Go::Away);
            }
            self.shared.gate.wait();
        }
        Ok(match self.shared.stop.requested() {
            true => Go::Away,
            false => Go::On,
        })
    }

    fn load(&self, source: Source, ids: IdRange) -> anyhow::Result<Vec<Record>> {
        let Shared {
            readers, loader, ..
        } = self.shared;
        let conn = readers.get()?;
        let page = match source {
            Source::Range => loader.load_range(&conn, self.claim.user_id, ids, self.page)?,
            Source::Undelivered => loader.load_undelivered(&conn, self.claim, ids, self.page)?,
        };
        Ok(page)
    }

    fn send_page(&mut self, source: Source, page: &[Record]) -> Result<Progress, WriteError> {
        let start = Instant::now();
        let mut last = None;
        for record in page {
            let Some(turn) = self.await_turn() else {
                let end = PageEnd::Away;
                return Ok(Progress { last, end });
            };
            if turn.waited() > LONG_WAIT {
                self.turn = Some(turn.kept());
                self.page = 1;
                let end = PageEnd::Old;
                return Ok(Progress { last, end });
            }
            let Some(outcome) = self.send(record, turn) else {
                let end = PageEnd::Held;
                return Ok(Progress { last, end });
            };
            // The outcome before this one is committed before this one is handed over.
            if self.await_settled()? == Go::Away {
                let end = PageEnd::Away;
                return Ok(Progress { last, end });
            }
            self.settle(source, record.id, outcome)?;
            if let Some(refusal) = self.refusal.take() {
                if self.await_settled()? == Go::Away {
                    let end = PageEnd::Away;
                    return Ok(Progress { last, end });
                }
                self.shared.gate.count_refusal(record.id, &refusal);
            }
            last = Some(record.id);
        }
        let wanted = if start.elapsed() < PAGE_TIME {
            self.page * 2
        } else {
            self.page / 2
        };
        self.page = wanted.clamp(1, *PAGE.end());
        let end = PageEnd::Through;
        Ok(Progress { last, end })
    }

    /// `None` when the stop comes first.
    fn await_turn(&mut self) -> Option<Turn<'a>> {
        let Shared { pace, stop, .. } = self.shared;
        let turn = self.turn.take().or_else(|| pace.await_turn(stop));
        turn.filter(|_| !stop.requested())
    }

    /// Sends a record if the gate lets it, and returns what to write down; nothing when the record keeps its place.
    fn send(&mut self, record: &Record, turn: Turn) -> Option<Outcome> {
        let Shared {
            endpoint,
            policy,
            instance,
            gate,
            stop,
            ..
        } = self.shared;
        let permit = gate.try_pass()?;
        let key = format!("{instance}.{}.{}", self.claim.fence.batch_id, record.id);
        let flight = turn.begin();
        let answer = endpoint.send(record, &key);
        self.sent += 1;
        let then = if stop.requested() && answer.http_status.is_none() {
            // The stop may have cut it off: that says nothing about the destination.
            drop((permit, flight));
            match answer.verdict {
                Verdict::NotSent => Then::Hold,
                _ => Then::Settle,
            }
        } else if flight.end(&answer) {
            drop(permit);
            Then::Excuse
        } else {
            gate.leave(permit, &answer)
        };
        self.log_failure(record, &answer);
        if then == Then::Hold {
            return None;
        }
        self.refusal = (answer.verdict == Verdict::Dead).then(|| answer.clone());
        let attempts = record.attempts + i64::from(then != Then::Excuse);
        let outcome = Outcome::of(answer, attempts, policy);
        if let Outcome::Failed(failure) = &outcome {
            self.retry_after = self
                .retry_after
                .max(failure.retry_after.unwrap_or_default());
            if failure.state != FailedState::Dead {
                self.most_attempts = self.most_attempts.max(failure.attempts);
            }
        }
        Some(outcome)
    }

    fn log_failure(&self, record: &Record, answer: &Answer) {
        if answer.verdict != Verdict::Delivered {
            log::debug!(
                "A record was not accepted: {}. record={} batch={} user={}",
                answer.message,
                record.id,
                self.claim.fence.batch_id,
                self.claim.user_id
            );
        }
    }

    fn settle(&mut self, source: Source, record: i64, outcome: Outcome) -> Result<(), WriteError> {
        let claim = self.claim.clone();
        self.unsettled = true;
        self.shared.writer.submit(
            move |conn| settle::settle(conn, &claim, source, record, &outcome),
            &self.reply,
        )
    }

    fn await_settled(&mut self) -> Result<Go, WriteError> {
        if !std::mem::take(&mut self.unsettled) {
            return Ok(Go::On);
        }
        let ours = self.settled.recv().unwrap_or(Err(WriteError::Ended))?;
        Ok(if ours { Go::On } else { Go::Away })
    }

    fn finish(&self, busy: Duration) -> Result<(), WriteError> {
        let claim = self.claim;
        let fence = claim.fence;
        let backoff = self.shared.policy.delay(self.most_attempts, jitter(claim));
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
    }
}

/// From 0.0 to 1.0: different for each batch and attempt, the same when it is computed again.
fn jitter(claim: &Claim) -> f64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let hash = hasher.hash_one((claim.fence.batch_id, claim.attempt));
    hash as f64 / u64::MAX as f64
}
