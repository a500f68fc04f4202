//! How fast it goes: what was delivered at each look, the rate that follows from it, and when all will be done. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Looks that are kept, a second apart: what a wide terminal can show.
const KEPT: usize = 240;

/// The rate is that of so many seconds, so that it neither jumps nor lags.
const RATE_OVER: Duration = Duration::from_secs(5);

/// The end is told from a longer time, because nobody wants it to jump.
const END_OVER: Duration = Duration::from_secs(30);

/// Eighths of a line's height, the lowest for nothing.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What was delivered, look by look.
#[derive(Debug, Default)]
pub struct History(VecDeque<(Instant, i64)>);

impl History {
    /// Adds a look.
    pub fn push(&mut self, at: Instant, delivered: i64) {
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
        self.0.push_back((at, delivered));
    }

    /// Records per second of late; `None` before the second look.
    pub fn rate(&self) -> Option<f64> {
        self.rate_over(RATE_OVER)
    }

    /// How long `backlog` records take at this speed; `None` when it does not move.
    pub fn end(&self, backlog: i64) -> Option<Duration> {
        let rate = self.rate_over(END_OVER).filter(|rate| *rate > 0.0)?;
        // A hundred years are as good as never.
        let seconds = (backlog as f64 / rate).min(3.2e9);
        Some(Duration::from_secs_f64(seconds))
    }

    fn rate_over(&self, time: Duration) -> Option<f64> {
        let (last, delivered) = *self.0.back()?;
        let earlier = self.0.iter().rev().skip(1);
        let within = earlier.take_while(|(at, _)| last.duration_since(*at) <= time + time / 10);
        let first = within.last().or(self.0.iter().rev().nth(1))?;
        Some(speed(*first, (last, delivered)))
    }

    /// The last so many looks as a row of bars, each the speed since the look before.
    pub fn sparkline(&self, columns: usize) -> String {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        let speeds: Vec<f64> = pairs.map(|(one, two)| speed(*one, *two)).collect();
        let shown = &speeds[speeds.len().saturating_sub(columns)..];
        let highest = shown.iter().copied().fold(0.0, f64::max);
        let bar = |speed: &f64| match *speed > 0.0 {
            // The lowest bar is for nothing, the seven others share what is above.
            true => BARS[((speed / highest * 7.0).ceil() as usize).clamp(1, 7)],
            false => BARS[0],
        };
        shown.iter().map(bar).collect()
    }
}

/// Never below nothing: records that were delivered may have been pruned since.
fn speed(one: (Instant, i64), two: (Instant, i64)) -> f64 {
    let seconds = two.0.duration_since(one.0).as_secs_f64();
    match seconds > 0.0 {
        true => ((two.1 - one.1) as f64 / seconds).max(0.0),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(delivered: &[i64]) -> History {
        let start = Instant::now();
        let mut history = History::default();
        for (second, delivered) in delivered.iter().enumerate() {
            history.push(start + Duration::from_secs(second as u64), *delivered);
        }
        history
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        assert_eq!(of(&[]).rate(), None);
        assert_eq!(of(&[7]).rate(), None);
        assert_eq!(of(&[0, 10]).rate(), Some(10.0));
        assert_eq!(
            of(&[0, 1000, 1010, 1020, 1030, 1040, 1050]).rate(),
            Some(10.0)
        );
        assert_eq!(of(&[50, 0]).rate(), Some(0.0));
    }

    #[test]
    fn the_end_comes_when_the_backlog_is_worked_off_and_is_unknown_while_nothing_moves() {
        assert_eq!(of(&[0, 10]).end(50), Some(Duration::from_secs(5)));
        assert_eq!(of(&[10, 10]).end(50), None);
        assert!(of(&[0, 1]).end(i64::MAX).is_some());
    }

    #[test]
    fn bars_are_as_high_as_the_highest_allows_and_the_newest_are_shown() {
        assert_eq!(of(&[0, 70, 80, 80]).sparkline(9), "█▂▁");
        assert_eq!(of(&[0, 70, 80, 80]).sparkline(2), "█▁");
        assert_eq!(of(&[5]).sparkline(9), "");
    }

    #[test]
    fn no_more_looks_are_kept_than_can_be_shown() {
        let many: Vec<i64> = (0..1000).collect();
        assert!(of(&many).sparkline(1000).chars().count() <= KEPT);
    }
}
