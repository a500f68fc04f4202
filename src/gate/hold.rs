//! What the gate knows, and the rules by which that changes. No waiting and no locks here: that is the gate's.

use std::time::{Duration, Instant};

use super::{Change, LAST_PROBE, Pass, Rules, Sign, State, Then, cause_of};
use crate::outcome::Answer;
use crate::verdict::Verdict;

/// A shortage of this machine is looked at again after this time, however long the destination is to be left alone.
const SHORTAGE_HOLD: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Hold {
    pub(super) rules: Rules,
    closed: Option<Closed>,
    paused: bool,
    /// A fault of this machine that holds all sending until it ends.
    pub(super) local_fault: Option<String>,
    pub(super) stopping: bool,
    /// Requests at a time while it ramps up; `workers` when it is wide open.
    limit: u32,
    /// Passes out that count against the limit.
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
    /// Why it closed; kept until it opens.
    cause: String,
    /// How the last probe was answered, when the cause does not tell it.
    last: Option<String>,
    probe_at: Instant,
    probing: bool,
    /// Closed because everything was refused with this status.
    refused_with: Option<u16>,
}

impl Closed {
    fn new(cause: String, probe_at: Instant) -> Closed {
        Closed {
            cause,
            last: None,
            probe_at,
            probing: false,
            refused_with: None,
        }
    }

    fn reason(&self) -> String {
        match &self.last {
            None => self.cause.clone(),
            Some(last) => format!("{}{LAST_PROBE}{last}", self.cause),
        }
    }
}

/// Records in a row that were refused with the same status, none accepted between them: when they are many, the request
/// is at fault and not the records.
#[derive(Debug, Default)]
struct Refused {
    status: u16,
    records: Vec<i64>,
}

impl Hold {
    /// As an earlier process left it: see [`super::Gate::new`].
    pub(super) fn new(rules: Rules, sign: Sign, probe_in: Option<Duration>) -> Hold {
        let now = Instant::now();
        let (closed, local_fault) = match (sign.beneath().map(String::from), probe_in) {
            (None, _) => (None, None),
            (Some(reason), None) => (None, Some(reason)),
            (Some(reason), Some(probe_in)) => {
                // No hold is longer than allowed, whatever a wrong clock made of it.
                let probe_at = now.checked_add(probe_in.min(rules.longest_hold));
                // What an earlier probe was answered is no cause, and must not grow from start to start.
                let cause = cause_of(&reason).to_string();
                let mut closed = Closed::new(cause, probe_at.unwrap_or(now));
                let last = reason[closed.cause.len()..].strip_prefix(LAST_PROBE);
                closed.last = last.map(String::from);
                (Some(closed), None)
            }
        };
        Hold {
            rules,
            closed,
            paused: sign.state == State::Paused,
            local_fault,
            stopping: false,
            limit: rules.workers,
            out: 0,
            streak: 0,
            refused: Refused::default(),
            shown: sign,
            to_revive: Vec::new(),
        }
    }

    /// Wide open, and nothing that the next answer would have to be counted for.
    pub(super) fn is_calm(&self) -> bool {
        self.is_open()
            && !self.stopping
            && self.limit >= self.rules.workers
            && self.streak == 0
            && self.refused.records.is_empty()
    }

    /// What has to be written down since the last time, if anything.
    pub(super) fn change(&mut self) -> Option<Change> {
        let sign = self.sign();
        let revive = std::mem::take(&mut self.to_revive);
        if sign == self.shown && revive.is_empty() {
            return None;
        }
        self.shown = sign.clone();
        let now = Instant::now();
        let probe_at = self.closed.as_ref().map(|closed| closed.probe_at);
        Some(Change {
            sign,
            probe_in: probe_at.map(|at| at.saturating_duration_since(now)),
            revive,
        })
    }

    /// How long until the next probe may go; `None` when no time is set for it.
    pub(super) fn next_probe(&self, now: Instant) -> Option<Duration> {
        let closed = self.closed.as_ref()?;
        let held = self.paused || self.local_fault.is_some();
        (!held && closed.probe_at > now).then(|| closed.probe_at - now)
    }

    /// Takes a pass back with what became of the record.
    pub(super) fn note(&mut self, pass: Pass, answer: &Answer) -> Then {
        if pass.counted {
            self.out -= 1;
        }
        let settle = match self.closed {
            Some(_) => Then::Excuse,
            None => Then::Settle,
        };
        let interval = match answer.verdict {
            Verdict::Shortage => self.rules.probe_interval.min(SHORTAGE_HOLD),
            _ => self.rules.probe_interval,
        };
        let then = match answer.verdict {
            Verdict::Delivered => {
                self.note_success(pass);
                Then::Settle
            }
            Verdict::DestinationFault => {
                self.close(&answer.message, interval);
                Then::Hold
            }
            Verdict::Shortage => {
                self.note_shortage(answer, interval);
                Then::Hold
            }
            Verdict::NotSent => {
                self.note_failure(answer);
                Then::Hold
            }
            Verdict::Unknown => {
                self.note_failure(answer);
                settle
            }
            Verdict::Retry(hold) => {
                self.note_retry(answer, hold);
                settle
            }
            // Counted when it is written down.
            Verdict::Dead => Then::Settle,
        };
        if pass.probe {
            self.probe_is_back(answer, interval);
        }
        then
    }

    /// Takes back a pass that was not used.
    pub(super) fn give_back(&mut self, pass: Pass) {
        if pass.counted {
            self.out -= 1;
        }
        if let Some(closed) = self.closed.as_mut().filter(|_| pass.probe) {
            closed.probing = false;
        }
    }

    pub(super) fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        if !paused {
            self.probe_at_once();
        }
    }

    pub(super) fn probe_at_once(&mut self) {
        if let Some(closed) = &mut self.closed {
            closed.probe_at = Instant::now();
        }
    }

    pub(super) fn is_probing(&self) -> bool {
        self.closed.as_ref().is_some_and(|closed| closed.probing)
    }

    pub(super) fn is_open(&self) -> bool {
        self.closed.is_none() && !self.paused && self.local_fault.is_none()
    }

    pub(super) fn may_pass(&self, now: Instant) -> bool {
        if self.paused || self.local_fault.is_some() {
            return false;
        }
        match &self.closed {
            None => self.out < self.limit,
            Some(closed) => !closed.probing && closed.probe_at <= now,
        }
    }

    pub(super) fn pass(&mut self, now: Instant) -> Option<Pass> {
        if !self.may_pass(now) {
            return None;
        }
        let probe = self.closed.is_some();
        match &mut self.closed {
            None => self.out += 1,
            Some(closed) => closed.probing = true,
        }
        Some(Pass {
            probe,
            counted: !probe,
        })
    }

    pub(super) fn sign(&self) -> Sign {
        let (state, reason) = match (&self.local_fault, &self.closed) {
            // A pause outlives the process, so nothing may hide it.
            (fault, closed) if self.paused => {
                let closed = closed.as_ref().map(Closed::reason);
                return Sign::paused(fault.as_deref().or(closed.as_deref()));
            }
            (Some(fault), _) => (State::Closed, Some(fault.clone())),
            (None, None) => (State::Open, None),
            (None, Some(closed)) if closed.probing => (State::Probing, Some(closed.reason())),
            (None, Some(closed)) => (State::Closed, Some(closed.reason())),
        };
        Sign { state, reason }
    }

    fn note_success(&mut self, pass: Pass) {
        self.streak = 0;
        self.refused.records.clear();
        if pass.probe {
            self.closed = None;
            self.limit = 1;
        } else if self.closed.is_none() {
            // Each success lets one more in, so the number doubles from one round to the next.
            self.limit = (self.limit + 1).min(self.rules.workers);
        }
    }

    /// Fewer requests at a time may be what this machine has connections for; none is tried only when it has none at all.
    fn note_shortage(&mut self, answer: &Answer, hold: Duration) {
        if self.limit == 1 && self.out == 0 {
            self.close(&answer.message, hold);
        }
        self.limit = (self.limit / 2).max(1);
    }

    /// A failure that may be the destination's.
    fn note_failure(&mut self, answer: &Answer) {
        self.streak = self.streak.saturating_add(1);
        if self.streak >= self.rules.failures {
            let reason = format!(
                "{} failures in a row, last: {}",
                self.streak, answer.message
            );
            self.close(&reason, self.rules.probe_interval);
        }
    }

    fn note_retry(&mut self, answer: &Answer, hold: Option<Duration>) {
        let status = answer.http_status.unwrap_or(0);
        if let (429 | 503, Some(hold)) = (status, hold) {
            let hold = hold.min(self.rules.longest_hold);
            let seconds = hold.as_secs();
            let reason = format!("{} (it asks to wait {seconds} s)", answer.message);
            self.close(&reason, hold);
        }
        if status == 429 || status >= 500 {
            self.note_failure(answer);
        }
    }

    /// Closed because everything is refused with this status.
    fn is_refusing(&self, status: u16) -> bool {
        let closed = self.closed.as_ref();
        closed.is_some_and(|closed| closed.refused_with == Some(status))
    }

    /// Counts a record whose refusal is written down. Many in a row that were refused alike close the gate, and all of
    /// them come back to life.
    pub(super) fn count_refusal(&mut self, record: i64, answer: &Answer) {
        // Without a status it was ferryd that found the record unfit.
        let Some(status) = answer.http_status else {
            return;
        };
        if self.is_refusing(status) {
            // A probe that was refused like the others goes back too, and the next probe is another record: some of them
            // may really be bad, and must not stand in the way of the good ones.
            self.to_revive.push(record);
            return;
        }
        if self.refused.status != status {
            self.refused.status = status;
            self.refused.records.clear();
        }
        self.refused.records.push(record);
        let many = self.refused.records.len();
        if many < self.rules.failures as usize {
            return;
        }
        let reason = format!(
            "{many} records in a row were refused with HTTP {status}, none accepted: the request's shape is at fault, not the records; they go back to waiting. Last: {}",
            answer.message
        );
        self.close(&reason, self.rules.probe_interval);
        if let Some(closed) = &mut self.closed {
            closed.refused_with = Some(status);
        }
        self.to_revive.append(&mut self.refused.records);
    }

    /// Closes the gate, or keeps it closed; the next probe is due after `hold`, never sooner than before.
    pub(super) fn close(&mut self, reason: &str, hold: Duration) {
        let now = Instant::now();
        let probe_at = now.checked_add(hold).unwrap_or(now);
        match &mut self.closed {
            Some(closed) => closed.probe_at = closed.probe_at.max(probe_at),
            None => {
                self.closed = Some(Closed::new(reason.to_string(), probe_at));
            }
        }
    }

    /// A probe that did not open the gate: the next one is due after the interval, unless a longer hold was asked for.
    fn probe_is_back(&mut self, answer: &Answer, interval: Duration) {
        if let Some(closed) = &mut self.closed {
            closed.probing = false;
            let is_told = closed.cause.contains(&answer.message);
            closed.last = (!is_told).then(|| answer.message.clone());
            let now = Instant::now();
            closed.probe_at = closed
                .probe_at
                .max(now.checked_add(interval).unwrap_or(now));
        }
    }
}
