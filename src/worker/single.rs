//! One record, one request: an attempt sends a batch record by record, alone or, when the API is slow, with the help of
//! workers that have no batch of their own.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Attempt, Work};
use super::stretch::{Done, End, Stretch};
use super::transfer::{Courier, Sent, await_turn};
use super::{Shared, has_begun};
use crate::activity::{Doing, Role};
use crate::batch::{Claim, IdRange};
use crate::db::settle::Source;
use crate::db::writer::WriteError;
use crate::gate::Then;
use crate::record::Record;
use crate::verdict::Verdict;

/// Help is asked for when a request takes longer than this: waking somebody costs more than a fast API takes.
const SLOW: Duration = Duration::from_millis(1);

/// Sends what there is of one source, alone or with others, and returns what came of it; nothing when others are still at it,
/// who go on with the attempt.
pub(super) fn send(
    shared: &Shared,
    role: Role,
    work: Work,
    what: (Source, IdRange),
) -> Option<(Work, Done)> {
    let stretch = Arc::new(Stretch::new(work, &shared.writer, what));
    let mut place = Place::enter(shared, role, &stretch)?;
    while place.send_next() {}
    place.leave()
}

/// Helps with a stretch until nothing is left to begin, or there is work of one's own.
pub(super) fn help(
    shared: &Shared,
    role: Role,
    stretch: Arc<Stretch>,
    is_wanted: impl Fn() -> bool,
) -> Result<(), WriteError> {
    let Some(mut place) = Place::enter(shared, role, &stretch) else {
        return Ok(());
    };
    while shared.gate.is_wide_open() && !is_wanted() && place.send_next() {}
    match place.leave() {
        Some(last) => Attempt::take_over(shared, role, last),
        None => Ok(()),
    }
}

/// A worker's place in a stretch.
struct Place<'a> {
    shared: &'a Shared,
    role: Role,
    stretch: &'a Arc<Stretch>,
    /// What it has begun.
    record: Option<i64>,
    is_left: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Only a panic comes here otherwise.
        if !self.is_left {
            self.stretch.abandon(self.record);
            self.shared.helpers.forget(self.stretch);
        }
    }
}

impl<'a> Place<'a> {
    fn enter(shared: &'a Shared, role: Role, stretch: &'a Arc<Stretch>) -> Option<Place<'a>> {
        stretch.enter().then(|| Place {
            shared,
            role,
            stretch,
            record: None,
            is_left: false,
        })
    }

    fn leave(mut self) -> Option<(Work, Done)> {
        self.is_left = true;
        // It may have to wait for long, while the file cannot be written.
        self.shared.activity.note(self.role, Doing::AwaitingOthers);
        let last = self.stretch.leave(&self.shared.gate)?;
        self.shared.helpers.forget(self.stretch);
        Some(last)
    }

    /// Sends one record; false when none is left to begin, or none may be.
    fn send_next(&mut self) -> bool {
        let Place {
            shared,
            role,
            stretch,
            ..
        } = *self;
        shared.activity.note(role, Doing::AwaitingOthers);
        if !stretch.await_room(&shared.gate) {
            return false;
        }
        let courier = Courier {
            shared,
            role,
            settings: &stretch.settings,
            claim: &stretch.claim,
        };
        let Some(turn) = await_turn(shared, role) else {
            stretch.stop(End::Away);
            return false;
        };
        if stretch.settings.are_replaced() {
            stretch.stop(End::Replaced);
            return false;
        }
        courier.note(Doing::Reading);
        let Some(record) = stretch.begin(|ids, records| read(shared, stretch, ids, records)) else {
            return true;
        };
        self.record = Some(record.id);
        let key = courier.key(record.id);
        let what = format_args!("record={}", record.id);
        let sent = courier.transfer(turn, what, |endpoint| (endpoint.send(&record, &key), ()));
        let took = sent.as_ref().map(|sent| sent.took);
        stretch.end(record.id, |tally| {
            let Sent { answer, then, .. } = sent?;
            tally.sent += u64::from(has_begun(&answer));
            if answer.verdict == Verdict::Delivered {
                shared.metrics.count_delivered(1);
            }
            let policy = &stretch.settings.policy;
            (then != Then::Hold).then(|| tally.judge(policy, &record, answer, &then))
        });
        self.record = None;
        if took > Some(SLOW) && shared.gate.is_wide_open() {
            shared.helpers.call(stretch);
        }
        true
    }
}

fn read(
    shared: &Shared,
    stretch: &Stretch,
    ids: IdRange,
    records: usize,
) -> anyhow::Result<Vec<Record>> {
    let conn = shared.readers.get()?;
    let loader = &stretch.settings.loader;
    let claim: &Claim = &stretch.claim;
    Ok(match stretch.source {
        Source::Range => loader.load_range(&conn, claim.user_id, ids, records)?,
        Source::Undelivered => loader.load_undelivered(&conn, claim, ids, records)?,
    })
}
