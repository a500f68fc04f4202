//! The window: the records of a batch that were begun and are not handed to the writer yet, in the order of their ids.
//!
//! Several workers send them at a time, and answers come in any order; they are handed over in the order of the ids, so that
//! a batch can say with one id how far it is. Where an answer must not wait for the one before it, that one is handed over as
//! what it is at the moment, an exception of the batch. Must never happen here: a record that was answered and passed over.

use std::collections::VecDeque;

use crate::batch::IdRange;
use crate::db::settle::{FailedRecord, Outcomes, Source, Tried};
use crate::outcome::{FailedState, Failure, Outcome};
use crate::record::Record;

/// What stands for a record's answer in the file as long as there is none.
const NO_ANSWER_YET: &str = "no answer yet";

/// What does for one that could not be sent, and is sent again in this attempt.
const NOT_SENT_YET: &str = "not sent yet: sending was held";

/// See the module's text.
#[derive(Debug)]
pub(super) struct Window {
    source: Source,
    /// `retry_count` of the batch in this attempt.
    attempt: i64,
    slots: VecDeque<Slot>,
    /// Begun records whose answer has not come.
    under_way: usize,
    answered: usize,
    /// From the first to the last held record that became an exception.
    excepted: Option<IdRange>,
}

#[derive(Debug)]
struct Slot {
    record: i64,
    /// Those before this attempt.
    attempts: i64,
    state: State,
}

#[derive(Debug)]
enum State {
    UnderWay,
    /// The gate held it up: nothing was sent.
    Held,
    Answered(Outcome),
}

impl Window {
    pub(super) fn new(source: Source, attempt: i64) -> Window {
        Window {
            source,
            attempt,
            slots: VecDeque::new(),
            under_way: 0,
            answered: 0,
            excepted: None,
        }
    }

    /// Begun records whose answer has not come.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Answers that are not handed over.
    pub(super) fn answered(&self) -> usize {
        self.answered
    }

    /// From the first to the last record that was held and became an exception.
    pub(super) fn excepted(&self) -> Option<IdRange> {
        self.excepted
    }

    /// The first record that was held and keeps its place.
    pub(super) fn first_held(&self) -> Option<i64> {
        let mut slots = self.slots.iter();
        let held = slots.find(|slot| matches!(slot.state, State::Held))?;
        Some(held.record)
    }

    /// A record is about to be sent; its id is above that of every one before it.
    pub(super) fn begin(&mut self, record: &Record) {
        self.under_way += 1;
        self.slots.push_back(Slot {
            record: record.id,
            attempts: record.attempts,
            state: State::UnderWay,
        });
    }

    /// What became of a record; nothing when it was held. The return value is for one that is an exception by now.
    pub(super) fn end(&mut self, record: i64, outcome: Option<Outcome>) -> Option<Outcomes> {
        self.under_way -= 1;
        let Ok(place) = self.slots.binary_search_by_key(&record, |slot| slot.record) else {
            return Some(match outcome {
                Some(outcome) => outcomes_of_one(record, outcome, self.attempt),
                None => self.put_back(record),
            });
        };
        self.answered += usize::from(outcome.is_some());
        self.slots[place].state = outcome.map_or(State::Held, State::Answered);
        None
    }

    /// What may be handed over now without a gap. Records that were sent before have a place of their own each.
    pub(super) fn take_ready(&mut self) -> Option<Outcomes> {
        if self.source == Source::Undelivered {
            let slots = std::mem::take(&mut self.slots);
            let is_answered = |slot: &Slot| matches!(slot.state, State::Answered(_));
            let (answered, others): (Vec<_>, Vec<_>) = slots.into_iter().partition(is_answered);
            self.slots = others.into();
            return self.outcomes_of(answered);
        }
        let mut ready = self.slots.iter();
        let count = ready
            .position(|slot| !matches!(slot.state, State::Answered(_)))
            .unwrap_or(self.slots.len());
        let ready = self.slots.drain(..count).collect();
        self.outcomes_of(ready)
    }

    /// All answers, whatever was not answered before them: that becomes exceptions of the batch.
    pub(super) fn take_all(&mut self) -> Option<Outcomes> {
        if self.source == Source::Undelivered {
            return self.take_ready();
        }
        let is_answered = |slot: &Slot| matches!(slot.state, State::Answered(_));
        let last = self.slots.iter().rposition(is_answered)?;
        let slots = self.slots.drain(..=last).collect();
        self.outcomes_of(slots)
    }

    /// Its exception says "no answer yet", and it was not sent: this attempt sends it again. A record of the range had no
    /// attempt before.
    fn put_back(&mut self, record: i64) -> Outcomes {
        self.except(record);
        let failed = failed(
            record,
            exception(FailedState::Retry, NOT_SENT_YET, 0),
            self.attempt - 1,
        );
        Outcomes {
            failed: vec![failed],
            ..Outcomes::default()
        }
    }

    fn except(&mut self, record: i64) {
        let ids = self.excepted.unwrap_or(IdRange {
            first: record,
            last: record,
        });
        self.excepted = Some(IdRange {
            first: ids.first.min(record),
            last: ids.last.max(record),
        });
    }

    fn outcomes_of(&mut self, slots: Vec<Slot>) -> Option<Outcomes> {
        let last = slots.last()?.record;
        let mut outcomes = Outcomes {
            through: (self.source == Source::Range).then_some(last),
            ..Outcomes::default()
        };
        for slot in slots {
            self.answered -= usize::from(matches!(slot.state, State::Answered(_)));
            let (failure, tried_in) = match slot.state {
                State::Answered(Outcome::Delivered) => {
                    outcomes.delivered.push(slot.record);
                    continue;
                }
                State::Answered(Outcome::Failed(failure)) => (failure, self.attempt),
                State::Answered(Outcome::CutOff(failure)) => (failure, self.attempt - 1),
                // After a kill the next attempt sends it; until its answer is written down, nobody reads it.
                State::UnderWay => (
                    exception(FailedState::Unknown, NO_ANSWER_YET, slot.attempts),
                    self.attempt - 1,
                ),
                State::Held => {
                    self.except(slot.record);
                    let failure = exception(FailedState::Retry, NOT_SENT_YET, slot.attempts);
                    (failure, self.attempt - 1)
                }
            };
            outcomes.failed.push(failed(slot.record, failure, tried_in));
        }
        Some(outcomes)
    }
}

fn exception(state: FailedState, error: &str, attempts: i64) -> Failure {
    Failure {
        state,
        http_status: None,
        error: error.to_string(),
        attempts,
        retry_after: None,
    }
}

/// What became of one record that has a place of its own in `undelivered_record`.
fn outcomes_of_one(record: i64, outcome: Outcome, attempt: i64) -> Outcomes {
    let mut outcomes = Outcomes::default();
    match outcome {
        Outcome::Delivered => outcomes.delivered.push(record),
        Outcome::Failed(failure) => outcomes.failed.push(failed(record, failure, attempt)),
        Outcome::CutOff(failure) => outcomes.failed.push(failed(record, failure, attempt - 1)),
    }
    outcomes
}

fn failed(id: i64, failure: Failure, tried_in: i64) -> FailedRecord {
    let tried = Tried {
        tried_in,
        chunk: None,
    };
    FailedRecord { id, failure, tried }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(source: Source, records: std::ops::RangeInclusive<i64>) -> Window {
        let mut window = Window::new(source, 3);
        for id in records {
            let values = Vec::new();
            window.begin(&Record {
                id,
                attempts: 0,
                values,
            });
        }
        window
    }

    fn failures(outcomes: &Outcomes) -> Vec<(i64, FailedState, i64)> {
        let told = outcomes.failed.iter();
        told.map(|one| (one.id, one.failure.state, one.tried.tried_in))
            .collect()
    }

    #[test]
    fn answers_are_handed_over_in_the_order_of_the_ids() {
        let mut window = window(Source::Range, 1..=3);
        assert!(window.end(2, Some(Outcome::Delivered)).is_none());
        assert!(window.take_ready().is_none(), "1 has no answer");
        assert!(window.end(1, Some(Outcome::Delivered)).is_none());
        let ready = window.take_ready().unwrap();
        assert_eq!((ready.through, ready.delivered), (Some(2), vec![1, 2]));
        assert_eq!((window.answered(), window.under_way()), (0, 1));
    }

    #[test]
    fn what_was_not_answered_before_an_answer_becomes_an_exception() {
        let mut window = window(Source::Range, 1..=5);
        window.end(4, Some(Outcome::Delivered));
        window.end(2, None);
        let all = window.take_all().unwrap();
        assert_eq!((all.through, all.delivered.clone()), (Some(4), vec![4]));
        assert_eq!(
            failures(&all),
            [
                (1, FailedState::Unknown, 2),
                (2, FailedState::Retry, 2),
                (3, FailedState::Unknown, 2)
            ]
        );
        assert_eq!(window.excepted(), Some(IdRange { first: 2, last: 2 }));
        let late = window.end(1, Some(Outcome::Delivered));
        assert_eq!(late.unwrap().delivered, [1], "its place is an exception");
        assert_eq!((window.answered(), window.under_way()), (0, 2));
    }

    #[test]
    fn what_is_held_behind_the_last_answer_keeps_its_place() {
        let mut window = window(Source::Range, 1..=2);
        window.end(1, None);
        window.end(2, None);
        assert!(window.take_ready().is_none() && window.take_all().is_none());
        assert_eq!(window.first_held(), Some(1));
        assert_eq!(window.under_way(), 0);
    }

    #[test]
    fn records_that_are_sent_again_wait_for_nobody() {
        let mut window = window(Source::Undelivered, 1..=3);
        window.end(3, Some(Outcome::Delivered));
        window.end(1, None);
        let ready = window.take_ready().unwrap();
        assert_eq!((ready.through, ready.delivered), (None, vec![3]));
        assert_eq!((window.answered(), window.under_way()), (0, 1));
    }
}
