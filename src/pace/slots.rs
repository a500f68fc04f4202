//! The slots of a rate that all workers share: one worker waits for the next slot, the others wait for that one.
//!
//! Must never happen here: a worker that waits by rules that were replaced, for that may be an hour.

use crossbeam_channel::{Receiver, Sender, bounded, select};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::lock;
use super::rate::Rate;
use crate::stop::Stop;

#[derive(Debug)]
pub(super) struct Slots {
    /// Whether there is a rate: told without a lock.
    limited: AtomicBool,
    /// Locked by the one worker that waits for the next slot, or has it.
    pub(super) rate: Mutex<Option<Rate>>,
    /// A new rate, for whoever has the lock.
    give: Sender<Option<Rate>>,
    pub(super) given: Receiver<Option<Rate>>,
}

impl Slots {
    pub(super) fn new(interval: Option<Duration>, burst: u32) -> Slots {
        let (give, given) = bounded(1);
        Slots {
            limited: AtomicBool::new(interval.is_some()),
            rate: Mutex::new(interval.map(|interval| Rate::new(interval, burst))),
            give,
            given,
        }
    }

    /// From now on this is the rate. For one caller at a time.
    pub(super) fn set(&self, interval: Option<Duration>, burst: u32) {
        let rate = interval.map(|interval| Rate::new(interval, burst));
        // One that nobody has taken yet is out of date.
        let _ = self.given.try_recv();
        let _ = self.give.try_send(rate);
        self.limited.store(interval.is_some(), Ordering::Release);
    }

    pub(super) fn are_limited(&self) -> bool {
        self.limited.load(Ordering::Acquire)
    }

    /// Waits until a request may begin; `None` when the stop comes first.
    pub(super) fn await_one(&self, stop: &Stop) -> Option<Slot<'_>> {
        let mut rate = lock(&self.rate);
        loop {
            if let Ok(new) = self.given.try_recv() {
                replace(&mut rate, new);
            }
            let Some(limit) = &*rate else {
                // There is none any more, and nobody has to wait for anybody.
                return Some(Slot::default());
            };
            let wait = limit.wait(Instant::now());
            if wait.is_zero() {
                return Some(Slot(Some(rate)));
            }
            select! {
                recv(self.given) -> new => replace(&mut rate, new.unwrap_or_default()),
                recv(stop.channel()) -> _ => return None,
                default(wait) => {}
            }
        }
    }
}

fn replace(rate: &mut Option<Rate>, new: Option<Rate>) {
    let old = rate.take();
    *rate = new.map(|new| new.after(old.as_ref(), Instant::now()));
}

/// The next slot. While it lives nobody else gets one.
#[derive(Debug, Default)]
pub(super) struct Slot<'a>(Option<MutexGuard<'a, Option<Rate>>>);

impl Slot<'_> {
    /// A request begins in it.
    pub(super) fn take(mut self) {
        if let Some(rate) = self.0.as_deref_mut().and_then(Option::as_mut) {
            rate.take(Instant::now());
        }
    }
}
