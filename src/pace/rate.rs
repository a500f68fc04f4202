//! The rate: when the next request may begin. No clock, no lock and no waiting here: that is the pace's.
//!
//! It is a token bucket, kept as the one time at which the next request is due when all are evenly spaced (the "virtual
//! scheduling" form of the generic cell rate algorithm, ITU-T I.371). In any span of time there begin at most
//! `burst + (span + catch-up) / interval` requests; never more.

use std::time::{Duration, Instant};

/// What is made up for when this machine was late: a slot that nobody took in time is not lost, up to this long. Without
/// it each late wake-up of a thread would lower the rate; with more of it, requests would come in a heap after a pause.
/// The slots of one interval, but at least 5 ms, which is how late a busy machine is, and at most 50 ms.
const CATCH_UP: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// A bound on how many requests begin in a span of time.
#[derive(Debug)]
pub(super) struct Rate {
    /// From one request to the next when they are evenly spaced.
    interval: Duration,
    /// How much earlier than evenly spaced a request may be.
    ahead: Duration,
    catch_up: Duration,
    /// When the next one is due; `None` before the first.
    due: Option<Instant>,
}

impl Rate {
    /// One request every `interval`, after a pause `burst` of them at once.
    pub(super) fn new(interval: Duration, burst: u32) -> Rate {
        Rate {
            interval,
            ahead: interval.saturating_mul(burst.saturating_sub(1)),
            catch_up: interval.clamp(CATCH_UP.0, CATCH_UP.1),
            due: None,
        }
    }

    /// The same rate in the place of an `old` one: what was begun by that counts, as far as it can by this one.
    pub(super) fn after(self, old: Option<&Rate>, now: Instant) -> Rate {
        let latest = now.checked_add(self.ahead.saturating_add(self.interval));
        let due = old.and_then(|old| old.due);
        Rate {
            due: due.map(|due| latest.map_or(due, |latest| due.min(latest))),
            ..self
        }
    }

    /// How long from `now` until a request may begin.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.due.map_or(Duration::ZERO, |due| {
            (due.saturating_duration_since(now)).saturating_sub(self.ahead)
        })
    }

    /// A request begins.
    pub(super) fn take(&mut self, now: Instant) {
        let earliest = now.checked_sub(self.catch_up).unwrap_or(now);
        // The first request of all was not late.
        let slot = self.due.unwrap_or(now).max(earliest);
        self.due = Some(slot.checked_add(self.interval).unwrap_or(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Takes whenever it may until `end`, waking `late` after each wait; returns the times.
    fn taken(rate: &mut Rate, start: Instant, end: Instant, late: Duration) -> Vec<Instant> {
        let mut now = start;
        let mut times = Vec::new();
        while now < end {
            let wait = rate.wait(now);
            if wait.is_zero() {
                rate.take(now);
                times.push(now);
            } else {
                now += wait + late;
            }
        }
        times
    }

    fn per_second(requests: u32) -> Duration {
        Duration::from_secs(1) / requests
    }

    #[test]
    fn requests_are_evenly_spaced() {
        let start = Instant::now();
        let mut rate = Rate::new(per_second(50), 1);
        let times = taken(&mut rate, start, start + 100 * MS, Duration::ZERO);
        let spaces: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(spaces, [20 * MS; 4]);
    }

    #[test]
    fn a_machine_that_wakes_late_loses_nothing() {
        for (requests, late) in [(50, 15 * MS), (1, 40 * MS), (5000, 4 * MS)] {
            let start = Instant::now();
            let mut rate = Rate::new(per_second(requests), 1);
            let end = start + Duration::from_secs(10);
            let came = taken(&mut rate, start, end, late).len() as f64;
            let wanted = f64::from(requests) * 10.0;
            // The slots of the last moment may still be to come.
            let off = (late.as_secs_f64() * f64::from(requests) + 1.0) / wanted;
            assert!((came / wanted - 1.0).abs() <= off, "{requests}/s: {came}");
        }
    }

    #[test]
    fn after_a_pause_comes_the_burst_and_no_heap() {
        let start = Instant::now();
        for (burst, at_once) in [(1, 2), (10, 11)] {
            let mut rate = Rate::new(per_second(50), burst);
            taken(&mut rate, start, start + MS, Duration::ZERO);
            let later = start + Duration::from_secs(3600);
            let times = taken(&mut rate, later, later + MS, Duration::ZERO);
            // One more than the burst, for a slot may be made up for.
            assert_eq!(times.len(), at_once);
        }
    }

    #[test]
    fn the_first_requests_of_all_are_the_burst_and_then_evenly_spaced() {
        let start = Instant::now();
        let mut rate = Rate::new(per_second(50), 5);
        let times = taken(&mut rate, start, start + 41 * MS, Duration::ZERO);
        let offsets: Vec<_> = times.iter().map(|at| (*at - start).as_millis()).collect();
        assert_eq!(offsets, [0, 0, 0, 0, 0, 20, 40]);
    }

    #[test]
    fn a_new_rate_counts_what_began_by_the_old_one_but_waits_by_itself() {
        let start = Instant::now();
        let mut old = Rate::new(per_second(100), 50);
        taken(&mut old, start, start + MS, Duration::ZERO);
        let same = Rate::new(per_second(50), 1).after(Some(&old), start);
        assert_eq!(same.wait(start), 20 * MS);
        let mut burst = Rate::new(per_second(50), 50).after(Some(&old), start);
        // 50 are begun, and are due 500 ms from now: 25 slots of this rate.
        let at_once = taken(&mut burst, start, start + MS, Duration::ZERO);
        assert_eq!(at_once.len(), 25);

        let mut slow = Rate::new(Duration::from_secs(3600), 1);
        slow.take(start);
        let quick = Rate::new(10 * MS, 1).after(Some(&slow), start);
        assert_eq!(quick.wait(start), 10 * MS);
    }

    #[test]
    fn in_no_span_begin_more_than_promised() {
        let start = Instant::now();
        let mut rate = Rate::new(per_second(200), 3);
        // Pauses and lateness of all sizes.
        let mut now = start;
        let mut times = Vec::new();
        for step in 0..2000_u32 {
            now += rate.wait(now) + MS * (step * 7919 % 13) + MS * (step % 97 / 96 * 400);
            if rate.wait(now).is_zero() {
                rate.take(now);
                times.push(now);
            }
        }
        for (i, from) in times.iter().enumerate() {
            for (n, to) in times[i..].iter().enumerate() {
                let span = (*to - *from + 5 * MS).as_secs_f64();
                assert!(n as f64 + 1.0 <= 3.0 + span * 200.0 + 1e-6);
            }
        }
    }
}
