//! Holding requests inside the API until the test says go.

use super::DEADLINE;
use std::sync::{Arc, Condvar, Mutex};

/// A door inside the API: while it is closed, requests wait before it for their answer.
pub struct Door {
    state: Mutex<DoorState>,
    changed: Condvar,
}

struct DoorState {
    open: bool,
    waiting: usize,
}

impl Door {
    pub fn closed() -> Arc<Door> {
        let state = DoorState {
            open: false,
            waiting: 0,
        };
        Arc::new(Door {
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Waits until the door is open, but not forever: a test that failed must end.
    pub fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, DEADLINE, |state| !state.open)
            .unwrap();
        state.waiting -= 1;
    }

    pub fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    pub fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }
}
