//! What a handler may answer, well-behaved or not, and how a whole answer looks on the wire.

use std::io::Write;
use std::time::Duration;

/// A handler's answer. To answer late, sleep in the handler with [`super::Request::sleep`].
#[derive(Debug, Clone)]
pub enum Answer {
    /// A proper answer. `Content-Length` is added; a `Connection: close` among the headers is
    /// obeyed. Line breaks in a header become blanks.
    Full {
        /// Three digits; nothing else keeps it from being nonsense.
        status: u16,
        /// Names and values.
        headers: Vec<(String, String)>,
        /// Left out where HTTP has none: for HEAD, 1xx, 204 and 304.
        body: Vec<u8>,
    },
    /// These bytes, whatever they are; then the connection is closed.
    Raw(Vec<u8>),
    /// The connection is closed without an answer.
    Hangup,
    /// These bytes one by one, with a pause after each; then the connection is closed.
    Drip {
        /// What is sent.
        bytes: Vec<u8>,
        /// Cut short when the server stops.
        pause: Duration,
    },
}

impl Answer {
    /// A status and nothing else.
    pub fn status(status: u16) -> Answer {
        Answer::Full {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A status and a text body, without a `Content-Type`.
    pub fn text(status: u16, body: impl Into<String>) -> Answer {
        Answer::Full {
            status,
            headers: Vec::new(),
            body: body.into().into_bytes(),
        }
    }
}

/// The parts of [`Answer::Full`] and what the request and the server make of them.
pub(super) struct Whole<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: &'a [u8],
    /// The request was HEAD: say the length, keep the body.
    pub(super) head_only: bool,
    /// The connection ends after this answer.
    pub(super) close: bool,
}

impl Whole<'_> {
    /// Puts head and body behind each other, to leave in one write.
    pub(super) fn render(&self, out: &mut Vec<u8>) {
        out.clear();
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "HTTP/1.1 {:03} {}\r\n",
            self.status,
            reason(self.status)
        );
        for (name, value) in self.headers {
            put(out, name);
            out.extend_from_slice(b": ");
            put(out, value);
            out.extend_from_slice(b"\r\n");
        }
        if self.close && !asks_to_close(self.headers) {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        // RFC 9110, 8.6: no length with 1xx and 204; RFC 9112, 6.3: never a body with those and 304.
        if !matches!(self.status, 100..=199 | 204) {
            let _ = write!(out, "Content-Length: {}\r\n", self.body.len());
        }
        out.extend_from_slice(b"\r\n");
        if !self.head_only && !matches!(self.status, 100..=199 | 204 | 304) {
            out.extend_from_slice(self.body);
        }
    }
}

/// Whether the handler itself wants the connection closed.
pub(super) fn asks_to_close(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("connection") && value.trim().eq_ignore_ascii_case("close")
    })
}

/// A line break or NUL in a field would start another one; RFC 9110, 5.5 has it made a blank.
fn put(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().map(|byte| match byte {
        b'\r' | b'\n' | 0 => b' ',
        byte => byte,
    }));
}

/// For people who look at the wire; programs ignore it (RFC 9112, 4).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "",
    }
}
