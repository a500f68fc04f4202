//! Whether the daemon is alive, and whether it can do its work: for supervisors that ask by HTTP.
//!
//! Alive is a matter of the threads alone, so that it can be told while the disk does not answer. Held sending is no
//! illness: a closed or paused gate is how ferryd does its work while the API is away.

use std::time::Duration;

use crate::activity::{Activity, Doing, Role, Seen};
use crate::daemon::Insight;

/// What is done in a moment, or at the worst in the time of one long transaction, must be over after this time.
const PATIENCE: Duration = Duration::from_secs(120);

/// The file can be locked for a moment, by an import for one; for longer it is a fault.
const LOCKED_FOR_LONG: Duration = Duration::from_secs(5);

/// A thread that makes no progress, in words; `timeout` is that of a request.
pub(super) fn stuck(activity: &Activity, timeout: Duration) -> Option<String> {
    let writer = activity.seen().next()?;
    let seen = activity
        .seen()
        .find(|seen| is_stuck(*seen, writer, timeout))?;
    Some(format!(
        "the thread {} {} since {} s; restart ferryd, and report it",
        seen.role,
        seen.doing.words(),
        seen.since.as_secs()
    ))
}

fn is_stuck(seen: Seen, writer: Seen, timeout: Duration) -> bool {
    match seen.doing {
        // The name may have to be looked up, and a token fetched before.
        Doing::Sending => seen.since > timeout.saturating_mul(2).saturating_add(PATIENCE),
        Doing::Dozing => seen.since > PATIENCE,
        // The others may wait for the writer, and it for the file, as the log says.
        Doing::Reading | Doing::Recording => {
            let may_wait = seen.role != Role::Writer && writer.doing != Doing::Resting;
            seen.since > PATIENCE && !may_wait
        }
        Doing::Resting | Doing::AtGate | Doing::AwaitingTurn | Doing::HeldUp => false,
    }
}

/// Why the file cannot be worked on at the moment, as far as the daemon knows.
pub(super) fn fault(insight: &Insight) -> Option<String> {
    if let Some(fault) = insight.gate.local_fault() {
        return Some(fault);
    }
    let mut threads = insight.activity.seen();
    let held_up = threads.any(|seen| seen.doing == Doing::HeldUp && seen.since > LOCKED_FOR_LONG);
    held_up.then(|| "the database cannot be written; the log says why".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);
    const LONG: Duration = Duration::from_secs(1000);

    fn seen(role: Role, doing: Doing, since: Duration) -> Seen {
        Seen {
            role,
            doing,
            since,
            batch: None,
        }
    }

    fn with_writer(role: Role, doing: Doing, writer: Doing) -> bool {
        let writer = seen(Role::Writer, writer, Duration::ZERO);
        is_stuck(seen(role, doing, LONG), writer, TIMEOUT)
    }

    #[test]
    fn what_should_be_over_in_a_moment_is_stuck_after_a_while() {
        let worker = Role::Worker(1);
        for doing in [
            Doing::Reading,
            Doing::Recording,
            Doing::Sending,
            Doing::Dozing,
        ] {
            assert!(with_writer(worker, doing, Doing::Resting), "{doing:?}");
        }
        let writer = seen(Role::Writer, Doing::Recording, LONG);
        assert!(is_stuck(writer, writer, TIMEOUT));
    }

    #[test]
    fn waiting_for_a_stated_reason_is_not_stuck() {
        let worker = Role::Worker(1);
        for doing in [
            Doing::Resting,
            Doing::AtGate,
            Doing::AwaitingTurn,
            Doing::HeldUp,
        ] {
            assert!(!with_writer(worker, doing, Doing::Resting), "{doing:?}");
        }
        for writer in [Doing::HeldUp, Doing::Recording] {
            assert!(!with_writer(worker, Doing::Recording, writer), "{writer:?}");
        }
        let sending = seen(worker, Doing::Sending, TIMEOUT);
        let writer = seen(Role::Writer, Doing::Resting, LONG);
        assert!(!is_stuck(sending, writer, TIMEOUT));
    }
}
