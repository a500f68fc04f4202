//! Name lookup with a small cache: one lookup at a time, and failures are remembered shortly, so that an outage of the name
//! server is not a storm.

use http::Uri;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::place::port_of;

/// How long found addresses are used.
const FOUND_TTL: Duration = Duration::from_secs(30);

/// How long a failure is.
const FAILED_TTL: Duration = Duration::from_secs(1);

/// Addresses that are tried at most: they share the time for connecting.
const MAX_ADDRESSES: usize = 16;

type Found = Result<Vec<SocketAddr>, String>;

/// Knows the addresses of one name.
pub struct Resolver {
    /// Host and port.
    name: String,
    /// What was found, and until when it holds.
    last: Mutex<Option<(Found, Instant)>>,
}

impl Resolver {
    /// For the server of this URL.
    pub fn new(url: &Uri) -> Resolver {
        let host = url.host().unwrap_or_default();
        Resolver {
            name: format!("{host}:{}", port_of(url)),
            last: Mutex::default(),
        }
    }

    /// The addresses, at least one.
    ///
    /// # Errors
    /// One line that says why there is none.
    pub fn addresses(&self) -> Found {
        // Holding the lock during the lookup is what makes the other workers wait for this one instead of asking too.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((found, _)) = last.as_ref().filter(|(_, until)| *until > Instant::now()) {
            return found.clone();
        }
        let found = look_up(&self.name);
        let ttl = if found.is_ok() { FOUND_TTL } else { FAILED_TTL };
        *last = Some((found.clone(), Instant::now() + ttl));
        found
    }
}

fn look_up(name: &str) -> Found {
    let addresses = name
        .to_socket_addrs()
        .map_err(|error| format!("the name lookup of {name} failed: {error}"))?;
    let addresses: Vec<_> = addresses.take(MAX_ADDRESSES).collect();
    match addresses.is_empty() {
        true => Err(format!("the name {name} has no address")),
        false => Ok(addresses),
    }
}
