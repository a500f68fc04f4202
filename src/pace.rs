//! The pace: how fast requests begin, and how many are under way at a time. The good manners of a client, over all workers.
//!
//! A worker asks for its turn before each request, begins, and says what came. A turn that is not used costs nothing: it
//! takes a slot of the rate only when the request begins. Whoever holds a request's place gives it back when it is dropped,
//! also in a panic.
//!
//! Must never happen here: more requests under way than allowed, a wait that outlasts the stop, a lock where nothing is
//! limited. Waiting here is no failure and burns no attempt; whether anything may be sent at all is for the gate to say.

mod limit;
mod places;
mod rate;
mod slots;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outcome::Answer;
use crate::stop::Stop;
use crate::verdict::Verdict;
use limit::Sign;
use places::{Place, Places};
use slots::{Slot, Slots};

/// How fast and how many, as the operator decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// From one request to the next when they are evenly spaced; `None`: as fast as it goes.
    pub interval: Option<Duration>,
    /// Requests that may begin at once after a pause; at least 1.
    pub burst: u32,
    /// Requests under way at most; 0: as many as there are workers.
    pub max_in_flight: u32,
    /// Whether the number under way follows what the API likes.
    pub adaptive: bool,
}

impl Default for Rules {
    /// No limits.
    fn default() -> Rules {
        Rules {
            interval: None,
            burst: 1,
            max_in_flight: 0,
            adaptive: false,
        }
    }
}

/// Shared by all workers.
#[derive(Debug)]
pub struct Pace {
    workers: u32,
    /// As they were set last.
    rules: Mutex<Rules>,
    slots: Slots,
    places: Places,
}

impl Pace {
    /// A pace for `workers` requests at a time, or fewer.
    pub fn new(rules: &Rules, workers: u32) -> Pace {
        Pace {
            workers,
            rules: Mutex::new(rules.clone()),
            slots: Slots::new(rules.interval, rules.burst),
            places: Places::new(rules, workers),
        }
    }

    /// From now on these hold, also for those who wait. What did not change goes on as it is: no rate begins with another
    /// burst, and no limit that was found is lost.
    pub fn set_rules(&self, rules: &Rules) {
        let mut before = lock(&self.rules);
        if (before.interval, before.burst) != (rules.interval, rules.burst) {
            self.slots.set(rules.interval, rules.burst);
        }
        if (before.max_in_flight, before.adaptive) != (rules.max_in_flight, rules.adaptive) {
            self.places.set(rules, self.workers);
        }
        *before = rules.clone();
    }

    /// Whether a request may have to wait for its turn.
    pub fn is_limited(&self) -> bool {
        self.slots.are_limited() || self.places.are_limited()
    }

    /// Waits until a request may begin, or until the stop: then it is `None`, unless both came at once.
    pub fn await_turn(&self, stop: &Stop) -> Option<Turn<'_>> {
        if !self.is_limited() {
            return Some(Turn::default());
        }
        let start = Instant::now();
        let slot = match self.slots.are_limited() {
            false => Slot::default(),
            true => self.slots.await_one(stop)?,
        };
        let place = match self.places.are_limited() {
            false => None,
            true => Some(self.places.await_one(stop)?),
        };
        Some(Turn {
            slot,
            place,
            waited: start.elapsed(),
        })
    }
}

/// Says that a request may begin now. While it lives no other worker's may, if there is a rate: it is not kept for long.
#[derive(Debug, Default)]
#[must_use]
pub struct Turn<'a> {
    slot: Slot<'a>,
    place: Option<Place<'a>>,
    waited: Duration,
}

impl<'a> Turn<'a> {
    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The same turn, as one that was not waited for.
    pub fn kept(mut self) -> Turn<'a> {
        self.waited = Duration::ZERO;
        self
    }

    /// The request begins.
    pub fn begin(mut self) -> Flight<'a> {
        self.slot.take();
        if let Some(place) = &mut self.place {
            place.begin();
        }
        Flight(self.place.take())
    }
}

/// A request under way.
#[derive(Debug)]
#[must_use]
pub struct Flight<'a>(Option<Place<'a>>);

impl Flight<'_> {
    /// The request ended with this answer. A flight that is dropped instead tells nothing about the API.
    ///
    /// Whether it was one too many: refused because of those beside it, while it is the pace that looks for the right
    /// number. That is neither the record's fault nor an outage. One that the API gave a time to wait is for the gate.
    pub fn end(mut self, answer: &Answer) -> bool {
        let Some(place) = &mut self.0 else {
            return false;
        };
        place.sign = sign_of(answer);
        let is_refused = place.sign == Sign::Refused && answer.verdict == Verdict::Retry(None);
        is_refused && place.is_searching_beside_others()
    }
}

fn sign_of(answer: &Answer) -> Sign {
    match (answer.verdict, answer.http_status) {
        (Verdict::Delivered, _) => Sign::Good,
        (_, Some(429 | 503)) | (Verdict::Unknown, _) => Sign::Refused,
        _ => Sign::Nothing,
    }
}

/// Whether or not a holder panicked: what is in there is whole after every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
