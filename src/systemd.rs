//! What systemd is told (sd_notify(3)): that the start goes on, readiness, one human line of status, the watchdog, a reload
//! and the stop. Without systemd, nothing happens here.
//!
//! The watchdog is fed only while no thread is stuck: each makes progress, or waits for a reason that the log or the views
//! state. Must never happen here: a thread of the pipeline that waits for systemd.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use sd_notify::NotifyState;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::activity::Seen;
use crate::daemon::Insight;
use crate::db::summary::{self, Summary};
use crate::limits::NoThread;

/// How often the line of status is renewed, and the watchdog fed, which may want it more often.
const TICK: Duration = Duration::from_secs(5);

/// A start, or a stop, that goes on asks for this much more time at each tick.
const EXTENSION: Duration = Duration::from_secs(30);

/// Tells systemd what becomes of the daemon, from a thread of its own.
pub struct Systemd {
    /// `None` without systemd.
    told: Option<(Sender<Phase>, JoinHandle<()>)>,
}

enum Phase {
    Running(Box<Insight>),
    Stopping(Duration),
}

impl Systemd {
    /// From now on a start that takes its time is extended.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn starting() -> Result<Systemd, NoThread> {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Ok(Systemd { told: None });
        }
        let (sender, phases) = crossbeam_channel::unbounded();
        let thread = std::thread::Builder::new()
            .name("systemd".into())
            .spawn(move || tell(&phases))
            .map_err(|source| NoThread {
                name: "that tells systemd".into(),
                source,
            })?;
        Ok(Systemd {
            told: Some((sender, thread)),
        })
    }

    /// Batches of a dead process are freed, and all threads run.
    pub fn ready(&self, insight: Insight) {
        notify(&[NotifyState::Ready]);
        self.enter(Phase::Running(Box::new(insight)));
    }

    /// A reload begins; [`Systemd::reloaded`] ends it.
    pub fn reloading(&self) {
        if self.told.is_none() {
            return;
        }
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            notify(&[NotifyState::Reloading, now]);
        }
    }

    /// The reload is over, whatever came of it.
    pub fn reloaded(&self) {
        if self.told.is_some() {
            notify(&[NotifyState::Ready]);
        }
    }

    /// The stop begins: requests in flight have this long.
    pub fn stopping(&self, grace: Duration) {
        self.enter(Phase::Stopping(grace));
    }

    fn enter(&self, phase: Phase) {
        if let Some((phases, _)) = &self.told {
            let _ = phases.send(phase);
        }
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if let Some((phases, thread)) = self.told.take() {
            drop(phases);
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn tell(phases: &Receiver<Phase>) {
    let Some(insight) = tell_of_start(phases) else {
        return;
    };
    let watchdog = sd_notify::watchdog_enabled();
    let tick = watchdog.map_or(TICK, |time| TICK.min(time / 3));
    let mut line = String::new();
    let mut was_stuck = false;
    loop {
        let stuck = insight.stuck();
        let is_stuck = stuck.is_some();
        // Twice in a row: after a SIGSTOP all seem stuck for a moment.
        if !(is_stuck && was_stuck) {
            notify(&[NotifyState::Watchdog]);
        }
        let news = stuck.map_or_else(|| describe(&insight), |seen| name_stuck(&seen, was_stuck));
        was_stuck = is_stuck;
        if news != line {
            notify(&[NotifyState::Status(&news)]);
            line = news;
        }
        match phases.recv_timeout(tick) {
            Err(RecvTimeoutError::Timeout) | Ok(Phase::Running(_)) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(Phase::Stopping(grace)) => return tell_of_stop(phases, grace),
        }
    }
}

/// Extends the start until it is over; then there is something to look at, unless the start failed.
fn tell_of_start(phases: &Receiver<Phase>) -> Option<Box<Insight>> {
    notify(&[NotifyState::Status("Starting: opens the database")]);
    loop {
        match phases.recv_timeout(TICK) {
            Ok(Phase::Running(insight)) => return Some(insight),
            Ok(Phase::Stopping(_)) | Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                notify(&[extension()]);
            }
        }
    }
}

/// The watchdog goes on during the stop (sd_notify(3)), as long as requests in flight have time, and a little more.
fn tell_of_stop(phases: &Receiver<Phase>, grace: Duration) {
    let status = "Stopping: requests in flight may finish";
    notify(&[
        NotifyState::Stopping,
        NotifyState::Status(status),
        extension(),
    ]);
    let end = Instant::now() + grace.min(Duration::from_secs(86_400)) + EXTENSION;
    let tick = sd_notify::watchdog_enabled().map_or(TICK, |time| TICK.min(time / 3));
    let is_over = || !matches!(phases.recv_timeout(tick), Err(RecvTimeoutError::Timeout));
    while Instant::now() < end && !is_over() {
        notify(&[NotifyState::Watchdog, extension()]);
    }
}

fn extension() -> NotifyState<'static> {
    NotifyState::ExtendTimeoutUsec(EXTENSION.as_micros() as u32)
}

/// systemd may be gone, or busy: the next tick tells it again.
fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("systemd was not told. error={error}");
    }
}

fn name_stuck(seen: &Seen, is_confirmed: bool) -> String {
    let what = format!("Stuck: the thread {seen}");
    if is_confirmed {
        log::error!("A thread is stuck, and the watchdog is not fed any more: {seen}.");
    }
    what
}

fn describe(insight: &Insight) -> String {
    let look = || anyhow::Ok(summary::summary(&*insight.readers.get()?)?);
    match look() {
        Ok(summary) => in_words(&summary),
        Err(error) => format!("The database cannot be read: {error:#}"),
    }
}

/// One line for `systemctl status`.
fn in_words(summary: &Summary) -> String {
    let gate = match (summary.gate.as_str(), &summary.gate_reason) {
        ("open", _) => String::new(),
        (gate, Some(reason)) => format!("Gate {gate}: {reason}; "),
        (gate, None) => format!("Gate {gate}; "),
    };
    let Summary {
        waiting, delivered, ..
    } = summary;
    let mut line = format!("{gate}{delivered} delivered, {waiting} waiting");
    let others = [
        (summary.retrying, "retrying"),
        (summary.unknown, "unknown"),
        (summary.dead, "dead"),
    ];
    for (records, word) in others.into_iter().filter(|(records, _)| *records > 0) {
        line += &format!(", {records} {word}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_what_is_not_as_it_should_be() {
        let mut summary = Summary {
            waiting: 3,
            delivered: 40,
            gate: "open".into(),
            ..Summary::default()
        };
        assert_eq!(in_words(&summary), "40 delivered, 3 waiting");
        summary.dead = 2;
        summary.gate = "closed".into();
        summary.gate_reason = Some("HTTP 401".into());
        assert_eq!(
            in_words(&summary),
            "Gate closed: HTTP 401; 40 delivered, 3 waiting, 2 dead"
        );
    }
}
