//! The places: how many requests are under way at a time. Whoever holds one gives it back when it is dropped.

use crossbeam_channel::{Receiver, Sender, select};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::limit::{Limiter, Sample, Sign};
use super::{Rules, lock};
use crate::stop::Stop;

/// The places for requests under way. A free place is a message in the channel, so that one place wakes one worker.
#[derive(Debug)]
pub(super) struct Places {
    /// Whether there are fewer than workers: told without a lock.
    limited: AtomicBool,
    pub(super) free: Receiver<()>,
    give: Sender<()>,
    count: Mutex<Count>,
}

#[derive(Debug)]
struct Count {
    /// Places there are, free ones included.
    places: u32,
    under_way: u32,
    limit: Limit,
}

#[derive(Debug)]
enum Limit {
    Fixed(u32),
    Adaptive(Limiter),
}

impl Limit {
    fn now(&self) -> u32 {
        match self {
            Limit::Fixed(limit) => *limit,
            Limit::Adaptive(limiter) => limiter.limit(),
        }
    }
}

impl Limit {
    fn new(rules: &Rules, workers: u32) -> Limit {
        let most = match rules.max_in_flight {
            0 => workers,
            bound => bound.min(workers),
        };
        match rules.adaptive {
            true => Limit::Adaptive(Limiter::new(most)),
            false => Limit::Fixed(most),
        }
    }
}

impl Places {
    pub(super) fn new(rules: &Rules, workers: u32) -> Places {
        let (give, free) = crossbeam_channel::bounded(workers as usize);
        let places = Places {
            limited: AtomicBool::new(false),
            free,
            give,
            count: Mutex::new(Count {
                places: 0,
                under_way: 0,
                limit: Limit::Fixed(workers),
            }),
        };
        places.set(rules, workers);
        places
    }

    /// Requests under way keep their places, so that it may take until they end for a lower limit to hold.
    pub(super) fn set(&self, rules: &Rules, workers: u32) {
        let mut count = lock(&self.count);
        count.limit = Limit::new(rules, workers);
        let limited = !matches!(count.limit, Limit::Fixed(most) if most >= workers);
        self.limited.store(limited, Ordering::Release);
        // Where there is no limit, whoever waits for a place gets one all the same.
        self.fit(&mut count);
    }

    pub(super) fn are_limited(&self) -> bool {
        self.limited.load(Ordering::Acquire)
    }

    /// Waits for a place; `None` when the stop comes first.
    pub(super) fn await_one(&self, stop: &Stop) -> Option<Place<'_>> {
        select! {
            recv(self.free) -> _ => Some(Place { places: self, begun: None, sign: Sign::Nothing }),
            recv(stop.channel()) -> _ => None,
        }
    }

    /// Makes as many places as the limit allows, or takes free ones away.
    fn fit(&self, count: &mut Count) {
        let limit = count.limit.now();
        while count.places < limit && self.give.try_send(()).is_ok() {
            count.places += 1;
        }
        while count.places > limit && self.free.try_recv().is_ok() {
            count.places -= 1;
        }
    }
}

/// A place for one request.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    begun: Option<Begun>,
    /// What came of the request, once that is known.
    pub(super) sign: Sign,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Instant,
    /// Requests under way then, this one included.
    beside: u32,
    /// Places that were taken then.
    taken: u32,
}

impl Place<'_> {
    /// The request begins.
    pub(super) fn begin(&mut self) {
        let mut count = lock(&self.places.count);
        count.under_way += 1;
        self.begun = Some(Begun {
            at: Instant::now(),
            beside: count.under_way,
            taken: count.places - self.places.free.len() as u32,
        });
    }

    /// Whether the right number of requests is looked for, and others were under way when this one began.
    pub(super) fn is_searching_beside_others(&self) -> bool {
        let searching = matches!(lock(&self.places.count).limit, Limit::Adaptive(_));
        searching && self.begun.is_some_and(|begun| begun.beside > 1)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut count = lock(&self.places.count);
        count.places -= 1;
        if let Some(begun) = self.begun {
            count.under_way -= 1;
            if let Limit::Adaptive(limiter) = &mut count.limit {
                let before = limiter.limit();
                limiter.note(&Sample {
                    begun: begun.at,
                    ended: Instant::now(),
                    beside: begun.beside,
                    taken: begun.taken,
                    sign: self.sign,
                });
                if limiter.limit() < before {
                    let limit = limiter.limit();
                    log::debug!("The API has too much to do. requests={limit} before={before}");
                }
            }
        }
        self.places.fit(&mut count);
    }
}
