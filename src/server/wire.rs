//! The two directions of one connection, each under an absolute deadline; bare or over TLS.
//!
//! Invariant: nothing here waits longer than it was told, however slowly bytes drip in or out. A
//! bare request that comes in one piece costs one read and no other system call.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::secured::Secured;
use super::socket::Stream;

/// The head of a request, and any other element that must be seen whole, fits in here.
const BUFFER_MAX: usize = 16 * 1024;
const BUFFER_START: usize = 4 * 1024;
/// How long a closed connection still listens, so that the answer is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);

/// Why there is no request to answer.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    /// The client is gone, or silent between two requests.
    Gone,
    /// The client shall get this status, and the connection ends.
    Refused(u16),
    /// No Host field, or more than one: 400.
    NotOneHost,
}

/// A point in time that may lie as far away as it likes without overflow.
pub(super) struct Deadline {
    from: Instant,
    span: Duration,
}

impl Deadline {
    pub(super) fn after(span: Duration) -> Deadline {
        let from = Instant::now();
        Deadline { from, span }
    }

    /// The time left, at least a millisecond (no time at all means "for ever" to a socket).
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.span.checked_sub(self.from.elapsed())?;
        Some(left.max(Duration::from_millis(1)))
    }
}

pub(super) struct Wire<'a> {
    stream: &'a Stream,
    secured: Option<Secured>,
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// The read timeout the socket has now.
    patience: Duration,
    transfer: Duration,
}

impl<'a> Wire<'a> {
    /// Over TLS, the handshake is done, or this fails.
    pub(super) fn new(
        stream: &'a Stream,
        transfer: Duration,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Wire<'a>> {
        let transfer = transfer.max(Duration::from_millis(1));
        stream.set_nodelay()?;
        stream.set_write_timeout(transfer)?;
        let secured = tls.map(|tls| Secured::begin(stream, tls, Deadline::after(transfer)));
        Ok(Wire {
            stream,
            secured: secured.transpose()?,
            data: vec![0; BUFFER_START],
            start: 0,
            end: 0,
            patience: Duration::ZERO,
            transfer,
        })
    }

    /// What has come in and was not consumed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Waits for the first bytes of a request.
    pub(super) fn await_request(&mut self, idle: Duration) -> Result<(), Fault> {
        if !self.bytes().is_empty() {
            return Ok(());
        }
        match self.read(idle.max(Duration::from_millis(1))) {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(Fault::Gone),
        }
    }

    /// Reads more of a request: 408 at the deadline, 431 when the buffer is full.
    pub(super) fn fill(&mut self, deadline: &Deadline) -> Result<(), Fault> {
        self.make_room()?;
        let left = deadline.left().ok_or(Fault::Refused(408))?;
        match self.read(left) {
            Ok(1..) => Ok(()),
            Err(error) if is_timeout(&error) => Err(Fault::Refused(408)),
            Ok(0) | Err(_) => Err(Fault::Gone),
        }
    }

    fn make_room(&mut self) -> Result<(), Fault> {
        if self.end < self.data.len() {
            return Ok(());
        }
        if self.start > 0 {
            self.data.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else if self.data.len() < BUFFER_MAX {
            self.data.resize(self.data.len() * 2, 0);
        } else {
            return Err(Fault::Refused(431));
        }
        Ok(())
    }

    fn read(&mut self, patience: Duration) -> io::Result<usize> {
        let free = &mut self.data[self.end..];
        let count = match &mut self.secured {
            Some(secured) => secured.read(self.stream, free, Deadline::after(patience))?,
            None => {
                if patience != self.patience {
                    self.stream.set_read_timeout(patience)?;
                    self.patience = patience;
                }
                retry(|| (&*self.stream).read(free))?
            }
        };
        self.end += count;
        Ok(count)
    }

    /// Sends all of `bytes`, in one write where the socket takes them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let deadline = Deadline::after(self.transfer);
        if let Some(secured) = &mut self.secured {
            return secured.write(self.stream, bytes, deadline);
        }
        let mut sent = self.write_some(bytes)?;
        if sent == bytes.len() {
            return Ok(());
        }
        while sent < bytes.len() {
            let left = deadline.left().ok_or(ErrorKind::TimedOut)?;
            self.stream.set_write_timeout(left)?;
            sent += self.write_some(&bytes[sent..])?;
        }
        self.stream.set_write_timeout(self.transfer)
    }

    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        retry(|| (&*self.stream).write(bytes))
    }

    /// Ends the connection so that the client can read the answer: a socket closed over unread
    /// bytes sends a reset, which may overtake the answer (RFC 9112, 9.6).
    pub(super) fn linger(mut self) {
        if let Some(secured) = &mut self.secured {
            secured.end(self.stream, Deadline::after(LINGER));
        }
        if self.stream.shutdown(Shutdown::Write).is_err() {
            return;
        }
        let deadline = Deadline::after(LINGER);
        while let Some(left) = deadline.left() {
            self.consume(self.bytes().len());
            if !matches!(self.read(left), Ok(1..)) {
                return;
            }
        }
    }
}

/// A signal handler that ran meanwhile is no reason to give up.
pub(super) fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
