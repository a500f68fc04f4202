//! What an answer of the API means for a record: the table of HTTP verdicts, and nothing else.

use std::time::Duration;

/// What happened to a record that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The API answered 2xx.
    Delivered,
    /// Name lookup, connection or TLS failed: the request never began.
    NotSent,
    /// The request began, but no answer came: it may have been accepted.
    Unknown,
    /// The API asks to try again, after this long if it said so.
    Retry(Option<Duration>),
    /// The destination refuses whatever is sent: it is not the record's fault.
    DestinationFault,
    /// The API refuses this record for good.
    Dead,
}

/// The verdict for a final status (RFC 9110 §15), with the delay that `Retry-After` named.
pub fn of_status(status: u16, retry_after: Option<Duration>) -> Verdict {
    match status {
        200..=299 => Verdict::Delivered,
        408 | 409 | 425 | 429 | 500.. => Verdict::Retry(retry_after),
        401 | 403 | 404 | 405 | 407 | 410 => Verdict::DestinationFault,
        400..=499 => Verdict::Dead,
        // 1xx as a final answer, and redirects, which are never followed.
        _ => Verdict::DestinationFault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_delivered() {
        for status in 0..=999 {
            let delivered = of_status(status, None) == Verdict::Delivered;
            assert_eq!(delivered, (200..=299).contains(&status), "{status}");
        }
    }

    #[test]
    fn the_table_of_verdicts_holds() {
        let after = Some(Duration::from_secs(3));
        for status in [408, 409, 425, 429, 500, 503, 599, 999] {
            assert_eq!(of_status(status, after), Verdict::Retry(after), "{status}");
        }
        for status in [101, 199, 301, 304, 307, 401, 403, 404, 405, 407, 410] {
            assert_eq!(
                of_status(status, after),
                Verdict::DestinationFault,
                "{status}"
            );
        }
        for status in [400, 402, 406, 411, 413, 422, 499] {
            assert_eq!(of_status(status, after), Verdict::Dead, "{status}");
        }
    }
}
