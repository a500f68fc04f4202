//! Who is let in, and what every answer carries: only reading, only clients that mean this machine, and nothing that a
//! browser could be talked into doing with an answer.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::server::{Answer, Request};
use crate::time::Timestamp;

/// Fields of every answer.
const FIELDS: [(&str, &str); 4] = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// What an answer that is no page allows: nothing.
const NO_CONTENT: &str = "default-src 'none'; frame-ancestors 'none'";

/// Why a request is not served; `None` when it is. A Unix socket has no name that could be a wrong one.
pub(super) fn refusal(request: &Request, by_name: bool) -> Option<Answer> {
    // Where the target names the host, the field does not count (RFC 9112 §3.2.2).
    let host = parts(request.target()).0.or(request.header("host"));
    if by_name && !host.is_some_and(is_this_machine) {
        let text =
            "This listener answers to localhost, 127.0.0.0/8 and [::1] only: set the Host field.\n";
        return Some(plain(421, text));
    }
    if !matches!(request.method(), "GET" | "HEAD") {
        let mut answer = plain(405, "Only GET and HEAD: this listener changes nothing.\n");
        if let Answer::Full { headers, .. } = &mut answer {
            headers.push(("Allow".into(), "GET, HEAD".into()));
        }
        return Some(answer);
    }
    if request.body_is_unread() {
        return Some(plain(413, "A request to this listener has no body.\n"));
    }
    None
}

/// The host that a target names, if it does, and the path that it asks for.
fn parts(target: &str) -> (Option<&str>, &str) {
    let scheme = "http://";
    let begin = target.get(..scheme.len());
    let absolute = begin.is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    let (host, path) = match absolute {
        true => {
            let rest = &target[scheme.len()..];
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        false => (None, target),
    };
    match path.split('?').next().unwrap_or_default() {
        "" if absolute => (host, "/"),
        path => (host, path),
    }
}

/// What a request asks for, without its query.
pub(super) fn path(request: &Request) -> &str {
    parts(request.target()).1
}

/// Whether a Host field names this machine. A page from elsewhere can make its own name lead here (DNS rebinding), but not
/// make a browser send another name.
fn is_this_machine(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => match address.parse::<Ipv6Addr>() {
            Ok(Ipv6Addr::LOCALHOST) => ("localhost", port),
            _ => return false,
        },
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port_is_fit = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    let loopback = |address: Ipv4Addr| address.is_loopback();
    port_is_fit && (name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(loopback))
}

/// A text.
pub(super) fn plain(status: u16, text: impl Into<String>) -> Answer {
    answer(status, "text/plain; charset=utf-8", NO_CONTENT, text.into())
}

/// An answer that is no page.
pub(super) fn data(status: u16, content_type: &str, body: String) -> Answer {
    answer(status, content_type, NO_CONTENT, body)
}

/// A page that may do what `policy` says.
pub(super) fn page(status: u16, policy: &str, html: String) -> Answer {
    answer(status, "text/html; charset=utf-8", policy, html)
}

fn answer(status: u16, content_type: &str, policy: &str, body: String) -> Answer {
    let own = |(name, value): (&str, &str)| (name.to_string(), value.to_string());
    let mut headers: Vec<_> = FIELDS.into_iter().map(own).collect();
    headers.push(own(("Date", &Timestamp::now().to_http_date())));
    headers.push(own(("Content-Type", content_type)));
    headers.push(own(("Content-Security-Policy", policy)));
    Answer::Full {
        status,
        headers,
        body: body.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_name_the_host() {
        for (target, host, path) in [
            ("/healthz?x=/y", None, "/healthz"),
            (
                "http://localhost:1/healthz?x",
                Some("localhost:1"),
                "/healthz",
            ),
            ("HTTP://localhost", Some("localhost"), "/"),
            ("http://localhost?/healthz", Some("localhost"), "/"),
            ("http:///healthz", Some(""), "/healthz"),
            ("*", None, "*"),
        ] {
            assert_eq!(parts(target), (host, path), "{target}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_let_in() {
        for host in [
            "localhost",
            "LocalHost:9464",
            "127.0.0.1",
            "127.255.0.7:1",
            "[::1]",
            "[::1]:9464",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "[::2]",
            "[::ffff:127.0.0.1]",
            "::1",
            "localhost:x",
            "localhost:1:2",
            "[::1]x",
            "[::1",
            "127.1",
            "localhost@evil.example",
            "localhost evil",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
