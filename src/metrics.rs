//! Counters: what this process has sent since it started, for monitoring. What is in the file is not counted here, for the
//! file tells it better.
//!
//! Must never happen here: a lock, or a number that goes back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::coarse;
use crate::outcome::Answer;
use crate::verdict::Verdict;

/// What became of a request, in the words of the label `result`.
pub const RESULTS: [&str; 7] = [
    "delivered",
    "retry",
    "unknown",
    "refused",
    "destination_fault",
    "not_sent",
    "shortage",
];

/// Upper bounds of the histogram of request times, in milliseconds; beyond the last there is one more bucket.
pub const BOUNDS_MS: [u64; 14] = [
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000,
];

/// The chart of the last hour: so many slots of [`SLOT`] each.
pub const SLOTS: usize = 360;

/// See [`SLOTS`].
pub const SLOT: Duration = Duration::from_secs(10);

/// What all threads count together.
#[derive(Debug)]
pub struct Metrics {
    start: Duration,
    /// In the order of [`RESULTS`].
    requests: [AtomicU64; RESULTS.len()],
    /// In the order of [`BOUNDS_MS`], and one for all that took longer.
    took: [AtomicU64; BOUNDS_MS.len() + 1],
    took_us: AtomicU64,
    records: AtomicU64,
    gate_closings: AtomicU64,
    /// Records delivered in each slot. The upper half of each number says which slot since the start it is about.
    hour: Box<[AtomicU64; SLOTS]>,
}

/// Request times as they were counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Requests of each bucket alone, in the order of [`BOUNDS_MS`] and one more.
    pub buckets: [u64; BOUNDS_MS.len() + 1],
    /// All times together.
    pub total: Duration,
}

impl Default for Metrics {
    /// All begins at zero, now.
    fn default() -> Metrics {
        Metrics {
            start: coarse(),
            requests: Default::default(),
            took: Default::default(),
            took_us: AtomicU64::new(0),
            records: AtomicU64::new(0),
            gate_closings: AtomicU64::new(0),
            hour: Box::new([const { AtomicU64::new(0) }; SLOTS]),
        }
    }
}

impl Metrics {
    /// A request ended with this answer. One that never began has no time.
    pub fn count_request(&self, answer: &Answer, took: Duration) {
        add(&self.requests[place_of(answer.verdict)], 1);
        if matches!(answer.verdict, Verdict::NotSent | Verdict::Shortage) {
            return;
        }
        let ms = took.as_millis() as u64;
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < ms);
        add(&self.took[bucket], 1);
        add(&self.took_us, took.as_micros() as u64);
    }

    /// So many records were accepted by the API.
    pub fn count_delivered(&self, records: u64) {
        add(&self.records, records);
        let slot = self.slot_now();
        let kept = &self.hour[slot as usize % SLOTS];
        let count = |old: u64| match old >> 32 == slot {
            true => old + records,
            false => slot << 32 | records,
        };
        let _ = kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(count(old)));
    }

    /// The gate was open and is not any more.
    pub fn count_gate_closing(&self) {
        add(&self.gate_closings, 1);
    }

    /// How long this process has counted.
    pub fn uptime(&self) -> Duration {
        coarse().saturating_sub(self.start)
    }

    /// Requests by what became of them, in the order of [`RESULTS`].
    pub fn requests(&self) -> [u64; RESULTS.len()] {
        std::array::from_fn(|place| get(&self.requests[place]))
    }

    /// How long requests took, but for those that never began.
    pub fn took(&self) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|place| get(&self.took[place])),
            total: Duration::from_micros(get(&self.took_us)),
        }
    }

    /// Records that the API accepted.
    pub fn delivered(&self) -> u64 {
        get(&self.records)
    }

    /// Times that the gate was open and then not any more.
    pub fn gate_closings(&self) -> u64 {
        get(&self.gate_closings)
    }

    /// Records delivered in each [`SLOT`] of the last hour, the oldest first; the last one is not over yet. Only those since
    /// the start.
    pub fn last_hour(&self) -> Vec<u64> {
        let now = self.slot_now();
        let first = now.saturating_sub(SLOTS as u64 - 1);
        let slots = first..=now;
        let records = |slot: u64| {
            let kept = get(&self.hour[slot as usize % SLOTS]);
            if kept >> 32 == slot {
                kept & 0xffff_ffff
            } else {
                0
            }
        };
        slots.map(records).collect()
    }

    fn slot_now(&self) -> u64 {
        self.uptime().as_secs() / SLOT.as_secs()
    }
}

fn place_of(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Delivered => 0,
        Verdict::Retry(_) => 1,
        Verdict::Unknown => 2,
        Verdict::Dead => 3,
        Verdict::DestinationFault => 4,
        Verdict::NotSent => 5,
        Verdict::Shortage => 6,
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(verdict: Verdict) -> Answer {
        Answer {
            verdict,
            http_status: None,
            message: String::new(),
        }
    }

    #[test]
    fn each_request_is_in_one_bucket_and_those_that_never_began_in_none() {
        let metrics = Metrics::default();
        for ms in [0, 1, 2, 30_000, 30_001] {
            metrics.count_request(&answer(Verdict::Delivered), Duration::from_millis(ms));
        }
        metrics.count_request(&answer(Verdict::NotSent), Duration::from_secs(5));
        let took = metrics.took();
        assert_eq!((took.buckets[0], took.buckets[1]), (2, 1));
        assert_eq!((took.buckets[13], took.buckets[14]), (1, 1));
        assert_eq!(took.total, Duration::from_millis(60_004));
        assert_eq!(metrics.requests(), [5, 0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn the_last_hour_holds_what_was_delivered() {
        let metrics = Metrics::default();
        metrics.count_delivered(3);
        metrics.count_delivered(1000);
        assert_eq!(metrics.last_hour().iter().sum::<u64>(), 1003);
        assert_eq!(metrics.delivered(), 1003);
    }
}
