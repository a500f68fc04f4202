//! Whether the daemon is alive, and whether it can do its work: for supervisors that ask by HTTP.
//!
//! Alive is a matter of the threads alone, so that it can be told while the disk does not answer. Held sending is no
//! illness: a closed or paused gate is how ferryd does its work while the API is away.

use std::time::Duration;

use crate::activity::Doing;
use crate::daemon::Insight;

/// The file can be locked for a moment, by an import for one; for longer it is a fault.
const LOCKED_FOR_LONG: Duration = Duration::from_secs(5);

/// A thread that makes no progress, in words.
pub(super) fn stuck(insight: &Insight) -> Option<String> {
    let seen = insight.stuck()?;
    Some(format!("the thread {seen}; restart ferryd, and report it"))
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
