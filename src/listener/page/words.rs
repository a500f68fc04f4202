//! Reasons as the page shows them: without the API's own words, which may repeat what is in a record.

use crate::gate;

/// The part of a reason that is ours: of `HTTP 422 Unprocessable Entity: city "Lisboa" is unknown` what stands before the
/// colon, and of a result per item that it was refused. Of a gate's last probe the status
/// stays.
pub(super) fn without_the_apis(reason: &str) -> String {
    if let Some((cause, last)) = reason.split_once(gate::LAST_PROBE) {
        let cause = without_the_apis(cause);
        let status = last.strip_prefix("HTTP ").and_then(|rest| rest.get(..3));
        return match status.filter(|status| status.bytes().all(|byte| byte.is_ascii_digit())) {
            Some(status) => format!("{cause}{}HTTP {status}", gate::LAST_PROBE),
            None => cause,
        };
    }
    if let Some((ours, _)) = reason.split_once(" Last: ") {
        return ours.to_string();
    }
    if let Some(place) = reason
        .find("item ")
        .filter(|place| is_begin(reason, *place))
    {
        return format!("{}refused by the API", &reason[..place]);
    }
    match end_of_status(reason) {
        Some(end) => reason[..end].to_string(),
        None => reason.to_string(),
    }
}

/// What a status means when it holds all sending, for those that mean the same everywhere.
pub(super) fn meaning(reason: &str) -> &'static str {
    let meanings = [
        ("HTTP 401", ", the API refuses the login"),
        ("HTTP 403", ", the API refuses the login"),
        ("HTTP 404", ", `api.url` seems wrong"),
        ("HTTP 429", ", the API asks for a pause"),
    ];
    let mut told = meanings
        .iter()
        .filter(|(status, _)| reason.contains(status));
    told.next().map_or("", |(_, meaning)| meaning)
}

/// Whether a message begins there: all that ferryd puts before one ends with a colon.
fn is_begin(reason: &str, place: usize) -> bool {
    place == 0 || reason[..place].ends_with(": ")
}

/// Where the words of the API begin, after the first status.
fn end_of_status(reason: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(place) = reason[from..].find("HTTP ") {
        let status = from + place + "HTTP ".len();
        let digits = reason[status..].bytes().take_while(u8::is_ascii_digit);
        if digits.count() == 3 {
            return reason[status..].find(": ").map(|end| status + end);
        }
        from = status;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_said_is_left_out() {
        for (reason, ours) in [
            (
                "HTTP 422 Unprocessable Entity: city \"Lisboa\": HTTP 200: x",
                "HTTP 422 Unprocessable Entity",
            ),
            (
                "HTTP 500 Internal Server Error",
                "HTTP 500 Internal Server Error",
            ),
            ("HTTP 599: Lisboa", "HTTP 599"),
            ("item 422: Lisboa", "refused by the API"),
            ("item \"Lisboa\": Lisboa", "refused by the API"),
            (
                "refused with others in one request: HTTP 400 Bad Request: Lisboa",
                "refused with others in one request: HTTP 400 Bad Request",
            ),
            (
                "5 failures in a row, last: HTTP 503 Service Unavailable: Lisboa",
                "5 failures in a row, last: HTTP 503 Service Unavailable",
            ),
            (
                "paused by an operator; 20 records in a row were refused with HTTP 422, none accepted: the request's shape is at fault, not the records; they go back to waiting. Last: HTTP 422 Unprocessable Entity: Lisboa",
                "paused by an operator; 20 records in a row were refused with HTTP 422, none accepted: the request's shape is at fault, not the records; they go back to waiting.",
            ),
            (
                "HTTP 500 Internal Server Error; last probe: HTTP 422 Unprocessable Entity: Lisboa",
                "HTTP 500 Internal Server Error; last probe: HTTP 422",
            ),
            (
                "3 failures in a row, last: item 503: Lisboa",
                "3 failures in a row, last: refused by the API",
            ),
        ] {
            assert_eq!(without_the_apis(reason), ours);
        }
    }

    #[test]
    fn what_is_ours_stays() {
        for reason in [
            "no answer: timeout: global",
            "127.0.0.1:1: connection refused",
            "user_id is not a whole number",
            "HTTP is not spoken there: x",
        ] {
            assert_eq!(without_the_apis(reason), reason);
        }
    }
}
