//! Hostile answers: they never hang a worker longer than `api.timeout` + 1 s, never count as delivered, never grow memory.

mod endless;
mod rude;

use ferryd::server::Answer;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use crate::harness::{Api, Site};
use rude::Rude;

/// Lines that follow `[api]` and its url: a timeout of a second, and a gate that only a fault of the destination closes.
const OPEN_GATE: &str = "timeout = \"1s\"\n[gate]\nfailures = 1000\n[retry]\ninterval = \"1h\"\n";

fn site_of(url: &str, toml: &str) -> Site {
    let site = Site::new();
    site.configure(&format!("[api]\nurl = \"{url}\"\n{OPEN_GATE}{toml}"));
    site
}

impl Site {
    /// State, status and reason of a record that was not delivered.
    fn fate(&self, record: i64) -> String {
        self.shell(&format!(
            "SELECT state, coalesce(http_status, '-'), error FROM undelivered_record WHERE record_id = {record}"
        ))
    }

    #[track_caller]
    fn assert_fate(&self, record: i64, start: &str) {
        let fate = self.fate(record);
        assert!(fate.starts_with(start), "record {record}: {fate:?}");
    }

    #[track_caller]
    fn assert_delivered(&self, records: &str) {
        let delivered = self.shell("SELECT delivered FROM delivery_summary");
        assert_eq!(delivered, records);
    }

    /// No attempt took longer than `api.timeout`, which is one second, and one more.
    #[track_caller]
    fn assert_no_worker_hung(&self) {
        let longest: i64 = self.value("SELECT max(busy_ms) FROM processing_batch_status");
        assert!(longest <= 2000, "a worker was busy for {longest} ms");
    }
}

const UNKNOWN: &str = "UNKNOWN - no answer: ";

/// Every one of them is no answer of HTTP, or one that breaks off before its head is complete.
fn garbage() -> Vec<Vec<u8>> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let texts = [
        "garbage\r\n\r\n",
        "200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "\r\n\r\n",
        "\0\0\0\0\0\0\0\0",
        "{\"status\":200}\r\n\r\n",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK",
    ];
    let heads = [
        "",
        "Content-Le",
        "Content-Length: 0",
        "Content-Length: 0\r\n",
        "no colon\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello, you",
        "Content-Length: 0\r\nContent-Length: 7\r\n\r\n",
        "Content-Length: 5, 7\r\n\r\nhello, you",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: five\r\n\r\nhello",
        "Content-Length: 99999999999999999999999999\r\n\r\n",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend(heads.map(|head| format!("{ok}{head}").into_bytes()));
    // A TLS alert, a giant header, and too many of them.
    all.push(vec![0x15, 3, 1, 0, 2, 2, 0x46]);
    all.push(format!("{ok}X-Big: {}\r\n\r\n", "x".repeat(1 << 20)).into_bytes());
    all.push(format!("{ok}{}\r\n", "X-Many: yes\r\n".repeat(5000)).into_bytes());
    all
}

#[test]
fn what_is_no_whole_answer_of_http_is_unknown_and_never_delivered() {
    let answers = garbage();
    let count = answers.len() as i64;
    let api = Api::answering(move |seen, _| Answer::Raw(answers[seen.record as usize].clone()));
    let site = site_of(&api.url(), "");
    site.import(1, 0..count);
    site.run(&["drain", "--once"]).assert_code(3);
    api.assert_each_once(0..count);
    for (record, answer) in (0..count).zip(garbage()) {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(80)]).into_owned();
        let fate = site.fate(record);
        assert!(fate.starts_with(UNKNOWN), "{start:?}: {fate:?}");
    }
    site.assert_no_worker_hung();
}

#[test]
fn an_empty_answer_and_silence_are_unknown_and_hang_no_worker() {
    let rude = Rude::new(|stream, record| {
        if record == 2 {
            // Until the other side has enough of waiting.
            let _ = stream.read(&mut [0; 1]);
        }
        false
    });
    let site = site_of(&rude.url(), "");
    for record in [1, 2] {
        site.import(record, [record]);
    }
    site.run(&["drain", "--once"]).assert_code(3);
    for record in [1, 2] {
        site.assert_fate(record, UNKNOWN);
    }
    site.assert_no_worker_hung();
}

/// A request of some megabytes that is read in sips never blocks one write for long, and all of them together no longer
/// than the timeout.
#[test]
fn a_request_that_is_read_in_sips_is_cut_off_at_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.read(&mut [0; 512]).is_ok_and(|read| read > 0) {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let site = site_of(&url, "");
    site.run(&["init"]).assert_code(0);
    site.write("INSERT INTO user_record VALUES (1, 1, NULL, printf('%.*c', 4000000, 'x'))");
    site.run(&["drain", "--once"]).assert_code(3);
    site.assert_fate(1, UNKNOWN);
    site.assert_no_worker_hung();
}

#[test]
fn a_dripped_head_is_cut_off_at_the_timeout() {
    let api = Api::answering(|_, _| Answer::Drip {
        bytes: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        pause: Duration::from_millis(300),
    });
    let site = site_of(&api.url(), "");
    site.import(1, [1]);
    site.run(&["drain", "--once"]).assert_code(3);
    site.assert_fate(1, UNKNOWN);
    site.assert_no_worker_hung();
}

/// The verdict is in the head: whatever the body does after changes nothing.
#[test]
fn bodies_that_drip_or_break_off_change_no_verdict_and_hang_no_worker() {
    let rude = Rude::new(|stream, record| {
        let status = [200, 500, 422][record as usize % 3];
        let head = format!("HTTP/1.1 {status} So\r\nContent-Length: 1000\r\n\r\nhello");
        let _ = stream.write_all(head.as_bytes());
        // From record 3 on, the body breaks off here.
        while record < 3 && stream.write_all(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    });
    let site = site_of(&rude.url(), "");
    for record in 0..6 {
        site.import(record + 1, [record]);
    }
    site.run(&["drain", "--once"]).assert_code(3);
    for (record, fate) in [
        (1, "RETRY 500 "),
        (4, "RETRY 500 "),
        (2, "DEAD 422 "),
        (5, "DEAD 422 "),
    ] {
        site.assert_fate(record, fate);
        assert!(site.fate(record).contains(": hello"), "what came is kept");
    }
    site.assert_delivered("2");
    site.assert_no_worker_hung();
}

#[test]
fn redirects_and_statuses_that_are_no_final_answer_close_the_gate_and_deliver_nothing() {
    let elsewhere = Api::accepting();
    for status in [101, 300, 301, 302, 303, 304, 307, 308] {
        let location = elsewhere.url();
        let api = Api::answering(move |_, _| Answer::Full {
            status,
            headers: vec![
                ("Location".into(), location.clone()),
                ("Connection".into(), "close".into()),
            ],
            body: Vec::new(),
        });
        let site = site_of(&api.url(), "");
        site.import(1, [1]);
        site.run(&["drain", "--once"]).assert_code(3);
        assert_eq!(api.seen().len(), 1, "{status}");
        let sql = "SELECT waiting, delivered, gate FROM delivery_summary";
        assert_eq!(site.shell(sql), "1 0 closed", "{status}");
        let reason: String = site.value("SELECT gate_reason FROM delivery_summary");
        assert!(reason.contains(&format!("HTTP {status}")), "{reason}");
    }
    assert_eq!(elsewhere.seen().len(), 0, "no redirect is followed");
}

#[test]
fn statuses_beyond_all_standards_are_tried_again() {
    let api = Api::answering(|seen, _| Answer::status([600, 799, 999][seen.record as usize]));
    let site = site_of(&api.url(), "");
    site.import(1, 0..3);
    site.run(&["drain", "--once"]).assert_code(3);
    for (record, status) in [(0, 600), (1, 799), (2, 999)] {
        assert_eq!(site.fate(record), format!("RETRY {status} HTTP {status}"));
    }
}

#[test]
fn an_interim_answer_is_passed_over_and_the_final_one_counts() {
    let rude = Rude::new(|stream, record| {
        let status = if record == 1 { 200 } else { 500 };
        let interim =
            "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
        let end = format!("HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n");
        stream
            .write_all(format!("{interim}{end}").as_bytes())
            .is_ok()
    });
    let site = site_of(&rude.url(), "[workers]\nthreads = 1\n");
    site.import(1, 1..=2);
    site.run(&["drain", "--once"]).assert_code(3);
    site.assert_delivered("1");
    site.assert_fate(2, "RETRY 500 ");
}

/// Without the final answer that it announces, an interim one is a connection that was lost.
#[test]
fn an_interim_answer_alone_is_unknown() {
    let api = Api::answering(|seen, _| {
        let interim = [
            "100 Continue",
            "102 Processing",
            "103 Early Hints",
            "199 Soon",
        ];
        let status = interim[seen.record as usize];
        Answer::Raw(format!("HTTP/1.1 {status}\r\n\r\n").into_bytes())
    });
    let site = site_of(&api.url(), "");
    site.import(1, 0..4);
    site.run(&["drain", "--once"]).assert_code(3);
    for record in 0..4 {
        site.assert_fate(record, UNKNOWN);
    }
}

/// An answer that nobody asked for must not be taken for the answer to the next request.
#[test]
fn a_second_answer_on_a_connection_does_not_deliver_the_next_record() {
    for first in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    ] {
        let rude = Rude::new(move |stream, record| {
            let unasked = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(2);
            let answer = match record {
                1 => format!("{first}{unasked}"),
                _ => "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_string(),
            };
            stream.write_all(answer.as_bytes()).is_ok()
        });
        let site = site_of(&rude.url(), "[workers]\nthreads = 1\n");
        site.import(1, 1..=3);
        site.run(&["drain", "--once"]).assert_code(3);
        site.assert_delivered("1");
        for record in [2, 3] {
            site.assert_fate(record, "RETRY 500 ");
        }
        assert_eq!(rude.seen(), [1, 2, 3], "{first}");
    }
}

#[test]
fn a_tls_handshake_that_fails_is_not_sent_and_burns_no_attempt() {
    let api = Api::accepting();
    let site = Site::new();
    let url = api.url().replace("http:", "https:");
    site.configure(&format!("[api]\nurl = \"{url}\"\n[gate]\nfailures = 3\n"));
    site.import(1, 1..=2);
    site.run(&["drain", "--once"]).assert_code(3);
    assert_eq!(
        site.shell("SELECT waiting, delivered, unknown, gate FROM delivery_summary"),
        "2 0 0 closed"
    );
    let reason: String = site.value("SELECT gate_reason FROM delivery_summary");
    assert!(reason.contains("not sent"), "{reason}");
}

#[test]
fn what_the_api_says_is_one_printable_line_wherever_it_appears() {
    let text = "bad\r\nid=9: forged\n\u{1b}[31mred\u{202e}\0";
    let api = Api::answering(move |_, _| Answer::text(422, text));
    let site = Site::with(&api, "");
    site.import(1, [1]);
    let ran = site.run(&["drain", "-vv"]).assert_code(3);
    let line =
        "HTTP 422 Unprocessable Entity: bad\\r\\nid=9: forged\\n\\u{1b}[31mred\\u{202e}\\u{0}";
    let message: String = site.value("SELECT error_message FROM processing_batch_status");
    assert_eq!(message, format!("id=1: {line}\n"));
    assert!(ran.stderr.contains(line), "{ran:?}");
    let explained = site.run(&["explain", "1"]).stdout;
    for place in [ran.stderr, explained, site.run(&["status"]).stdout] {
        let forged = place.contains('\u{1b}') || place.contains("\nid=9");
        assert!(!forged, "{place}");
    }
}
