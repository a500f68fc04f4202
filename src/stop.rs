//! Stopping: one broadcast that every thread can wait on. A stop is only ever requested, never taken back.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

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
