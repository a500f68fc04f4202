//! TLS: whom to trust, what to show, and the connector that wraps a TCP connection. Certificates and keys are read again
//! when their files change; a connection that is open goes on with what it began with.
//!
//! Own code and not ureq's connector, for that one reads its settings once and knows no oldest version.

mod fault;
mod settings;
mod verifier;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use super::transport::BUFFER;
pub use fault::is_refusal_of_certificate;
pub use settings::Tls;

/// Wraps connections to `https` URLs.
pub struct TlsConnector(pub Arc<Tls>);

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let mut tls = self.0.connection(details.uri)?;
        let clock = details.current_time.clone();
        let mut socket = TransportAdapter::new(transport.boxed(), clock);
        socket.set_timeout(rest_of(details));
        tls.complete_io(&mut socket)
            .map_err(|error| self.0.fault(error, details.uri))?;
        Ok(Some(Either::B(TlsTransport {
            stream: StreamOwned::new(tls, socket),
            buffers: LazyBuffers::new(BUFFER, BUFFER),
            tls: self.0.clone(),
            uri: details.uri.clone(),
        })))
    }
}

/// What is left of the time for connecting.
fn rest_of(details: &ConnectionDetails) -> NextTimeout {
    let mut timeout = details.timeout;
    let now = (details.current_time)();
    if let (Duration::Exact(after), Instant::Exact(start), Instant::Exact(now)) =
        (timeout.after, details.now, now)
    {
        timeout.after = Duration::Exact(after.saturating_sub(now.saturating_duration_since(start)));
    }
    timeout
}

/// A connection over TLS.
pub struct TlsTransport {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: LazyBuffers,
    tls: Arc<Tls>,
    uri: Uri,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        let written = self.stream.write_all(output);
        written.map_err(|error| self.tls.fault(error, &self.uri))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| self.tls.fault(error, &self.uri))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl Tls {
    fn connection(&self, uri: &Uri) -> Result<ClientConnection, Error> {
        let host = uri.host().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| fault::other(format!("{host} is no name that a certificate can have")))?;
        let settings = self.current().map_err(fault::other)?;
        ClientConnection::new(settings, name).map_err(|error| fault::other(error.to_string()))
    }

    fn fault(&self, error: std::io::Error, uri: &Uri) -> Error {
        fault::of_io(error, uri.host().unwrap_or_default(), self)
    }

    /// Makes a handshake and nothing else.
    ///
    /// # Errors
    /// Why it failed.
    pub fn try_handshake(&self, stream: &mut TcpStream, uri: &Uri) -> Result<(), Error> {
        let mut tls = self.connection(uri)?;
        tls.complete_io(stream)
            .map(drop)
            .map_err(|error| self.fault(error, uri))
    }
}
