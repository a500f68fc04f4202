//! Repeats: lines of one kind that come thick and fast are counted and summed up, so that neither a thousand batches a minute
//! nor a fault of a thousand records floods the log.
//!
//! Must never happen here: a kind of which nothing is said at all.

use log::Level;
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
    level: Level,
    since: Instant,
    said: u32,
    left_out: u64,
}

/// Lines that were left out.
#[derive(Debug, PartialEq)]
pub(super) struct Sum {
    pub(super) level: Level,
    pub(super) kind: String,
    pub(super) lines: u64,
}

impl Repeats {
    /// Whether a line is to be said now, and how many of its kind were left out since one was; `None`: it is left out.
    pub(super) fn admit(&mut self, level: Level, line: &str, now: Instant) -> Option<u64> {
        let name = sentence(line);
        if !self.kinds.contains_key(name) {
            if self.kinds.len() >= KINDS {
                self.kinds.retain(|_, kind| !kind.is_over(now));
            }
            if self.kinds.len() >= KINDS {
                return Some(0);
            }
            let kind = Kind {
                level,
                since: now,
                said: 0,
                left_out: 0,
            };
            self.kinds.insert(name.to_string(), kind);
        }
        let kind = self.kinds.get_mut(name)?;
        if kind.is_over(now) {
            kind.since = now;
            kind.said = 0;
        }
        if kind.said < LINES {
            kind.said += 1;
            return Some(std::mem::take(&mut kind.left_out));
        }
        kind.left_out += 1;
        None
    }

    /// Kinds of which lines were left out, once their period is over; each is told once.
    pub(super) fn sum_up(&mut self, now: Instant) -> Vec<Sum> {
        let mut sums = Vec::new();
        self.kinds.retain(|name, kind| {
            if !kind.is_over(now) {
                return true;
            }
            if kind.left_out > 0 {
                sums.push(Sum {
                    level: kind.level,
                    kind: name.clone(),
                    lines: kind.left_out,
                });
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

    const WARN: Level = Level::Warn;

    fn say(repeats: &mut Repeats, lines: std::ops::Range<u32>, now: Instant) -> u32 {
        let line = |n: &u32| format!("Batch delivered. batch={n}");
        let said = lines.filter(|n| repeats.admit(WARN, &line(n), now).is_some());
        said.count() as u32
    }

    #[test]
    fn lines_of_one_kind_are_summed_up_and_others_are_not_touched() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        assert_eq!(say(&mut repeats, 0..100, start), LINES);
        let gate = repeats.admit(WARN, "The gate is closed: HTTP 401", start);
        assert_eq!(gate, Some(0));
        assert_eq!(repeats.sum_up(start), []);
        let sum = Sum {
            level: WARN,
            kind: "Batch delivered".into(),
            lines: 70,
        };
        let later = start + PERIOD;
        assert_eq!(repeats.sum_up(later), [sum]);
        assert_eq!(repeats.sum_up(later), []);
        assert_eq!(
            repeats.admit(WARN, "Batch delivered. batch=100", later),
            Some(0)
        );
    }

    #[test]
    fn the_next_period_begins_by_itself_and_its_first_line_tells_of_those_left_out() {
        let mut repeats = Repeats::default();
        let start = Instant::now();
        say(&mut repeats, 0..40, start);
        let later = start + PERIOD;
        assert_eq!(
            repeats.admit(WARN, "Batch delivered. batch=40", later),
            Some(10)
        );
        assert_eq!(
            repeats.admit(WARN, "Batch delivered. batch=41", later),
            Some(0)
        );
        assert_eq!(say(&mut repeats, 42..142, later), LINES - 2);
    }

    #[test]
    fn kinds_without_end_cost_no_memory_without_end_and_are_said() {
        let mut repeats = Repeats::default();
        let now = Instant::now();
        for number in 0..10_000 {
            assert!(repeats.admit(WARN, &format!("{number}"), now).is_some());
        }
        assert_eq!(repeats.kinds.len(), KINDS);
    }
}
