//! `receiver`: the API to try things against, as its clients and its user see it.

use crate::background::Background;
use crate::harness::{Api, Site};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A receiver on a free port, and its address.
fn start(site: &Site, options: &[&str]) -> (Background, String) {
    let arguments = [&["receiver", "--listen", "127.0.0.1:0"], options].concat();
    let receiver = Background::start(site, &arguments);
    receiver.await_output("it listens", |out| out.contains("/\n"));
    let out = receiver.output();
    let address = out.strip_prefix("receiver listening on http://").unwrap();
    let address = address.split('/').next().unwrap().to_string();
    (receiver, address)
}

/// Sends one record by hand and returns the whole answer.
fn post(address: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /records HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nIdempotency-Key: {key}\r\n\
         Content-Length: 16\r\n\r\n{{\"city\": \"Faro\"}}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_prints_what_it_received_and_a_summary_at_the_end() {
    let site = Site::new();
    let (receiver, address) = start(&site, &[]);
    assert!(post(&address, "k1").starts_with("HTTP/1.1 200 "));
    receiver.await_output("the request is printed", |out| {
        out.contains("POST /records 200 key=k1 body={\"city\": \"Faro\"}\n")
    });
    post(&address, "k1");
    let (code, out) = receiver.end("TERM");
    assert_eq!(code, 0);
    assert!(
        out.ends_with("received 2 requests: 2 accepted, 0 refused; 1 distinct keys, 1 repeated\n"),
        "{out}"
    );
}

#[test]
fn it_receives_what_ferryd_delivers() {
    let site = Site::new();
    let (receiver, address) = start(&site, &["--summary"]);
    site.configure(&format!("[api]\nurl = \"http://{address}/records\"\n"));
    site.import(1, 1..=30);
    site.run(&["drain"]).assert_code(0);
    let (code, out) = receiver.end("INT");
    assert_eq!(code, 0);
    assert_eq!(
        out.lines().nth(1).unwrap(),
        "received 30 requests: 30 accepted, 0 refused; 30 distinct keys, 0 repeated"
    );
}

#[test]
fn the_options_decide_the_answer() {
    let site = Site::new();
    let (_receiver, address) = start(&site, &["--status", "202", "--retry-after", "9"]);
    let answer = post(&address, "k");
    assert!(
        answer.starts_with("HTTP/1.1 202 ") && !answer.contains("Retry-After"),
        "{answer}"
    );

    let options = [
        "--fail-rate",
        "1",
        "--fail-status",
        "503",
        "--retry-after",
        "9",
    ];
    let (_receiver, address) = start(&site, &options);
    let answer = post(&address, "k");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 9\r\n"), "{answer}");
}

#[test]
fn the_latency_delays_each_answer() {
    let site = Site::new();
    let (_receiver, address) = start(&site, &["--latency", "200ms"]);
    let start = Instant::now();
    post(&address, "k");
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[test]
fn it_listens_on_loopback_only() {
    let site = Site::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        site.run(&["receiver", "--listen", address])
            .assert_code(2)
            .assert_says("must be a loopback address with a port");
    }
}

#[test]
fn an_address_in_use_is_named_with_the_remedy() {
    let api = Api::accepting();
    let taken = api.url();
    let taken = taken
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap();
    let said = format!(
        "cannot listen on {taken}: Address already in use (os error 98); choose another address"
    );
    let ran = Site::new()
        .run(&["receiver", "--listen", taken])
        .assert_code(74)
        .assert_says(&said);
    assert_eq!(ran.stdout, "");
}
