//! The gate: whether anything may be sent to the destination at all.
//!
//! An outage, a refused login or an operator's `pause` is no record's fault: sending is held for everybody, and waiting
//! here burns no attempt. One record at a time probes a closed gate; the first success opens it, and the workers come
//! back one by one. Never may two probes be under way at once, and never may a closed gate let a record through that is
//! no probe.

use crossbeam_channel::Sender;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outcome::Answer;
use crate::verdict::Verdict;

/// When the gate closes, and how often it is probed.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Failures in a row that close it.
    pub failures: u32,
    /// Time from one probe to the next.
    pub probe_interval: Duration,
    /// Requests at a time when it is wide open.
    pub workers: u32,
    /// No hold that the API asks for is longer.
    pub longest_hold: Duration,
}

/// What the views and the operator see of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// Its state.
    pub state: State,
    /// Why it is not open.
    pub reason: Option<String>,
}

/// The words of `delivery_summary.gate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Records are sent.
    Open,
    /// Sending is held.
    Closed,
    /// Sending is held, and one record is under way to see whether it works again.
    Probing,
    /// An operator holds it.
    Paused,
}

impl State {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Closed => "closed",
            State::Probing => "probing",
            State::Paused => "paused",
        }
    }

    /// Reads [`State::word`].
    pub fn of_word(word: &str) -> Option<State> {
        let all = [State::Open, State::Closed, State::Probing, State::Paused];
        all.into_iter().find(|state| state.word() == word)
    }
}

/// The right to send one record. It must be given back with [`Gate::leave`].
#[derive(Debug)]
#[must_use]
pub struct Permit {
    probe: bool,
    counted: bool,
}

impl Permit {
    /// Nobody has to be told that it is given back.
    fn is_free(&self) -> bool {
        !self.probe && !self.counted
    }
}

/// What to do with the record whose answer was shown to the gate.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    /// Write the outcome down.
    Settle,
    /// It is not the record's fault: keep its place, and send it again when the gate lets it.
    Hold,
}

/// Shared by all workers.
#[derive(Debug)]
pub struct Gate {
    rules: Rules,
    /// To whoever writes changes down.
    changes: Sender<Change>,
    /// Wide open and nothing wrong: the usual case needs no lock.
    calm: AtomicBool,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    closed: Option<Closed>,
    paused: bool,
    /// A fault of this machine that holds all sending until it ends.
    local_fault: Option<String>,
    stopping: bool,
    /// Requests at a time while it ramps up; `workers` when it is wide open.
    limit: u32,
    /// Permits out that count against the limit.
    out: u32,
    /// Failures of the destination in a row.
    streak: u32,
    refused: Refused,
    /// What was last shown to the outside.
    shown: Sign,
    /// What the next change carries.
    to_revive: Vec<i64>,
}

#[derive(Debug)]
struct Closed {
    reason: String,
    probe_at: Instant,
    probing: bool,
    /// Closed because everything was refused.
    refused: Refused,
}

/// Records in a row that were refused with the same status, none accepted between them: when they are many, the request
/// is at fault and not the records.
#[derive(Debug, Default, Clone)]
struct Refused {
    status: u16,
    records: Vec<i64>,
}

/// What changed and has to be written down.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// What is to be seen now.
    pub sign: Sign,
    /// Records that were declared dead too soon, before it showed that the request is at fault.
    pub revive: Vec<i64>,
}

impl Gate {
    /// A gate as an earlier process left it: a closed one may be probed at once.
    pub fn new(rules: Rules, sign: Sign, changes: Sender<Change>) -> Gate {
        let reason = sign.reason.clone().unwrap_or_default();
        let closed = matches!(sign.state, State::Closed | State::Probing).then(|| Closed {
            reason,
            probe_at: Instant::now(),
            probing: false,
            refused: Refused::default(),
        });
        let gate = Gate {
            rules,
            changes,
            calm: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                closed,
                paused: sign.state == State::Paused,
                local_fault: None,
                stopping: false,
                limit: rules.workers,
                out: 0,
                streak: 0,
                refused: Refused::default(),
                shown: sign,
                to_revive: Vec::new(),
            }),
            changed: Condvar::new(),
        };
        gate.unlock(gate.lock());
        gate
    }

    /// A permit for one record, if one may be sent now.
    pub fn try_pass(&self) -> Option<Permit> {
        if self.calm.load(Ordering::Acquire) {
            return Some(Permit {
                probe: false,
                counted: false,
            });
        }
        let mut inner = self.lock();
        let permit = inner.permit(Instant::now());
        self.unlock(inner);
        permit
    }

    /// Whether everybody may pass: the usual case, told without a lock.
    pub fn is_wide_open(&self) -> bool {
        self.calm.load(Ordering::Acquire)
    }

    /// Waits until it is worth trying to pass, or until the stop.
    pub fn wait(&self) {
        let mut inner = self.lock();
        loop {
            let now = Instant::now();
            if inner.stopping || inner.may_pass(now) {
                return;
            }
            let probe_at = inner.closed.as_ref().map(|closed| closed.probe_at);
            let held = inner.paused || inner.local_fault.is_some();
            inner = match probe_at.filter(|at| !held && *at > now) {
                Some(at) => self.wait_until(inner, at - now),
                None => self
                    .changed
                    .wait(inner)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn wait_until<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        time: Duration,
    ) -> MutexGuard<'a, Inner> {
        let waited = self.changed.wait_timeout(inner, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Gives the permit back with what became of the record.
    pub fn leave(&self, permit: Permit, record: i64, answer: &Answer) -> Then {
        let delivered = answer.verdict == Verdict::Delivered;
        if delivered && permit.is_free() && self.calm.load(Ordering::Acquire) {
            return Then::Settle;
        }
        let mut inner = self.lock();
        if permit.counted {
            inner.out -= 1;
        }
        let then = match answer.verdict {
            Verdict::Delivered => inner.note_success(&permit, &self.rules),
            Verdict::DestinationFault => {
                inner.close(&answer.message, self.rules.probe_interval);
                Then::Hold
            }
            Verdict::NotSent => {
                inner.note_failure(answer, &self.rules);
                Then::Hold
            }
            Verdict::Unknown => inner.note_failure(answer, &self.rules),
            Verdict::Retry(hold) => inner.note_retry(answer, hold, &self.rules),
            Verdict::Dead => inner.note_refusal(record, answer, &self.rules),
        };
        if permit.probe {
            inner.probe_is_back(self.rules.probe_interval);
        }
        self.unlock(inner);
        then
    }

    /// Gives a permit back that was not used.
    pub fn give_back(&self, permit: Permit) {
        let mut inner = self.lock();
        if permit.counted {
            inner.out -= 1;
        }
        if let Some(closed) = inner.closed.as_mut().filter(|_| permit.probe) {
            closed.probing = false;
        }
        self.unlock(inner);
    }

    /// Holds all sending because of a fault of this machine, such as a file that cannot be read; probes find its end.
    pub fn close(&self, reason: &str) {
        let mut inner = self.lock();
        inner.close(reason, self.rules.probe_interval);
        self.unlock(inner);
    }

    /// Holds all sending while a fault of this machine lasts; `None` ends it.
    pub fn set_local_fault(&self, fault: Option<String>) {
        let mut inner = self.lock();
        inner.local_fault = fault;
        self.unlock(inner);
    }

    /// `pause` and `resume`. Resuming also probes a closed gate at once.
    pub fn set_paused(&self, paused: bool) {
        let mut inner = self.lock();
        inner.paused = paused;
        if let Some(closed) = inner.closed.as_mut().filter(|_| !paused) {
            closed.probe_at = Instant::now();
        }
        self.unlock(inner);
    }

    /// Lets go of everybody who waits.
    pub fn stop(&self) {
        let mut inner = self.lock();
        inner.stopping = true;
        self.unlock(inner);
    }

    /// What is to be seen now.
    pub fn sign(&self) -> Sign {
        self.lock().sign()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a change: tells the waiting, and hands on what has to be written down.
    fn unlock(&self, mut inner: MutexGuard<'_, Inner>) {
        let calm = inner.is_open()
            && !inner.stopping
            && inner.limit >= self.rules.workers
            && inner.streak == 0
            && inner.refused.records.is_empty();
        self.calm.store(calm, Ordering::Release);
        let sign = inner.sign();
        let revive = std::mem::take(&mut inner.to_revive);
        if sign != inner.shown || !revive.is_empty() {
            inner.shown = sign.clone();
            // Under the lock, so that changes arrive in order. Nobody listens any more only when the process ends.
            let _ = self.changes.send(Change { sign, revive });
        }
        drop(inner);
        self.changed.notify_all();
    }
}

impl Inner {
    fn is_open(&self) -> bool {
        self.closed.is_none() && !self.paused && self.local_fault.is_none()
    }

    fn may_pass(&self, now: Instant) -> bool {
        if self.paused || self.local_fault.is_some() {
            return false;
        }
        match &self.closed {
            None => self.out < self.limit,
            Some(closed) => !closed.probing && closed.probe_at <= now,
        }
    }

    fn permit(&mut self, now: Instant) -> Option<Permit> {
        if !self.may_pass(now) {
            return None;
        }
        let probe = self.closed.is_some();
        match &mut self.closed {
            None => self.out += 1,
            Some(closed) => {
                closed.probing = true;
                // By now the outcomes that were on their way when the gate closed are written down too.
                self.to_revive.append(&mut closed.refused.records);
            }
        }
        Some(Permit {
            probe,
            counted: !probe,
        })
    }

    fn sign(&self) -> Sign {
        let (state, reason) = match (&self.local_fault, &self.closed) {
            (Some(fault), _) => (State::Closed, Some(fault.clone())),
            _ if self.paused => (State::Paused, Some("paused by an operator".to_string())),
            (None, None) => (State::Open, None),
            (None, Some(closed)) if closed.probing => (State::Probing, Some(closed.reason.clone())),
            (None, Some(closed)) => (State::Closed, Some(closed.reason.clone())),
        };
        Sign { state, reason }
    }

    fn note_success(&mut self, permit: &Permit, rules: &Rules) -> Then {
        self.streak = 0;
        self.refused.records.clear();
        if permit.probe {
            self.closed = None;
            self.limit = 1;
        } else if self.closed.is_none() {
            // Each success lets one more in, so the number doubles from one round to the next.
            self.limit = (self.limit + 1).min(rules.workers);
        }
        Then::Settle
    }

    /// A failure that may be the destination's.
    fn note_failure(&mut self, answer: &Answer, rules: &Rules) -> Then {
        self.streak = self.streak.saturating_add(1);
        if self.streak >= rules.failures {
            let reason = format!(
                "{} failures in a row, last: {}",
                self.streak, answer.message
            );
            self.close(&reason, rules.probe_interval);
        }
        Then::Settle
    }

    fn note_retry(&mut self, answer: &Answer, hold: Option<Duration>, rules: &Rules) -> Then {
        let status = answer.http_status.unwrap_or(0);
        if let (429 | 503, Some(hold)) = (status, hold) {
            let hold = hold.min(rules.longest_hold);
            let seconds = hold.as_secs();
            let reason = format!("{} (it asks to wait {seconds} s)", answer.message);
            self.close(&reason, hold);
        }
        if status == 429 || status >= 500 {
            return self.note_failure(answer, rules);
        }
        Then::Settle
    }

    fn note_refusal(&mut self, record: i64, answer: &Answer, rules: &Rules) -> Then {
        // Without a status it was ferryd that found the record unfit.
        let Some(status) = answer.http_status else {
            return Then::Settle;
        };
        if self
            .closed
            .as_ref()
            .is_some_and(|c| c.refused.status == status)
        {
            return Then::Hold;
        }
        if self.refused.status != status {
            self.refused = Refused {
                status,
                records: Vec::new(),
            };
        }
        self.refused.records.push(record);
        if self.refused.records.len() < rules.failures as usize {
            return Then::Settle;
        }
        let many = self.refused.records.len();
        let reason = format!(
            "{many} records in a row were refused with HTTP {status}, none accepted: the request's shape is at fault, not the records; they go back to waiting. Last: {}",
            answer.message
        );
        self.close(&reason, rules.probe_interval);
        let refused = std::mem::take(&mut self.refused);
        self.to_revive.extend(&refused.records);
        if let Some(closed) = &mut self.closed {
            closed.refused = refused;
        }
        Then::Hold
    }

    /// Closes the gate, or keeps it closed; the next probe is due after `hold`, never sooner than before.
    fn close(&mut self, reason: &str, hold: Duration) {
        let now = Instant::now();
        let probe_at = now.checked_add(hold).unwrap_or(now);
        match &mut self.closed {
            Some(closed) => closed.probe_at = closed.probe_at.max(probe_at),
            None => {
                self.closed = Some(Closed {
                    reason: reason.to_string(),
                    probe_at,
                    probing: false,
                    refused: Refused::default(),
                });
            }
        }
    }

    /// A probe that did not open the gate: the next one is due after the interval, unless a longer hold was asked for.
    fn probe_is_back(&mut self, interval: Duration) {
        if let Some(closed) = &mut self.closed {
            closed.probing = false;
            let now = Instant::now();
            closed.probe_at = closed
                .probe_at
                .max(now.checked_add(interval).unwrap_or(now));
        }
    }
}

#[cfg(test)]
mod tests;
