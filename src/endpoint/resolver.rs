//! Name lookup with a small cache, because ureq's own starts an operating system thread for every request that has a
//! timeout. One lookup at a time; failures are remembered shortly, so that an outage of the name server is not a storm.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long found addresses are used.
const FOUND_TTL: Duration = Duration::from_secs(30);

/// How long a failure is.
const FAILED_TTL: Duration = Duration::from_secs(1);

/// More addresses than these have no place in ureq's answer.
const MAX_ADDRESSES: usize = 16;

/// Remembers the last name: ferryd has one destination, and at most a proxy before it.
#[derive(Debug)]
pub struct CachingResolver {
    /// The proxy that requests are handed to: its address stands for every other.
    proxy: Option<Uri>,
    last: Mutex<Vec<Lookup>>,
}

impl CachingResolver {
    /// Resolves names, or all of them to the address of this proxy.
    pub fn new(proxy: Option<Uri>) -> CachingResolver {
        let last = Mutex::default();
        CachingResolver { proxy, last }
    }
}

#[derive(Debug)]
struct Lookup {
    name: String,
    until: Instant,
    found: Result<Vec<SocketAddr>, String>,
}

impl Resolver for CachingResolver {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let name = host_and_port(self.proxy.as_ref().unwrap_or(uri))?;
        // Holding the lock during the lookup is what makes the other workers wait for this one instead of asking too.
        let mut cache = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        cache.retain(|lookup| lookup.until > now);
        if !cache.iter().any(|lookup| lookup.name == name) {
            let found = ask(&name);
            let ttl = if found.is_ok() { FOUND_TTL } else { FAILED_TTL };
            cache.push(Lookup {
                name: name.clone(),
                until: Instant::now() + ttl,
                found,
            });
        }
        let mut answer = self.empty();
        match cache
            .iter()
            .find(|lookup| lookup.name == name)
            .map(|l| &l.found)
        {
            Some(Ok(addresses)) => addresses.iter().for_each(|address| answer.push(*address)),
            Some(Err(reason)) => return Err(Error::Io(std::io::Error::other(reason.clone()))),
            None => return Err(Error::HostNotFound),
        }
        Ok(answer)
    }
}

fn ask(name: &str) -> Result<Vec<SocketAddr>, String> {
    let addresses = name
        .to_socket_addrs()
        .map_err(|error| format!("the name lookup of {name} failed: {error}"))?;
    let addresses: Vec<_> = addresses.take(MAX_ADDRESSES).collect();
    if addresses.is_empty() {
        return Err(format!("the name {name} has no address"));
    }
    Ok(addresses)
}

fn host_and_port(uri: &Uri) -> Result<String, Error> {
    uri.scheme()
        .zip(uri.authority())
        .and_then(|(scheme, authority)| DefaultResolver::host_and_port(scheme, authority))
        .ok_or_else(|| Error::BadUri(uri.to_string()))
}

/// Looks a URL's host up without the cache.
///
/// # Errors
/// When the name has no address.
pub fn look_up(uri: &Uri) -> anyhow::Result<Vec<SocketAddr>> {
    ask(&host_and_port(uri)?).map_err(|reason| anyhow::anyhow!(reason))
}
