//! Reading an answer: its head decides, its body is for people, and in bulk mode for the results of single records.
//!
//! A body is read to a limit and never waited for: with a 2xx in its head, a record is delivered whatever the body does.

use http::StatusCode;
use std::time::Duration;

use super::{Endpoint, MESSAGE_BYTES};
use crate::client::Reply;
use crate::outcome::Answer;
use crate::text;
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// Bytes of an answer's body that are read, so that its connection can be used again.
pub const BODY_LIMIT: usize = 64 * 1024;

/// Bytes of a body that tells results per item: some hundred for each of the most records that a request may hold.
pub(super) const ITEMS_LIMIT: usize = 4 * 1024 * 1024;

/// What is kept of a success, whose body is otherwise only read so that the connection can be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Nothing,
    /// A line for people.
    Words,
    /// All of it, as far as it is of use: it tells results per item.
    Items,
}

impl Keep {
    /// Bytes of the body that are read at most.
    pub fn limit(self) -> usize {
        match self {
            Keep::Items => ITEMS_LIMIT,
            Keep::Nothing | Keep::Words => BODY_LIMIT,
        }
    }
}

impl Endpoint {
    /// What an answer means, and its body as far as it was kept.
    pub(super) fn read_answer(&self, reply: Reply, keep: Keep) -> (Answer, Vec<u8>) {
        let Reply { status, body, .. } = reply;
        let retry_after = reply.retry_after.as_deref().and_then(parse_retry_after);
        let verdict = self.verdicts.of(status, retry_after);
        let answer = |verdict, message: &str| Answer {
            verdict,
            http_status: Some(status),
            message: text::printable(message, MESSAGE_BYTES).into(),
        };
        // A body that broke off changes nothing.
        if verdict == Verdict::Delivered && keep != Keep::Words {
            return (answer(verdict, ""), body);
        }
        let said = String::from_utf8_lossy(&body);
        if self.is_page_about_certificate(status, &said) {
            let remedy = self.tls.remedy(self.base.host().unwrap_or_default());
            return (answer(Verdict::DestinationFault, &remedy), Vec::new());
        }
        let reason = StatusCode::from_u16(status).ok();
        let reason = reason.and_then(|status| status.canonical_reason());
        let mut message = format!("HTTP {status} {}", reason.unwrap_or_default());
        message.truncate(message.trim_end().len());
        if !said.trim().is_empty() {
            message.push_str(": ");
            message.push_str(self.auth.mask().cover(said.trim()).trim());
        }
        (answer(verdict, &message), body)
    }

    /// nginx answers so, with a plain 400, when it misses our certificate or does not like it. That is no fault of the
    /// record.
    fn is_page_about_certificate(&self, status: u16, body: &str) -> bool {
        const PAGES: [&str; 2] = [
            "<title>400 No required SSL certificate was sent</title>",
            "<title>400 The SSL certificate error</title>",
        ];
        status == 400 && self.tls.is_asked() && PAGES.iter().any(|page| body.contains(page))
    }
}

/// Reads `Retry-After` (RFC 9110 §10.2.3): seconds, or an HTTP date. Nonsense is nothing.
fn parse_retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    // `u64` would also read a sign, which the standard does not have.
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    Some(Timestamp::parse_http_date(value)?.after(Timestamp::now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_nonsense_is_ignored() {
        assert_eq!(parse_retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        for nonsense in ["", "-1", "+1", "soon", "1e300", "99999999999999999999999"] {
            assert_eq!(parse_retry_after(nonsense), None, "{nonsense}");
        }
    }
}
