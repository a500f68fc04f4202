//! `ferryd drain`: the daemon's pipeline, until all there is was delivered or is dead.

use indicatif::ProgressBar;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::daemon::Daemon;
use crate::db::batches::Scope;
use crate::db::summary::{self, Counts};
use crate::logging;
use crate::progress;
use crate::stop::Stop;
use crate::time::Timestamp;

/// How often the file is asked whether work is left.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What to drain, and for how long.
#[derive(Debug, Default)]
pub struct Options {
    /// Only this user.
    pub user: Option<i64>,
    /// Stop after this time.
    pub timeout: Option<Duration>,
    /// One pass: what is due now, and no waiting for retries.
    pub once: bool,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No work was left in the scope.
    Done,
    /// The time was up.
    TimedOut,
    /// A single pass, and the gate is closed.
    Held,
    /// A signal came.
    Stopped,
}

/// Where the records stand at the end.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// How it ended.
    pub ended: Ended,
    /// The records of the scope.
    pub counts: Counts,
    /// Delivered by this run.
    pub delivered: i64,
    /// From start to end.
    pub took: Duration,
}

/// Runs the pipeline until the scope is done, the time is up, or the stop comes.
///
/// # Errors
/// As for [`Daemon::start`], or what made a thread end.
pub fn run(config: &Config, options: &Options, stop: &Stop) -> anyhow::Result<Report> {
    let start = Instant::now();
    let scope = Scope {
        user: options.user,
        due_by: options.once.then(Timestamp::now),
    };
    // A drain is asked to deliver now: it waits for no further rows.
    let mut config = config.clone();
    config.batch.linger = Duration::ZERO;
    // And it ends soon: the daemon prunes, or `ferryd prune` does.
    config.retention.older_than = None;
    let daemon = Daemon::start(&config, scope, stop)?;
    let before = summary::counts(&*daemon.readers.get()?, scope)?;
    let bar = progress::records(total(before) as u64, "delivering");
    progress::show(&bar);
    let ended = wait(&daemon, scope, options, stop, &bar);
    progress::hide();
    let readers = daemon.readers.clone();
    let stopped = daemon.stop();
    let ended = ended?;
    stopped?;
    let counts = summary::counts(&*readers.get()?, scope)?;
    Ok(Report {
        ended,
        counts,
        delivered: counts.delivered - before.delivered,
        took: start.elapsed(),
    })
}

fn wait(
    daemon: &Daemon,
    scope: Scope,
    options: &Options,
    stop: &Stop,
    bar: &ProgressBar,
) -> anyhow::Result<Ended> {
    let end = options
        .timeout
        .and_then(|time| Instant::now().checked_add(time));
    loop {
        match look(daemon, scope, bar) {
            Ok(true) => {}
            Ok(false) => return Ok(Ended::Done),
            Err(error) if daemon.is_damage(&error) => return Err(error),
            // A file that cannot be read now is read again; the planner says so in the log.
            Err(_) => {}
        }
        if options.once && daemon.is_held() {
            return Ok(Ended::Held);
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(Ended::TimedOut);
        }
        if let Ok(failure) = daemon.failures().try_recv() {
            return Err(failure);
        }
        logging::sum_up_repeats();
        if stop.wait(LOOK_EVERY) {
            return Ok(Ended::Stopped);
        }
    }
}

/// Shows how far it is, and says whether work is left.
fn look(daemon: &Daemon, scope: Scope, bar: &ProgressBar) -> anyhow::Result<bool> {
    let conn = daemon.readers.get()?;
    if !bar.is_hidden() {
        let counts = summary::counts(&conn, scope)?;
        bar.set_length(total(counts) as u64);
        bar.set_position(counts.delivered as u64);
    }
    Ok(summary::work_left(&conn, scope)?)
}

fn total(counts: Counts) -> i64 {
    counts.delivered + counts.undelivered()
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counts {
            waiting,
            retrying,
            unknown,
            dead,
            ..
        } = self.counts;
        let seconds = self.took.as_secs_f64();
        write!(f, "delivered {} records in {seconds:.1} s", self.delivered)?;
        let left = [
            (waiting, "waiting"),
            (retrying, "retrying"),
            (unknown, "unknown"),
            (dead, "dead"),
        ];
        for (records, word) in left.into_iter().filter(|(records, _)| *records > 0) {
            write!(f, ", {records} {word}")?;
        }
        match self.ended {
            Ended::Done => Ok(()),
            Ended::TimedOut => write!(f, "; the time was up"),
            Ended::Held => write!(f, "; the gate is closed, and a single pass does not wait"),
            Ended::Stopped => write!(f, "; stopped by a signal"),
        }
    }
}
