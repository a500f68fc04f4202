//! The proxy: which one, if any, and in which way requests pass it.
//!
//! An `https` API is reached through a tunnel (CONNECT, RFC 9110 §9.3.6), so that the proxy sees nothing. For an `http` API
//! the request itself goes to the proxy, with the whole URL as its target (RFC 9112 §3.2.2), because many proxies refuse
//! tunnels to anything but `https`.
//!
//! Must never happen here: a proxy that was asked for and is quietly left out, or its password in a message.

use anyhow::Context;
use ureq::ProxyProtocol;
use ureq::http::{HeaderValue, Uri};

use super::auth::credentials;
use crate::config;
use crate::secret::Secret;

/// The environment names something that is no proxy for HTTP. Its value is not shown, for it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "the variable {variable} names no proxy that can be used: write http://host:port, or set api.proxy"
)]
pub struct BadProxy {
    variable: String,
}

/// The way to the API.
#[derive(Debug)]
pub enum Route {
    /// Nothing between.
    Direct,
    /// Through a tunnel that this proxy makes.
    Tunnel(ureq::Proxy),
    /// By handing the request to this proxy.
    Forward(ureq::Proxy),
}

impl Route {
    /// The way to the API at `url`, by the setting and, if that says so, by the environment.
    ///
    /// # Errors
    /// [`BadProxy`].
    pub fn of(setting: &config::Proxy, url: &Uri) -> anyhow::Result<Route> {
        let proxy = match setting {
            config::Proxy::None => None,
            config::Proxy::Url(proxy) => Some(ureq::Proxy::new(proxy).context("api.proxy")?),
            config::Proxy::Env => from_environment(url, |name| std::env::var(name).ok())?,
        };
        let is_http = |scheme: Option<&str>| scheme == Some("http");
        Ok(match proxy {
            None => Route::Direct,
            Some(proxy) if is_http(url.scheme_str()) && is_http(proxy.uri().scheme_str()) => {
                Route::Forward(proxy)
            }
            Some(proxy) => Route::Tunnel(proxy),
        })
    }

    /// The proxy that tunnels.
    pub fn tunnel(&self) -> Option<ureq::Proxy> {
        match self {
            Route::Tunnel(proxy) => Some(proxy.clone()),
            Route::Direct | Route::Forward(_) => None,
        }
    }

    /// The proxy that requests are handed to, with its `Proxy-Authorization` (RFC 9110 §11.7.2) if it has a password.
    pub fn forward(&self) -> Option<(&Uri, Option<HeaderValue>)> {
        let Route::Forward(proxy) = self else {
            return None;
        };
        let user = proxy.username().unwrap_or_default();
        let password = Secret::new(proxy.password().unwrap_or_default());
        let known = proxy.username().is_some() || proxy.password().is_some();
        let basic = || format!("Basic {}", credentials(user, &password));
        let credentials = known.then(|| HeaderValue::from_str(&basic()).ok());
        Some((proxy.uri(), credentials.flatten()))
    }

    /// What the proxy is shown, and may repeat.
    pub fn secrets(&self) -> Vec<Secret> {
        let (Route::Tunnel(proxy) | Route::Forward(proxy)) = self else {
            return Vec::new();
        };
        let Some(password) = proxy.password().map(Secret::new) else {
            return Vec::new();
        };
        let user = proxy.username().unwrap_or_default();
        vec![Secret::new(credentials(user, &password)), password]
    }

    /// Who is connected to: the proxy, or the API.
    pub fn first_stop<'a>(&'a self, url: &'a Uri) -> &'a Uri {
        match self {
            Route::Direct => url,
            Route::Tunnel(proxy) | Route::Forward(proxy) => proxy.uri(),
        }
    }
}

/// The proxy for a URL as curl and its kin read the environment: `http_proxy` or `https_proxy` as the URL is, else
/// `all_proxy`, in lower or upper case; `no_proxy` names the hosts that are reached directly.
fn from_environment(
    url: &Uri,
    read: impl Fn(&str) -> Option<String>,
) -> Result<Option<ureq::Proxy>, BadProxy> {
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
    let Some((value, name)) = get(&format!("{scheme}_proxy")).or_else(|| get("all_proxy")) else {
        return Ok(None);
    };
    let proxy = ureq::Proxy::new(value.trim())
        .ok()
        .filter(|proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https));
    match proxy {
        Some(proxy) => Ok(Some(proxy)),
        None => Err(BadProxy { variable: name }),
    }
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
    use super::*;

    fn choose(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, BadProxy> {
        let read = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = from_environment(&url.parse().unwrap(), read)?;
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port())))
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
        let setting = config::Proxy::Url("http://u%40:p@proxy:3128".to_owned());
        let route = Route::of(&setting, &"http://api/x".parse().unwrap()).unwrap();
        let (proxy, credentials) = route.forward().unwrap();
        assert_eq!(proxy.port_u16(), Some(3128));
        // printf 'u@:p' | base64
        assert_eq!(credentials.unwrap(), "Basic dUA6cA==");
        let route = Route::of(&setting, &"https://api/x".parse().unwrap()).unwrap();
        assert!(route.forward().is_none() && route.tunnel().is_some());
    }
}
