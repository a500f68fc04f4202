//! What an answer of the API means for a record: the table of HTTP verdicts, and nothing else.

use std::time::Duration;

/// What happened to a record that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The API answered 2xx.
    Delivered,
    /// Name lookup, connection or TLS failed: the request never began.
    NotSent,
    /// This machine had no connection for it: neither the record nor the destination is at fault.
    Shortage,
    /// The request began, but no answer came: it may have been accepted.
    Unknown,
    /// The API asks to try again, after this long if it said so.
    Retry(Option<Duration>),
    /// The destination refuses whatever is sent: it is not the record's fault.
    DestinationFault,
    /// The API refuses this record for good.
    Dead,
}

/// The rows of the table that a status can be moved to. Never to "delivered": a success is a 2xx and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// The record is sent again.
    Retry,
    /// The destination is at fault: the gate closes.
    Hold,
    /// The record is dead.
    Dead,
}

impl std::str::FromStr for Row {
    type Err = String;

    fn from_str(word: &str) -> Result<Row, String> {
        match word {
            "retry" => Ok(Row::Retry),
            "hold" => Ok(Row::Hold),
            "dead" => Ok(Row::Dead),
            _ => {
                Err("must be \"retry\", \"hold\" (the destination is at fault) or \"dead\"".into())
            }
        }
    }
}

/// The table of verdicts, with the statuses that `[api.verdicts]` moves.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    moved: Vec<(u16, Row)>,
}

impl Verdicts {
    /// A table with these statuses moved.
    pub fn new(moved: Vec<(u16, Row)>) -> Verdicts {
        Verdicts { moved }
    }

    /// The verdict for a final status, with the delay that `Retry-After` named.
    pub fn of(&self, status: u16, retry_after: Option<Duration>) -> Verdict {
        match self.moved.iter().find(|(moved, _)| *moved == status) {
            None => of_status(status, retry_after),
            Some((_, Row::Retry)) => Verdict::Retry(retry_after),
            Some((_, Row::Hold)) => Verdict::DestinationFault,
            Some((_, Row::Dead)) => Verdict::Dead,
        }
    }
}

/// The verdict for a final status (RFC 9110 §15), with the delay that `Retry-After` named.
fn of_status(status: u16, retry_after: Option<Duration>) -> Verdict {
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
    fn a_moved_status_gets_the_verdict_of_its_row() {
        let moved = vec![(404, Row::Dead), (422, Row::Hold), (202, Row::Retry)];
        let verdicts = Verdicts::new(moved);
        assert_eq!(verdicts.of(404, None), Verdict::Dead);
        assert_eq!(verdicts.of(422, None), Verdict::DestinationFault);
        assert_eq!(verdicts.of(202, None), Verdict::Retry(None));
        assert_eq!(verdicts.of(200, None), Verdict::Delivered);
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
