//! A TCP connection under a deadline: nothing here waits beyond it, however slowly bytes drip in or out.
//!
//! Setting a timeout of a socket costs a system call, so that one which is near enough stays set.

use rustix::net::RecvFlags;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When something has to be done, and the setting that says so.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// `None`: so far away that the clock does not know it.
    at: Option<Instant>,
    setting: &'static str,
}

impl Deadline {
    /// From now on this long, because the setting of this name says so.
    pub fn after(time: Duration, setting: &'static str) -> Deadline {
        let at = Instant::now().checked_add(time);
        Deadline { at, setting }
    }

    /// The earlier one.
    pub fn or_earlier(self, other: Deadline) -> Deadline {
        match (self.at, other.at) {
            (Some(at), Some(others)) if others < at => other,
            (None, Some(_)) => other,
            _ => self,
        }
    }

    /// The time that is left, never zero; `None`: without end.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self
            .at
            .map(|at| at.saturating_duration_since(Instant::now()));
        match left {
            Some(Duration::ZERO) => Err(self.passed()),
            left => Ok(left),
        }
    }

    fn passed(&self) -> io::Error {
        io::Error::new(ErrorKind::TimedOut, format!("{} has passed", self.setting))
    }

    /// The error of a socket whose timeout came from here; it shows as `WouldBlock` on Linux (socket(7), SO_RCVTIMEO).
    fn or(&self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.passed(),
            _ => error,
        }
    }
}

/// A TCP connection.
pub struct Socket {
    /// Shared with whoever may have to cut it off.
    pub stream: Arc<TcpStream>,
    deadline: Deadline,
    /// It has been read after the deadline.
    is_late: bool,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Socket {
    /// Tries each address in turn; each gets its share of the time that is left.
    pub fn connect(addresses: &[SocketAddr], deadline: Deadline) -> io::Result<Socket> {
        let mut last = io::Error::other("the name has no address");
        for (tried, address) in addresses.iter().enumerate() {
            let left = deadline.left()?;
            let share = left.map(|left| left / (addresses.len() - tried) as u32);
            let connected = match share {
                // A share of nothing at all would be refused.
                Some(share) => {
                    TcpStream::connect_timeout(address, share.max(Duration::from_millis(1)))
                }
                None => TcpStream::connect(address),
            };
            match connected {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Socket {
                        stream: Arc::new(stream),
                        deadline,
                        is_late: false,
                        read_timeout: None,
                        write_timeout: None,
                    });
                }
                Err(error) => last = deadline.or(error),
            }
        }
        Err(last)
    }

    /// What follows has to be done by then.
    pub fn set_deadline(&mut self, deadline: Deadline) {
        (self.deadline, self.is_late) = (deadline, false);
    }

    /// The time that a read may take. Once it may be late: this process may have been stopped while the answer came, which
    /// counts if it is there. Only once, or somebody who always has another byte would never be cut off.
    fn left_to_read(&mut self) -> io::Result<Option<Duration>> {
        match self.deadline.left() {
            Err(_) if !std::mem::replace(&mut self.is_late, true) => {
                Ok(Some(Duration::from_millis(1)))
            }
            left => left,
        }
    }

    /// Whether nothing has come in, not even the end: a connection that the server closed, or on which it said something
    /// unasked, must not get a request.
    pub fn is_quiet(&self) -> bool {
        let mut byte = [0u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(&*self.stream, &mut byte, flags).err() == Some(rustix::io::Errno::AGAIN)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.left_to_read()?;
            if !is_near(self.read_timeout, left) {
                self.stream.set_read_timeout(left)?;
                self.read_timeout = left;
            }
            match (&*self.stream).read(buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|error| self.deadline.or(error)),
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.deadline.left()?;
        if !is_near(self.write_timeout, left) {
            self.stream.set_write_timeout(left)?;
            self.write_timeout = left;
        }
        let written = (&*self.stream).write(bytes);
        written.map_err(|error| self.deadline.or(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the timeout that is set may stay: a quarter second late at most, so that no request outlasts its deadline by a
/// second.
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

    #[test]
    fn what_came_before_a_deadline_may_be_read_after_it_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let deadline = |millis| Deadline::after(Duration::from_millis(millis), "it");
        let address = listener.local_addr().unwrap();
        let mut socket = Socket::connect(&[address], deadline(1000)).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"ab").unwrap();
        for _ in 0..2 {
            socket.set_deadline(deadline(0));
            assert_eq!(socket.read(&mut [0; 1]).unwrap(), 1);
            let late = socket.read(&mut [0; 1]).unwrap_err();
            assert_eq!(late.to_string(), "it has passed");
        }
        // Nothing is there, and it is not waited for.
        socket.set_deadline(deadline(0));
        let late = socket.read(&mut [0; 1]).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn the_earlier_deadline_counts() {
        let deadline = |seconds, setting| Deadline::after(Duration::from_secs(seconds), setting);
        let (soon, late) = (deadline(1, "soon"), deadline(9, "late"));
        let never = deadline(u64::MAX, "never");
        for (a, b) in [(soon, late), (late, soon), (soon, never), (never, soon)] {
            assert_eq!(a.or_earlier(b).setting, "soon");
        }
        assert!(never.or_earlier(never).left().unwrap().is_none());
    }
}
