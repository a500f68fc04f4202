//! Where a URL leads to.

use http::{HeaderValue, Uri, header};

use super::Lines;

/// The field `Host` (RFC 9110 section 7.2), without the port that everybody expects.
pub fn host(url: &Uri) -> Lines {
    let host = url.host().unwrap_or_default();
    let value = match port_of(url) {
        port if port == usual_port(url) => HeaderValue::from_str(host),
        port => HeaderValue::from_str(&format!("{host}:{port}")),
    };
    let mut lines = Lines::default();
    // A URL's host is ASCII without blanks.
    if let Ok(value) = value {
        lines.add(&header::HOST, &value);
    }
    lines
}

/// Host and port as the URL has them.
pub fn server(url: &Uri) -> &str {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    authority.rsplit('@').next().unwrap_or_default()
}

/// Whether it wants TLS.
pub fn is_https(url: &Uri) -> bool {
    url.scheme_str() == Some("https")
}

/// The port, also where the URL names none.
pub fn port_of(url: &Uri) -> u16 {
    url.port_u16().unwrap_or(usual_port(url))
}

fn usual_port(url: &Uri) -> u16 {
    if is_https(url) { 443 } else { 80 }
}
