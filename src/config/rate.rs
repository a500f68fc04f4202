//! Rates as people write them: `50/s`, `600/m`, `1000/h`. A bare number is never taken for one a second.

use std::time::Duration;

/// The units and their seconds.
const UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// More than a million a second is no limit.
const SHORTEST: Duration = Duration::from_micros(1);

/// The time from one to the next when they are evenly spaced.
pub(super) fn parse_rate(text: &str) -> Result<Duration, String> {
    read(text)
        .filter(|interval| *interval >= SHORTEST)
        .ok_or_else(|| {
            "must be \"none\" or a whole number for each second, minute or hour, such as 50/s, 600/m or 1000/h, \
             and at most 1000000/s"
                .to_owned()
        })
}

fn read(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_once('/')?;
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    // `u32` would also read a sign.
    let is_whole = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|n| is_whole && *n > 0)?;
    Some(Duration::from_secs(*seconds) / number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_whole_number_for_a_unit_of_time() {
        for (good, micros) in [
            ("50/s", 20_000),
            ("600/m", 100_000),
            ("1/h", 3_600_000_000),
            ("1000000/s", 1),
        ] {
            assert_eq!(
                parse_rate(good),
                Ok(Duration::from_micros(micros)),
                "{good}"
            );
        }
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for bad in [
            "",
            "50",
            "/s",
            "50/",
            "0/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "50/d",
            "50 /s",
            "50/S",
            "1000001/s",
            "99999999999/s",
        ] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }
}
