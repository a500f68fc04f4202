//! The head of an answer: its status, how its body ends (RFC 9112 section 6.3), and whether the connection may be used
//! again (section 9.3). Pure.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use super::Error;

/// Header fields of an answer at most.
const FIELDS: usize = 128;

/// The head of a final answer.
#[derive(Debug, PartialEq)]
pub struct Head {
    /// 100 to 999.
    pub status: u16,
    /// The first `Retry-After`, as it was written.
    pub retry_after: Option<String>,
    pub framing: Framing,
    /// Whether the connection may carry another request, once the body has ended.
    pub is_kept: bool,
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// What stands at the start of what came in.
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// Not yet a whole head.
    Partial,
    /// An interim answer, which says nothing (RFC 9110 section 15.2), of so many bytes.
    Interim(usize),
    /// The head of the final answer, of so many bytes.
    Final(usize, Head),
}

/// Reads a head. `to_head` says that the request was a HEAD, whose answer has no body whatever it says.
///
/// # Errors
/// When it is no HTTP, or nobody can know how its body ends.
pub fn parse(input: &[u8], to_head: bool) -> Result<Parsed, Error> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut answer, input, &mut fields);
    let length = match parsed {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(Parsed::Partial),
        Err(error) => return Err(Error::Garbled(error.to_string())),
    };
    let status = answer.code.unwrap_or_default();
    match status {
        0..100 => return Err(Error::Garbled(format!("its status is {status:03}"))),
        // After 101 the connection speaks another protocol: that is final, for us.
        100 | 102..200 => return Ok(Parsed::Interim(length)),
        _ => {}
    }
    let is_1_0 = answer.version == Some(0);
    let retry_after = values(answer.headers, "retry-after").next();
    Ok(Parsed::Final(
        length,
        Head {
            status,
            retry_after: retry_after
                .and_then(|value| Some(str::from_utf8(value).ok()?.to_string())),
            framing: framing(status, to_head, answer.headers)?,
            is_kept: is_kept(status, is_1_0, answer.headers),
        },
    ))
}

/// The values of all fields of a name, in lower case.
fn values<'a>(fields: &'a [Header], name: &str) -> impl Iterator<Item = &'a [u8]> {
    let fields = fields.iter();
    fields
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

/// The members of a list, which may stand in several fields of the name (RFC 9110 section 5.6.1).
fn members<'a>(fields: &'a [Header], name: &str) -> impl Iterator<Item = &'a [u8]> {
    values(fields, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn framing(status: u16, to_head: bool, fields: &[Header]) -> Result<Framing, Error> {
    if to_head || matches!(status, 101 | 204 | 304) {
        return Ok(Framing::Empty);
    }
    match members(fields, "transfer-encoding").last() {
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => return Ok(Framing::Chunked),
        Some(_) => return Ok(Framing::UntilClose),
        None => {}
    }
    let mut framing = Framing::UntilClose;
    for member in members(fields, "content-length") {
        let length = Framing::Length(length(member)?);
        if ![Framing::UntilClose, length].contains(&framing) {
            return Err(Error::Garbled("it has two lengths".into()));
        }
        framing = length;
    }
    Ok(framing)
}

fn length(text: &[u8]) -> Result<u64, Error> {
    // A number may also be parsed with a sign, which a length does not have.
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text);
    let length = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
    length.ok_or_else(|| Error::Garbled("its length is no number".into()))
}

fn is_kept(status: u16, is_1_0: bool, fields: &[Header]) -> bool {
    let says =
        |word: &[u8]| members(fields, "connection").any(|had| had.eq_ignore_ascii_case(word));
    let is_coded = values(fields, "transfer-encoding").next().is_some();
    // Two framings, or one that HTTP/1.0 does not have: somebody on the way may have taken the other (section 6.1).
    let is_doubtful = is_coded && (is_1_0 || values(fields, "content-length").next().is_some());
    status != 101 && !is_doubtful && !says(b"close") && (!is_1_0 || says(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        match parse(text.as_bytes(), false) {
            Ok(Parsed::Final(length, head)) if length == text.len() => head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn with(fields: &str) -> String {
        format!("HTTP/1.1 200 OK\r\n{fields}\r\n")
    }

    #[test]
    fn the_body_ends_as_the_standard_says() {
        for (fields, framing) in [
            ("", Framing::UntilClose),
            ("Content-Length: 0\r\n", Framing::Length(0)),
            ("content-LENGTH:  042 \r\n", Framing::Length(42)),
            (
                "Content-Length: 5, 5\r\nContent-Length: 05\r\n",
                Framing::Length(5),
            ),
            ("Transfer-Encoding: Chunked\r\n", Framing::Chunked),
            (
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                Framing::Chunked,
            ),
            ("Transfer-Encoding: chunked, gzip\r\n", Framing::UntilClose),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: five\r\n",
                Framing::Chunked,
            ),
        ] {
            assert_eq!(head(&with(fields)).framing, framing, "{fields}");
        }
        for status in [101, 204, 304] {
            let text = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
            assert_eq!(head(&text).framing, Framing::Empty);
        }
        let text = with("Content-Length: 5\r\n");
        let Ok(Parsed::Final(_, head)) = parse(text.as_bytes(), true) else {
            panic!("the answer to a HEAD");
        };
        assert_eq!(head.framing, Framing::Empty);
    }

    #[test]
    fn an_answer_of_which_nobody_knows_the_end_is_none() {
        for value in [
            "",
            "-1",
            "+1",
            "five",
            "5,",
            "5, 7",
            "5\r\nContent-Length: 7",
            "99999999999999999999",
        ] {
            let text = with(&format!("Content-Length: {value}\r\n"));
            let parsed = parse(text.as_bytes(), false);
            assert!(
                matches!(parsed, Err(Error::Garbled(_))),
                "{value}: {parsed:?}"
            );
        }
    }

    #[test]
    fn a_connection_is_kept_unless_somebody_says_otherwise() {
        for (text, kept) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
                false,
            ),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", false),
        ] {
            assert_eq!(head(text).is_kept, kept, "{text:?}");
        }
    }

    #[test]
    fn interim_answers_are_no_answers_but_101_is_one() {
        for status in [100, 102, 103, 199] {
            let text = format!("HTTP/1.1 {status} Wait\r\nLink: x\r\n\r\n");
            assert_eq!(
                parse(text.as_bytes(), false).unwrap(),
                Parsed::Interim(text.len())
            );
        }
        assert_eq!(head("HTTP/1.1 101 So\r\n\r\n").status, 101);
        assert_eq!(head("HTTP/1.1 999 So\r\n\r\n").status, 999);
        assert!(parse(b"HTTP/1.1 099 So\r\n\r\n", false).is_err());
    }

    #[test]
    fn the_first_retry_after_is_kept() {
        let text = with("RETRY-AFTER: 5 \r\nRetry-After: 7\r\n");
        assert_eq!(head(&text).retry_after.as_deref(), Some("5"));
    }

    #[test]
    fn half_a_head_is_not_parsed_yet() {
        let text = with("Content-Length: 0\r\n");
        for end in 0..text.len() {
            assert_eq!(
                parse(&text.as_bytes()[..end], false).unwrap(),
                Parsed::Partial
            );
        }
    }
}
