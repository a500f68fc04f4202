//! The outcome of sending one record, as it is written down.

use crate::retry::RetryPolicy;
use crate::text;
use crate::verdict::Verdict;
use std::time::Duration;

/// What came back for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it means.
    pub verdict: Verdict,
    /// The HTTP status; `None` when no answer came.
    pub http_status: Option<u16>,
    /// One printable, bounded line for people; empty when delivered.
    pub message: String,
}

impl Answer {
    /// The request never began. The message is foreign to nobody: it has to be printable and bounded already.
    pub fn not_sent(message: impl Into<String>) -> Answer {
        Answer {
            verdict: Verdict::NotSent,
            http_status: None,
            message: message.into(),
        }
    }
}

/// What is written down for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted by the API.
    Delivered,
    /// Not accepted: the record gets a row in `undelivered_record`.
    Failed(Failure),
    /// The stop cut the request off: like `Failed`, but the attempt is not over for the record.
    CutOff(Failure),
}

/// Why a record was not accepted, and whether it is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happens next.
    pub state: FailedState,
    /// The HTTP status; `None` when no answer came.
    pub http_status: Option<u16>,
    /// One printable, bounded line.
    pub error: String,
    /// Attempts that the record has had, this one included if it counts.
    pub attempts: i64,
    /// How long the API asked to wait.
    pub retry_after: Option<Duration>,
}

/// `undelivered_record.state` of a record that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedState {
    /// Answered "try again".
    Retry,
    /// Sent, but no answer seen.
    Unknown,
    /// Not sent again unless an operator says so.
    Dead,
}

impl FailedState {
    /// The word in the file.
    pub fn word(self) -> &'static str {
        match self {
            FailedState::Retry => "RETRY",
            FailedState::Unknown => "UNKNOWN",
            FailedState::Dead => "DEAD",
        }
    }
}

impl Outcome {
    /// What to write down when the stop came before the answer: no number of attempts makes such a record dead.
    pub fn cut_off(attempts: i64) -> Outcome {
        Outcome::CutOff(Failure {
            state: FailedState::Unknown,
            http_status: None,
            error: "no answer: ferryd was stopped before it came".to_string(),
            attempts,
            retry_after: None,
        })
    }

    /// What to write down for an answer to a record that has now had `attempts` attempts.
    pub fn of(answer: Answer, attempts: i64, policy: &RetryPolicy) -> Outcome {
        let (state, retry_after) = match answer.verdict {
            Verdict::Delivered => return Outcome::Delivered,
            Verdict::Dead => (FailedState::Dead, None),
            Verdict::Unknown => (FailedState::Unknown, None),
            Verdict::Retry(after) => (FailedState::Retry, after),
            // The gate holds such records back, so that none comes here; if one did, it would be sent again.
            Verdict::NotSent | Verdict::Shortage | Verdict::DestinationFault => {
                (FailedState::Retry, None)
            }
        };
        let mut failure = Failure {
            state,
            http_status: answer.http_status,
            error: answer.message,
            attempts,
            retry_after: retry_after.map(|delay| delay.min(policy.max_interval)),
        };
        if state != FailedState::Dead && policy.exhausted(attempts) {
            failure.state = FailedState::Dead;
            let attempts = text::count(attempts, "attempt", "attempts");
            failure.error = format!("gave up after {attempts}: {}", failure.error);
        }
        Outcome::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        interval: Duration::from_secs(1),
        backoff: 1.0,
        max_interval: Duration::from_secs(60),
        max_attempts: 3,
    };

    fn answer(verdict: Verdict) -> Answer {
        Answer {
            verdict,
            http_status: Some(500),
            message: "HTTP 500".into(),
        }
    }

    #[test]
    fn the_last_attempt_makes_a_record_dead_and_says_why() {
        let Outcome::Failed(failure) = Outcome::of(answer(Verdict::Retry(None)), 3, &POLICY) else {
            panic!("a 500 is not delivered");
        };
        assert_eq!(failure.state, FailedState::Dead);
        assert_eq!(failure.error, "gave up after 3 attempts: HTTP 500");
    }

    #[test]
    fn a_hostile_retry_after_is_capped() {
        let verdict = Verdict::Retry(Some(Duration::MAX));
        let Outcome::Failed(failure) = Outcome::of(answer(verdict), 1, &POLICY) else {
            panic!("a 503 is not delivered");
        };
        assert_eq!(failure.retry_after, Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_delivered_record_is_delivered_even_at_the_last_attempt() {
        let outcome = Outcome::of(answer(Verdict::Delivered), 3, &POLICY);
        assert_eq!(outcome, Outcome::Delivered);
    }
}
