//! Repeats: lines of one kind that come thick and fast are counted and summed up, so that neither a thousand batches a minute
//! nor a fault of a thousand records floods the log.
//!
//! Must never happen here: a kind of which nothing is said at all.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So many lines of one kind are said in each [`PERIOD`]; the others are counted.
const LINES: u32 = 30;

const PERIOD: Duration = Duration::from_secs(10);

/// Kinds that are kept in mind. There are fewer sentences in ferryd; this bounds what foreign text in them could do.
const KINDS: usize = 200;

/// What was said and left out.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    kinds: HashMap<String, Kind>,
}

#[derive(Debug)]
struct Kind {
    since: Instant,
    said: u32,
    left_out: u64,
}

impl Repeats {
    /// Whether a line is to be said now.
    pub(super) fn admit(&mut self, line: &str, now: Instant) -> bool {
        let name = sentence(line);
        if !self.kinds.contains_key(name) {
            if self.kinds.len() >= KINDS {
                self.kinds
                    .retain(|_, kind| !kind.is_over(now) || kind.left_out > 0);
            }
            if self.kinds.len() >= KINDS {
                return true;
            }
            let kind = Kind {
                since: now,
                said: 0,
                left_out: 0,
            };
            self.kinds.insert(name.to_string(), kind);
        }
        let Some(kind) = self.kinds.get_mut(name) else {
            return true;
        };
        if kind.is_over(now) && kind.left_out == 0 {
            kind.since = now;
            kind.said = 0;
        }
        if kind.said < LINES {
            kind.said += 1;
            return true;
        }
        kind.left_out += 1;
        false
    }

    /// Kinds of which lines were left out, and how many, once their period is over; each is told once.
    pub(super) fn sum_up(&mut self, now: Instant) -> Vec<(String, u64)> {
        let mut sums = Vec::new();
        self.kinds.retain(|name, kind| {
            if !kind.is_over(now) {
                return true;
            }
            if kind.left_out > 0 {
                sums.push((name.clone(), kind.left_out));
            }
            false
        });
        sums
    }
}

impl Kind {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= PERIOD
    }
}

/// What a line has in common with others of its kind: the text before what differs.
fn sentence(line: &str) -> &str {
    let end = line.find([':', '.', '=', '(']).unwrap_or(line.len());
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_kind_are_summed_up_and_others_are_not_touched() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        let said =
            (0..100).filter(|n| repeats.admit(&format!("Batch delivered. batch={n}"), start));
        assert_eq!(said.count() as u32, LINES);
        assert!(repeats.admit("The gate is closed: HTTP 401", start));
        assert_eq!(repeats.sum_up(start), vec![]);
        let later = start + PERIOD;
        assert_eq!(repeats.sum_up(later), vec![("Batch delivered".into(), 70)]);
        assert_eq!(repeats.sum_up(later), vec![]);
        assert!(repeats.admit("Batch delivered. batch=100", later));
    }

    #[test]
    fn kinds_without_end_cost_no_memory_without_end_and_are_said() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        for number in 0..10_000 {
            assert!(repeats.admit(&format!("{number}"), now));
        }
        assert_eq!(repeats.kinds.len(), KINDS);
    }
}
