//! Random numbers that a printed seed brings back. Nothing else may be random in a torture.

use std::time::{SystemTime, UNIX_EPOCH};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Chance(u64);

impl Chance {
    /// From `FERRYD_TORTURE_SEED`, else from the clock; printed, so that a failure can be run again.
    pub fn of_the_day(what: &str) -> Chance {
        let given = std::env::var("FERRYD_TORTURE_SEED").ok();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = given.map_or(now.as_nanos() as u64, |seed| seed.parse().unwrap());
        eprintln!("{what}: FERRYD_TORTURE_SEED={seed}");
        Chance(seed)
    }

    /// Another source, independent of what this one gives later.
    pub fn split(&mut self) -> Chance {
        Chance(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `limit` - 1.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }
}
