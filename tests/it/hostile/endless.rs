//! Answers without an end: they are cut off, and memory does not grow.

use std::io::Write;
use std::net::TcpStream;

use super::rude::Rude;
use super::site_of;
use crate::harness::{Site, eventually};

/// Writes a head, and then the same again and again until the other side has enough.
fn pour(stream: &mut TcpStream, head: &str, again: &str) -> bool {
    let again = again.repeat(1 + (1 << 16) / again.len());
    let _ = stream.write_all(head.as_bytes());
    while stream.write_all(again.as_bytes()).is_ok() {}
    false
}

/// The site after its daemon has sent 40 records over ten workers to a server that pours; the daemon stayed small.
fn poured(head: &'static str, again: &'static str) -> Site {
    let rude = Rude::new(move |stream, _| pour(stream, head, again));
    let site = site_of(&rude.url(), "");
    for user in 1..=10 {
        site.import(user, user * 100..user * 100 + 4);
    }
    let daemon = site.daemon();
    eventually("everything was sent", || {
        let left = "SELECT waiting + pending_batches + running_batches FROM delivery_summary";
        site.value::<i64>(left) == 0
    });
    daemon.assert_small();
    assert_eq!(daemon.terminate().0, 0);
    site
}

fn counts(site: &Site) -> String {
    site.shell("SELECT delivered, retrying, unknown, dead FROM delivery_summary")
}

#[test]
fn an_endless_body_of_a_success_is_delivered() {
    let site = poured("HTTP/1.1 200 OK\r\n\r\n", "x");
    assert_eq!(counts(&site), "40 0 0 0");
}

#[test]
fn an_endless_body_of_a_failure_is_a_failure_with_a_short_reason() {
    let head = "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n";
    let site = poured(head, "5\r\nhello\r\n");
    assert_eq!(counts(&site), "0 40 0 0");
    let longest: i64 = site.value("SELECT max(length(error)) FROM undelivered_record");
    assert!(longest <= 256, "{longest}");
}

#[test]
fn an_endless_head_is_unknown() {
    let site = poured("HTTP/1.1 200 OK\r\n", "X-More: yes\r\n");
    assert_eq!(counts(&site), "0 0 40 0");
}

#[test]
fn an_endless_header_is_unknown() {
    let site = poured("HTTP/1.1 200 OK\r\nX-More: ", "yes");
    assert_eq!(counts(&site), "0 0 40 0");
}

#[test]
fn endless_interim_answers_are_unknown_and_hang_no_worker() {
    let rude = Rude::new(|stream, _| pour(stream, "", "HTTP/1.1 102 Processing\r\n\r\n"));
    let site = site_of(&rude.url(), "");
    site.import(1, [1]);
    site.run(&["drain", "--once"]).assert_code(3);
    assert_eq!(counts(&site), "0 0 1 0");
    site.assert_no_worker_hung();
}

#[test]
fn endless_chunk_sizes_and_trailers_change_no_success_and_hang_no_worker() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rude = Rude::new(move |stream, record| match record {
        1 => pour(stream, chunked, "0"),
        2 => pour(stream, &format!("{chunked}1;"), "extension"),
        _ => pour(stream, &format!("{chunked}0\r\n"), "X-More: yes\r\n"),
    });
    let site = site_of(&rude.url(), "");
    for record in 1..=3 {
        site.import(record, [record]);
    }
    site.run(&["drain", "--once"]).assert_code(0);
    assert_eq!(counts(&site), "3 0 0 0");
    site.assert_no_worker_hung();
}
