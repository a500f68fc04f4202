//! Points in time as the file shows them: ISO-8601 UTC text with milliseconds.
//!
//! Delays are measured with `std::time::Instant`; a `Timestamp` is only for what people and the next process
//! must be able to read. No other form of time may reach the file.

use std::time::Duration;

use crate::text::printable;

/// Bytes that are shown of what should be a time, and is not.
const OF_NO_TIME: usize = 24;

/// IMF-fixdate, and the obsolete forms of RFC 850 and of C's asctime(), which a recipient must understand too.
const HTTP_DATES: [&str; 3] = [
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
];

/// A point in UTC with milliseconds, within the years -9999 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The wall clock.
    pub fn now() -> Timestamp {
        Timestamp(jiff::Timestamp::now())
    }

    /// Whole seconds since 1970.
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// This time plus `delay`; the end of time where that overflows.
    pub fn plus(self, delay: Duration) -> Timestamp {
        let later = self.0.checked_add(delay);
        Timestamp(later.unwrap_or(jiff::Timestamp::MAX))
    }

    /// This time less `delay`; the beginning of time where that overflows.
    pub fn minus(self, delay: Duration) -> Timestamp {
        let earlier = self.0.checked_sub(delay);
        Timestamp(earlier.unwrap_or(jiff::Timestamp::MIN))
    }

    /// How long until `self`, seen from `now`; zero when it has passed.
    pub fn after(self, now: Timestamp) -> Duration {
        Duration::try_from(self.0.duration_since(now.0)).unwrap_or(Duration::ZERO)
    }

    /// How long ago a time of the file was, seen from `self`, for people: `4 m`. What is no time stays as it is.
    pub fn ago(self, past: &str) -> String {
        match Timestamp::parse(past) {
            Ok(past) => span(self.after(past)),
            Err(_) => printable(past, OF_NO_TIME).into_owned(),
        }
    }

    /// When a time of the file will be, seen from `self`, for people: `in 4 m`, or `now` when it has passed.
    pub fn until(self, future: &str) -> String {
        match Timestamp::parse(future) {
            Ok(future) if future <= self => "now".to_string(),
            Ok(future) => format!("in {}", span(future.after(self))),
            Err(_) => printable(future, OF_NO_TIME).into_owned(),
        }
    }

    /// Reads what [`std::fmt::Display`] wrote.
    ///
    /// # Errors
    /// When the text is not an ISO-8601 time with an offset.
    pub fn parse(text: &str) -> Result<Timestamp, jiff::Error> {
        text.parse().map(Timestamp)
    }

    /// As an IMF-fixdate (RFC 9110 §5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn to_http_date(self) -> String {
        self.0.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// Reads an HTTP-date in any of the three forms of RFC 9110 §5.6.7, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    pub fn parse_http_date(text: &str) -> Option<Timestamp> {
        let read = |form| jiff::civil::DateTime::strptime(form, text).ok();
        let time = HTTP_DATES.into_iter().find_map(read)?;
        let zoned = time.to_zoned(jiff::tz::TimeZone::UTC);
        // The last hours of the year 9999 are a date, but no Timestamp.
        Some(Timestamp(
            zoned.map_or(jiff::Timestamp::MAX, |zoned| zoned.timestamp()),
        ))
    }
}

/// A length of time for people, in one unit and rounded down: `45 s`, `4 m`, `5 h`, `12 d`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} m", seconds / 60),
        6_000..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

impl std::fmt::Display for Timestamp {
    /// `2026-11-22T16:47:57.123Z`: fixed width, so that texts sort as times do.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_as_it_was_written() {
        let text = "2026-11-22T16:47:57.120Z";
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn whole_seconds_keep_their_milliseconds() {
        let time = Timestamp::parse("2026-11-22T16:47:57Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T16:47:57.000Z");
    }

    #[test]
    fn adding_a_huge_delay_stops_at_the_end_of_time() {
        let late = Timestamp::now().plus(Duration::MAX);
        assert!(late.to_string().starts_with("9999-"));
    }

    #[test]
    fn a_due_time_in_the_past_is_due_now() {
        let now = Timestamp::now();
        assert_eq!(now.after(now.plus(Duration::from_secs(5))), Duration::ZERO);
        assert_eq!(
            now.plus(Duration::from_secs(5)).after(now),
            Duration::from_secs(5)
        );
    }

    #[test]
    fn a_length_of_time_is_told_in_one_unit() {
        for (seconds, said) in [
            (0, "0 s"),
            (99, "99 s"),
            (100, "1 m"),
            (5_999, "99 m"),
            (6_000, "1 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn times_are_told_from_now() {
        let now = Timestamp::parse("2026-11-22T16:47:57.000Z").unwrap();
        assert_eq!(now.ago("2026-11-22T16:45:57.000Z"), "2 m");
        assert_eq!(now.ago("2026-11-22T16:48:57.000Z"), "0 s");
        assert_eq!(now.until("2026-11-22T16:48:07.000Z"), "in 10 s");
        assert_eq!(now.until("2026-11-22T16:47:57.000Z"), "now");
        assert_eq!(now.ago("yester\u{1b}"), "yester\\u{1b}");
    }

    #[test]
    fn an_http_date_is_understood_in_each_of_its_forms() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let time = Timestamp::parse_http_date(text).unwrap();
            assert_eq!(time.to_string(), "1994-11-06T08:49:37.000Z", "{text}");
        }
        let last = Timestamp::parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT").unwrap();
        assert!(last.to_string().starts_with("9999-"));
        for nonsense in ["", "soon", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(Timestamp::parse_http_date(nonsense), None, "{nonsense}");
        }
    }
}
