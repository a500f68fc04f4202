//! A request, and its bytes on the wire (RFC 9112 sections 2 to 6).
//!
//! Nothing can break out of its place: method, target, names and values are of types that hold no end of a line.

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use std::borrow::Cow;
use std::io::Write;

/// Header fields as lines of a head. Without `Debug`, for some of them are secret.
#[derive(Clone, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// These lines, and room for some more.
    pub fn beginning_with(lines: &Lines) -> Lines {
        let mut all = Vec::with_capacity(lines.0.len() + 256);
        all.extend_from_slice(&lines.0);
        Lines(all)
    }

    /// Adds a field; whether there is one of this name already is not looked at.
    pub fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        let Lines(lines) = self;
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }

    /// The lines, each with its end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A request without what depends on the way that it takes.
#[derive(Clone)]
pub struct Request<'a> {
    pub method: Method,
    /// Path and query.
    pub target: Cow<'a, PathAndQuery>,
    /// All header fields but `Host` and `Content-Length`, and those for a proxy.
    pub fields: Lines,
    pub body: Cow<'a, [u8]>,
}

impl Request<'_> {
    /// Appends the head, with `before` in front of the target and `first` in front of the other fields.
    pub fn write_head(&self, before: &str, first: &Lines, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(before.as_bytes());
        let target = self.target.as_str();
        // "http://host?a=b" has an empty path, which is sent as a slash (RFC 9112 section 3.2.1).
        if !target.starts_with(['/', '*']) {
            out.push(b'/');
        }
        out.extend_from_slice(target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(first.as_bytes());
        out.extend_from_slice(self.fields.as_bytes());
        if !self.body.is_empty() || self.expects_body() {
            // Memory takes all that is written.
            let _ = write!(out, "content-length: {}\r\n", self.body.len());
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Whether a server may wait for a body, so that it has to be told when there is none (RFC 9110 section 8.6).
    fn expects_body(&self) -> bool {
        matches!(self.method, Method::POST | Method::PUT | Method::PATCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(method: Method, target: &str, body: &[u8]) -> String {
        let mut host = Lines::default();
        host.add(&http::header::HOST, &HeaderValue::from_static("h"));
        let mut fields = Lines::default();
        fields.add(
            &HeaderName::from_static("x-city"),
            &HeaderValue::from_str("Köln").unwrap(),
        );
        let request = Request {
            method,
            target: Cow::Owned(target.parse().unwrap()),
            fields,
            body: Cow::Borrowed(body),
        };
        let mut out = Vec::new();
        request.write_head("", &host, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_is_a_line_and_its_fields() {
        assert_eq!(
            written(Method::POST, "/a?b=c", b"12345"),
            "POST /a?b=c HTTP/1.1\r\nhost: h\r\nx-city: Köln\r\ncontent-length: 5\r\n\r\n"
        );
    }

    #[test]
    fn a_path_is_never_empty() {
        let line = written(Method::PUT, "?b=c", b"");
        assert!(line.starts_with("PUT /?b=c HTTP/1.1\r\n"), "{line}");
    }

    #[test]
    fn the_length_of_nothing_is_said_only_where_a_body_may_be_expected() {
        for (method, said) in [
            ("POST", true),
            ("PATCH", true),
            ("GET", false),
            ("PURGE", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let head = written(method, "/", b"");
            assert_eq!(head.contains("content-length: 0\r\n"), said, "{head}");
        }
    }
}
