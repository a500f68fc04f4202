//! The tally: what the answers of an attempt add up to, besides what is written down for each record.

use std::time::Duration;

use super::has_begun;
use crate::gate::{Gate, Then};
use crate::outcome::{Answer, FailedState, Outcome};
use crate::record::Record;
use crate::retry::RetryPolicy;
use crate::verdict::Verdict;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Records that were sent, as often as they were.
    pub(super) sent: u64,
    /// The longest time that the API asked to wait.
    pub(super) retry_after: Duration,
    /// The most attempts that a record has had which has to be sent again: they set the delay.
    pub(super) most_attempts: i64,
    /// The records that were refused for good, until the gate has counted them.
    refusals: Vec<(i64, Answer)>,
}

impl Tally {
    /// What to write down for a record.
    pub(super) fn judge(
        &mut self,
        policy: &RetryPolicy,
        record: &Record,
        answer: Answer,
        then: &Then,
    ) -> Outcome {
        if answer.verdict == Verdict::Dead {
            self.refusals.push((record.id, answer.clone()));
        }
        let counts = *then != Then::Excuse && has_begun(&answer);
        let attempts = record.attempts + i64::from(counts);
        if *then == Then::CutOff {
            return Outcome::cut_off(attempts);
        }
        let outcome = Outcome::of(answer, attempts, policy);
        if let Outcome::Failed(failure) = &outcome {
            let asked = failure.retry_after.unwrap_or_default();
            self.retry_after = self.retry_after.max(asked);
            if failure.state != FailedState::Dead {
                self.most_attempts = self.most_attempts.max(failure.attempts);
            }
        }
        outcome
    }

    /// Whether there are refusals that the gate has not counted.
    pub(super) fn has_refusals(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Records of the same request were accepted: it is not the request that is at fault.
    pub(super) fn forget_refusals(&mut self) {
        self.refusals.clear();
    }

    /// The refusals, for [`count`], once they are written down.
    pub(super) fn take_refusals(&mut self) -> Vec<(i64, Answer)> {
        std::mem::take(&mut self.refusals)
    }

    /// Adds what other workers counted.
    pub(super) fn add(&mut self, other: Tally) {
        self.sent += other.sent;
        self.retry_after = self.retry_after.max(other.retry_after);
        self.most_attempts = self.most_attempts.max(other.most_attempts);
        self.refusals.extend(other.refusals);
    }
}

/// Tells the gate of records that were refused.
pub(super) fn count(gate: &Gate, refusals: Vec<(i64, Answer)>) {
    for (record, refusal) in refusals {
        gate.count_refusal(record, &refusal);
    }
}
