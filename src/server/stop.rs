//! The word "stop", heard at once by every thread of a server, also by those that sleep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Said once, never taken back.
#[derive(Default)]
pub(super) struct Stop {
    said: AtomicBool,
    guard: Mutex<()>,
    wake: Condvar,
}

impl Stop {
    pub(super) fn set(&self) {
        // Under the lock, so that no sleeper looks at the flag and then misses the call.
        let _guard = lock(&self.guard);
        self.said.store(true, Ordering::SeqCst);
        self.wake.notify_all();
    }

    pub(super) fn is_set(&self) -> bool {
        self.said.load(Ordering::SeqCst)
    }

    /// Sleeps; true if nothing cut it short.
    pub(super) fn sleep(&self, duration: Duration) -> bool {
        if duration.is_zero() {
            return !self.is_set();
        }
        let guard = lock(&self.guard);
        let slept = self
            .wake
            .wait_timeout_while(guard, duration, |()| !self.is_set());
        drop(slept);
        !self.is_set()
    }
}

/// Locks whether or not a holder panicked: what is kept under the locks of this room is whole after
/// every single step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
