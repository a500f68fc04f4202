//! A small HTTP/1.1 server: for the receiver, the demo, the tests and the status listener.
//!
//! It listens on TCP or on a Unix socket. One thread accepts, one thread serves each connection; a
//! handler answers on the connection's own thread and may sleep there ([`Request::sleep`]).
//! [`Answer`] can also misbehave on purpose.
//!
//! Invariants: a client can hold a connection no longer than [`Limits`] say, however slowly it
//! drips; nothing a client sends ends the accept thread; after [`Server::stop`] nothing listens.
//! Deliberately absent: routing, compression, upgrades, a `Date` field but in refusals of its own. It is meant for
//! loopback and trusted networks.

mod answer;
mod body;
mod connection;
mod request;
mod secured;
mod socket;
mod stop;
#[cfg(test)]
mod tests;
mod wire;

pub use answer::Answer;
pub use request::Request;
pub use socket::Listener;

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;
use socket::Stream;
use stop::{Stop, lock};

/// Handlers are shallow, but for one that asks SQLite; a thousand of them should cost little.
const STACK_BYTES: usize = 256 * 1024;
/// Rest after a failed accept (no file descriptors, no memory): time for others to give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a new connection waits for the end of an old one, see [`Crowd::EndOldest`].
const CROWD_PATIENCE: Duration = Duration::from_millis(50);
/// How long [`Server::stop`] lets answers go out before it cuts the connections.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// How long [`Server::stop`] then waits for the handlers.
const STOP_PATIENCE: Duration = Duration::from_millis(1500);

/// What one server grants its clients.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// What becomes of a further one.
    pub crowd: Crowd,
    /// Bytes of a request's body; a longer one is answered 413. With 0 none is read: the handler learns of it
    /// ([`Request::body_is_unread`]), and the connection ends with its answer.
    pub body: usize,
    /// Time for a whole request to come in, from its first byte, else 408; and the same again for
    /// its answer to be taken.
    pub transfer: Duration,
    /// Time a connection may wait for its next request.
    pub idle: Duration,
}

/// What is done when there are as many connections as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// A further one is closed at once.
    Refuse,
    /// The oldest one is ended for it: clients that hold theirs for long cannot keep others out.
    EndOldest,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 2048,
            crowd: Crowd::Refuse,
            body: 1024 * 1024,
            transfer: Duration::from_secs(10),
            idle: Duration::from_secs(60),
        }
    }
}

/// A running server; it stops when dropped.
pub struct Server {
    addr: Option<SocketAddr>,
    shared: Arc<Shared>,
    /// `None` once stopped.
    accepting: Option<Accepting>,
}

struct Accepting {
    listener: Arc<Listener>,
    thread: JoinHandle<()>,
}

type OpenOnes<'a> = MutexGuard<'a, BTreeMap<u64, Arc<Stream>>>;

type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// What the accept thread, the connection threads and the owner have in common.
struct Shared {
    handler: Box<Handler>,
    limits: Limits,
    /// `None`: connections are not encrypted.
    tls: Option<Arc<ServerConfig>>,
    stop: Arc<Stop>,
    /// By the order in which they came.
    open: Mutex<BTreeMap<u64, Arc<Stream>>>,
    closed: Condvar,
}

impl Server {
    /// Serves `listener` until [`Server::stop`] or drop.
    ///
    /// A handler that panics costs its own connection only. Fails when the listener has no address
    /// or when no thread can be had.
    pub fn start(
        listener: impl Into<Listener>,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
        limits: Limits,
    ) -> io::Result<Server> {
        Server::start_with(listener, handler, limits, None)
    }

    /// As [`Server::start`]; with `tls`, every connection begins with a handshake, for which a client has
    /// [`Limits::transfer`].
    pub fn start_with(
        listener: impl Into<Listener>,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
        limits: Limits,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Server> {
        let listener: Arc<Listener> = Arc::new(listener.into());
        listener.wait_for_clients()?;
        let addr = listener.addr()?;
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            limits,
            tls,
            stop: Arc::default(),
            open: Mutex::default(),
            closed: Condvar::new(),
        });
        let thread = {
            let (listener, shared) = (Arc::clone(&listener), Arc::clone(&shared));
            spawn("http-accept", move || accept(&listener, &shared))?
        };
        Ok(Server {
            addr,
            shared,
            accepting: Some(Accepting { listener, thread }),
        })
    }

    /// The address it listens on, with the real port where port 0 was asked for; a Unix socket has none.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Stops listening, wakes sleeping handlers, lets answers that are ready go out and ends all
    /// connections. Takes 2 seconds at most: a handler that is still busy by then is left to
    /// itself. A second call does nothing.
    pub fn stop(&mut self) {
        let Some(Accepting { listener, thread }) = self.accepting.take() else {
            return;
        };
        self.shared.stop.set();
        // On Linux this wakes a blocked accept(), which then fails with EINVAL.
        let _ = rustix::net::shutdown(&*listener, rustix::net::Shutdown::Read);
        // A panic in there has been reported by the panic hook.
        let _ = thread.join();
        self.shared.end_connections(Shutdown::Read, STOP_GRACE);
        self.shared.end_connections(Shutdown::Both, STOP_PATIENCE);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The accept thread. Errors are reported once in a row.
fn accept(listener: &Listener, shared: &Arc<Shared>) {
    let mut failing = false;
    let mut id = 0;
    while !shared.stop.is_set() {
        id += 1;
        match listener
            .accept()
            .and_then(|stream| shared.admit(stream, id))
        {
            Ok(()) => failing = false,
            // The client went away while it stood in the queue.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if !failing && !shared.stop.is_set() {
                    log::warn!("cannot take a connection, still trying. error={error}");
                }
                failing = true;
                shared.stop.sleep(ACCEPT_PAUSE);
            }
        }
    }
}

impl Shared {
    /// Gives a connection its thread, or closes it when there are too many.
    fn admit(self: &Arc<Shared>, stream: Stream, id: u64) -> io::Result<()> {
        let stream = Arc::new(stream);
        {
            let mut open = self.make_room(lock(&self.open));
            if open.len() >= self.limits.connections {
                return Ok(());
            }
            open.insert(id, Arc::clone(&stream));
        }
        let entry = Entry {
            shared: Arc::clone(self),
            stream,
            id,
        };
        // When there is no thread to be had, the entry is dropped with the closure.
        spawn("http", move || {
            connection::serve(&entry.shared, &entry.stream)
        })
        .map(drop)
    }

    /// Ends the oldest connection where there are too many and a new one comes before it, and waits a moment for its
    /// thread to see that.
    fn make_room<'a>(&self, open: OpenOnes<'a>) -> OpenOnes<'a> {
        if self.limits.crowd == Crowd::Refuse || open.len() < self.limits.connections {
            return open;
        }
        for stream in open.values().take(1) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let full = |open: &mut BTreeMap<_, _>| open.len() >= self.limits.connections;
        let waited = self.closed.wait_timeout_while(open, CROWD_PATIENCE, full);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Shuts all connections down in one way and waits for their threads, `patience` at most.
    fn end_connections(&self, how: Shutdown, patience: Duration) {
        let open = lock(&self.open);
        for stream in open.values() {
            // Fails only where the client was faster.
            let _ = stream.shutdown(how);
        }
        let waited = self
            .closed
            .wait_timeout_while(open, patience, |open| !open.is_empty());
        drop(waited);
    }
}

/// A connection's place in the table of open ones, given back on drop, also in a panic.
struct Entry {
    shared: Arc<Shared>,
    stream: Arc<Stream>,
    id: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        lock(&self.shared.open).remove(&self.id);
        self.shared.closed.notify_all();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
}
