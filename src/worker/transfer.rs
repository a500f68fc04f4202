//! One request's way: its turn, the gate, the endpoint, and what the answer means for the gate and the pace.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Shared, has_begun};
use crate::activity::{Doing, Role};
use crate::batch::{self, Claim};
use crate::endpoint::Endpoint;
use crate::gate::Then;
use crate::outcome::Answer;
use crate::pace::Turn;
use crate::settings::Settings;
use crate::verdict::Verdict;

/// Waits until a request may begin; `None` when the stop comes first.
pub(super) fn await_turn(shared: &Shared, role: Role) -> Option<Turn<'_>> {
    let Shared { pace, stop, .. } = shared;
    if pace.is_limited() {
        shared.activity.note(role, Doing::AwaitingTurn);
    }
    pace.await_turn(stop).filter(|_| !stop.requested())
}

/// What came of a request.
pub(super) struct Sent<T> {
    pub(super) answer: Answer,
    /// What else the answer told.
    pub(super) rest: T,
    pub(super) then: Then,
    pub(super) took: Duration,
}

/// A worker on the way with the requests of a batch.
#[derive(Clone, Copy)]
pub(super) struct Courier<'a> {
    pub(super) shared: &'a Shared,
    pub(super) role: Role,
    pub(super) settings: &'a Arc<Settings>,
    pub(super) claim: &'a Claim,
}

impl Courier<'_> {
    pub(super) fn note(&self, doing: Doing) {
        self.shared.activity.note(self.role, doing);
    }

    /// The idempotency key of a record or a chunk of this batch.
    pub(super) fn key(&self, name: impl Display) -> String {
        batch::idempotency_key(&self.shared.instance, self.claim.fence.batch_id, name)
    }

    /// Sends one request if the gate lets it, and says what came of it; nothing when it did not go. `what` names it in the log.
    pub(super) fn transfer<T>(
        &self,
        turn: Turn,
        what: fmt::Arguments,
        send: impl FnOnce(&Endpoint) -> (Answer, T),
    ) -> Option<Sent<T>> {
        let Shared { gate, stop, .. } = self.shared;
        let permit = gate.try_pass()?;
        let flight = turn.begin();
        self.note(Doing::Sending);
        let start = Instant::now();
        let (answer, rest) = send(&self.settings.endpoint);
        let took = start.elapsed();
        self.shared.metrics.count_request(&answer, took);
        let then = if stop.requested() && answer.http_status.is_none() {
            // The stop may have cut it off: that says nothing about the destination.
            drop((permit, flight));
            match has_begun(&answer) {
                true => Then::CutOff,
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
        Some(Sent {
            answer,
            rest,
            then,
            took,
        })
    }
}
