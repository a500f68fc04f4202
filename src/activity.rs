//! What the threads do, for whoever looks: the watchdog, which asks whether one is stuck, and the status page.
//!
//! Must never happen here: a lock, or anything else that could hold up the thread that tells.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::coarse;

/// What a thread does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Doing {
    /// It has nothing to do, and waits for work however long that takes.
    Resting,
    /// It has nothing to do, and looks again by itself within a second or so.
    Dozing,
    /// It waits for the gate to open.
    AtGate,
    /// It waits for its turn: a rate, or the number of requests at a time, is limited.
    AwaitingTurn,
    /// It waits until other workers are done with records before its own.
    AwaitingOthers,
    /// It reads the file, and computes.
    Reading,
    /// A request is under way.
    Sending,
    /// It waits for the writer. The writer itself: a transaction is under way.
    Recording,
    /// The file cannot be written, as the log says; it tries again.
    HeldUp,
}

impl Doing {
    const ALL: [Doing; 9] = [
        Doing::Resting,
        Doing::Dozing,
        Doing::AtGate,
        Doing::AwaitingTurn,
        Doing::AwaitingOthers,
        Doing::Reading,
        Doing::Sending,
        Doing::Recording,
        Doing::HeldUp,
    ];

    /// In words, for people.
    pub fn words(self) -> &'static str {
        match self {
            Doing::Resting | Doing::Dozing => "waits for work",
            Doing::AtGate => "waits at the gate",
            Doing::AwaitingTurn => "waits for its turn",
            Doing::AwaitingOthers => "waits for other workers",
            Doing::Reading => "reads records",
            Doing::Sending => "sends",
            Doing::Recording => "records outcomes",
            Doing::HeldUp => "waits for the file",
        }
    }
}

/// Whose thread it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Writer,
    Planner,
    Timer,
    Steward,
    /// Counted from 1, as in the thread's name.
    Worker(u32),
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Role::Writer => f.write_str("writer"),
            Role::Planner => f.write_str("planner"),
            Role::Timer => f.write_str("timer"),
            Role::Steward => f.write_str("steward"),
            Role::Worker(number) => write!(f, "BatchProcessor-{number}"),
        }
    }
}

/// The threads of one daemon.
#[derive(Debug)]
pub struct Activity {
    /// In the order of [`Role`]; the workers come last.
    threads: Vec<Thread>,
}

#[derive(Debug, Default)]
struct Thread {
    doing: AtomicU8,
    /// Milliseconds of [`coarse`].
    since: AtomicU64,
    /// `processing_batch_status.id`; 0: none.
    batch: AtomicI64,
    user: AtomicI64,
}

/// How one thread was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub role: Role,
    pub doing: Doing,
    /// How long it has been at it.
    pub since: Duration,
    /// The batch and its user, for a worker that has one.
    pub batch: Option<(i64, i64)>,
}

impl Activity {
    /// A board for `workers` workers and the other threads; all rest.
    pub fn new(workers: u32) -> Activity {
        let others = Role::Worker(1).place();
        let now = coarse().as_millis() as u64;
        let thread = || Thread {
            since: AtomicU64::new(now),
            ..Thread::default()
        };
        let threads = (0..others + workers as usize).map(|_| thread());
        Activity {
            threads: threads.collect(),
        }
    }

    /// The thread begins something.
    pub fn note(&self, role: Role, doing: Doing) {
        if let Some(thread) = self.threads.get(role.place()) {
            let now = coarse().as_millis() as u64;
            thread.since.store(now, Ordering::Relaxed);
            thread.doing.store(doing as u8, Ordering::Relaxed);
        }
    }

    /// A worker takes a batch of a user.
    pub fn note_batch(&self, role: Role, batch: i64, user: i64) {
        if let Some(thread) = self.threads.get(role.place()) {
            thread.user.store(user, Ordering::Relaxed);
            thread.batch.store(batch, Ordering::Relaxed);
        }
    }

    /// A thread that makes no progress and has no reason to wait, if there is one; no request takes longer than
    /// `longest_request`.
    pub fn stuck(&self, longest_request: Duration) -> Option<Seen> {
        let writer_works = self.seen().next()?.doing != Doing::Resting;
        let is_at_work = |seen: Seen| matches!(seen.doing, Doing::Sending | Doing::Reading);
        let others_work = writer_works || self.seen().any(is_at_work);
        let mut threads = self.seen();
        threads.find(|seen| seen.is_stuck(writer_works, others_work, longest_request))
    }

    /// All threads as they are seen now. One that changes at this moment may be seen half before and half after.
    pub fn seen(&self) -> impl Iterator<Item = Seen> + '_ {
        let now = coarse().as_millis() as u64;
        self.threads.iter().enumerate().map(move |(place, thread)| {
            let doing = usize::from(thread.doing.load(Ordering::Relaxed));
            let since = now.saturating_sub(thread.since.load(Ordering::Relaxed));
            let batch = thread.batch.load(Ordering::Relaxed);
            let user = thread.user.load(Ordering::Relaxed);
            let role = Role::at(place);
            let doing = Doing::ALL.get(doing).copied().unwrap_or(Doing::Resting);
            let has_batch = matches!(role, Role::Worker(_)) && doing != Doing::Resting;
            Seen {
                role,
                doing,
                since: Duration::from_millis(since),
                batch: has_batch.then_some((batch, user)),
            }
        })
    }
}

/// What is done in a moment, or at the worst in the time of one long transaction of the writer, is over after this time.
const LONGEST_STEP: Duration = Duration::from_secs(120);

/// The longest transactions are those that count a large file anew.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(600);

impl std::fmt::Display for Seen {
    /// Such as `BatchProcessor-3 sends for 40 s`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.since.as_secs();
        write!(f, "{} {} for {seconds} s", self.role, self.doing.words())
    }
}

impl Seen {
    /// Whether it makes no progress, and has no reason to wait, given whether the writer and any others are at work.
    fn is_stuck(&self, writer_works: bool, others_work: bool, longest_request: Duration) -> bool {
        let limit = match (self.doing, self.role) {
            (Doing::Resting | Doing::AtGate | Doing::AwaitingTurn, _) => return false,
            (Doing::HeldUp, _) => return false,
            (Doing::AwaitingOthers, _) if others_work => return false,
            (Doing::Sending, _) => longest_request,
            (Doing::Dozing, _) => LONGEST_STEP,
            (Doing::Reading | Doing::Recording, Role::Writer) => LONGEST_TRANSACTION,
            // They may wait for the writer, and it for the file, as the log says.
            (Doing::Reading | Doing::Recording, _) if writer_works => return false,
            (Doing::Reading | Doing::Recording | Doing::AwaitingOthers, _) => LONGEST_STEP,
        };
        self.since > limit
    }
}

impl Role {
    fn place(self) -> usize {
        match self {
            Role::Writer => 0,
            Role::Planner => 1,
            Role::Timer => 2,
            Role::Steward => 3,
            Role::Worker(number) => 3 + number as usize,
        }
    }

    fn at(place: usize) -> Role {
        match place {
            0 => Role::Writer,
            1 => Role::Planner,
            2 => Role::Timer,
            3 => Role::Steward,
            worker => Role::Worker((worker - 3) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_is_seen_as_it_said_last() {
        let activity = Activity::new(2);
        activity.note(Role::Writer, Doing::HeldUp);
        activity.note_batch(Role::Worker(2), 42, -7);
        activity.note(Role::Worker(2), Doing::Sending);
        let seen: Vec<_> = activity.seen().collect();
        assert_eq!(seen.len(), 6);
        assert_eq!((seen[0].role, seen[0].doing), (Role::Writer, Doing::HeldUp));
        assert_eq!((seen[4].role, seen[4].batch), (Role::Worker(1), None));
        assert_eq!(seen[5].role, Role::Worker(2));
        assert_eq!(
            (seen[5].doing, seen[5].batch),
            (Doing::Sending, Some((42, -7)))
        );
    }

    const REQUEST: Duration = Duration::from_secs(200);
    const LONG: Duration = Duration::from_secs(1000);

    fn seen(role: Role, doing: Doing, since: Duration) -> Seen {
        Seen {
            role,
            doing,
            since,
            batch: None,
        }
    }

    fn is_stuck(doing: Doing, writer_works: bool, others_work: bool) -> bool {
        let worker = seen(Role::Worker(1), doing, LONG);
        worker.is_stuck(writer_works, others_work, REQUEST)
    }

    #[test]
    fn what_should_be_over_in_a_moment_is_stuck_after_a_while() {
        use Doing::{AwaitingOthers, Dozing, Reading, Recording, Sending};
        for doing in [Reading, Recording, Sending, Dozing, AwaitingOthers] {
            assert!(is_stuck(doing, false, false), "{doing:?}");
        }
        let writer = seen(Role::Writer, Recording, LONG);
        assert!(writer.is_stuck(true, true, REQUEST));
    }

    #[test]
    fn waiting_for_a_stated_reason_is_not_stuck() {
        use Doing::{AtGate, AwaitingOthers, AwaitingTurn, HeldUp, Reading, Recording, Resting};
        for doing in [Resting, AtGate, AwaitingTurn, HeldUp] {
            assert!(!is_stuck(doing, false, false), "{doing:?}");
        }
        for doing in [Reading, Recording] {
            assert!(!is_stuck(doing, true, true), "{doing:?}");
        }
        assert!(!is_stuck(AwaitingOthers, false, true));
        let sending = seen(Role::Worker(1), Doing::Sending, REQUEST);
        assert!(!sending.is_stuck(false, true, REQUEST));
    }

    #[test]
    fn each_word_is_found_again_by_its_number() {
        for (number, doing) in Doing::ALL.into_iter().enumerate() {
            assert_eq!(doing as usize, number);
        }
    }
}
