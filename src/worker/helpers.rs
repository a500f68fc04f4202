//! Helpers: workers without a batch of their own, for whoever has more to send than it can alone.

use crossbeam_channel::{Receiver, Sender};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::stretch::Stretch;
use crate::gate::Gate;

/// Where idle workers and work for them find each other.
pub struct Helpers {
    idle: AtomicUsize,
    /// Without room, so that a call is heard at once or not at all.
    calls: (Sender<Arc<Stretch>>, Receiver<Arc<Stretch>>),
    /// What help was called for, for those who become idle later.
    slow: Mutex<Vec<Arc<Stretch>>>,
}

impl Default for Helpers {
    fn default() -> Helpers {
        Helpers {
            idle: AtomicUsize::new(0),
            calls: crossbeam_channel::bounded(0),
            slow: Mutex::default(),
        }
    }
}

impl Helpers {
    /// Calls all idle workers for help with a stretch, as long as it has something for them.
    pub(super) fn call(&self, stretch: &Arc<Stretch>) {
        if !stretch.is_listed.swap(true, Ordering::Relaxed) {
            self.slow().push(stretch.clone());
        }
        while self.idle.load(Ordering::Relaxed) > 0 && stretch.wants_help() {
            if self.calls.0.try_send(stretch.clone()).is_err() {
                return;
            }
        }
    }

    /// Nobody is in it any more.
    pub(super) fn forget(&self, stretch: &Arc<Stretch>) {
        if stretch.is_listed.load(Ordering::Relaxed) {
            self.slow().retain(|listed| !Arc::ptr_eq(listed, stretch));
        }
    }

    /// What wants help now, or else what `wait` returns, while the worker counts as idle. Nobody helps before the gate is wide
    /// open.
    pub(super) fn find_or<T>(
        &self,
        gate: &Gate,
        found: impl FnOnce(Arc<Stretch>) -> T,
        wait: impl FnOnce(&Receiver<Arc<Stretch>>) -> T,
    ) -> T {
        self.idle.fetch_add(1, Ordering::Relaxed);
        let wanted = match gate.is_wide_open() {
            true => self
                .slow()
                .iter()
                .find(|listed| listed.wants_help())
                .cloned(),
            false => None,
        };
        let waited = match wanted {
            Some(stretch) => found(stretch),
            None => wait(&self.calls.1),
        };
        self.idle.fetch_sub(1, Ordering::Relaxed);
        waited
    }

    fn slow(&self) -> MutexGuard<'_, Vec<Arc<Stretch>>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
