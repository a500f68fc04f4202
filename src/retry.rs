//! When a failed batch is due again, and when a record has had its attempts.

use std::time::Duration;

/// The `[retry]` section.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The first delay.
    pub interval: Duration,
    /// Factor from one delay to the next; 1.0 is a fixed delay.
    pub backoff: f64,
    /// No delay is longer.
    pub max_interval: Duration,
    /// Attempts per record; 0 is no limit.
    pub max_attempts: u32,
}

impl RetryPolicy {
    /// The delay after `failures` failed attempts (1 is the first), with a `jitter` from 0.0 to 1.0 that stands for
    /// -10 % to +10 %, so that batches which failed together do not come back together.
    pub fn delay(&self, failures: i64, jitter: f64) -> Duration {
        let steps = (failures - 1).clamp(0, 1000) as i32;
        let delay = self.interval.as_secs_f64() * self.backoff.powi(steps);
        let spread = 0.9 + 0.2 * jitter.clamp(0.0, 1.0);
        let longest = self.max_interval.as_secs_f64();
        // The minimum comes first: a Duration cannot be made from the infinity that a long row of factors may give.
        Duration::from_secs_f64((delay * spread).min(longest).max(0.0))
    }

    /// Whether a record that was sent `attempts` times has had its last one.
    pub fn exhausted(&self, attempts: i64) -> bool {
        self.max_attempts > 0 && attempts >= i64::from(self.max_attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        interval: Duration::from_secs(300),
        backoff: 2.0,
        max_interval: Duration::from_secs(6 * 3600),
        max_attempts: 20,
    };

    #[test]
    fn delays_grow_by_the_backoff_up_to_the_longest() {
        assert_eq!(POLICY.delay(1, 0.5), Duration::from_secs(300));
        assert_eq!(POLICY.delay(2, 0.5), Duration::from_secs(600));
        assert_eq!(POLICY.delay(3, 0.5), Duration::from_secs(1200));
        assert_eq!(POLICY.delay(i64::MAX, 1.0), POLICY.max_interval);
    }

    #[test]
    fn a_backoff_of_one_is_a_fixed_delay() {
        let fixed = RetryPolicy {
            backoff: 1.0,
            ..POLICY
        };
        assert_eq!(fixed.delay(1, 0.5), fixed.delay(500, 0.5));
    }

    #[test]
    fn jitter_stays_within_ten_percent() {
        assert_eq!(POLICY.delay(1, 0.0), Duration::from_secs(270));
        assert_eq!(POLICY.delay(1, 1.0), Duration::from_secs(330));
    }

    #[test]
    fn zero_attempts_is_no_limit() {
        let endless = RetryPolicy {
            max_attempts: 0,
            ..POLICY
        };
        assert!(!endless.exhausted(i64::MAX));
        assert!(!POLICY.exhausted(19));
        assert!(POLICY.exhausted(20));
    }
}
