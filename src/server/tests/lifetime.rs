//! Deadlines, bounds, and stopping.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn hasty() -> Limits {
    Limits {
        transfer: Duration::from_millis(150),
        idle: Duration::from_millis(150),
        ..Limits::default()
    }
}

/// Sends one byte at a time until the other side has had enough; returns the answer.
fn drip(server: &Server, start: &str) -> String {
    let mut client = Client::connect(server);
    client.send(start);
    let pause = Duration::from_millis(10);
    client.0.set_read_timeout(Some(pause)).unwrap();
    let (began, mut byte) = (Instant::now(), [0]);
    while client.0.read(&mut byte).is_err() {
        assert!(began.elapsed() < PATIENCE, "never cut off");
        let _ = client.0.write(b"a");
    }
    client.0.set_read_timeout(Some(PATIENCE)).unwrap();
    format!("{}{}", char::from(byte[0]), client.until("\r\n\r\n"))
}

#[test]
fn a_dripping_client_is_cut_off_at_the_deadline() {
    let server = echo_within(hasty());
    for start in [
        "GET /",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
    ] {
        let answer = drip(&server, start);
        assert_eq!(status_of(&answer), "408", "{start:?}");
    }
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = echo_within(hasty());
    let mut client = Client::connect(&server);
    assert_eq!(client.rest(), "");
    let mut client = Client::connect(&server);
    client.send(GET);
    client.until("]");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_client_that_does_not_read_its_answer_is_given_up() {
    let server = serve(|_| Answer::text(200, "x".repeat(50_000_000)), hasty());
    let mut client = Client::connect(&server);
    client.send(GET);
    eventually(|| lock(&server.shared.open).len() == 1);
    eventually(|| lock(&server.shared.open).is_empty());
}

#[test]
fn connections_over_the_limit_are_closed_at_once() {
    let server = echo_within(Limits {
        connections: 2,
        ..Limits::default()
    });
    let mut clients = [Client::connect(&server), Client::connect(&server)];
    for client in &mut clients {
        client.send(GET);
        client.until("]");
    }
    assert!(Client::connect(&server).is_closed_silently());
    // The others are as they were, and a place given back can be taken again.
    let [mut kept, freed] = clients;
    kept.send(GET);
    kept.until("]");
    drop(freed);
    eventually(|| lock(&server.shared.open).len() == 1);
    let mut client = Client::connect(&server);
    client.send(GET);
    client.until("]");
}

#[test]
fn stop_ends_idle_connections_and_the_listener() {
    let mut server = echo();
    let addr = server.addr().unwrap();
    let mut client = Client::connect(&server);
    client.send(GET);
    client.until("]");
    let start = Instant::now();
    server.stop();
    server.stop();
    assert!(start.elapsed() < STOP_GRACE);
    assert_eq!(client.rest(), "");
    assert!(TcpStream::connect(addr).is_err());
    // The port is free for the next one.
    TcpListener::bind(addr).unwrap();
}

#[test]
fn stop_wakes_a_sleeping_handler_and_its_answer_still_goes_out() {
    let sleeping = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&sleeping);
    let handler = move |request: &Request| {
        seen.fetch_add(1, Ordering::SeqCst);
        let slept = request.sleep(Duration::MAX);
        Answer::text(200, format!("[{slept}]"))
    };
    let mut server = serve(handler, Limits::default());
    let mut client = Client::connect(&server);
    client.send(GET);
    eventually(|| sleeping.load(Ordering::SeqCst) == 1);
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < STOP_GRACE + STOP_PATIENCE);
    let answer = client.rest();
    assert!(answer.ends_with("[false]"), "{answer}");
    assert!(answer.contains("Connection: close"), "{answer}");
}

#[test]
fn stop_does_not_wait_for_a_handler_that_will_not_end() {
    let (release, wait) = crossbeam_channel::bounded::<()>(0);
    let busy = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&busy);
    let handler = move |_: &Request| {
        seen.fetch_add(1, Ordering::SeqCst);
        let _ = wait.recv();
        Answer::Hangup
    };
    let mut server = serve(handler, Limits::default());
    let mut client = Client::connect(&server);
    client.send(GET);
    eventually(|| busy.load(Ordering::SeqCst) == 1);
    let start = Instant::now();
    server.stop();
    assert!(start.elapsed() < PATIENCE);
    drop(release);
}

#[test]
fn stop_cuts_a_dripped_answer() {
    let server = serve(
        |_| Answer::Drip {
            bytes: b"ab".to_vec(),
            pause: Duration::from_secs(3600),
        },
        Limits::default(),
    );
    let mut client = Client::connect(&server);
    client.send(GET);
    client.until("a");
    drop(server);
    assert_eq!(client.rest(), "");
}

/// A server that speaks TLS; its certificate is never looked at here.
fn secured(limits: Limits) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let handler = |_: &Request| Answer::status(200);
    Server::start_with(listener, handler, limits, Some(Arc::new(tls))).unwrap()
}

#[test]
fn a_handshake_that_drips_or_never_begins_is_cut_off_at_the_deadline() {
    let limits = Limits {
        idle: Duration::from_secs(60),
        ..hasty()
    };
    // Nothing at all, and a handshake message of which one byte comes after the other.
    for start in [&b""[..], &[22, 3, 1, 0x40, 0]] {
        let server = secured(limits.clone());
        let mut client = Client::connect(&server);
        let (began, mut byte) = (Instant::now(), [0]);
        client.0.write_all(start).unwrap();
        let pause = Some(Duration::from_millis(10));
        client.0.set_read_timeout(pause).unwrap();
        while client
            .0
            .read(&mut byte)
            .is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
        {
            assert!(began.elapsed() < PATIENCE, "never cut off");
            if !start.is_empty() {
                let _ = client.0.write(&[0]);
            }
        }
        assert!(began.elapsed() >= Duration::from_millis(150));
        eventually(|| lock(&server.shared.open).is_empty());
    }
}

#[test]
fn a_request_in_plain_text_gets_no_answer_from_a_server_that_speaks_tls() {
    let server = secured(Limits::default());
    let mut client = Client::connect(&server);
    client.send(GET);
    let mut answer = Vec::new();
    let _ = client.0.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn the_oldest_connection_makes_room_for_a_new_one_where_the_limits_say_so() {
    let server = echo_within(Limits {
        connections: 2,
        crowd: Crowd::EndOldest,
        ..Limits::default()
    });
    let [mut oldest, mut kept] = [Client::connect(&server), Client::connect(&server)];
    for client in [&mut oldest, &mut kept] {
        client.send(GET);
        client.until("]");
    }
    let mut new = Client::connect(&server);
    new.send(GET);
    new.until("]");
    assert!(oldest.is_closed_silently());
    kept.send(GET);
    kept.until("]");
    assert!(lock(&server.shared.open).len() <= 2);
}

#[test]
fn clients_of_a_unix_socket_are_served_alike() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let handler = |request: &Request| Answer::text(200, request.target());
    let mut server = Server::start(listener, handler, hasty()).unwrap();
    assert_eq!(server.addr(), None);
    let mut client = std::os::unix::net::UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\n/a"), "{answer}");
    // One that says nothing is given up, and the stop wakes the accept thread.
    let mut silent = std::os::unix::net::UnixStream::connect(&path).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    server.stop();
    assert!(std::os::unix::net::UnixStream::connect(&path).is_err());
}
