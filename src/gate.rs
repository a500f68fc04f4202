//! The gate: whether anything may be sent to the destination at all.
//!
//! An outage, a refused login or an operator's `pause` is no record's fault: sending is held for everybody, and waiting
//! here burns no attempt. One record at a time probes a closed gate; the first success opens it, and the workers come
//! back one by one. Never may two probes be under way at once, and never may a closed gate let a record through that is
//! no probe.

mod hold;

use crossbeam_channel::Sender;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outcome::Answer;
use crate::verdict::Verdict;
use hold::Hold;

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

/// A fault of this machine is probed at least this often: it costs the destination nothing.
const LOCAL_PROBE: Duration = Duration::from_secs(2);

/// The reason of a gate that is paused; what would hold it without that stands behind it.
const PAUSED: &str = "paused by an operator";

/// Stands between why the gate closed and how its last probe was answered.
pub const LAST_PROBE: &str = "; last probe: ";

/// The part of a reason that says why the gate closed, without how its last probe was answered.
pub fn cause_of(reason: &str) -> &str {
    reason.split(LAST_PROBE).next().unwrap_or(reason)
}

impl Sign {
    /// Nothing is held.
    pub fn open() -> Sign {
        Sign {
            state: State::Open,
            reason: None,
        }
    }

    /// Sending is held.
    pub fn closed(reason: &str) -> Sign {
        Sign {
            state: State::Closed,
            reason: Some(reason.to_string()),
        }
    }

    /// A pause, and why the gate would not be open without it.
    pub fn paused(beneath: Option<&str>) -> Sign {
        let reason = match beneath {
            None => PAUSED.to_string(),
            Some(reason) => format!("{PAUSED}; {reason}"),
        };
        Sign {
            state: State::Paused,
            reason: Some(reason),
        }
    }

    /// Whether both are held for the same cause, or both are not held: how a probe was answered makes no difference.
    pub fn is_like(&self, other: &Sign) -> bool {
        let cause = |reason: &Option<String>| reason.as_deref().map(cause_of).map(String::from);
        self.state == other.state && cause(&self.reason) == cause(&other.reason)
    }

    /// Why the gate would not be open, were it not paused.
    pub fn beneath(&self) -> Option<&str> {
        match self.state {
            State::Open => None,
            State::Paused => self
                .reason
                .as_deref()?
                .strip_prefix(PAUSED)?
                .strip_prefix("; "),
            State::Closed | State::Probing => self.reason.as_deref().or(Some("")),
        }
    }
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

/// The right to send one record. [`Gate::leave`] takes it back with the answer; dropped before, also in a panic, it is
/// given back unused.
#[derive(Debug)]
#[must_use]
pub struct Permit<'a> {
    gate: &'a Gate,
    /// `None` once it was given back.
    pass: Option<Pass>,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Nobody has to be told of a free one.
        if let Some(pass) = self.pass.take().filter(|pass| *pass != Pass::FREE) {
            let mut hold = self.gate.lock();
            hold.give_back(pass);
            self.gate.unlock(hold);
        }
    }
}

/// How a record passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pass {
    probe: bool,
    counted: bool,
}

impl Pass {
    /// Through a wide open gate.
    const FREE: Pass = Pass {
        probe: false,
        counted: false,
    };
}

/// What to do with the record whose answer was shown to the gate.
#[derive(Debug, PartialEq, Eq)]
pub enum Then {
    /// Write the outcome down.
    Settle,
    /// Write the outcome down, but count no attempt: the destination was known to be at fault, so that the answer says
    /// nothing about the record. It makes room for the next probe, for it might be the one bad record after all. The pace
    /// excuses too: a request that was one too many.
    Excuse,
    /// Write the outcome down, which nobody saw: the stop cut the request off. It goes without delay at the next start.
    CutOff,
    /// It is not the record's fault: keep its place, and send it again when the gate lets it.
    Hold,
}

/// Shared by all workers.
#[derive(Debug)]
pub struct Gate {
    /// To whoever writes changes down.
    changes: Sender<Change>,
    /// Wide open and nothing wrong: the usual case needs no lock.
    calm: AtomicBool,
    hold: Mutex<Hold>,
    changed: Condvar,
}

/// What changed and has to be written down.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// What is to be seen now.
    pub sign: Sign,
    /// How long until a record may probe it, when it is closed.
    pub probe_in: Option<Duration>,
    /// Records that were declared dead too soon, before it showed that the request is at fault.
    pub revive: Vec<i64>,
}

impl Gate {
    /// A gate as an earlier process left it: a closed one may be probed after `probe_in`, or, without that, was closed by
    /// a fault of this machine.
    pub fn new(
        rules: Rules,
        sign: Sign,
        probe_in: Option<Duration>,
        changes: Sender<Change>,
    ) -> Gate {
        let gate = Gate {
            changes,
            calm: AtomicBool::new(false),
            hold: Mutex::new(Hold::new(rules, sign, probe_in)),
            changed: Condvar::new(),
        };
        gate.unlock(gate.lock());
        gate
    }

    /// A permit for one record, if one may be sent now.
    pub fn try_pass(&self) -> Option<Permit<'_>> {
        let pass = match self.calm.load(Ordering::Acquire) {
            true => Pass::FREE,
            false => {
                let mut hold = self.lock();
                let pass = hold.pass(Instant::now());
                self.unlock(hold);
                pass?
            }
        };
        Some(Permit {
            gate: self,
            pass: Some(pass),
        })
    }

    /// Whether everybody may pass: the usual case, told without a lock.
    pub fn is_wide_open(&self) -> bool {
        self.calm.load(Ordering::Acquire)
    }

    /// Waits until it is worth trying to pass, or until the stop.
    pub fn wait(&self) {
        let mut hold = self.lock();
        loop {
            let now = Instant::now();
            if hold.stopping || hold.may_pass(now) {
                return;
            }
            hold = match hold.next_probe(now) {
                Some(time) => self.wait_for(hold, time),
                None => self
                    .changed
                    .wait(hold)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn wait_for<'a>(&self, hold: MutexGuard<'a, Hold>, time: Duration) -> MutexGuard<'a, Hold> {
        let waited = self.changed.wait_timeout(hold, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Takes a permit of this gate back with what became of the record.
    pub fn leave(&self, mut permit: Permit, answer: &Answer) -> Then {
        let pass = permit.pass.take().unwrap_or(Pass::FREE);
        let delivered = answer.verdict == Verdict::Delivered;
        if delivered && pass == Pass::FREE && self.calm.load(Ordering::Acquire) {
            return Then::Settle;
        }
        let mut hold = self.lock();
        let then = hold.note(pass, answer);
        self.unlock(hold);
        then
    }

    /// Counts a record that the API refused, once that is written down: only then can it be taken back when it shows that
    /// the request is at fault and not the records.
    pub fn count_refusal(&self, record: i64, answer: &Answer) {
        let mut hold = self.lock();
        hold.count_refusal(record, answer);
        self.unlock(hold);
    }

    /// Holds all sending because of a fault of this machine, such as a file that cannot be read; probes find its end.
    pub fn close(&self, reason: &str) {
        let mut hold = self.lock();
        let interval = hold.rules.probe_interval;
        hold.close(reason, interval.min(LOCAL_PROBE));
        self.unlock(hold);
    }

    /// Holds all sending while a fault of this machine lasts; `None` ends it.
    pub fn set_local_fault(&self, fault: Option<String>) {
        let mut hold = self.lock();
        if hold.local_fault == fault {
            return;
        }
        hold.local_fault = fault;
        self.unlock(hold);
    }

    /// The fault of this machine that holds all sending, while it lasts.
    pub fn local_fault(&self) -> Option<String> {
        self.lock().local_fault.clone()
    }

    /// `pause` and `resume`. Resuming also probes a closed gate at once.
    pub fn set_paused(&self, paused: bool) {
        let mut hold = self.lock();
        hold.set_paused(paused);
        self.unlock(hold);
    }

    /// From now on these hold; a gate that is closed stays so.
    pub fn set_rules(&self, rules: Rules) {
        let mut hold = self.lock();
        hold.rules = rules;
        self.unlock(hold);
    }

    /// A closed gate needs no longer wait for its next probe; one that is paused stays so.
    pub fn probe_at_once(&self) {
        let mut hold = self.lock();
        hold.probe_at_once();
        self.unlock(hold);
    }

    /// Lets go of everybody who waits.
    pub fn stop(&self) {
        let mut hold = self.lock();
        hold.stopping = true;
        self.unlock(hold);
    }

    /// Whether nothing passes for now, not even a probe.
    pub fn is_shut(&self) -> bool {
        let hold = self.lock();
        let now = Instant::now();
        !hold.is_open() && !hold.is_probing() && !hold.may_pass(now)
    }

    /// What is to be seen now.
    pub fn sign(&self) -> Sign {
        self.lock().sign()
    }

    fn lock(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a change: tells the waiting, and hands on what has to be written down.
    fn unlock(&self, mut hold: MutexGuard<'_, Hold>) {
        self.calm.store(hold.is_calm(), Ordering::Release);
        if let Some(change) = hold.change() {
            // Under the lock, so that changes arrive in order. Nobody listens any more only when the process ends.
            let _ = self.changes.send(change);
        }
        drop(hold);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
