//! The adaptive limit: how many requests at a time this API likes. No clock, no lock and no waiting here.
//!
//! The rule, and its reasons:
//!
//! * **Start at 1; each good answer lets one more in**, so that the number doubles from one round trip to the next, until
//!   the first sign of trouble. A good fixed number is found within a few round trips, whatever it is.
//! * **Later, one more after each round** (`limit` good answers), and only while the limit is really used: a number that
//!   was never tried says nothing.
//! * **Trouble is two refusals** (429, 503, or no answer) with fewer than two rounds of good answers between them. An API
//!   that refuses because of the load refuses at least once in a round; one refusal alone is an accident of the API, and
//!   whoever goes down for it is at 1 before long.
//! * **Trouble is also a round that took long**: its lower quartile is above twice the best that was seen. The quartile,
//!   because new connections and odd records are slow for reasons of their own, while a queue makes all of them slow.
//! * **Trouble cuts the limit to 7 tenths**, once for a round trip: answers to requests that began before the cut say
//!   nothing about the new limit.
//! * **What was refused is remembered.** A refusal beside 20 others means that 20 was fine, so the limit comes back fast
//!   to 20 and stays there. A saw that always climbs into the next refusal is on the average a good tenth below the best,
//!   and costs a record its attempt at each tooth. After 10 s one more is tried; each time that this fails too, the wait
//!   doubles, up to 5 minutes.
//! * **What was fine and is refused now was no ceiling.** It is forgotten, and the saw does the rest: so refusals that have
//!   nothing to do with the load cannot press the limit down step by step.
//! * **A cut for slowness must help**, by a tenth of the time at least, else deeper ones are tried, down to an eighth. When
//!   none helps, the API is slow for reasons of its own: the old limit comes back, and that slowness is the new normal. So
//!   an API that became slower for good is not throttled for ever, and the measure does not drift either, because a queue
//!   that the limit itself makes does get shorter when the limit is cut.

use std::time::{Duration, Instant};

/// How long the limit stays below what was refused, at first and at most.
const HOLD: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// What is left of the limit after trouble, in tenths.
const CUT: u32 = 7;

/// A round has at least so many answers: fewer would not do for a quartile.
const LEAST_ROUND: u32 = 8;

/// A cut that does not help is followed by deeper ones, down to this part of the limit.
const LEAST_SHARE: u32 = 8;

/// Differences below this are this machine's and not the API's.
const NOISE: Duration = Duration::from_millis(5);

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Accepted.
    Good,
    /// The API has too much to do.
    Refused,
    /// Nothing can be told from it.
    Nothing,
}

/// A request that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub begun: Instant,
    pub ended: Instant,
    /// Requests under way when it began, itself included.
    pub beside: u32,
    /// Places for requests that were taken then: also by those that were about to begin.
    pub taken: u32,
    pub sign: Sign,
}

/// How many requests may be under way at a time, from 1 to a fixed bound.
#[derive(Debug)]
pub(super) struct Limiter {
    most: u32,
    limit: u32,
    /// Below this each good answer lets one more in.
    fast_below: u32,
    ceiling: Option<Ceiling>,
    /// What began before this is of the past: it was beside another number of requests.
    since: Option<Instant>,
    /// Good answers since the last refusal.
    since_refusal: u32,
    /// The quickest round there was, until it shows that such times are over.
    best: Option<Duration>,
    round: Round,
    trial: Trial,
}

/// The most that was not refused.
#[derive(Debug, Clone, Copy)]
struct Ceiling {
    at: u32,
    until: Instant,
    hold: Duration,
}

#[derive(Debug)]
struct Round {
    /// The limit when it began.
    limit: u32,
    /// The most places that were taken.
    peak: u32,
    times: Vec<Duration>,
}

impl Round {
    fn new(limit: u32) -> Round {
        Round {
            limit,
            peak: 0,
            times: Vec::new(),
        }
    }
}

/// Whether slowness is the limit's doing.
#[derive(Debug, Clone, Copy)]
enum Trial {
    None,
    /// The last round took long; one that began and ended with the same limit is to be the measure.
    Measuring,
    /// That took `time`, and the limit was cut, from `limit` at first: does it help?
    Cut {
        limit: u32,
        time: Duration,
    },
}

impl Limiter {
    pub(super) fn new(most: u32) -> Limiter {
        Limiter {
            most,
            limit: 1,
            fast_below: most,
            ceiling: None,
            since: None,
            since_refusal: u32::MAX,
            best: None,
            round: Round::new(1),
            trial: Trial::None,
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// Learns from a request that ended.
    pub(super) fn note(&mut self, sample: &Sample) {
        match sample.sign {
            Sign::Good => self.note_good(sample),
            Sign::Refused => self.note_refused(sample),
            Sign::Nothing => {}
        }
    }

    fn note_refused(&mut self, sample: &Sample) {
        let good = std::mem::replace(&mut self.since_refusal, 0);
        // The first of all, or the first for long.
        if good > self.limit.saturating_mul(2) {
            return;
        }
        let fine = (sample.beside - 1).max(1);
        if self.is_of_the_past(sample) {
            // No second cut, but it may know better what was too much.
            if let Some(ceiling) = self.ceiling.as_mut().filter(|ceiling| fine < ceiling.at) {
                ceiling.at = fine;
                self.fast_below = fine;
                self.limit = self.limit.min(fine);
            }
            return;
        }
        self.trial = Trial::None;
        self.set(after_trouble(sample.beside), sample.ended);
        if sample.beside == 1 {
            // Nobody was beside it, so it is not the number that is refused, and no number is known to be fine.
            self.ceiling = None;
            self.fast_below = 1;
        } else if self.ceiling.is_some_and(|ceiling| fine < ceiling.at) {
            self.ceiling = None;
            self.fast_below = self.limit;
        } else {
            self.remember(fine, sample.ended);
            self.fast_below = fine;
        }
    }

    fn note_good(&mut self, sample: &Sample) {
        self.since_refusal = self.since_refusal.saturating_add(1);
        if self.is_of_the_past(sample) {
            return;
        }
        let round = &mut self.round;
        round.peak = round.peak.max(sample.taken);
        round.times.push(sample.ended - sample.begun);
        // Half of it in use is enough here: the others have only just been let in.
        if self.limit < self.fast_below && self.limit <= round.peak.saturating_mul(2) {
            self.limit += 1;
        }
        if round.times.len() >= round.limit.max(LEAST_ROUND) as usize {
            self.end_round(sample.ended);
        }
    }

    /// It began before the limit was set, or beside more than that allows, because they were let in before.
    fn is_of_the_past(&self, sample: &Sample) -> bool {
        sample.beside > self.limit || self.since.is_some_and(|since| sample.begun < since)
    }

    fn end_round(&mut self, now: Instant) {
        let mut round = std::mem::replace(&mut self.round, Round::new(self.limit));
        let time = lower_quartile(&mut round.times);
        let trial = std::mem::replace(&mut self.trial, Trial::None);
        if let Trial::Cut {
            limit,
            time: before,
        } = trial
            && time > before * 9 / 10
        {
            return self.did_not_help(limit, before, now);
        }
        let best = self.best.map_or(time, |best| best.min(time));
        self.best = Some(best);
        if time > best * 2 + NOISE {
            return self.slow_down(trial, time, now);
        }
        let fast = self.limit < self.fast_below;
        if !fast && round.peak >= self.limit && self.limit < self.bound(now) {
            self.limit += 1;
            // Beyond what was refused the last time, and still well: that was other times.
            self.ceiling = self.ceiling.filter(|ceiling| self.limit <= ceiling.at + 1);
        }
    }

    /// The last round took long.
    fn slow_down(&mut self, trial: Trial, time: Duration, now: Instant) {
        let limit = self.limit;
        if limit == 1 {
            // Nobody waits for anybody here, so it is not the number.
            self.best = Some(time);
            return;
        }
        match trial {
            Trial::None => {
                self.trial = Trial::Measuring;
                self.set(limit, now);
            }
            Trial::Measuring | Trial::Cut { .. } => {
                self.trial = Trial::Cut { limit, time };
                self.remember(limit - 1, now);
                self.set(after_trouble(limit), now);
            }
        }
        self.fast_below = self.limit;
    }

    /// The limit was cut from `limit`, where a round took `before`, and all is as slow as it was.
    fn did_not_help(&mut self, limit: u32, before: Duration, now: Instant) {
        if self.limit > (limit / LEAST_SHARE).max(1) {
            self.trial = Trial::Cut {
                limit,
                time: before,
            };
            self.remember(self.limit - 1, now);
            self.set(self.limit / 2, now);
            self.fast_below = self.limit;
        } else {
            self.best = Some(before);
            self.ceiling = None;
            self.limit = limit;
        }
    }

    /// How far the limit may grow one by one.
    fn bound(&self, now: Instant) -> u32 {
        let held = self.ceiling.filter(|ceiling| now < ceiling.until);
        held.map_or(self.most, |ceiling| ceiling.at.min(self.most))
    }

    /// Keeps the limit at what was fine for a while; for longer when that was known and the next number was tried.
    fn remember(&mut self, fine: u32, now: Instant) {
        let hold = match self.ceiling {
            Some(ceiling) if fine >= ceiling.at => (ceiling.hold * 2).min(HOLD.1),
            _ => HOLD.0,
        };
        self.ceiling = Some(Ceiling {
            at: fine,
            until: now.checked_add(hold).unwrap_or(now),
            hold,
        });
    }

    /// From here on this is the limit, and only what begins from here on counts.
    fn set(&mut self, limit: u32, now: Instant) {
        self.limit = limit;
        self.since = Some(now);
        self.round = Round::new(limit);
    }
}

/// What is left of a number that was too much.
fn after_trouble(too_much: u32) -> u32 {
    (too_much.saturating_mul(CUT) / 10).max(1)
}

/// Zero for no times at all.
fn lower_quartile(times: &mut [Duration]) -> Duration {
    if times.is_empty() {
        return Duration::ZERO;
    }
    let at = times.len() / 4;
    *times.select_nth_unstable(at).1
}

#[cfg(test)]
mod tests;
