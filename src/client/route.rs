//! The proxy: which one, if any, and in which way requests pass it.
//!
//! An `https` API is reached through a tunnel (CONNECT, RFC 9110 §9.3.6), so that the proxy sees nothing. For an `http` API
//! the request itself goes to the proxy, with the whole URL as its target (RFC 9112 §3.2.2), because many proxies refuse
//! tunnels to anything but `https`.
//!
//! Must never happen here: a proxy that was asked for and is quietly left out, or its password in a message.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Uri};

use super::place::is_https;
use crate::config;
use crate::secret::Secret;

/// The setting or the environment names something that is no proxy for HTTP. It is not shown, for it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("{place} names no proxy that can be used: write http://host:port")]
pub struct BadProxy {
    place: String,
}

/// A proxy. Without `Debug`, for its URL may hold a password.
pub struct Proxy {
    pub url: Uri,
    /// User and password.
    login: Option<(String, Secret)>,
}

impl Proxy {
    /// From a URL, whose scheme may be left out: then it is `http`.
    fn parse(text: &str) -> Option<Proxy> {
        let text = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let url: Uri = text.parse().ok()?;
        let host = url.host().filter(|host| !host.is_empty())?;
        let authority = url.authority()?.as_str();
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (Some(user), server),
            None => (None, authority),
        };
        let has_port = server != host;
        if !matches!(url.scheme_str(), Some("http" | "https")) || (has_port && url.port().is_none())
        {
            return None;
        }
        let login = match user {
            None => None,
            Some(user) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                Some((decoded(name)?, Secret::new(decoded(password)?)))
            }
        };
        Some(Proxy { url, login })
    }

    /// `Proxy-Authorization` (RFC 9110 §11.7.2), if it wants to know who comes.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.login.as_ref()?;
        let mut value =
            HeaderValue::from_str(&format!("Basic {}", credentials(user, password))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_encoding::percent_decode_str(text);
    text.decode_utf8().ok().map(String::from)
}

/// User and password as RFC 7617 section 2 encodes them.
pub fn credentials(user: &str, password: &Secret) -> String {
    BASE64_STANDARD.encode(format!("{user}:{}", password.expose()))
}

/// The way to the API.
pub enum Route {
    /// Nothing between.
    Direct,
    /// Through a tunnel that this proxy makes.
    Tunnel(Proxy),
    /// By handing the request to this proxy.
    Forward(Proxy),
}

impl Route {
    /// The way to the API at `url`, by the setting and, if that says so, by the environment.
    ///
    /// # Errors
    /// [`BadProxy`].
    pub fn of(setting: &config::Proxy, url: &Uri) -> Result<Route, BadProxy> {
        let proxy = match setting {
            config::Proxy::None => None,
            config::Proxy::Url(proxy) => Some(parse(proxy, "api.proxy".to_owned())?),
            config::Proxy::Env => from_environment(url, |name| std::env::var(name).ok())?,
        };
        Ok(match proxy {
            None => Route::Direct,
            Some(proxy) if !is_https(url) && !is_https(&proxy.url) => Route::Forward(proxy),
            Some(proxy) => Route::Tunnel(proxy),
        })
    }

    /// What the proxy is shown, and may repeat.
    pub fn secrets(&self) -> Vec<Secret> {
        let (Route::Tunnel(proxy) | Route::Forward(proxy)) = self else {
            return Vec::new();
        };
        match &proxy.login {
            Some((user, password)) if !password.expose().is_empty() => {
                vec![Secret::new(credentials(user, password)), password.clone()]
            }
            _ => Vec::new(),
        }
    }

    /// Who is connected to: the proxy, or the API.
    pub fn first_stop<'a>(&'a self, url: &'a Uri) -> &'a Uri {
        match self {
            Route::Direct => url,
            Route::Tunnel(proxy) | Route::Forward(proxy) => &proxy.url,
        }
    }
}

/// The proxy for a URL as curl and its kin read the environment: `http_proxy` or `https_proxy` as the URL is, else
/// `all_proxy`, in lower or upper case; `no_proxy` names the hosts that are reached directly.
fn from_environment(
    url: &Uri,
    read: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, BadProxy> {
    let get = |name: &str| {
        let names = [name.to_owned(), name.to_ascii_uppercase()];
        let set = names.into_iter().map(|name| (read(&name), name));
        set.filter_map(|(value, name)| Some((value?, name)))
            .find(|(value, _)| !value.trim().is_empty())
    };
    let host = url.host().unwrap_or_default();
    if get("no_proxy").is_some_and(|(hosts, _)| is_named(&hosts, host)) {
        return Ok(None);
    }
    let scheme = url.scheme_str().unwrap_or_default();
    let found = get(&format!("{scheme}_proxy")).or_else(|| get("all_proxy"));
    found
        .map(|(value, name)| parse(value.trim(), format!("the variable {name}")))
        .transpose()
}

fn parse(text: &str, place: String) -> Result<Proxy, BadProxy> {
    Proxy::parse(text).ok_or(BadProxy { place })
}

/// Whether a list such as `localhost, .example.com` names the host: itself, a domain that it belongs to, or `*`.
fn is_named(hosts: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let mut entries = hosts
        .split(',')
        .map(|entry| entry.trim().to_ascii_lowercase());
    entries.any(|entry| {
        let domain = entry.trim_start_matches('*').trim_start_matches('.');
        entry == "*"
            || host == domain
            || (!domain.is_empty() && host.ends_with(&format!(".{domain}")))
    })
}

#[cfg(test)]
mod tests {
    use super::super::place::port_of;
    use super::*;

    fn choose(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, BadProxy> {
        let read = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = from_environment(&url.parse().unwrap(), read)?;
        Ok(proxy.map(|proxy| {
            let host = proxy.url.host().unwrap();
            format!("{host}:{}", port_of(&proxy.url))
        }))
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_kind_of_url() {
        let variables = [
            ("http_proxy", "http://a:1"),
            ("HTTP_PROXY", "http://never:1"),
            ("HTTPS_PROXY", "b:2"),
        ];
        let proxy = |url| choose(url, &variables).unwrap();
        assert_eq!(proxy("http://api/x").as_deref(), Some("a:1"));
        assert_eq!(proxy("https://api/x").as_deref(), Some("b:2"));
        let all = [("http_proxy", " "), ("ALL_PROXY", "https://c:3")];
        assert_eq!(choose("http://api/", &all).unwrap().as_deref(), Some("c:3"));
        assert_eq!(choose("http://api/", &[]).unwrap(), None);
    }

    #[test]
    fn no_proxy_names_hosts_and_domains() {
        for (hosts, host, named) in [
            ("*", "api", true),
            ("localhost, 127.0.0.1", "127.0.0.1", true),
            ("example.com", "API.example.com", true),
            (".example.com", "api.example.com", true),
            ("*.example.com", "api.example.com", true),
            ("example.com", "badexample.com", false),
            ("", "api", false),
            (",", "api", false),
        ] {
            let variables = [("NO_PROXY", hosts), ("all_proxy", "http://p:1")];
            let direct = choose(&format!("http://{host}/"), &variables).unwrap();
            assert_eq!(direct.is_none(), named, "{hosts} {host}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
        for bad in [
            "socks5://u:secret@p:1",
            "ftp://u:secret@p",
            "http://u:secret@",
            "http://u:secret@p:99999",
            "http://u:%ffsecret@p:1",
        ] {
            let error = choose("http://api/", &[("all_proxy", bad)]).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("all_proxy") && !error.contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_http_api_is_forwarded_to_and_an_https_api_is_tunnelled_to() {
        let setting = config::Proxy::Url("http://u%40:p%3A@proxy:3128".to_owned());
        let route = Route::of(&setting, &"http://api/x".parse().unwrap()).unwrap();
        let Route::Forward(proxy) = &route else {
            panic!("it is tunnelled to");
        };
        assert_eq!(proxy.url.port_u16(), Some(3128));
        // printf 'u@:p:' | base64
        assert_eq!(proxy.authorization().unwrap(), "Basic dUA6cDo=");
        assert_eq!(route.secrets()[1].expose(), "p:");
        let route = Route::of(&setting, &"https://api/x".parse().unwrap()).unwrap();
        assert!(matches!(route, Route::Tunnel(_)));
    }
}
