//! What goes wrong with a request, and whether it may have left.

use std::io;

use super::tls::TlsFault;

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// No byte of the request left, or the server has certainly not taken it in.
    NotSent(Error),
    /// The request, or a part of it, has left: nobody knows what became of it.
    Unknown(Error),
}

impl Failure {
    /// What went wrong.
    pub fn error(&self) -> &Error {
        let (Failure::NotSent(error) | Failure::Unknown(error)) = self;
        error
    }
}

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address, and why.
    #[error("{0}")]
    NoAddress(String),
    /// A time that has passed.
    #[error("timeout: {0}")]
    Timeout(io::Error),
    /// The system or the network.
    #[error("io: {0}")]
    Io(io::Error),
    /// TLS.
    #[error("{0}")]
    Tls(TlsFault),
    /// A proxy refuses a tunnel, with this status.
    #[error("the proxy makes no tunnel: it answered with HTTP {0}")]
    NoTunnel(u16),
    /// The connection ended too early.
    #[error("the connection was closed before the answer was complete")]
    Closed,
    /// What came is no HTTP, and why.
    #[error("the answer is no valid HTTP: {0}")]
    Garbled(String),
    /// The client was shut down.
    #[error("ferryd is stopping")]
    ShutDown,
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.downcast::<TlsFault>() {
            Ok(fault) => Error::Tls(fault),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Error::Timeout(error),
            Err(error) => Error::Io(error),
        }
    }
}
