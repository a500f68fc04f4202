//! The TCP transport: sends the head and the body of a request in one write, and knows whether a request began.
//!
//! ureq's own transport writes twice and sets socket options around every request. This one still registers every
//! socket, so that a stop can cut it off, and TLS is chained on top of it.

use rustix::net::RecvFlags;
use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    ShutdownHandle, Transport,
};
use ureq::{Error, Timeout};

use super::tls::{Tls, TlsConnector};

/// Input and output buffer of a connection, and the longest head of an answer.
pub const BUFFER: usize = 16 * 1024;

/// Output waits in memory up to this size before it is written.
const JOIN_LIMIT: usize = 64 * 1024;

thread_local! {
    /// Whether this thread's current request has begun to leave.
    static BEGUN: Cell<bool> = const { Cell::new(false) };
}

/// Says that the next request of this thread has not begun.
pub fn forget_begun() {
    BEGUN.set(false);
}

/// Whether any byte of this thread's request may have left. Connecting, proxy and TLS handshakes do not count.
pub fn has_begun() -> bool {
    BEGUN.get()
}

/// The way to a connection: through a tunnel if there is a proxy for it, else TCP; then TLS if the URL wants it. Requests
/// to the API at `forwarded` are handed to a proxy, so that they name it.
pub fn connector(tls: Arc<Tls>, forwarded: Option<&Uri>) -> impl Connector {
    ().chain(TunnelConnector::default())
        .chain(TcpConnector)
        .chain(TlsConnector(tls))
        .chain(RequestConnector {
            prefix: forwarded.map(prefix_of),
        })
}

/// What makes a path the whole URL; user name and password are not for the proxy (RFC 9110 §4.2.4).
fn prefix_of(url: &Uri) -> Arc<str> {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let server = authority.rsplit('@').next().unwrap_or_default();
    format!("http://{server}").into()
}

/// A tunnel's own handshake is a request too, and passes all layers: it is not the one that counts.
#[derive(Debug, Default)]
struct TunnelConnector(ConnectProxyConnector);

impl<In: Transport> Connector<In> for TunnelConnector {
    type Out = <ConnectProxyConnector as Connector<In>>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let tunnel = self.0.connect(details, chained);
        forget_begun();
        tunnel
    }
}

#[derive(Debug)]
struct TcpConnector;

impl<In: Transport> Connector<In> for TcpConnector {
    type Out = Either<In, TcpTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let stream = Arc::new(connect(details)?);
        let handle = Arc::downgrade(&stream) as Weak<dyn ShutdownHandle>;
        (details.register_shutdown)(handle)?;
        Ok(Some(Either::B(TcpTransport {
            stream,
            buffers: LazyBuffers::new(BUFFER, BUFFER),
            pending: Vec::new(),
            read_timeout: None,
            write_timeout: None,
        })))
    }
}

/// Tries each address in turn; they share the time for connecting.
fn connect(details: &ConnectionDetails) -> Result<TcpStream, Error> {
    let addresses = &details.addrs;
    let share = details
        .timeout
        .not_zero()
        .map(|time| *time / addresses.len().max(1) as u32);
    let mut last = Error::ConnectionFailed;
    for address in addresses.iter() {
        let stream = match share {
            Some(time) => TcpStream::connect_timeout(address, time),
            None => TcpStream::connect(address),
        };
        match stream {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) if is_timeout(&error) => last = Error::Timeout(Timeout::Connect),
            Err(error) => last = Error::Io(error),
        }
    }
    Err(last)
}

#[derive(Debug)]
struct TcpTransport {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    pending: Vec<u8>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl TcpTransport {
    fn flush(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let timeout = timeout.for_write();
        let written = self.write_pending(timeout.not_zero().map(|time| *time));
        self.pending.clear();
        written.map_err(|error| timed_out_or(error, timeout))
    }

    /// A reader that takes a little at a time must not make each write wait anew: all of them share the time.
    fn write_pending(&mut self, time: Option<Duration>) -> io::Result<()> {
        let end = time.and_then(|time| Instant::now().checked_add(time));
        let mut written = 0;
        while written < self.pending.len() {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Err(ErrorKind::TimedOut.into());
            }
            if !is_near(self.write_timeout, left) {
                self.stream.set_write_timeout(left)?;
                self.write_timeout = left;
            }
            match (&*self.stream).write(&self.pending[written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(amount) => written += amount,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Transport for TcpTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.pending
            .extend_from_slice(&self.buffers.output()[..amount]);
        if self.pending.len() < JOIN_LIMIT {
            return Ok(());
        }
        self.flush(timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.flush(timeout)?;
        let timeout = timeout.for_read();
        let wanted = timeout.not_zero().map(|time| *time);
        if !is_near(self.read_timeout, wanted) {
            self.stream.set_read_timeout(wanted)?;
            self.read_timeout = wanted;
        }
        let read = loop {
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let amount = read.map_err(|error| timed_out_or(error, timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// A connection that the server closed, or on which it sent something unasked, must not get the next request.
    fn is_open(&mut self) -> bool {
        let mut byte = [0u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(&*self.stream, &mut byte, flags).err() == Some(rustix::io::Errno::AGAIN)
    }
}

/// The timeout that is set may stay if it differs little: setting it costs a system call per request. A quarter second
/// late at most, so that no request outlasts `api.timeout` by a second.
fn is_near(set: Option<Duration>, wanted: Option<Duration>) -> bool {
    match (set, wanted) {
        (None, None) => true,
        (Some(set), Some(wanted)) if set >= wanted => {
            set - wanted <= (wanted / 16).min(Duration::from_millis(250))
        }
        (Some(set), Some(wanted)) => wanted - set <= wanted / 64,
        _ => false,
    }
}

fn is_timeout(error: &io::Error) -> bool {
    // A socket timeout shows as WouldBlock on Linux (socket(7), SO_RCVTIMEO).
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn timed_out_or(error: io::Error, timeout: NextTimeout) -> Error {
    if is_timeout(&error) {
        Error::Timeout(timeout.reason)
    } else {
        Error::Io(error)
    }
}

/// The outermost layer: what passes it is the request itself.
#[derive(Debug)]
struct RequestConnector {
    prefix: Option<Arc<str>>,
}

impl<In: Transport> Connector<In> for RequestConnector {
    type Out = RequestTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| RequestTransport {
            inner,
            prefix: self.prefix.clone(),
            within: false,
        }))
    }
}

#[derive(Debug)]
struct RequestTransport<In> {
    inner: In,
    /// Stands before the path of each request.
    prefix: Option<Arc<str>>,
    /// The current request's first line has left.
    within: bool,
}

impl<In: Transport> RequestTransport<In> {
    /// The output up to `amount`, the start of a request, with the prefix before its path.
    fn transmit_start(
        &mut self,
        prefix: &str,
        amount: usize,
        timeout: NextTimeout,
    ) -> Result<(), Error> {
        let mut start = self.inner.buffers().output()[..amount].to_vec();
        let path = start
            .iter()
            .position(|byte| *byte == b' ')
            .map_or(0, |at| at + 1);
        start.splice(path..path, prefix.bytes());
        let room = self.inner.buffers().output().len().max(1);
        for part in start.chunks(room) {
            self.inner.buffers().output()[..part.len()].copy_from_slice(part);
            self.inner.transmit_output(part.len(), timeout)?;
        }
        Ok(())
    }
}

impl<In: Transport> Transport for RequestTransport<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        BEGUN.set(true);
        let within = std::mem::replace(&mut self.within, true);
        match self.prefix.clone().filter(|_| !within) {
            Some(prefix) => self.transmit_start(&prefix, amount, timeout),
            None => self.inner.transmit_output(amount, timeout),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.within = false;
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_timeout_is_kept_only_when_it_is_near_the_wanted_one() {
        let seconds = |s| Some(Duration::from_secs_f64(s));
        assert!(is_near(seconds(30.0), seconds(29.9)));
        assert!(is_near(seconds(30.0), seconds(30.2)));
        assert!(!is_near(seconds(30.0), seconds(29.0)));
        assert!(!is_near(seconds(30.0), seconds(0.1)));
        assert!(!is_near(seconds(1.0), seconds(30.0)));
        assert!(!is_near(None, seconds(30.0)));
    }
}
