//! TLS on one connection, for clients that want to see it work.
//!
//! Invariant: every step of rustls that touches the socket ends by the deadline that it was given, and not a timeout after
//! the last byte that dripped in.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, Stream};

use super::socket::Stream as Socket;
use super::wire::{Deadline, retry};

/// A connection whose handshake is done.
pub(super) struct Secured(Box<ServerConnection>);

impl Secured {
    /// Makes the handshake.
    pub(super) fn begin(
        stream: &Socket,
        tls: Arc<ServerConfig>,
        deadline: Deadline,
    ) -> io::Result<Secured> {
        let mut connection = Box::new(ServerConnection::new(tls).map_err(io::Error::other)?);
        connection.complete_io(&mut Timed { stream, deadline })?;
        // It also returns when the time is up after some bytes have come.
        match connection.is_handshaking() {
            true => Err(ErrorKind::TimedOut.into()),
            false => Ok(Secured(connection)),
        }
    }

    /// What a read of a socket gives: 0 at the end of the connection.
    pub(super) fn read(
        &mut self,
        stream: &Socket,
        into: &mut [u8],
        deadline: Deadline,
    ) -> io::Result<usize> {
        Stream::new(&mut *self.0, &mut Timed { stream, deadline }).read(into)
    }

    /// Sends all of `bytes`.
    pub(super) fn write(
        &mut self,
        stream: &Socket,
        bytes: &[u8],
        deadline: Deadline,
    ) -> io::Result<()> {
        let mut socket = Timed { stream, deadline };
        let mut tls = Stream::new(&mut *self.0, &mut socket);
        tls.write_all(bytes)?;
        tls.flush()
    }

    /// Says that nothing more comes, so that the client can tell the end from a cut (RFC 8446, 6.1).
    pub(super) fn end(&mut self, stream: &Socket, deadline: Deadline) {
        self.0.send_close_notify();
        // A client that is gone needs no farewell.
        let _ = self.0.complete_io(&mut Timed { stream, deadline });
    }
}

/// A socket on which all reads and writes together have until the deadline.
struct Timed<'a> {
    stream: &'a Socket,
    deadline: Deadline,
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.left().ok_or(ErrorKind::TimedOut)?;
        self.stream.set_read_timeout(left)?;
        retry(|| (&*self.stream).read(into))
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.deadline.left().ok_or(ErrorKind::TimedOut)?;
        self.stream.set_write_timeout(left)?;
        retry(|| (&*self.stream).write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
