//! The server as a client with a bare socket sees it.

mod framing;
mod lifetime;
mod misbehaviour;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;

/// Longer than anything here takes; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(5);

fn serve(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static, limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Server::start(listener, handler, limits).unwrap()
}

/// A server that answers with what it understood.
fn echo() -> Server {
    echo_within(Limits::default())
}

fn echo_within(limits: Limits) -> Server {
    serve(
        |request| {
            let body = String::from_utf8_lossy(&request.body);
            Answer::text(
                200,
                format!("{} {} [{body}]", request.method(), request.target()),
            )
        },
        limits,
    )
}

struct Client(TcpStream);

impl Client {
    fn connect(server: &Server) -> Client {
        let stream = TcpStream::connect(server.addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client(stream)
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Everything up to the end of the connection, which must be a proper one.
    fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Reads until `end` has come.
    fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let mut byte = [0];
            let count = self.0.read(&mut byte).expect(&text);
            assert_eq!(count, 1, "closed after {text:?}");
            text.push(byte[0].into());
        }
        text
    }

    /// Waits for the end of the connection, proper or by reset; returns whether nothing came.
    fn is_closed_silently(&mut self) -> bool {
        let mut byte = [0];
        match self.0.read(&mut byte) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// The answer to one request on a connection of its own, which must end after it.
fn only_answer(server: &Server, request: &str) -> String {
    let mut client = Client::connect(server);
    client.send(request);
    client.rest()
}

fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

/// Waits until `what` holds.
fn eventually(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        thread::sleep(Duration::from_millis(2));
    }
}
