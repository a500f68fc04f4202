//! Clients that are slow, rude or many: they hold up neither the listener nor the deliveries.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::client::{address, exchange, get, site};
use crate::harness::{Api, DEADLINE};

/// Longer than any answer may take while others behave badly.
const SOON: Duration = Duration::from_secs(5);

/// Threads that behave badly until they are dropped.
struct Crowd {
    enough: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Crowd {
    /// Each of so many clients does this again and again.
    fn of(clients: usize, act: impl Fn() + Send + Sync + 'static) -> Crowd {
        let enough = Arc::new(AtomicBool::new(false));
        let act = Arc::new(act);
        let client = |_| {
            let (enough, act) = (enough.clone(), act.clone());
            std::thread::spawn(move || {
                while !enough.load(Ordering::SeqCst) {
                    act();
                }
            })
        };
        let threads = (0..clients).map(client).collect();
        Crowd { enough, threads }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Asks again where a crowd has pushed the client out, and returns how long it took to be answered.
fn time_to_answer(address: &str) -> Duration {
    let start = Instant::now();
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    while start.elapsed() < DEADLINE {
        let mut text = String::new();
        let answered = TcpStream::connect(address).is_ok_and(|mut stream| {
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream.write_all(request.as_bytes()).is_ok() && stream.read_to_string(&mut text).is_ok()
        });
        if answered && text.starts_with("HTTP/1.1 200 ") {
            return start.elapsed();
        }
    }
    panic!("it never answered");
}

#[test]
fn clients_that_drip_or_say_nothing_keep_nobody_out_and_hold_up_no_delivery() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    let target = address.clone();
    let crowd = Crowd::of(40, move || {
        let Ok(mut stream) = TcpStream::connect(&target) else {
            return;
        };
        for byte in b"GET / HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    site.import(1, 1..=500);
    for _ in 0..5 {
        let took = time_to_answer(&address);
        assert!(took < SOON, "{took:?}");
    }
    site.await_delivered(500);
    let listening = daemon
        .threads()
        .iter()
        .filter(|name| *name == "http")
        .count();
    assert!(listening <= 17, "{listening} threads");
    drop(crowd);
    daemon.assert_small();
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_flood_of_requests_holds_up_no_delivery() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    let target = address.clone();
    let crowd = Crowd::of(4, move || {
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
        let Ok(mut stream) = TcpStream::connect(&target) else {
            return;
        };
        stream.set_read_timeout(Some(SOON)).unwrap();
        if stream.write_all(request.as_bytes()).is_ok() {
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    site.import(1, 1..=500);
    site.await_delivered(500);
    assert!(time_to_answer(&address) < SOON);
    drop(crowd);
    daemon.assert_small();
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_client_that_never_reads_its_answers_is_given_up() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100);
    let start = Instant::now();
    while stream.write_all(request.as_bytes()).is_ok() {
        assert!(start.elapsed() < DEADLINE, "it is never given up");
    }
    assert!(get(&address, "/healthz").status == 200);
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let mut stream = TcpStream::connect(address(&daemon)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let start = Instant::now();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert!(start.elapsed() < 2 * SOON, "{:?}", start.elapsed());
}

#[test]
fn heads_and_bodies_that_are_too_big_are_refused() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "y".repeat(20_000)
    );
    assert_eq!(exchange(&address, &head).status, 431);
    let fields = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        "X: y\r\n".repeat(100)
    );
    assert_eq!(exchange(&address, &fields).status, 431);
    for body in [
        "Content-Length: 1\r\n\r\nx",
        "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{body}");
        assert_eq!(exchange(&address, &request).status, 413, "{body}");
    }
    for nonsense in [
        "\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}\r\n\r\n",
    ] {
        let reply = exchange(&address, nonsense);
        assert!(
            matches!(reply.status, 0 | 400 | 408),
            "{nonsense:?}: {reply:?}"
        );
    }
    assert_eq!(get(&address, "/healthz").status, 200);
}

#[test]
fn what_is_refused_is_told_why_and_when() {
    let api = Api::accepting();
    let site = site(&api, "");
    let daemon = site.daemon();
    let address = address(&daemon);
    let close = "Connection: close\r\n";
    for (request, status, told) in [
        (
            "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx".into(),
            405,
            "Only GET and HEAD",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx".into(),
            413,
            "has no body",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n{close}\r\n"),
            400,
            "one Host field",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n{close}\r\n"),
            400,
            "one Host field",
        ),
        (
            format!("GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"),
            200,
            "ok",
        ),
        (
            format!("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"),
            421,
            "localhost",
        ),
    ] {
        let reply = exchange(&address, &request);
        assert_eq!(reply.status, status, "{request}");
        assert!(reply.body.contains(told), "{request}: {reply:?}");
        let date = reply.field("date").expect("a date");
        assert!(
            ferryd::time::Timestamp::parse_http_date(date).is_some() && date.ends_with(" GMT"),
            "{date}"
        );
        assert_eq!(reply.field("allow").is_some(), status == 405, "{reply:?}");
    }
}
