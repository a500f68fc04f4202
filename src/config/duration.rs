//! Durations as people write them: `500ms`, `30s`, `5m`, `6h`, `7d`. A bare number is never taken
//! for seconds, and no sum on a parsed duration can overflow a clock.

use std::time::Duration;

const SECOND: u64 = 1000;
const DAY: u64 = 24 * 60 * 60 * SECOND;
/// Ten years of 365 days, in milliseconds.
const LONGEST: u64 = 3650 * DAY;

/// The units and their milliseconds, longest first.
const UNITS: [(&str, u64); 5] = [
    ("d", DAY),
    ("h", 60 * 60 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1),
];

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("must be a duration such as 500ms, 30s, 5m, 6h or 7d")]
    NotADuration,
    #[error("must be at most 10 years (3650d)")]
    TooLong,
}

/// Reads a whole number and its unit: `ms`, `s`, `m`, `h` or `d`, without a sign, fraction or space.
///
/// # Errors
/// When the text is something else, or longer than 3650 days.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, milliseconds) = UNITS
        .iter()
        .find(|(name, _)| *name == unit && digits > 0)
        .ok_or(DurationError::NotADuration)?;
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*milliseconds))
        .filter(|total| *total <= LONGEST)
        .map(Duration::from_millis)
        .ok_or(DurationError::TooLong)
}

/// Writes a duration in its longest unit that keeps it exact: `90s`, `2m`. A part below one
/// millisecond is dropped.
pub fn format_duration(duration: Duration) -> String {
    let total = duration.as_millis();
    if total == 0 {
        return "0s".to_owned();
    }
    let exact = UNITS.iter().map(|(name, unit)| (name, u128::from(*unit)));
    exact
        .filter(|(_, unit)| total.is_multiple_of(*unit))
        .map(|(name, unit)| format!("{}{name}", total / unit))
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_unit_is_read() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("6h", 21_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(milliseconds))
            );
        }
    }

    #[test]
    fn a_duration_without_a_unit_is_refused() {
        for text in ["", "5", "s", "ms"] {
            assert_eq!(parse_duration(text), Err(DurationError::NotADuration));
        }
    }

    #[test]
    fn signs_fractions_spaces_sums_and_other_units_are_refused() {
        for text in [
            "-5s", "+5s", "1.5h", "5 m", " 5m", "5m ", "1h30m", "5S", "5min", "5w", "٥s", "5µs",
        ] {
            assert_eq!(
                parse_duration(text),
                Err(DurationError::NotADuration),
                "{text}"
            );
        }
    }

    #[test]
    fn ten_years_is_the_longest_duration() {
        assert!(parse_duration("3650d").is_ok());
        for text in ["3651d", "315360000001ms", "99999999999999999999999h"] {
            assert_eq!(parse_duration(text), Err(DurationError::TooLong), "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_in_its_longest_exact_unit() {
        for (milliseconds, text) in [
            (0, "0s"),
            (1, "1ms"),
            (1500, "1500ms"),
            (90_000, "90s"),
            (120_000, "2m"),
            (21_600_000, "6h"),
            (86_400_000, "1d"),
        ] {
            assert_eq!(format_duration(Duration::from_millis(milliseconds)), text);
        }
        assert_eq!(format_duration(Duration::from_micros(1999)), "1ms");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(milliseconds in 0..=LONGEST) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = parse_duration(&text);
        }
    }
}
