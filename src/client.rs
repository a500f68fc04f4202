//! A small blocking HTTP/1.1 client for one server: what sending records needs, and nothing that it must not do. It knows
//! nothing of records.
//!
//! It never follows a redirect, never repeats a request, and says of each failure whether the request may have left. A
//! request has no header fields but those it was given, `Host`, `Content-Length`, and what a proxy wants.
//!
//! Own code, where elsewhere a library is better, because all that ferryd promises hangs on this. ureq 3.5, with which it
//! began, needed 800 lines of adapters, where the whole is 1400 now: to send head and body in one write, to know whether a
//! request had begun, to look names up without a thread for each request, to read certificates again, to hand whole URLs to a
//! proxy. And it took time. For 100,000 records, one request each, 10 workers, loopback, on two cores:
//!
//! | | with ureq | now |
//! |---|---|---|
//! | CPU seconds, all in | 2.2 | 1.4 |
//! | of it for HTTP, with the kernel's part | 45 % | 20 % |
//! | of it for HTTP, outside the kernel | | 3.4 % |
//! | system calls on sockets for a record | 4 | 3 |
//! | stripped program | 7.41 MB | 7.09 MB |

mod answer;
mod connection;
mod failure;
mod input;
mod place;
mod pool;
mod request;
mod resolver;
mod route;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use http::{Uri, header};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config;
use crate::secret::Secret;

pub use failure::{Error, Failure};
pub use request::{Lines, Request};
pub use route::{BadProxy, credentials};
pub use tls::Tls;

use connection::Connection;
use place::{host, is_https, port_of, server};
use pool::Pool;
use resolver::Resolver;
use route::{Proxy, Route};
use socket::{Deadline, Socket};
use tls::Secured;
use wire::Wire;

/// A whole answer, or one whose body broke off.
#[derive(Debug)]
pub struct Reply {
    /// The final status; of interim ones only 101 is one.
    pub status: u16,
    /// `Retry-After`, as it was written.
    pub retry_after: Option<String>,
    /// What came of the body, up to the limit.
    pub body: Vec<u8>,
    /// Why the body broke off, if it did.
    pub broken: Option<Error>,
}

/// A client of one server. Shared by all workers.
pub struct Client {
    /// The server, of whose URL only scheme and authority count.
    url: Uri,
    route: Route,
    /// What stands before the path of each request.
    before: String,
    /// What stands before its other header fields.
    first: Lines,
    /// The request for a tunnel.
    connect: Vec<u8>,
    timeout: Duration,
    connect_timeout: Duration,
    resolver: Resolver,
    tls: Arc<Tls>,
    pool: Pool,
}

impl Client {
    /// A client of the server of `url` for so many users at a time.
    ///
    /// # Errors
    /// When the proxy that is asked for cannot be used.
    pub fn new(
        api: &config::Api,
        url: &Uri,
        users: u32,
        tls: Arc<Tls>,
    ) -> Result<Client, BadProxy> {
        let route = Route::of(&api.proxy, url)?;
        let mut first = host(url);
        let (mut before, mut connect) = (String::new(), Vec::new());
        match &route {
            Route::Direct => {}
            Route::Forward(proxy) => {
                // User name and password of the URL are not for the proxy (RFC 9110 §4.2.4).
                before = format!("http://{}", server(url));
                if let Some(credentials) = proxy.authorization() {
                    first.add(&header::PROXY_AUTHORIZATION, &credentials);
                }
            }
            Route::Tunnel(proxy) => connect = connect_request(proxy, url, &api.user_agent),
        }
        Ok(Client {
            resolver: Resolver::new(route.first_stop(url)),
            url: url.clone(),
            route,
            before,
            first,
            connect,
            timeout: api.timeout,
            connect_timeout: api.connect_timeout,
            tls,
            pool: Pool::new(users as usize),
        })
    }

    /// Sends a request and reads the answer, up to `limit` bytes of its body; a body that is longer costs the connection.
    /// Takes at most `api.timeout`, and a quarter second.
    ///
    /// # Errors
    /// When there is no answer, which begins with a whole head.
    pub fn send(&self, request: &Request, limit: usize) -> Result<Reply, Failure> {
        let deadline = Deadline::after(self.timeout, "api.timeout");
        let mut connection = self.connection(deadline).map_err(Failure::NotSent)?;
        match connection.exchange(request, &self.before, &self.first, deadline, limit) {
            Ok((reply, is_kept)) => {
                if is_kept {
                    self.pool.put(connection);
                }
                Ok(reply)
            }
            Err(Error::Tls(fault)) if fault.is_refusal => Err(Failure::NotSent(Error::Tls(fault))),
            Err(error) => Err(Failure::Unknown(error)),
        }
    }

    /// The bytes of a request as they are sent where no proxy is between.
    pub fn show(&self, request: &Request) -> Vec<u8> {
        let mut bytes = Vec::new();
        request.write_head("", &host(&self.url), &mut bytes);
        bytes.extend_from_slice(&request.body);
        bytes
    }

    /// Whether a connection to the server can be made within this time and `api.connect_timeout`, through the proxy if there
    /// is one, and how long it took; sends nothing over it.
    ///
    /// # Errors
    /// When it cannot.
    pub fn probe(&self, timeout: Duration) -> Result<Duration, Error> {
        let start = Instant::now();
        self.connect(Deadline::after(timeout, "the time for a probe"))?;
        Ok(start.elapsed())
    }

    /// Cuts off the requests in flight and refuses new ones. A connection that is just being made is not cut off, but
    /// refused when it is there.
    pub fn shut_down(&self) {
        self.pool.shut_down();
    }

    /// What a proxy is shown, and may repeat.
    pub fn secrets(&self) -> Vec<Secret> {
        self.route.secrets()
    }

    fn connection(&self, deadline: Deadline) -> Result<Connection, Error> {
        match self.pool.take()? {
            Some(connection) => Ok(connection),
            None => self.connect(deadline),
        }
    }

    /// A new connection, with all that stands before the first request.
    fn connect(&self, deadline: Deadline) -> Result<Connection, Error> {
        let addresses = self.resolver.addresses().map_err(Error::NoAddress)?;
        let deadline =
            Deadline::after(self.connect_timeout, "api.connect_timeout").or_earlier(deadline);
        let socket = Socket::connect(&addresses, deadline)?;
        self.pool.register(&socket.stream)?;
        let mut wire = Wire::Plain(socket);
        if let Route::Tunnel(proxy) = &self.route {
            wire = self.secure(wire, &proxy.url)?;
            let mut connection = Connection::new(wire);
            connection.tunnel(&self.connect)?;
            wire = connection.into_wire();
        }
        Ok(Connection::new(self.secure(wire, &self.url)?))
    }

    /// Puts TLS over a connection to the server of a URL, if that wants it.
    fn secure(&self, wire: Wire, url: &Uri) -> io::Result<Wire> {
        match is_https(url) {
            true => Ok(Wire::Secured(Box::new(Secured::begin(
                &self.tls, wire, url,
            )?))),
            false => Ok(wire),
        }
    }
}

fn connect_request(proxy: &Proxy, url: &Uri, user_agent: &str) -> Vec<u8> {
    let target = format!("{}:{}", url.host().unwrap_or_default(), port_of(url));
    let mut request = format!(
        "CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nuser-agent: {user_agent}\r\nproxy-connection: keep-alive\r\n"
    )
    .into_bytes();
    let mut lines = Lines::default();
    if let Some(credentials) = proxy.authorization() {
        lines.add(&header::PROXY_AUTHORIZATION, &credentials);
    }
    request.extend_from_slice(lines.as_bytes());
    request.extend_from_slice(b"\r\n");
    request
}
