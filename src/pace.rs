//! The pace: how fast requests begin, and how many are under way at a time. The good manners of a client, over all workers.
//!
//! A worker asks for its turn before each request, begins, and says what came. A turn that is not used costs nothing: it
//! takes a slot of the rate only when the request begins. Whoever holds a request's place gives it back when it is dropped,
//! also in a panic.
//!
//! Must never happen here: more requests under way than allowed, a wait that outlasts the stop, a lock where nothing is
//! limited. Waiting here is no failure and burns no attempt; whether anything may be sent at all is for the gate to say.

mod limit;
mod rate;

use crossbeam_channel::{Receiver, Sender, select};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::outcome::Answer;
use crate::stop::Stop;
use crate::verdict::Verdict;
use limit::{Limiter, Sample, Sign};
use rate::Rate;

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
    /// Locked by the one worker that waits for the next slot; the others wait for the lock.
    rate: Option<Mutex<Rate>>,
    places: Option<Places>,
}

impl Pace {
    /// A pace for `workers` requests at a time, or fewer.
    pub fn new(rules: &Rules, workers: u32) -> Pace {
        let most = match rules.max_in_flight {
            0 => workers,
            bound => bound.min(workers),
        };
        let bounded = rules.adaptive || most < workers;
        Pace {
            rate: rules
                .interval
                .map(|interval| Mutex::new(Rate::new(interval, rules.burst))),
            places: bounded.then(|| Places::new(most, rules.adaptive)),
        }
    }

    /// Waits until a request may begin, or until the stop: then it is `None`, unless both came at once.
    pub fn await_turn(&self, stop: &Stop) -> Option<Turn<'_>> {
        if self.rate.is_none() && self.places.is_none() {
            return Some(Turn::default());
        }
        let start = Instant::now();
        let rate = match &self.rate {
            None => None,
            Some(rate) => Some(await_slot(lock(rate), stop)?),
        };
        let place = match &self.places {
            None => None,
            Some(places) => Some(places.await_one(stop)?),
        };
        Some(Turn {
            rate,
            place,
            waited: start.elapsed(),
        })
    }
}

fn await_slot<'a>(rate: MutexGuard<'a, Rate>, stop: &Stop) -> Option<MutexGuard<'a, Rate>> {
    loop {
        let wait = rate.wait(Instant::now());
        if wait.is_zero() {
            return Some(rate);
        }
        if stop.wait(wait) {
            return None;
        }
    }
}

/// Says that a request may begin now. While it lives no other worker's may, if there is a rate: it is not kept for long.
#[derive(Debug, Default)]
#[must_use]
pub struct Turn<'a> {
    rate: Option<MutexGuard<'a, Rate>>,
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
        if let Some(mut rate) = self.rate.take() {
            rate.take(Instant::now());
        }
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
        is_refused && place.is_beside_others() && place.places.is_adaptive()
    }
}

fn sign_of(answer: &Answer) -> Sign {
    match (answer.verdict, answer.http_status) {
        (Verdict::Delivered, _) => Sign::Good,
        (_, Some(429 | 503)) | (Verdict::Unknown, _) => Sign::Refused,
        _ => Sign::Nothing,
    }
}

/// The places for requests under way. A free place is a message in the channel, so that one place wakes one worker.
#[derive(Debug)]
struct Places {
    free: Receiver<()>,
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

impl Places {
    fn new(most: u32, adaptive: bool) -> Places {
        let (give, free) = crossbeam_channel::bounded(most as usize);
        let limit = match adaptive {
            true => Limit::Adaptive(Limiter::new(most)),
            false => Limit::Fixed(most),
        };
        let places = Places {
            free,
            give,
            count: Mutex::new(Count {
                places: 0,
                under_way: 0,
                limit,
            }),
        };
        places.fit(&mut lock(&places.count));
        places
    }

    fn is_adaptive(&self) -> bool {
        matches!(lock(&self.count).limit, Limit::Adaptive(_))
    }

    fn await_one(&self, stop: &Stop) -> Option<Place<'_>> {
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
struct Place<'a> {
    places: &'a Places,
    begun: Option<Begun>,
    sign: Sign,
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
    fn begin(&mut self) {
        let mut count = lock(&self.places.count);
        count.under_way += 1;
        self.begun = Some(Begun {
            at: Instant::now(),
            beside: count.under_way,
            taken: count.places - self.places.free.len() as u32,
        });
    }

    fn is_beside_others(&self) -> bool {
        self.begun.is_some_and(|begun| begun.beside > 1)
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

/// Whether or not a holder panicked: what is in there is whole after every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
