//! A client of the status listener, over TCP and over a Unix socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::harness::{Api, DEADLINE, Daemon, Site, eventually};

/// An answer of the listener.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn of(text: &str) -> Reply {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Reply {
            status: status.unwrap_or(0),
            head: head.to_string(),
            body: body.to_string(),
        }
    }

    /// The value of a header field; none when it is not there.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// A site with a listener on a free port.
pub fn site(api: &Api, toml: &str) -> Site {
    Site::with(api, &format!("[status]\nlisten = \"127.0.0.1:0\"\n{toml}"))
}

/// Where the daemon that was started last listens, as `127.0.0.1:PORT`.
pub fn address(daemon: &Daemon) -> String {
    daemon.await_log("Status listener. address=http://");
    let log = daemon.log();
    let address = log
        .rsplit("Status listener. address=http://")
        .next()
        .unwrap();
    address.split('/').next().unwrap().to_string()
}

/// What it answers to a request as it stands.
pub fn exchange(address: &str, request: &str) -> Reply {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    talk(stream, request)
}

/// The same over a Unix socket.
pub fn exchange_unix(path: &Path, request: &str) -> Reply {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    talk(stream, request)
}

fn talk(mut stream: impl Read + Write, request: &str) -> Reply {
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    Reply::of(&text)
}

/// A request without a body, for this Host.
pub fn request(method: &str, path: &str, host: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

pub fn get(address: &str, path: &str) -> Reply {
    exchange(address, &request("GET", path, "localhost"))
}

/// Asks until the answer is as it should be, for what is told may be a second old.
#[track_caller]
pub fn await_reply(address: &str, path: &str, what: &str, fits: impl Fn(&Reply) -> bool) -> Reply {
    let mut reply = get(address, path);
    eventually(what, || {
        reply = get(address, path);
        fits(&reply)
    });
    reply
}
