//! Judges single values. Each function takes what somebody wrote and gives the typed value, or says
//! what is allowed there, as the end of a sentence that begins with the key.
//!
//! Must never happen here: a message that repeats the value, which may be secret.

mod access;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Uri};

use super::duration::parse_duration;
use super::rate::parse_rate;
use super::{Listen, Proxy};
use crate::verdict::Row;

pub(super) use access::{
    basic_user, check_secret_header, files, optional_file, optional_text, token_url,
};

/// A value as somebody wrote it, not judged yet.
pub(super) enum Given {
    /// A TOML string.
    Text(String),
    /// A TOML integer or float, in a form that Rust reads.
    Number(String),
    /// A variable: text that may stand for a number.
    Untyped(String),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array of strings.
    Texts(Vec<String>),
    /// A TOML array of strings, numbers and booleans.
    Scalars(Vec<serde_json::Value>),
    /// A TOML date, table or array of other things: no key takes one here.
    Other,
}

impl Given {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Untyped(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self) -> Option<&str> {
        match self {
            Self::Number(text) | Self::Untyped(text) => Some(text),
            _ => None,
        }
    }
}

pub(super) fn whole(given: &Given, range: RangeInclusive<u32>) -> Result<u32, String> {
    let number = given.number().and_then(|text| text.parse().ok());
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| match (range.start(), range.end()) {
            (least, &u32::MAX) => format!("must be a whole number, at least {least}"),
            (least, most) => format!("must be a whole number from {least} to {most}"),
        })
}

pub(super) fn factor(given: &Given, range: RangeInclusive<f64>) -> Result<f64, String> {
    let number = given.number().and_then(|text| text.parse().ok());
    // Neither infinity nor "not a number" is in a range of finite numbers.
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (least, most) = range.into_inner();
            format!("must be a number from {least:?} to {most:?}")
        })
}

pub(super) fn duration(given: &Given) -> Result<Duration, String> {
    parse_duration(given.text().unwrap_or_default()).map_err(|error| error.to_string())
}

pub(super) fn positive_duration(given: &Given) -> Result<Duration, String> {
    let duration = duration(given)?;
    if duration.is_zero() {
        return Err("must be longer than zero".to_owned());
    }
    Ok(duration)
}

/// The value that belongs to the word; all words are named when it is none of them.
pub(super) fn one_of<T: Copy>(given: &Given, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| given.text() == Some(word));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        format!("must be {}", words.join(" or "))
    })
}

pub(super) fn boolean(given: &Given) -> Result<bool, String> {
    match given {
        Given::Boolean(boolean) => Ok(*boolean),
        Given::Untyped(text) => text.parse().map_err(|_| "must be true or false".to_owned()),
        _ => Err("must be true or false, without quotes".to_owned()),
    }
}

/// Strings, whole numbers and booleans in a list; in a variable as JSON writes them.
pub(super) fn scalars(given: &Given) -> Result<Vec<serde_json::Value>, String> {
    let values = match given {
        Given::Texts(texts) => Some(texts.iter().map(|text| text.as_str().into()).collect()),
        Given::Scalars(values) => Some(values.clone()),
        Given::Untyped(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    let is_scalar =
        |value: &serde_json::Value| value.is_string() || value.is_i64() || value.is_boolean();
    values
        .filter(|values: &Vec<serde_json::Value>| values.iter().all(is_scalar))
        .ok_or_else(|| "must be a list of strings, whole numbers, true or false".to_owned())
}

/// A JSON pointer (RFC 6901), or nothing.
pub(super) fn pointer(given: &Given) -> Result<String, String> {
    match given.text() {
        Some(text) if text.is_empty() || text.starts_with('/') => Ok(text.to_owned()),
        _ => Err("must be a JSON pointer such as \"/results\", or \"\"".to_owned()),
    }
}

pub(super) fn database_path(given: &Given) -> Result<PathBuf, String> {
    let text = given
        .text()
        .ok_or("must be the path of a file, as a string")?;
    let path = Path::new(text);
    check_database_path(path)?;
    Ok(path.to_owned())
}

/// Refuses what is no path, and what SQLite would take for something else than a path.
pub(super) fn check_database_path(path: &Path) -> Result<(), String> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() {
        return Err("must not be empty: give the path of a file".to_owned());
    }
    if bytes.contains(&0) {
        return Err("must not hold a zero byte".to_owned());
    }
    if bytes == b":memory:" || bytes.starts_with(b"file:") {
        return Err(
            "must be the path of a file, not a special name of SQLite: put ./ before it".to_owned(),
        );
    }
    Ok(())
}

pub(super) fn proxy(given: &Given) -> Result<Proxy, String> {
    match given.text() {
        Some("none") => Ok(Proxy::None),
        Some("env") => Ok(Proxy::Env),
        Some(url) if url.contains("://") => {
            check_http_url(url)?;
            Ok(Proxy::Url(url.to_owned()))
        }
        _ => Err(r#"must be "none", "env" or a URL: http://… or https://…"#.to_owned()),
    }
}

/// The time from one request to the next; `none`: no limit.
pub(super) fn rate_limit(given: &Given) -> Result<Option<Duration>, String> {
    match given.text() {
        Some("none") => Ok(None),
        text => parse_rate(text.unwrap_or_default()).map(Some),
    }
}

/// What stands in a header field as it is: printable ASCII.
pub(super) fn user_agent(given: &Given) -> Result<String, String> {
    let text = given.text().unwrap_or_default();
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if text.trim().is_empty() || !printable {
        return Err("must be printable ASCII, and not empty".to_owned());
    }
    Ok(text.trim().to_owned())
}

/// An absolute http or https URL (RFC 9110 section 4.2). The port is looked at here because the
/// client would quietly take the default port in place of one that is out of range.
pub(super) fn check_http_url(text: &str) -> Result<(), String> {
    if !text.is_ascii() {
        return Err("must be ASCII: percent-encode other characters".to_owned());
    }
    let uri: Uri = text
        .parse()
        .map_err(|cause| format!("is not a URL ({cause}): write http://… or https://…"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("must begin with http:// or https://".to_owned());
    }
    let host = uri.host().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let server = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() {
        return Err("must name a host".to_owned());
    }
    if server != host && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("must have a port from 1 to 65535, or none".to_owned());
    }
    Ok(())
}

/// A method is a token (RFC 9110 section 9.1). CONNECT and TRACE carry no records.
pub(super) fn method(given: &Given) -> Result<String, String> {
    let text = given.text().unwrap_or_default();
    let is_token = Method::from_bytes(text.as_bytes()).is_ok();
    if !is_token || text.contains(|c: char| c.is_ascii_lowercase()) {
        return Err("must be an HTTP method in upper case, such as POST".to_owned());
    }
    if matches!(text, "CONNECT" | "TRACE") {
        return Err("cannot carry records: use POST, PUT or PATCH".to_owned());
    }
    Ok(text.to_owned())
}

/// One more header field (RFC 9110 section 5) beside those in `headers`.
pub(super) fn check_header(
    headers: &[(String, String)],
    name: &str,
    value: &str,
) -> Result<(), String> {
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err("is not the name of a header field".to_owned());
    }
    match name.to_ascii_lowercase().as_str() {
        "content-length" | "transfer-encoding" | "host" | "connection" => {
            return Err("is written by ferryd itself: remove it".to_owned());
        }
        "idempotency-key" => {
            return Err("is written by ferryd itself: see api.idempotency_key".to_owned());
        }
        "content-encoding" => {
            return Err("is written by ferryd itself: see api.compress".to_owned());
        }
        _ => {}
    }
    if headers
        .iter()
        .any(|(had, _)| had.eq_ignore_ascii_case(name))
    {
        return Err("is given twice: names of header fields ignore case".to_owned());
    }
    if HeaderValue::from_str(value).is_err() {
        return Err("must not hold control characters".to_owned());
    }
    Ok(())
}

/// One more status that means something else than usual.
pub(super) fn check_verdict(_: &[(String, String)], status: &str, row: &str) -> Result<(), String> {
    match status.parse::<u16>() {
        Ok(100..=999) => row.parse::<Row>().map(drop),
        _ => Err("is not an HTTP status: a number from 100 to 999".to_owned()),
    }
}

pub(super) fn listen(given: &Given) -> Result<Option<Listen>, String> {
    let text = given.text().unwrap_or_default();
    if text == "none" {
        return Ok(None);
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return socket_path(path).map(|path| Some(Listen::Unix(path)));
    }
    let address: SocketAddr = text.parse().map_err(|_| {
        r#"must be "none", a loopback address with a port such as 127.0.0.1:9464, or unix:/path"#
    })?;
    if !address.ip().is_loopback() {
        return Err("must be a loopback address (127.0.0.1 or [::1]): \
             the listener is for this machine only"
            .to_owned());
    }
    Ok(Some(Listen::Tcp(address)))
}

fn socket_path(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() {
        return Err("must have a path after unix:".to_owned());
    }
    std::os::unix::net::SocketAddr::from_pathname(path)
        .map_err(|cause| format!("is not the path of a socket: {cause}"))?;
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn a_method_is_an_upper_case_token_that_carries_records() {
        for good in ["POST", "PUT", "M-SEARCH"] {
            assert_eq!(method(&text(good)).as_deref(), Ok(good));
        }
        for bad in ["", "post", "Post", "PO ST", "POST\r\n", "CONNECT", "TRACE"] {
            assert!(method(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_header_cannot_break_the_request_apart() {
        assert_eq!(check_header(&[], "X-Team", "red ä"), Ok(()));
        for (name, value) in [
            ("", "x"),
            ("X Y", "x"),
            ("X:", "x"),
            ("X\n", "x"),
            ("X-Team", "a\r\nHost: b"),
            ("X-Team", "\0"),
        ] {
            assert!(check_header(&[], name, value).is_err(), "{name:?}");
        }
    }

    #[test]
    fn headers_that_ferryd_writes_and_headers_given_twice_are_refused() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "HOST",
            "Connection",
            "Idempotency-Key",
            "Content-Encoding",
        ] {
            assert!(check_header(&[], name, "x").is_err(), "{name}");
        }
        let had = [("X-Team".to_owned(), "red".to_owned())];
        assert!(check_header(&had, "x-team", "blue").is_err());
    }

    #[test]
    fn the_status_listener_stays_on_this_machine() {
        assert_eq!(
            listen(&text("[::1]:9464")),
            Ok(Some(Listen::Tcp("[::1]:9464".parse().unwrap())))
        );
        assert_eq!(
            listen(&text("unix:/run/s.sock")),
            Ok(Some(Listen::Unix(PathBuf::from("/run/s.sock"))))
        );
        assert_eq!(listen(&text("none")), Ok(None));
        let long = format!("unix:/{}", "x".repeat(200));
        for bad in ["0.0.0.0:1", "192.0.2.1:1", "127.0.0.1", "unix:", "", &long] {
            assert!(listen(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_user_agent_cannot_break_the_request_apart() {
        assert_eq!(user_agent(&text(" me/1 (x) ")).as_deref(), Ok("me/1 (x)"));
        for bad in ["", " ", "a\r\nb", "\0", "é"] {
            assert!(user_agent(&text(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_proxy_is_none_env_or_an_http_url() {
        assert_eq!(proxy(&text("env")), Ok(Proxy::Env));
        let url = "http://u:p@proxy:3128";
        assert_eq!(proxy(&text(url)), Ok(Proxy::Url(url.to_owned())));
        for bad in ["", "yes", "proxy:3128", "socks5://h:1", "http://h:99999"] {
            assert!(proxy(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_database_that_would_not_be_a_file_is_refused() {
        for bad in ["", ":memory:", "file:x?mode=memory", "a\0b"] {
            assert!(database_path(&text(bad)).is_err(), "{bad}");
        }
        assert!(database_path(&text("./file:x")).is_ok());
    }

    #[test]
    fn a_factor_is_finite_and_in_range() {
        for good in ["1", "1.0", "2.5", "100"] {
            assert!(factor(&Given::Untyped(good.to_owned()), 1.0..=100.0).is_ok());
        }
        for bad in ["", "0.99", "101", "inf", "nan", "two"] {
            assert!(factor(&Given::Untyped(bad.to_owned()), 1.0..=100.0).is_err());
        }
    }
}
