//! Helpers: workers without a batch of their own, for whoever has more to send than it can alone.

use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::stretch::Stretch;

/// Where idle workers can be had.
pub struct Helpers {
    idle: AtomicUsize,
    /// Without room, so that a call is heard at once or not at all.
    calls: (Sender<Arc<Stretch>>, Receiver<Arc<Stretch>>),
}

impl Default for Helpers {
    fn default() -> Helpers {
        Helpers {
            idle: AtomicUsize::new(0),
            calls: crossbeam_channel::bounded(0),
        }
    }
}

impl Helpers {
    /// Calls all idle workers for help with a stretch, as long as it has something for them.
    pub(super) fn call(&self, stretch: &Arc<Stretch>) {
        while self.idle.load(Ordering::Relaxed) > 0 && stretch.wants_help() {
            if self.calls.0.try_send(stretch.clone()).is_err() {
                return;
            }
        }
    }

    /// Counts the worker among the idle ones while it waits.
    pub(super) fn while_idle<T>(&self, wait: impl FnOnce(&Receiver<Arc<Stretch>>) -> T) -> T {
        self.idle.fetch_add(1, Ordering::Relaxed);
        let waited = wait(&self.calls.1);
        self.idle.fetch_sub(1, Ordering::Relaxed);
        waited
    }
}
