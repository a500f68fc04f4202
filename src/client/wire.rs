//! What a connection is made of: TCP, or TLS over it; through a proxy that itself speaks TLS, TLS over TLS.

use std::io::{self, Read, Write};

use super::socket::Socket;
use super::tls::Secured;

/// A way for bytes in both directions.
pub enum Wire {
    Plain(Socket),
    Secured(Box<Secured>),
}

impl Wire {
    /// The connection at the bottom.
    pub fn socket(&mut self) -> &mut Socket {
        match self {
            Wire::Plain(socket) => socket,
            Wire::Secured(secured) => secured.inner().socket(),
        }
    }

    /// Whether nothing has come in that nobody has read yet, not even the end.
    pub fn is_quiet(&mut self) -> bool {
        match self {
            Wire::Plain(socket) => socket.is_quiet(),
            Wire::Secured(secured) => secured.is_empty() && secured.inner().is_quiet(),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.read(buffer),
            Wire::Secured(secured) => secured.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.write(bytes),
            Wire::Secured(secured) => secured.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(socket) => socket.flush(),
            Wire::Secured(secured) => secured.flush(),
        }
    }
}
