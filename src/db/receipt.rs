//! A receipt: one value that one thread waits for and another hands over, once.
//!
//! A channel would do; but those at hand look again and again before they sleep, which costs a busy machine more than all that
//! is handed over here.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Waits for the value.
pub(super) struct Receipt<T>(Arc<Slot<T>>);

/// Hands it over.
pub(super) struct Handover<T>(Arc<Slot<T>>);

struct Slot<T> {
    value: Mutex<Option<T>>,
    came: Condvar,
}

/// A receipt, and what fills it.
pub(super) fn receipt<T>() -> (Handover<T>, Receipt<T>) {
    let slot = Arc::new(Slot {
        value: Mutex::new(None),
        came: Condvar::new(),
    });
    (Handover(slot.clone()), Receipt(slot))
}

impl<T> Handover<T> {
    pub(super) fn hand_over(self, value: T) {
        *self.0.lock() = Some(value);
        self.0.came.notify_one();
    }
}

impl<T> Receipt<T> {
    pub(super) fn wait(self) -> T {
        let mut value = self.0.lock();
        loop {
            if let Some(value) = value.take() {
                return value;
            }
            let waited = self.0.came.wait(value);
            value = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
