//! Requests for many records: how many there are in a body, and an answer that tells a result for each.

use flate2::read::MultiGzDecoder;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::io::Read;

use crate::server::Request;

/// The body of a request as it was before `Content-Encoding: gzip`; `None` when it is no gzip or longer than `max` bytes.
pub(super) fn plain(request: &Request, max: usize) -> Option<Cow<'_, [u8]>> {
    let coding = request.header("content-encoding");
    if !coding.is_some_and(|coding| coding.eq_ignore_ascii_case("gzip")) {
        return Some(Cow::Borrowed(&request.body));
    }
    let mut body = Vec::new();
    let mut reader = MultiGzDecoder::new(request.body.as_slice()).take(max as u64 + 1);
    reader.read_to_end(&mut body).ok()?;
    (body.len() <= max).then_some(Cow::Owned(body))
}

/// How many records a body holds: the members of a JSON array, or the lines of JSON Lines; `None` when it is neither.
pub(super) fn count(body: &[u8]) -> Option<usize> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if *first == b'[' {
        let members: Vec<IgnoredAny> = serde_json::from_slice(body).ok()?;
        return Some(members.len());
    }
    let lines = body.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    lines
        .map(|line| serde_json::from_slice(line).ok())
        .map(|member: Option<IgnoredAny>| member.map(|_| 1))
        .sum()
}

/// The body of an answer with a result for each record: `{"results":[{"status":200},…]}`.
pub(super) fn results(statuses: &[u16]) -> Vec<u8> {
    let mut body = b"{\"results\":[".to_vec();
    for (place, status) in statuses.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(format!("{{\"status\":{status}}}").as_bytes());
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_records_of_an_array_and_of_lines_are_counted() {
        for (body, records) in [
            ("[]", 0),
            ("[{\"a\":[1,2]},{}]", 2),
            ("{\"a\":1}\n{\"a\":2}\n", 2),
            ("{\"a\":1}\n\n{\"a\":2}", 2),
        ] {
            assert_eq!(count(body.as_bytes()), Some(records), "{body}");
        }
        for none in ["", "  ", "[1", "{}\n{", "hello"] {
            assert_eq!(count(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn each_record_has_its_result() {
        assert_eq!(results(&[]), b"{\"results\":[]}");
        let text = String::from_utf8(results(&[200, 422])).unwrap();
        assert_eq!(text, "{\"results\":[{\"status\":200},{\"status\":422}]}");
    }
}
