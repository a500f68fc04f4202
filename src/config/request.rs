//! Judges `api.url`, whose placeholders may not stand everywhere, and the header field for a record's key.

use http::HeaderName;

use super::values::{Given, check_http_url};
use crate::percent;
use crate::placeholder::{self, Piece};

/// The value of `api.url`.
pub(super) fn api_url(given: &Given) -> Result<String, String> {
    let text = given
        .text()
        .ok_or("must be a URL, as a string: http://… or https://…")?;
    check_http_url(&sample_url(text)?)?;
    Ok(text.to_owned())
}

/// The URL as it may look once it is filled in. Its placeholders may stand in the path and in the query (RFC 3986
/// section 3): nowhere else can a record's value be sent, or be sent safely.
fn sample_url(text: &str) -> Result<String, String> {
    let mut sample = String::new();
    let mut filled = false;
    for piece in placeholder::parse(text) {
        match piece {
            Piece::Text(text) => sample.push_str(text),
            Piece::Column(_) => {
                let (_, rest) = sample.split_once("://").unwrap_or_default();
                if !rest.contains(['/', '?']) || rest.contains('#') {
                    return Err(
                        "may have a {placeholder} in its path and in its query, and nowhere else"
                            .to_owned(),
                    );
                }
                filled = true;
                sample.push('x');
            }
        }
        if sample.contains(['{', '}']) {
            return Err("has braces that hold no name of a column: write %7B and %7D".to_owned());
        }
    }
    if filled && has_dot_segment(&sample) {
        return Err("must not have . or .. in its path beside a {placeholder}".to_owned());
    }
    Ok(sample)
}

fn has_dot_segment(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    path.split('/').skip(1).any(percent::is_dot_segment)
}

/// The header field for the key of a record: one that means nothing else.
pub(super) fn key_header(given: &Given) -> Result<String, String> {
    let name = given.text().unwrap_or_default();
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err("must be the name of a header field, such as Idempotency-Key".to_owned());
    }
    let taken = [
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "transfer-encoding",
        "user-agent",
    ];
    if taken.contains(&name.to_ascii_lowercase().as_str()) {
        return Err("must be a header field of its own: this one means something else".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn a_url_needs_http_a_host_and_a_real_port() {
        for good in [
            "http://127.0.0.1:8080/records",
            "https://api.example/x?y=1",
            "HTTP://h",
            "http://[::1]:80/",
            "https://user:word@h/",
        ] {
            assert_eq!(api_url(&text(good)).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "/records",
            "h/records",
            "localhost:8080",
            "ftp://h/",
            "http://",
            "http:///x",
            "http://:80/",
            "http://h:0/",
            "http://h:99999/",
            "http://h:/",
            "http://h/a b",
            "http://h/é",
            "http://h/\n",
        ] {
            assert!(api_url(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_url_has_placeholders_in_path_and_query_only() {
        for good in [
            "http://h/users/{user_id}",
            "http://h/{a}{b}/x?{c}={d}&e={ex tra}",
            "https://u:p@h:1/{città}.json",
            "http://h?x={a}",
            "http://h/a/../b",
        ] {
            assert_eq!(api_url(&text(good)).as_deref(), Ok(good));
        }
        for (bad, said) in [
            ("{a}://h/", "in its path"),
            ("http://{a}/", "in its path"),
            ("http://h{a}/", "in its path"),
            ("http://h:{a}/", "in its path"),
            ("http://{a}:{b}@h/", "in its path"),
            ("http://h/#{a}", "in its path"),
            ("http://h/{", "%7B"),
            ("http://h/{}", "%7B"),
            ("http://h/{a", "%7B"),
            ("http://h/a}", "%7B"),
            ("http://h/{{a}}", "%7B"),
            ("http://h/../{a}", ". or .."),
            ("http://h/%2e/{a}", ". or .."),
        ] {
            let error = api_url(&text(bad)).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn the_header_of_the_key_means_nothing_else() {
        for good in ["Idempotency-Key", "X-Request-Id"] {
            assert_eq!(key_header(&text(good)).as_deref(), Ok(good));
        }
        for bad in ["", "a b", "Content-Type", "HOST", "Traceparent"] {
            assert!(key_header(&text(bad)).is_err(), "{bad}");
        }
    }
}
