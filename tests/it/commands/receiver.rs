//! `receiver`: the API to try things against, as its clients and its user see it.

use crate::background::Background;
use crate::harness::{Api, Site};
use crate::tls::{Pki, needs};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A receiver on a free port, and its address.
pub fn start(site: &Site, options: &[&str]) -> (Background, String) {
    let arguments = [&["receiver", "--listen", "127.0.0.1:0"], options].concat();
    let receiver = Background::start(site, &arguments);
    receiver.await_output("it listens", |out| out.contains("/\n"));
    let out = receiver.output();
    let address = out.split('/').nth(2).unwrap().to_string();
    (receiver, address)
}

/// Sends one record by hand and returns the whole answer.
fn post(address: &str, key: &str) -> String {
    post_with(
        address,
        &format!("Idempotency-Key: {key}\r\n"),
        "{\"city\": \"Faro\"}",
    )
}

/// Sends a request with these header fields by hand and returns the whole answer.
fn post_with(address: &str, fields: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /records HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}\
         Content-Length: {length}\r\n\r\n{body}"
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

#[test]
fn many_records_in_one_request_have_a_result_each_however_long_the_body() {
    let site = Site::new();
    let (receiver, address) = start(
        &site,
        &["--bulk", "--fail-rate", "1", "--fail-status", "422"],
    );
    let padding = "x".repeat(3 << 20);
    let answer = post_with(&address, "", &format!("[\"{padding}\",{{\"a\":1}}]"));
    let results = "{\"results\":[{\"status\":422},{\"status\":422}]}";
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(results),
        "{answer}"
    );
    let answer = post_with(&address, "", "[1,");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let (_, out) = receiver.end("TERM");
    assert!(
        out.ends_with("; of the records in them 0 accepted, 2 refused\n"),
        "{out}"
    );
    // Without --bulk, a record of that size is too long.
    let (_receiver, address) = start(&site, &[]);
    let answer = post_with(&address, "", &padding);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn compressed_requests_for_many_records_are_understood() {
    let site = Site::new();
    let (receiver, address) = start(&site, &["--bulk", "--summary"]);
    site.configure(&format!(
        "[api]\nurl = \"http://{address}/\"\ncompress = \"gzip\"\n[api.bulk]\nrecords = 100\nitems = \"/results\"\n"
    ));
    site.import(1, 1..=250);
    site.run(&["drain"]).assert_code(0);
    let no_gzip = "Content-Encoding: gzip\r\n";
    assert!(post_with(&address, no_gzip, "[]").starts_with("HTTP/1.1 400 "));
    let (_, out) = receiver.end("TERM");
    let said = "received 4 requests: 3 accepted, 1 refused; 3 distinct keys, 0 repeated; of the records in them 250 accepted, 0 refused\n";
    assert!(out.ends_with(said), "{out}");
}

#[test]
fn without_the_token_in_the_file_a_request_is_answered_401_and_the_token_is_never_shown() {
    let site = Site::new();
    let token = site.path("token");
    std::fs::write(&token, "geheim-1\n").unwrap();
    let token = token.display().to_string();
    let (receiver, address) = start(&site, &["--require-token", &token]);
    for wrong in [
        "",
        "Authorization: Bearer geheim-\r\n",
        "Authorization: Bearer geheim-11\r\n",
        "Authorization: geheim-1\r\n",
        "Authorization: Basic geheim-1\r\n",
    ] {
        let answer = post_with(&address, wrong, "{}");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{wrong}: {answer}");
        assert!(
            answer.contains("\r\nWWW-Authenticate: Bearer\r\n"),
            "{answer}"
        );
    }
    for right in ["Bearer", "bearer"] {
        let field = format!("Authorization: {right} geheim-1\r\n");
        let answer = post_with(&address, &field, "{}");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    site.configure(&format!(
        "[api]\nurl = \"http://{address}/records\"\n[api.auth]\nbearer_token_file = \"{token}\"\n"
    ));
    site.import(1, 1..=3);
    site.run(&["drain"]).assert_code(0);
    let (code, out) = receiver.end("TERM");
    assert_eq!(code, 0);
    assert!(
        out.contains("received 10 requests: 5 accepted, 5 refused"),
        "{out}"
    );
    assert!(!out.contains("geheim"), "{out}");
    for unfit in ["", "geheim\nheheim\n"] {
        std::fs::write(&token, unfit).unwrap();
        let ran = site.run(&["receiver", "--require-token", &token]);
        let ran = ran.assert_code(78).assert_says("--require-token: ");
        assert!(!ran.stderr.contains("geheim"), "{ran:?}");
    }
}

#[test]
fn over_tls_it_receives_what_ferryd_delivers_and_lets_in_whom_it_should() {
    let pki = needs!(Pki::get(), "openssl");
    let at = |name: &str| pki.path(name).display().to_string();
    let (cert, key, ca) = (at("good.pem"), at("good.key"), at("ca.pem"));
    let own = ["--tls-cert", &cert, "--tls-key", &key];
    let mutual = [&own[..], &["--tls-client-ca", &ca]].concat();
    let trust = format!(
        "[gate]\nfailures = 2\nprobe_interval = \"1h\"\n[api.tls]\nca_file = {}\n",
        pki.quoted("ca.pem")
    );
    let show = format!(
        "{trust}cert_file = {}\nkey_file = {}\n",
        pki.quoted("client.pem"),
        pki.quoted("client.key")
    );
    for (options, config, accepted) in [
        (&own[..], &trust, 3),
        (&mutual, &show, 3),
        (&mutual, &trust, 0),
    ] {
        let site = Site::new();
        let (receiver, address) = start(&site, options);
        assert!(
            receiver
                .output()
                .starts_with("receiver listening on https://127.0.0.1:")
        );
        site.configure(&format!(
            "[api]\nurl = \"https://{address}/records\"\n{config}"
        ));
        site.import(1, 1..=3);
        let ran = site.run(&["drain", "--once"]);
        let (_, out) = receiver.end("TERM");
        assert!(
            out.contains(&format!(" {accepted} accepted, 0 refused")),
            "{out} {ran:?}"
        );
        ran.assert_code(if accepted == 3 { 0 } else { 3 });
    }
    let site = Site::new();
    for (options, words) in [
        (
            [
                "--tls-cert",
                &at("good.pem"),
                "--tls-key",
                &at("client.key"),
            ],
            "the key is not that of the certificate",
        ),
        (
            ["--tls-cert", &at("good.key"), "--tls-key", &at("good.key")],
            "--tls-cert: ",
        ),
        (
            ["--tls-cert", &at("good.pem"), "--tls-key", &at("no.key")],
            "--tls-key: ",
        ),
    ] {
        site.run(&[&["receiver"], &options[..]].concat())
            .assert_code(78)
            .assert_says(words);
    }
    site.run(&["receiver", "--tls-cert", &at("good.pem")])
        .assert_code(2)
        .assert_says("--tls-key <FILE>");
}
