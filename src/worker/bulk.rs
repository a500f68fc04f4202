//! Bulk mode: an attempt sends a batch in chunks, one request each.
//!
//! The outcome of a chunk is committed before the next one is loaded, so that a kill repeats at most one request of each
//! worker. What is to be sent next is always read from the file: a chunk that has to be made again has its records' name
//! for it there. A request that was refused for one bad record is split in halves, and the halves are written down before
//! either is sent, so that they too keep their names over a kill.

use std::collections::HashSet;

use super::{AFTER_HOLD, Attempt, Go, has_begun};
use crate::batch::IdRange;
use crate::chunk::ChunkName;
use crate::db::records;
use crate::db::settle::{self, ChunkOutcome, FailedRecord, Source, Tried};
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
    /// In id order; never empty.
    records: Vec<Record>,
    pack: Pack,
}

impl Attempt<'_> {
    /// Sends all of the batch, chunk by chunk, as long as the settings hold.
    pub(super) fn send_in_chunks(&mut self, bulk: &Bulk) -> Result<Go, WriteError> {
        loop {
            if self.wait_at_gate()? == Go::Away {
                return Ok(Go::Away);
            }
            let Some(turn) = self.await_turn() else {
                return Ok(Go::Away);
            };
            if self.settings.are_replaced() {
                return Ok(Go::On);
            }
            let chunk = match self.next_chunk(bulk) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(Go::On),
                Err(error) => {
                    self.cannot_read(&error)?;
                    continue;
                }
            };
            if self.send_chunk(bulk, &chunk, turn)? == Go::Away {
                return Ok(Go::Away);
            }
        }
    }

    /// What was tried before comes first; then the stretch that no request has touched.
    fn next_chunk(&mut self, bulk: &Bulk) -> anyhow::Result<Option<Chunk>> {
        let conn = self.shared.readers.get()?;
        let (loader, claim) = (&self.settings.loader, self.claim);
        while let Some(IdRange { first: from, .. }) = self.again {
            let Some((first, name)) = records::next_undelivered(&conn, claim, from)? else {
                self.again = None;
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
                self.again = Some(rest);
                return Ok(Some(self.pack(bulk, Source::Undelivered, name, records)));
            }
            // Its row of user_record went away without a trigger.
            self.again = rest.above(first);
        }
        let Some(ids) = self.unsent else {
            return Ok(None);
        };
        let records = loader.load_range(&conn, claim.user_id, ids, bulk.records)?;
        Ok((!records.is_empty()).then(|| self.pack(bulk, Source::Range, None, records)))
    }

    fn pack(
        &self,
        bulk: &Bulk,
        source: Source,
        name: Option<ChunkName>,
        mut records: Vec<Record>,
    ) -> Chunk {
        let pack = self.settings.endpoint.pack(bulk, &records, name.is_some());
        records.truncate(pack.taken);
        let name = name.unwrap_or_else(|| ChunkName {
            ids: IdRange {
                first: records.first().map_or(0, |record| record.id),
                last: records.last().map_or(0, |record| record.id),
            },
            recut_in: (source == Source::Undelivered).then_some(self.claim.attempt),
        });
        Chunk {
            source,
            name,
            records,
            pack,
        }
    }

    fn send_chunk(&mut self, bulk: &Bulk, chunk: &Chunk, turn: Turn) -> Result<Go, WriteError> {
        let Some(outcome) = self.outcome_of(bulk, chunk, turn) else {
            // While the gate has not closed yet, what was not sent is not sent again at once.
            self.shared.stop.wait(AFTER_HOLD);
            self.held += AFTER_HOLD;
            return Ok(Go::On);
        };
        let (claim, source, last) = (self.claim.clone(), chunk.source, outcome.last);
        let split = outcome
            .failed
            .iter()
            .any(|record| record.tried.tried_in < claim.attempt);
        let ours = self
            .shared
            .writer
            .call(move |conn| settle::settle_chunk(conn, &claim, source, &outcome))?;
        if !ours {
            return Ok(Go::Away);
        }
        self.count_refusals();
        if source == Source::Range {
            self.unsent = self.unsent.and_then(|ids| ids.above(last));
        }
        if split {
            let first = chunk.name.ids.first;
            self.again = Some(IdRange {
                first,
                ..IdRange::ALL
            });
        }
        Ok(Go::On)
    }

    /// Sends the chunk if the gate lets it, and returns what to write down; nothing when it keeps its place.
    fn outcome_of(&mut self, bulk: &Bulk, chunk: &Chunk, turn: Turn) -> Option<ChunkOutcome> {
        let mut outcome = ChunkOutcome {
            last: chunk.records.last()?.id,
            delivered: Vec::new(),
            failed: self.unfit(chunk),
        };
        let fit = chunk.fit();
        if fit.is_empty() {
            return Some(outcome);
        }
        let key = self.key(chunk.name);
        let (answer, items, then) =
            self.transfer(turn, format_args!("chunk={}", chunk.name), |endpoint| {
                endpoint.send_pack(bulk, &chunk.records, &chunk.pack, &key)
            })?;
        if has_begun(&answer) {
            self.sent += fit.len() as u64;
        }
        if then == Then::Hold {
            return None;
        }
        if answer.verdict == Verdict::Dead && items.is_none() && fit.len() > 1 {
            outcome.failed.extend(self.halves(chunk, &fit, &answer));
            return Some(outcome);
        }
        for (place, record) in fit.into_iter().enumerate() {
            let item = items.as_ref().and_then(|items| items.get(place));
            let told = item.unwrap_or(&answer).clone();
            match self.judge(record, told, &then) {
                Outcome::Delivered => outcome.delivered.push(record.id),
                Outcome::Failed(failure) => {
                    // The API has told the records of the request apart: those that failed are another request from now on.
                    let whole = item.is_none() && failure.state != FailedState::Dead;
                    let tried = Tried {
                        tried_in: self.claim.attempt,
                        chunk: whole.then_some(chunk.name),
                    };
                    let id = record.id;
                    outcome.failed.push(FailedRecord { id, failure, tried });
                }
            }
        }
        if !outcome.delivered.is_empty() {
            self.refusals.clear();
        }
        Some(outcome)
    }

    /// Records that have no form in a body are dead; the others go without them.
    fn unfit(&self, chunk: &Chunk) -> Vec<FailedRecord> {
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
                tried_in: self.claim.attempt,
                chunk: None,
            },
        };
        records.map(dead).collect()
    }

    /// Some record of the request is bad: each half is a request of its own, still in this attempt.
    fn halves(&self, chunk: &Chunk, fit: &[&Record], answer: &Answer) -> Vec<FailedRecord> {
        let (lower, upper) = fit.split_at(fit.len() / 2);
        let mut records = Vec::with_capacity(fit.len());
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
                    tried_in: self.claim.attempt - 1,
                    chunk: Some(name),
                },
            }));
        }
        records
    }
}

impl Chunk {
    /// The records that are in the body.
    fn fit(&self) -> Vec<&Record> {
        let unfit: HashSet<usize> = self.pack.unfit.iter().map(|(place, _)| *place).collect();
        let records = self.records.iter().enumerate();
        let fit = records.filter(|(place, _)| !unfit.contains(place));
        fit.map(|(_, record)| record).collect()
    }
}
