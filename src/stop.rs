//! Stopping: one broadcast that every thread can wait on, and the signals that give it.
//!
//! A stop is only ever requested, never taken back. The second signal ends the process at once: the next start repairs
//! what it leaves behind.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

use crate::limits::NoThread;

/// Tells whether a stop was requested. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Stop(Receiver<()>);

/// Requests the stop when it is dropped.
#[derive(Debug)]
pub struct StopSource {
    _broadcast: Sender<()>,
}

impl Stop {
    /// A stop that is requested by dropping its source.
    pub fn new() -> (StopSource, Stop) {
        let (sender, receiver) = crossbeam_channel::bounded(0);
        let source = StopSource { _broadcast: sender };
        (source, Stop(receiver))
    }

    /// Whether it was requested.
    pub fn requested(&self) -> bool {
        self.0.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Waits for at most `time` and says whether it was requested.
    pub fn wait(&self, time: Duration) -> bool {
        self.0.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// Disconnected once it was requested, for `select!`.
    pub fn channel(&self) -> &Receiver<()> {
        &self.0
    }
}

/// Lets SIGINT, SIGTERM and SIGHUP request a stop; a second one ends the process with exit code 1.
///
/// # Errors
/// When the handler cannot be installed, or was before.
pub fn on_signal() -> anyhow::Result<Stop> {
    let (source, stop) = Stop::new();
    let mut source = Some(source);
    ctrlc::set_handler(move || match source.take() {
        Some(source) => {
            log::info!("Stopping: requests in flight may finish. A second signal ends at once.");
            drop(source);
        }
        None => std::process::exit(1),
    })
    .map_err(|error| match error {
        ctrlc::Error::System(source) => NoThread {
            name: "for signals".into(),
            source,
        }
        .into(),
        error => anyhow::Error::from(error),
    })?;
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clone_sees_the_stop_and_keeps_seeing_it() {
        let (source, stop) = Stop::new();
        let other = stop.clone();
        assert!(!stop.requested());
        drop(source);
        assert!(stop.requested() && stop.requested() && other.wait(Duration::from_secs(5)));
    }
}
