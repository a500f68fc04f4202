//! The limit of blocking threads: HTTP/1.1 written by hand over TcpStream, as simple as it can be.
//!
//! It reads no file, writes nothing down and looks at nothing but the end of an answer's head. A sender on blocking threads
//! that does more than this cannot be faster.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Sends this many requests over `threads` connections; returns requests a second.
pub fn send(url: &str, requests: u64, threads: u64) -> f64 {
    let (host, path) = host_and_path(url);
    let each = requests / threads;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || send_in_turn(host, path, thread, each));
        }
    });
    (each * threads) as f64 / start.elapsed().as_secs_f64()
}

fn send_in_turn(host: &str, path: &str, thread: u64, requests: u64) {
    let mut stream = TcpStream::connect(host).expect("the receiver takes connections");
    stream.set_nodelay(true).expect("TCP");
    let body = r#"{"networkId":"net-0001","city":"Lisboa"}"#;
    let mut request = Vec::new();
    let mut answer = [0; 4096];
    for n in 0..requests {
        request.clear();
        write!(
            request,
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ferryd/0.1.0\r\nContent-Type: application/json\r\n\
             Idempotency-Key: 0123456789abcdef.{thread}.{n}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("memory takes it");
        stream.write_all(&request).expect("the request is sent");
        let mut read = 0;
        while !answer[..read].ends_with(b"\r\n\r\n") {
            let more = stream.read(&mut answer[read..]).expect("an answer comes");
            assert!(more > 0, "the receiver closed the connection");
            read += more;
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "the receiver takes all"
        );
    }
}

/// Of a URL such as `http://127.0.0.1:8080/records`.
pub fn host_and_path(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    rest.split_at(rest.find('/').expect("a path"))
}
