//! The client against servers of which each does one thing.

use http::uri::PathAndQuery;
use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;
use crate::config::Config;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client of this place, whose patience is half a second.
fn client(place: &str) -> Client {
    let mut api = Config::default().api;
    api.timeout = Duration::from_millis(500);
    let tls = Arc::new(Tls::open(&api.tls, false).unwrap());
    let url = format!("http://{place}").parse().unwrap();
    Client::new(&api, &url, 1, tls).unwrap()
}

fn request() -> Request<'static> {
    Request {
        method: http::Method::POST,
        target: Cow::Owned(PathAndQuery::from_static("/")),
        fields: Lines::default(),
        body: Cow::Borrowed(b"{}"),
    }
}

/// A client of a server that does this with each request; and how many connections that has taken.
fn served(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (Client, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client(&listener.local_addr().unwrap().to_string());
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    // The thread ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let mut stream = stream.unwrap();
            while stream.read(&mut [0; 1000]).is_ok_and(|read| read > 0) {
                answer(&mut stream);
            }
        }
    });
    (client, taken)
}

#[track_caller]
fn send(client: &Client) -> Reply {
    client.send(&request(), 1000).unwrap()
}

#[track_caller]
fn fail(client: &Client) -> Failure {
    client.send(&request(), 1000).unwrap_err()
}

#[test]
fn what_cannot_be_connected_to_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap().to_string();
    drop(listener);
    let failure = fail(&client(&place));
    assert!(matches!(failure, Failure::NotSent(Error::Io(_))));
    assert!(
        failure
            .error()
            .to_string()
            .starts_with("io: Connection refused")
    );
    // Longer than a part of a name may be, so that nobody is asked for it.
    let nowhere = format!("{}.invalid", "x".repeat(64));
    let failure = fail(&client(&nowhere));
    assert!(matches!(failure, Failure::NotSent(Error::NoAddress(_))));
}

#[test]
fn what_left_and_was_not_answered_is_unknown() {
    let (client, _) = served(|stream| stream.shutdown(Shutdown::Both).unwrap());
    assert!(matches!(
        fail(&client),
        Failure::Unknown(Error::Closed | Error::Io(_))
    ));
    let (client, _) = served(|stream| stream.write_all(b"220 smtp\r\n\r\n").unwrap());
    assert!(matches!(fail(&client), Failure::Unknown(Error::Garbled(_))));
    let (client, _) = served(|_| ());
    let failure = fail(&client);
    assert!(matches!(failure, Failure::Unknown(Error::Timeout(_))));
    let said = "timeout: api.timeout has passed";
    assert_eq!(failure.error().to_string(), said);
}

#[test]
fn a_connection_is_used_again() {
    let (client, taken) = served(|stream| stream.write_all(OK).unwrap());
    for _ in 0..5 {
        let reply = send(&client);
        assert_eq!((reply.status, &reply.body[..]), (200, &b"ok"[..]));
    }
    assert_eq!(taken.load(Ordering::SeqCst), 1);
}

#[test]
fn a_connection_on_which_something_unasked_came_gets_no_request() {
    let (done, is_done) = mpsc::channel();
    let (client, taken) = served(move |stream| {
        stream.write_all(OK).unwrap();
        // In a write of its own, which the client sees after it has read the answer.
        std::thread::sleep(Duration::from_millis(20));
        stream.write_all(b"HTTP/1.1 299 Unasked\r\n\r\n").unwrap();
        done.send(()).unwrap();
    });
    for time in 1..=3 {
        assert_eq!(send(&client).status, 200);
        is_done.recv().unwrap();
        assert_eq!(taken.load(Ordering::SeqCst), time);
    }
}

#[test]
fn a_body_that_breaks_off_keeps_its_answer_but_not_its_connection() {
    let (client, taken) = served(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nhe");
        let _ = stream.shutdown(Shutdown::Both);
    });
    for time in 1..=2 {
        let reply = send(&client);
        assert_eq!((reply.status, &reply.body[..]), (500, &b"he"[..]));
        assert!(matches!(reply.broken, Some(Error::Closed)));
        assert_eq!(taken.load(Ordering::SeqCst), time);
    }
}

#[test]
fn a_shut_down_client_cuts_off_what_is_in_flight_and_sends_no_more() {
    let (begun, has_begun) = mpsc::channel();
    let (client, taken) = served(move |_| begun.send(()).unwrap());
    std::thread::scope(|threads| {
        let sending = threads.spawn(|| fail(&client));
        has_begun.recv().unwrap();
        client.shut_down();
        let failure = sending.join().unwrap();
        assert!(
            matches!(failure, Failure::Unknown(Error::Closed)),
            "{failure:?}"
        );
    });
    assert!(matches!(fail(&client), Failure::NotSent(Error::ShutDown)));
    assert_eq!(taken.load(Ordering::SeqCst), 1);
}

#[test]
fn a_refusal_that_comes_before_all_of_the_request_was_taken_counts() {
    let (refusing, _) = served(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
        let _ = stream.shutdown(Shutdown::Both);
    });
    let (accepting, _) = served(|stream| {
        let _ = stream.write_all(OK);
        let _ = stream.shutdown(Shutdown::Both);
    });
    let body = vec![b'x'; 8 << 20];
    let large = || Request {
        body: Cow::Borrowed(&body),
        ..request()
    };
    assert_eq!(refusing.send(&large(), 100).unwrap().status, 413);
    let failure = accepting.send(&large(), 100);
    assert!(matches!(failure, Err(Failure::Unknown(_))), "{failure:?}");
}
