//! One record, one request: an attempt sends a batch record by record.
//!
//! The outcome of a record is handed over while the next one is sent, and is committed before that one's is handed over: so
//! a kill repeats at most two requests of each worker.

use std::time::{Duration, Instant};

use super::{AFTER_HOLD, Attempt, Go, LONG_WAIT, has_begun};
use crate::batch::IdRange;
use crate::db::settle::{self, Source};
use crate::db::writer::WriteError;
use crate::gate::Then;
use crate::outcome::Outcome;
use crate::pace::Turn;
use crate::record::Record;
use crate::verdict::Verdict;

/// The first page of a batch, and the most that a page grows to. It starts small, for nobody knows how slow the API is.
const PAGE: std::ops::RangeInclusive<usize> = FIRST_PAGE..=256;

/// As [`PAGE`] says.
pub(super) const FIRST_PAGE: usize = 2;

/// Pages grow while they take less than this and shrink when they take longer, so that a row is sent as it was at most
/// about this long ago, however slow the API is.
const PAGE_TIME: Duration = Duration::from_millis(200);

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
    /// So did the pace, or there are new settings for it.
    Old,
    /// The stop came, or the batch is not ours any more.
    Away,
}

impl<'a> Attempt<'a> {
    /// Sends all of the batch, record by record, as long as the settings hold.
    pub(super) fn send_singly(&mut self) -> Result<Go, WriteError> {
        match self.send_all(Source::Undelivered)? {
            Go::Away => Ok(Go::Away),
            Go::On => self.send_all(Source::Range),
        }
    }

    /// What there is to send.
    fn left(&mut self, source: Source) -> &mut Option<IdRange> {
        match source {
            Source::Undelivered => &mut self.again,
            Source::Range => &mut self.unsent,
        }
    }

    /// Sends what is left, page by page.
    fn send_all(&mut self, source: Source) -> Result<Go, WriteError> {
        while let Some(range) = *self.left(source) {
            if self.wait_at_gate()? == Go::Away {
                return Ok(Go::Away);
            }
            if self.settings.are_replaced() {
                break;
            }
            let page = match self.load(source, range) {
                Ok(page) => page,
                Err(error) => {
                    self.cannot_read(&error)?;
                    continue;
                }
            };
            if page.is_empty() {
                self.turn = None;
                *self.left(source) = None;
                break;
            }
            let full = page.len() == self.page;
            let progress = self.send_page(source, &page)?;
            let above_last = progress.last.map_or(Some(range), |id| range.above(id));
            *self.left(source) = match progress.end {
                PageEnd::Away => return Ok(Go::Away),
                PageEnd::Held => {
                    // While the gate has not closed yet, what was not sent is not sent again at once.
                    self.shared.stop.wait(AFTER_HOLD);
                    self.held += AFTER_HOLD;
                    above_last
                }
                PageEnd::Old => above_last,
                PageEnd::Through if full => above_last,
                PageEnd::Through => None,
            };
        }
        Ok(Go::On)
    }

    fn load(&self, source: Source, ids: IdRange) -> anyhow::Result<Vec<Record>> {
        let conn = self.shared.readers.get()?;
        let loader = &self.settings.loader;
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
            if self.settings.are_replaced() {
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
            if !self.refusals.is_empty() {
                if self.await_settled()? == Go::Away {
                    let end = PageEnd::Away;
                    return Ok(Progress { last, end });
                }
                self.count_refusals();
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

    /// Sends a record if the gate lets it, and returns what to write down; nothing when the record keeps its place.
    fn send(&mut self, record: &Record, turn: Turn) -> Option<Outcome> {
        let key = self.key(record.id);
        let (answer, (), then) =
            self.transfer(turn, format_args!("record={}", record.id), |endpoint| {
                (endpoint.send(record, &key), ())
            })?;
        self.sent += u64::from(has_begun(&answer));
        if answer.verdict == Verdict::Delivered {
            self.shared.metrics.count_delivered(1);
        }
        (then != Then::Hold).then(|| self.judge(record, answer, &then))
    }

    pub(super) fn settle(
        &mut self,
        source: Source,
        record: i64,
        outcome: Outcome,
    ) -> Result<(), WriteError> {
        let claim = self.claim.clone();
        // A channel of its own: when the writer dies, so does the only sender.
        let (reply, settled) = crossbeam_channel::bounded(1);
        self.unsettled = Some(settled);
        self.shared.writer.submit(
            move |conn| settle::settle(conn, &claim, source, record, &outcome),
            reply,
        )
    }
}
