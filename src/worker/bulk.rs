//! Bulk mode: an attempt sends a batch in chunks, one request each.
//!
//! The outcome of a chunk is committed before the next one is loaded, so that a kill repeats at most one request of each
//! worker. What is to be sent next is always read from the file: each request is a name there before it is sent, on the
//! batch or on its records, so that it is the same request whenever it is made again. A request that was refused for one bad record is
//! split in halves, and the halves are written down before either is sent, so that they too keep their names over a kill.

use super::attempt::{Attempt, Go};
use super::transfer::{Sent, await_turn};
use super::{AFTER_HOLD, LONG_WAIT, has_begun, tally};
use crate::activity::Doing;
use crate::batch::IdRange;
use crate::chunk::{ChunkName, Recut};
use crate::db::records;
use crate::db::settle::{self, FailedRecord, Outcomes, Source, Tried};
use crate::db::writer::WriteError;
use crate::endpoint::{Bulk, Pack};
use crate::gate::Then;
use crate::outcome::{Answer, FailedState, Failure, Outcome};
use crate::pace::Turn;
use crate::record::Record;
use crate::verdict::Verdict;

/// The records of one request.
struct Chunk {
    source: Source,
    name: ChunkName,
    /// Whether the file says that these records are this request.
    is_known: bool,
    /// In id order; never empty.
    records: Vec<Record>,
    pack: Pack,
}

impl Attempt<'_> {
    /// Sends all of the batch, chunk by chunk, as long as the settings hold.
    pub(super) fn send_in_chunks(&mut self, bulk: &Bulk) -> Result<Go, WriteError> {
        loop {
            if self.wait_at_gate() == Go::Away {
                return Ok(Go::Away);
            }
            if self.work.settings.are_replaced() {
                return Ok(Go::On);
            }
            let chunk = match self.next_chunk(bulk) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    self.turn = None;
                    return Ok(Go::On);
                }
                Err(error) => {
                    self.cannot_read(&error)?;
                    continue;
                }
            };
            if self.send_chunk(bulk, &chunk)? == Go::Away {
                return Ok(Go::Away);
            }
        }
    }

    /// What was tried before comes first; then the stretch that no request has touched.
    fn next_chunk(&mut self, bulk: &Bulk) -> anyhow::Result<Option<Chunk>> {
        let conn = self.shared.readers.get()?;
        let (loader, claim) = (&self.work.settings.loader, &self.work.claim);
        while let Some(IdRange { first: from, .. }) = self.work.again {
            let Some((first, name)) = records::next_undelivered(&conn, claim, from)? else {
                self.work.again = None;
                break;
            };
            let rest = IdRange {
                first,
                ..IdRange::ALL
            };
            let ids = name.map_or(rest, |name| name.ids);
            let limit = name.map_or(bulk.records, |_| usize::MAX >> 1);
            let records = loader.load_chunk(&conn, claim, name, ids, limit)?;
            if !records.is_empty() {
                self.work.again = Some(rest);
                return Ok(Some(self.pack(bulk, Source::Undelivered, name, records)));
            }
            // Its row of user_record went away without a trigger.
            self.work.again = rest.above(first);
        }
        while let Some(unsent) = self.work.unsent {
            let name = self.work.begun.filter(|name| name.ids.last >= unsent.first);
            let ids = name.map_or(unsent, |name| IdRange {
                last: name.ids.last,
                ..unsent
            });
            let limit = name.map_or(bulk.records, |_| usize::MAX >> 1);
            let records = loader.load_range(&conn, claim.user_id, ids, limit)?;
            if !records.is_empty() {
                return Ok(Some(self.pack(bulk, Source::Range, name, records)));
            }
            // Nothing is left of it.
            self.work.unsent = unsent.above(ids.last);
        }
        Ok(None)
    }

    fn pack(
        &self,
        bulk: &Bulk,
        source: Source,
        name: Option<ChunkName>,
        mut records: Vec<Record>,
    ) -> Chunk {
        let pack = self
            .work
            .settings
            .endpoint
            .pack(bulk, &records, name.is_some());
        records.truncate(pack.taken);
        let is_known = name.is_some();
        let name = name.unwrap_or_else(|| ChunkName {
            ids: IdRange {
                first: records.first().map_or(0, |record| record.id),
                last: records.last().map_or(0, |record| record.id),
            },
            recut: (source == Source::Undelivered).then_some(Recut {
                claim: self.work.claim.fence.claim,
                number: self.work.recuts,
            }),
        });
        Chunk {
            source,
            name,
            is_known,
            records,
            pack,
        }
    }

    fn send_chunk(&mut self, bulk: &Bulk, chunk: &Chunk) -> Result<Go, WriteError> {
        if !chunk.pack.unfit.is_empty() {
            self.turn = None;
            return self.settle_chunk(chunk.source, self.unfit(chunk));
        }
        if !chunk.is_known && chunk.source == Source::Undelivered {
            self.turn = None;
            return self.name(chunk);
        }
        let turn = self.turn.take();
        let Some(turn) = turn.or_else(|| await_turn(self.shared, self.role)) else {
            return Ok(Go::Away);
        };
        if turn.waited() > LONG_WAIT {
            // The rows may be old by now: they are read again, and go in this turn.
            self.turn = Some(turn.kept());
            return Ok(Go::On);
        }
        if !chunk.is_known && self.begin(chunk.name)? == Go::Away {
            return Ok(Go::Away);
        }
        let Some(outcome) = self.outcome_of(bulk, chunk, turn) else {
            // While the gate has not closed yet, what was not sent is not sent again at once.
            self.shared.stop.wait(AFTER_HOLD);
            self.work.held += AFTER_HOLD;
            return Ok(Go::On);
        };
        let through = outcome.through;
        let split = outcome
            .failed
            .iter()
            .any(|record| record.tried.tried_in < self.work.claim.attempt);
        if self.settle_chunk(chunk.source, outcome)? == Go::Away {
            return Ok(Go::Away);
        }
        tally::count(&self.shared.gate, self.work.tally.take_refusals());
        if let Some(last) = through {
            self.work.unsent = self.work.unsent.and_then(|ids| ids.above(last));
        }
        if split {
            let first = chunk.name.ids.first;
            self.work.again = Some(IdRange {
                first,
                ..IdRange::ALL
            });
        }
        Ok(Go::On)
    }

    fn settle_chunk(&self, source: Source, outcome: Outcomes) -> Result<Go, WriteError> {
        self.courier().note(Doing::Recording);
        let claim = self.work.claim.clone();
        let writer = &self.shared.writer;
        let ours = writer.call(move |conn| settle::settle(conn, &claim, source, &outcome))?;
        Ok(if ours { Go::On } else { Go::Away })
    }

    /// Makes a stretch that no request had touched a request that the file knows.
    fn begin(&mut self, name: ChunkName) -> Result<Go, WriteError> {
        self.work.begun = Some(name);
        self.courier().note(Doing::Recording);
        let fence = self.work.claim.fence;
        let writer = &self.shared.writer;
        let ours = writer.call(move |conn| settle::begin_chunk(conn, fence, name))?;
        Ok(if ours { Go::On } else { Go::Away })
    }

    /// Makes the chunk a request that the file knows; it is read again by its name.
    fn name(&mut self, chunk: &Chunk) -> Result<Go, WriteError> {
        self.work.recuts += 1;
        let (claim, name) = (self.work.claim.clone(), chunk.name);
        let records: Vec<i64> = chunk.records.iter().map(|record| record.id).collect();
        self.courier().note(Doing::Recording);
        let writer = &self.shared.writer;
        let ours = writer.call(move |conn| settle::name_chunk(conn, &claim, name, &records))?;
        Ok(if ours { Go::On } else { Go::Away })
    }

    /// Sends the chunk if the gate lets it, and returns what to write down; nothing when it keeps its place.
    fn outcome_of(&mut self, bulk: &Bulk, chunk: &Chunk, turn: Turn) -> Option<Outcomes> {
        let records = &chunk.records;
        let mut outcome = Outcomes {
            through: (chunk.source == Source::Range).then_some(chunk.name.ids.last),
            delivered: Vec::new(),
            failed: Vec::new(),
        };
        let courier = self.courier();
        let key = courier.key(chunk.name);
        let sent = courier.transfer(turn, format_args!("chunk={}", chunk.name), |endpoint| {
            endpoint.send_pack(bulk, records, &chunk.pack, &key)
        })?;
        let Sent {
            answer,
            rest: items,
            then,
            ..
        } = sent;
        if has_begun(&answer) {
            self.work.tally.sent += records.len() as u64;
        }
        if then == Then::Hold {
            return None;
        }
        if answer.verdict == Verdict::Dead && items.is_none() && records.len() > 1 {
            outcome.failed = self.halves(chunk, &answer);
            return Some(outcome);
        }
        // What was refused for good was not taken in under this key, and where the API has told the records of the request
        // apart, those that failed are another request from now on.
        let stays = items.is_none() && answer.verdict != Verdict::Dead;
        for (place, record) in records.iter().enumerate() {
            let item = items.as_ref().and_then(|items| items.get(place));
            let told = item.unwrap_or(&answer).clone();
            let policy = &self.work.settings.policy;
            let attempt = self.work.claim.attempt;
            let (failure, tried_in) = match self.work.tally.judge(policy, record, told, &then) {
                Outcome::Delivered => {
                    outcome.delivered.push(record.id);
                    continue;
                }
                Outcome::Failed(failure) => (failure, attempt),
                Outcome::CutOff(failure) => (failure, attempt - 1),
            };
            let chunk = stays.then_some(chunk.name);
            let tried = Tried { tried_in, chunk };
            let id = record.id;
            outcome.failed.push(FailedRecord { id, failure, tried });
        }
        if !outcome.delivered.is_empty() {
            let delivered = outcome.delivered.len() as u64;
            self.shared.metrics.count_delivered(delivered);
            self.work.tally.forget_refusals();
        }
        Some(outcome)
    }

    /// Records that have no form in a body are dead. That is written down before the others go without them: one that its
    /// owner mends must not slip into their request when it is made again.
    fn unfit(&self, chunk: &Chunk) -> Outcomes {
        let unfit = chunk.pack.unfit.iter();
        let records =
            unfit.filter_map(|(place, reason)| Some((chunk.records.get(*place)?, reason)));
        let dead = |(record, reason): (&Record, &String)| FailedRecord {
            id: record.id,
            failure: Failure {
                state: FailedState::Dead,
                http_status: None,
                error: reason.clone(),
                attempts: record.attempts,
                retry_after: None,
            },
            tried: Tried {
                tried_in: self.work.claim.attempt,
                chunk: None,
            },
        };
        Outcomes {
            through: None,
            delivered: Vec::new(),
            failed: records.map(dead).collect(),
        }
    }

    /// Some record of the request is bad: each half is a request of its own, still in this attempt.
    fn halves(&self, chunk: &Chunk, answer: &Answer) -> Vec<FailedRecord> {
        let (lower, upper) = chunk.records.split_at(chunk.records.len() / 2);
        let mut records = Vec::with_capacity(chunk.records.len());
        for half in [lower, upper] {
            let (Some(first), Some(last)) = (half.first(), half.last()) else {
                continue;
            };
            let name = ChunkName {
                ids: IdRange {
                    first: first.id,
                    last: last.id,
                },
                ..chunk.name
            };
            records.extend(half.iter().map(|record| FailedRecord {
                id: record.id,
                failure: Failure {
                    state: FailedState::Retry,
                    http_status: answer.http_status,
                    error: format!("refused with others in one request: {}", answer.message),
                    attempts: record.attempts,
                    retry_after: None,
                },
                tried: Tried {
                    tried_in: self.work.claim.attempt - 1,
                    chunk: Some(name),
                },
            }));
        }
        records
    }
}
