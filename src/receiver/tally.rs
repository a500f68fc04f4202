//! What was received, in numbers. Pure counting: no clock, no I/O.
//!
//! Of an accepted idempotency key only a 64-bit hash is remembered, about 20 bytes each, for ten
//! million keys at most (some 160 MB). Beyond that new keys are not remembered: `distinct_keys`
//! stays at ten million, and a repeat is noticed only for the keys that came before. Two keys
//! with the same hash would be taken for one: with ten million keys the chance is 3 in a million.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

const KEYS_MAX: usize = 10_000_000;

/// What a receiver has received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All requests answered: accepted and refused.
    pub requests: u64,
    /// Requests answered 2xx.
    pub accepted: u64,
    /// Requests answered otherwise.
    pub refused: u64,
    /// Different idempotency keys among the accepted requests; stays at ten million.
    pub distinct_keys: u64,
    /// Requests whose idempotency key had been accepted before; keys after the first ten million
    /// are not remembered.
    pub repeated: u64,
    /// Records in the requests for many that were accepted, and those that were refused.
    pub records: (u64, u64),
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Counts {
            requests,
            accepted,
            refused,
            distinct_keys,
            repeated,
            records,
        } = self;
        write!(
            f,
            "received {requests} requests: {accepted} accepted, {refused} refused; {distinct_keys} distinct keys, {repeated} repeated"
        )?;
        match records {
            (0, 0) => Ok(()),
            (accepted, refused) => write!(
                f,
                "; of the records in them {accepted} accepted, {refused} refused"
            ),
        }
    }
}

#[derive(Default)]
pub(super) struct Tally {
    accepted: u64,
    refused: u64,
    repeated: u64,
    records: (u64, u64),
    keys: HashSet<u64>,
    hasher: RandomState,
}

impl Tally {
    /// Counts one request. `decide` gets its number, from 0, and gives the status of its answer.
    pub(super) fn take(&mut self, key: Option<&str>, decide: impl FnOnce(u64) -> u16) -> u16 {
        let status = decide(self.accepted + self.refused);
        let hash = key.map(|key| self.hasher.hash_one(key));
        if hash.is_some_and(|hash| self.keys.contains(&hash)) {
            self.repeated += 1;
        }
        if !(200..=299).contains(&status) {
            self.refused += 1;
            return status;
        }
        self.accepted += 1;
        if let Some(hash) = hash
            && self.keys.len() < KEYS_MAX
        {
            self.keys.insert(hash);
        }
        status
    }

    /// Counts the records of a request for many. `decide` gets the number of each, from 0, and gives its status.
    pub(super) fn take_records(&mut self, records: usize, decide: impl Fn(u64) -> u16) -> Vec<u16> {
        let before = self.records.0 + self.records.1;
        let statuses: Vec<u16> = (before..).take(records).map(decide).collect();
        let accepted = statuses
            .iter()
            .filter(|status| (200..=299).contains(*status));
        let accepted = accepted.count() as u64;
        self.records.0 += accepted;
        self.records.1 += records as u64 - accepted;
        statuses
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            requests: self.accepted + self.refused,
            accepted: self.accepted,
            refused: self.refused,
            distinct_keys: self.keys.len() as u64,
            repeated: self.repeated,
            records: self.records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_counts_as_repeated_only_after_it_was_accepted() {
        let mut tally = Tally::default();
        tally.take(Some("a"), |_| 500);
        tally.take(Some("a"), |_| 201);
        assert_eq!(tally.counts().repeated, 0);
        tally.take(Some("a"), |_| 503);
        tally.take(Some("a"), |_| 200);
        let expected = Counts {
            requests: 4,
            accepted: 2,
            refused: 2,
            distinct_keys: 1,
            repeated: 2,
            records: (0, 0),
        };
        assert_eq!(tally.counts(), expected);
    }

    #[test]
    fn requests_without_a_key_are_never_repeated() {
        let mut tally = Tally::default();
        for number in 0..3 {
            tally.take(None, |counted| {
                assert_eq!(counted, number);
                200
            });
        }
        let counts = tally.counts();
        assert_eq!((counts.distinct_keys, counts.repeated), (0, 0));
        assert_eq!(counts.accepted, 3);
    }

    #[test]
    fn the_summary_names_every_count() {
        let counts = Counts {
            requests: 10,
            accepted: 7,
            refused: 3,
            distinct_keys: 6,
            repeated: 1,
            records: (0, 0),
        };
        assert_eq!(
            counts.to_string(),
            "received 10 requests: 7 accepted, 3 refused; 6 distinct keys, 1 repeated"
        );
    }
}
