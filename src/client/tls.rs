//! TLS: whom to trust, what to show, and the layer over a connection. Certificates and keys are read again when their files
//! change; a connection that is open goes on with what it began with.

mod fault;
mod settings;
mod verifier;

use http::Uri;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::wire::Wire;
pub use fault::TlsFault;
pub use settings::Tls;

/// A connection over TLS. What goes wrong with it is a [`TlsFault`], or comes from below.
pub struct Secured {
    stream: StreamOwned<ClientConnection, Wire>,
    tls: Arc<Tls>,
    host: String,
}

impl Secured {
    /// Makes the handshake with the server of this URL.
    ///
    /// # Errors
    /// Why it failed.
    // Never inlined: without TLS no thread is to hold its large frame on the stack.
    #[inline(never)]
    pub fn begin(tls: &Arc<Tls>, mut wire: Wire, url: &Uri) -> io::Result<Secured> {
        let host = url.host().unwrap_or_default();
        let mut connection = tls.connection(host).map_err(fault::other)?;
        connection
            .complete_io(&mut wire)
            .map_err(|error| fault::of_io(error, host, tls))?;
        Ok(Secured {
            stream: StreamOwned::new(connection, wire),
            tls: Arc::clone(tls),
            host: host.to_owned(),
        })
    }

    /// What it stands on.
    pub fn inner(&mut self) -> &mut Wire {
        &mut self.stream.sock
    }

    /// Whether all that came in has been read.
    pub fn is_empty(&self) -> bool {
        // With something left to read, rustls wants no more.
        self.stream.conn.wants_read()
    }

    fn fault(&self, error: io::Error) -> io::Error {
        fault::of_io(error, &self.host, &self.tls)
    }
}

impl Read for Secured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).map_err(|error| self.fault(error))
    }
}

impl Write for Secured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes).map_err(|error| self.fault(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().map_err(|error| self.fault(error))
    }
}

impl Tls {
    fn connection(&self, host: &str) -> Result<ClientConnection, String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| format!("{host} is no name that a certificate can have"))?;
        ClientConnection::new(self.current()?, name).map_err(|error| error.to_string())
    }
}
