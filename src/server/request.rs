//! One request: read from the wire, checked, handed to the handler.
//!
//! A connection has one `Request` that is filled again and again, so that a request of ordinary
//! size costs no allocation.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Limits;
use super::body::Framing;
use super::stop::Stop;
use super::wire::{Deadline, Fault, Wire};

const HEADERS_MAX: usize = 64;
/// Capacity kept for the next request of the same connection.
const BODY_KEPT: usize = 64 * 1024;

/// A whole request, head and body.
pub struct Request {
    /// The body as it was meant: chunks joined, trailers dropped.
    pub body: Vec<u8>,
    /// Method, target, and names and values of the header fields, one after the other.
    text: String,
    method: Range<usize>,
    target: Range<usize>,
    headers: Vec<(Range<usize>, Range<usize>)>,
    keep_alive: bool,
    body_is_unread: bool,
    stop: Arc<Stop>,
}

impl Request {
    pub(super) fn new(stop: Arc<Stop>) -> Request {
        Request {
            body: Vec::new(),
            text: String::new(),
            method: 0..0,
            target: 0..0,
            headers: Vec::new(),
            keep_alive: false,
            body_is_unread: false,
            stop,
        }
    }

    /// The method as sent; methods are case-sensitive (RFC 9110, 9.1).
    pub fn method(&self) -> &str {
        &self.text[self.method.clone()]
    }

    /// The request target as sent, usually path and query.
    pub fn target(&self) -> &str {
        &self.text[self.target.clone()]
    }

    /// The value of the first header field of that name, whatever the case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All header fields, in the order sent. Bytes that are not UTF-8 stand as U+FFFD.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }

    /// Whether it has a body that was not read, for this server reads none.
    pub fn body_is_unread(&self) -> bool {
        self.body_is_unread
    }

    /// Sleeps on the handler's thread. False means that the server stops and the sleep was cut
    /// short.
    pub fn sleep(&self, duration: Duration) -> bool {
        self.stop.sleep(duration)
    }

    /// Whether the client is ready for another request on this connection.
    pub(super) fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Fills itself with the next request of the connection.
    pub(super) fn read(&mut self, wire: &mut Wire, limits: &Limits) -> Result<(), Fault> {
        self.body.clear();
        self.body.shrink_to(BODY_KEPT);
        wire.await_request(limits.idle)?;
        let deadline = Deadline::after(limits.transfer);
        let framing = loop {
            match self.parse_head(wire.bytes())? {
                Some((used, framing)) => {
                    wire.consume(used);
                    break framing;
                }
                None => wire.fill(&deadline)?,
            }
        };
        self.body_is_unread = limits.body == 0 && framing.has_body();
        if self.body_is_unread {
            self.keep_alive = false;
            return Ok(());
        }
        framing.check(limits.body)?;
        if framing.has_body() && wire.bytes().is_empty() && self.expects_continue() {
            wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                .map_err(|_| Fault::Gone)?;
        }
        framing.read(wire, &deadline, &mut self.body, limits.body)
    }

    /// Takes the head from the start of `bytes`: its length and how the body follows, or `None`
    /// while it is not whole.
    fn parse_head(&mut self, bytes: &[u8]) -> Result<Option<(usize, Framing)>, Fault> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let used = match head.parse(bytes) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Fault::Refused(431)),
            Err(_) => return Err(Fault::Refused(400)),
        };
        let modern = head.version == Some(1);
        check_host(head.headers, modern)?;
        let framing = Framing::of(head.headers, modern)?;
        // A connection of HTTP/1.0 is never kept: its keep-alive was never a standard.
        self.keep_alive = modern && !asks_to_close(head.headers);
        self.keep(&head);
        Ok(Some((used, framing)))
    }

    /// Copies the head out of the wire's buffer, which the body needs.
    fn keep(&mut self, head: &httparse::Request) {
        self.text.clear();
        self.headers.clear();
        self.method = self.push(head.method.unwrap_or_default().as_bytes());
        self.target = self.push(head.path.unwrap_or_default().as_bytes());
        for header in head.headers.iter() {
            let name = self.push(header.name.as_bytes());
            let value = self.push(header.value);
            self.headers.push((name, value));
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(&String::from_utf8_lossy(bytes));
        start..self.text.len()
    }

    fn expects_continue(&self) -> bool {
        self.header("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }
}

/// Exactly one `Host` in HTTP/1.1, not more than one in HTTP/1.0 (RFC 9112, 3.2).
fn check_host(headers: &[httparse::Header], modern: bool) -> Result<(), Fault> {
    let hosts = values(headers, "host").count();
    if hosts > 1 || (modern && hosts == 0) {
        return Err(Fault::NotOneHost);
    }
    Ok(())
}

fn asks_to_close(headers: &[httparse::Header]) -> bool {
    values(headers, "connection")
        .flat_map(|value| value.split(|&byte| byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// The values of all header fields of one name.
pub(super) fn values<'a>(
    headers: &'a [httparse::Header],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}
