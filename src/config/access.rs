//! The settings of proving who sends and to whom, and the rules between them.
//!
//! Must never happen here: a look at a file, or a secret in a message.

use std::net::IpAddr;

use super::{Api, shown};

/// `[api.auth]`: secrets that are sent along. A path may begin with `${CREDENTIALS_DIRECTORY}/`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Auth {
    pub bearer_token_file: Option<String>,
    pub basic_user: Option<String>,
    pub basic_password_file: Option<String>,
    /// Header field and the file with its value, in file order.
    pub headers: Vec<(String, String)>,
}

/// `[api.oauth2]`: client credentials (RFC 6749 section 4.4). Either all of the first three are set, or none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OAuth2 {
    pub token_url: Option<String>,
    pub client_id: Option<String>,
    pub client_secret_file: Option<String>,
    pub scope: Option<String>,
    pub auth: ClientAuth,
}

/// How a client shows its secret to the token endpoint (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the Authorization header.
    #[default]
    Basic,
    /// In the form.
    Body,
}

/// `[api.webhook]`: Standard Webhooks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Webhook {
    /// Each signs; empty: requests are not signed.
    pub secret_files: Vec<String>,
}

/// `[api.tls]`: whom to trust, and what to show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tls {
    /// `None`: the system's authorities.
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    #[default]
    V1_2,
    V1_3,
}

/// Whether a header field of this name usually carries a secret.
pub fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 8] = [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "api-key",
        "apikey",
        "access-key",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

/// What is wrong between the settings of `api`, a line each.
pub(super) fn problems(api: &Api, url: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (key, url) in [
        ("api.url", Some(url)),
        ("api.oauth2.token_url", api.oauth2.token_url.as_deref()),
    ] {
        let host = url.and_then(unencrypted_to).filter(|_| !api.allow_http);
        problems.extend(host.map(|host| {
            format!(
                "{key}: must begin with https://, or all would travel unencrypted to {}: \
                 if that is meant, set api.allow_http = true",
                shown(host)
            )
        }));
    }
    let parts = |section: &str, parts: &[(&str, bool)]| {
        let (set, missing): (Vec<_>, Vec<_>) = parts.iter().partition(|(_, is_set)| *is_set);
        let (_, (missing, _)) = set.first().zip(missing.first())?;
        Some(format!(
            "{section}.{missing} is not set, but belongs to {section}.{}",
            set[0].0
        ))
    };
    let Api {
        auth, oauth2, tls, ..
    } = api;
    problems.extend(parts(
        "api.auth",
        &[
            ("basic_user", auth.basic_user.is_some()),
            ("basic_password_file", auth.basic_password_file.is_some()),
        ],
    ));
    problems.extend(parts(
        "api.oauth2",
        &[
            ("token_url", oauth2.token_url.is_some()),
            ("client_id", oauth2.client_id.is_some()),
            ("client_secret_file", oauth2.client_secret_file.is_some()),
        ],
    ));
    problems.extend(parts(
        "api.tls",
        &[
            ("cert_file", tls.cert_file.is_some()),
            ("key_file", tls.key_file.is_some()),
        ],
    ));
    problems.extend(header_written_twice(api, url));
    problems
}

/// Who writes which header field; no field may have two writers.
fn header_written_twice(api: &Api, url: &str) -> Option<String> {
    const AUTHORIZATION: &str = "authorization";
    let mut writers: Vec<(String, String)> = Vec::new();
    let mut add = |field: &str, key: String| writers.push((field.to_ascii_lowercase(), key));
    for (name, _) in &api.headers {
        add(name, format!("api.headers.{}", shown(name)));
    }
    for (name, _) in &api.auth.headers {
        add(name, format!("api.auth.headers.{}", shown(name)));
    }
    for (key, is_set) in [
        ("the user in api.url", user_of(url).is_some()),
        (
            "api.auth.bearer_token_file",
            api.auth.bearer_token_file.is_some(),
        ),
        ("api.auth.basic_user", api.auth.basic_user.is_some()),
        ("api.oauth2.token_url", api.oauth2.token_url.is_some()),
    ] {
        if is_set {
            add(AUTHORIZATION, key.to_owned());
        }
    }
    if !api.webhook.secret_files.is_empty() {
        for field in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            add(field, "api.webhook.secret_files".to_owned());
        }
    }
    let mut pairs = writers.iter().enumerate();
    pairs.find_map(|(at, (field, second))| {
        let (_, first) = writers[..at].iter().find(|(had, _)| had == field)?;
        Some(format!(
            "{first} and {second} both write the header {field}: keep one of them"
        ))
    })
}

/// The user name and password in a URL.
pub(crate) fn user_of(url: &str) -> Option<&str> {
    authority(url).rsplit_once('@').map(|(user, _)| user)
}

/// The host, if what is sent to this URL leaves the machine unencrypted.
fn unencrypted_to(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once("://")?;
    let server = authority(url).rsplit('@').next()?;
    let host = match server.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => server.split(':').next()?,
    };
    let is_loopback = match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    };
    (scheme.eq_ignore_ascii_case("http") && !is_loopback).then_some(host)
}

/// What stands between `://` and the path.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn api(change: impl FnOnce(&mut Api)) -> Vec<String> {
        let mut api = Config::default().api;
        change(&mut api);
        problems(&api, "https://api.example/")
    }

    #[test]
    fn only_this_machine_is_reached_unencrypted() {
        for url in [
            "https://api.example/",
            "http://127.0.0.1:8080/x",
            "http://127.9.9.9",
            "http://[::1]:80/",
            "HTTP://LocalHost:1/",
            "http://me:word@localhost/",
        ] {
            assert_eq!(unencrypted_to(url), None, "{url}");
        }
        for (url, host) in [
            ("http://api.example:80/x", "api.example"),
            ("HTTP://10.0.0.1", "10.0.0.1"),
            ("http://localhost@api.example/", "api.example"),
            ("http://127.0.0.1.example/", "127.0.0.1.example"),
            ("http://[2001:db8::1]/", "2001:db8::1"),
            ("http://localhost.example?@localhost/", "localhost.example"),
        ] {
            assert_eq!(unencrypted_to(url), Some(host), "{url}");
        }
    }

    #[test]
    fn allow_http_is_the_remedy_and_lets_it_pass() {
        let mut api = Config::default().api;
        api.oauth2.token_url = Some("http://login.example/".to_owned());
        api.oauth2.client_id = Some("me".to_owned());
        api.oauth2.client_secret_file = Some("secret".to_owned());
        let found = problems(&api, "http://api.example/");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("api.url: ") && found[0].contains("api.allow_http = true"));
        assert!(found[1].starts_with("api.oauth2.token_url: "), "{found:?}");
        api.allow_http = true;
        assert_eq!(problems(&api, "http://api.example/"), [""; 0]);
    }

    #[test]
    fn half_a_pair_names_the_other_half() {
        let found = api(|api| api.tls.key_file = Some("k".to_owned()));
        assert_eq!(
            found,
            ["api.tls.cert_file is not set, but belongs to api.tls.key_file"]
        );
        let found = api(|api| api.oauth2.token_url = Some("https://a.example/".to_owned()));
        assert_eq!(
            found,
            ["api.oauth2.client_id is not set, but belongs to api.oauth2.token_url"]
        );
        assert_eq!(
            api(|api| api.auth.basic_user = Some("me".to_owned())).len(),
            1
        );
    }

    #[test]
    fn no_header_has_two_writers() {
        let entry = |name: &str| (name.to_owned(), "x".to_owned());
        let found = api(|api| {
            api.headers = vec![entry("AUTHORIZATION")];
            api.auth.bearer_token_file = Some("t".to_owned());
        });
        assert_eq!(
            found,
            [
                "api.headers.AUTHORIZATION and api.auth.bearer_token_file both write the header authorization: keep one of them"
            ]
        );
        assert_eq!(
            api(|api| {
                api.headers = vec![entry("X-Key")];
                api.auth.headers = vec![entry("x-key")];
            })
            .len(),
            1
        );
        assert_eq!(
            api(|api| {
                api.headers = vec![entry("Webhook-Id")];
                api.webhook.secret_files = vec!["s".to_owned()];
            })
            .len(),
            1
        );
    }

    #[test]
    fn headers_that_usually_carry_secrets_are_known_by_name() {
        for name in [
            "Authorization",
            "X-API-Key",
            "Cookie",
            "X-Auth-Token",
            "client-secret",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["X-Team", "Accept", "Content-Type", "X-Request-Id"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
