//! Answers: what an answer of the API means for a record and its batch, and what is written down about it.

use crate::harness::{Api, Door, Site, eventually};
use ferryd::server::Answer;
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What `undelivered_record` says about a record: state, attempts, HTTP status or `-`.
fn undelivered(site: &Site, record: i64) -> String {
    site.shell(&format!(
        "SELECT state, attempts, coalesce(http_status, '-') FROM undelivered_record WHERE record_id = {record}"
    ))
}

/// One pass that leaves records behind.
#[track_caller]
fn pass(site: &Site) {
    site.run(&["drain", "--once"]).assert_code(3);
}

#[test]
fn a_failed_record_does_not_stop_the_others_of_its_batch() {
    let api = Api::answering(|seen, _| match seen.record {
        2 => Answer::status(500),
        5 => Answer::status(422),
        8 => Answer::Hangup,
        _ => Answer::status(204),
    });
    let site = Site::with(&api, "");
    site.import(1, 1..=10);
    pass(&site);
    api.assert_each_once(1..=10);
    let batch = "SELECT status, delivered_count, retry_count, next_attempt_at > last_attempt_at FROM failed_batches";
    assert_eq!(site.shell(batch), "FAILED 7 1 1");
    assert_eq!(undelivered(&site, 2), "RETRY 1 500");
    assert_eq!(undelivered(&site, 5), "DEAD 1 422");
    assert_eq!(undelivered(&site, 8), "UNKNOWN 1 -");
}

#[test]
fn the_error_message_is_a_line_for_each_record_in_id_order() {
    let api = Api::answering(|seen, _| match seen.record {
        10 => Answer::text(422, "no such city"),
        9 => Answer::text(503, ""),
        2 => Answer::text(500, "  out of\r\nluck "),
        _ => Answer::status(200),
    });
    let site = Site::with(&api, "");
    site.import(1, 1..=12);
    pass(&site);
    assert_eq!(
        site.value::<String>("SELECT error_message FROM failed_batches"),
        "id=2: HTTP 500 Internal Server Error: out of\\r\\nluck\n\
         id=9: HTTP 503 Service Unavailable\n\
         id=10: HTTP 422 Unprocessable Entity: no such city\n"
    );
}

#[test]
fn a_long_error_message_is_cut_at_8_kib_and_says_how_many_are_missing() {
    let api = Api::answering(|_, _| Answer::text(500, "é".repeat(150)));
    let site = Site::with(&api, "");
    site.import(1, 1..=1000);
    pass(&site);
    let message: String = site.value("SELECT error_message FROM failed_batches");
    assert!((7 * 1024..=8 * 1024).contains(&message.len()));
    let lines: Vec<&str> = message.strip_suffix('\n').unwrap().split('\n').collect();
    let (last, lines) = lines.split_last().unwrap();
    assert_eq!(*last, format!("… and {} more", 1000 - lines.len()));
    for (i, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("id={}: HTTP 500 ", i + 1)));
        assert_line_is_fit(line);
    }
}

/// A line of `error_message`: printable, and not too long.
#[track_caller]
fn assert_line_is_fit(line: &str) {
    let (_, text) = line.split_once(": ").unwrap();
    assert!(text.len() <= 256, "{} bytes: {text}", text.len());
    let unfit = |c: char| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c);
    assert!(!text.contains(unfit), "{text:?}");
}

#[test]
fn what_a_hostile_api_answers_is_one_short_printable_line_everywhere() {
    let api = Api::answering(|seen, _| {
        let body = match seen.record {
            1 => b"\x1b[31mred\x1b[0m \x07\x00\r\nid=99: forged\n".to_vec(),
            2 => b"\xff\xfe\xc3( caf\xe9".to_vec(),
            3 => "\u{202e}gnp.exe\u{2028}next\u{9b}31m".into(),
            4 => vec![b'x'; 1024 * 1024],
            5 => vec![b'\n'; 1024 * 1024],
            6 => return Answer::Raw(b"HTTP/1.1 500 \x1b[31mred\xff\r\n\r\n".to_vec()),
            7 => return Answer::Raw(b"\x1b]0;title\x07 220 smtp\r\n\r\n".to_vec()),
            8 => {
                return Answer::Raw(
                    b"HTTP/1.1 500 No\r\nContent-Length: 1048576\r\n\r\n\x1b[1m".to_vec(),
                );
            }
            _ => return Answer::status(200),
        };
        Answer::Full {
            status: if seen.record % 2 == 1 { 422 } else { 500 },
            headers: Vec::new(),
            body,
        }
    });
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"1ms\"\nbackoff = 1.0\nmax_attempts = 3\n",
    );
    site.import(1, 1..=20);
    let drained = site.run(&["drain", "-v", "-v"]).assert_code(3);
    assert!(
        !drained
            .stderr
            .contains(|c: char| c.is_control() && c != '\n')
    );
    let message: String = site.value("SELECT error_message FROM failed_batches");
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 8, "{message}");
    for (i, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("id={}: ", i + 1)), "{line}");
        assert_line_is_fit(line);
    }
    let kept: Vec<String> = (1..=8)
        .map(|id| {
            site.value(&format!(
                "SELECT error FROM undelivered_record WHERE record_id = {id}"
            ))
        })
        .collect();
    kept.iter()
        .for_each(|text| assert_line_is_fit(&format!("x: {text}")));
    assert!(kept[0].contains("\\u{1b}[31mred"), "{}", kept[0]);
    assert!(kept[2].contains("\\u{202e}gnp.exe"), "{}", kept[2]);
}

#[test]
fn delivered_count_grows_while_the_batch_runs() {
    let door = Door::closed();
    let wait = Arc::clone(&door);
    let api = Api::answering(move |seen, _| {
        if seen.record == 40 {
            wait.pass();
        }
        Answer::status(if seen.record == 3 { 500 } else { 200 })
    });
    let site = Site::with(&api, "");
    site.import(1, 1..=50);
    let _daemon = site.daemon();
    eventually("all before the held record are counted", || {
        let sql = "SELECT status || ' ' || delivered_count FROM processing_batch_status";
        site.connect()
            .query_row(sql, [], |row| row.get::<_, String>(0))
            .is_ok_and(|text| text == "RUNNING 38")
    });
    door.open();
    site.await_delivered(49);
}

#[test]
fn a_4xx_makes_the_record_and_its_batch_dead_at_once() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record == 3 { 422 } else { 200 }));
    let site = Site::with(&api, "[retry]\ninterval = \"1ms\"\n");
    site.import(1, 1..=5);
    site.run(&["drain"]).assert_code(3);
    api.assert_each_once(1..=5);
    let batch =
        "SELECT status, delivered_count, retry_count, next_attempt_at IS NULL FROM failed_batches";
    assert_eq!(site.shell(batch), "DEAD 4 1 1");
    assert_eq!(undelivered(&site, 3), "DEAD 1 422");
    // Not at the next start either.
    site.run(&["drain"]).assert_code(3);
    api.assert_each_once(1..=5);
}

#[test]
fn a_batch_with_a_dead_record_is_failed_as_long_as_another_waits_and_then_dead() {
    let api = Api::answering(|seen, _| match seen.record {
        2 => Answer::status(422),
        4 if seen.time == 1 => Answer::status(500),
        _ => Answer::status(200),
    });
    let site = Site::with(&api, "[retry]\ninterval = \"1ms\"\n");
    site.import(1, 1..=5);
    pass(&site);
    let batch = "SELECT status, delivered_count, retry_count FROM failed_batches";
    assert_eq!(site.shell(batch), "FAILED 3 1");
    site.run(&["drain"]).assert_code(3);
    assert_eq!(site.shell(batch), "DEAD 4 2");
    let message: String = site.value("SELECT error_message FROM failed_batches");
    assert_eq!(message, "id=2: HTTP 422 Unprocessable Entity\n");
    assert_eq!((api.times()[&2], api.times()[&4]), (1, 2));
}

#[test]
fn a_redirect_is_never_followed_and_never_delivered() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&followed);
    let api = Api::answering(move |seen, request| {
        if request.target() != "/records" {
            count.fetch_add(1, Ordering::SeqCst);
            return Answer::status(200);
        }
        let status = [300, 301, 302, 303, 304, 307, 308][seen.record as usize];
        Answer::Full {
            status,
            headers: vec![("Location".into(), "/elsewhere".into())],
            body: Vec::new(),
        }
    });
    let site = Site::with(&api, "[batch]\nsize = 1\n");
    site.import(1, 0..=6);
    pass(&site);
    assert_eq!(followed.load(Ordering::SeqCst), 0);
    assert_eq!(
        site.shell("SELECT delivered, success_batches FROM delivery_summary"),
        "0 0"
    );
}

#[test]
fn an_interim_answer_is_not_a_delivery() {
    let api = Api::answering(|seen, _| {
        let head = ["HTTP/1.1 100 Continue", "HTTP/1.1 101 Switching Protocols"];
        Answer::Raw(format!("{}\r\n\r\n", head[seen.record as usize]).into_bytes())
    });
    let site = Site::with(&api, "[batch]\nsize = 1\n");
    site.import(1, 0..=1);
    pass(&site);
    assert_eq!(
        site.value::<i64>("SELECT delivered FROM delivery_summary"),
        0
    );
}

#[test]
fn a_2xx_is_a_delivery_whatever_the_body_does_after() {
    let api = Api::answering(|seen, _| match seen.record {
        1 => Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()),
        2 => Answer::Raw(
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        ),
        3 => Answer::Raw(b"HTTP/1.1 299 Odd\r\n\r\n".to_vec()),
        4 => Answer::text(200, "y".repeat(1024 * 1024)),
        _ => Answer::status(204),
    });
    let site = Site::with(&api, "");
    site.import(1, 1..=6);
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=6);
}

#[test]
fn an_answer_that_breaks_off_before_its_headers_end_is_unknown_and_sent_again_with_the_same_key() {
    let api = Api::answering(|seen, _| match (seen.record, seen.time) {
        (1, 1) => Answer::Hangup,
        (2, 1) => Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        (3, 1) => Answer::Raw(b"no HTTP at all\r\n\r\n".to_vec()),
        (4, 1) => Answer::Raw(b"HTTP/1.1 2".to_vec()),
        _ => Answer::status(200),
    });
    let site = Site::with(&api, "[retry]\ninterval = \"1ms\"\n");
    site.import(1, 1..=6);
    pass(&site);
    for record in 1..=4 {
        assert_eq!(undelivered(&site, record), "UNKNOWN 1 -", "{record}");
    }
    let unknown = "SELECT unknown, retrying, waiting FROM delivery_summary";
    assert_eq!(site.shell(unknown), "4 0 0");
    site.run(&["drain"]).assert_code(0);
    let mut keys: HashMap<i64, Vec<String>> = HashMap::new();
    for seen in api.seen() {
        keys.entry(seen.record).or_default().push(seen.key);
    }
    for record in 1..=4 {
        assert_eq!(keys[&record].len(), 2);
        assert_eq!(keys[&record][0], keys[&record][1]);
    }
    assert_eq!((keys[&5].len(), keys[&6].len()), (1, 1));
    assert_eq!(site.shell("SELECT count(*) FROM undelivered_record"), "0");
}

#[test]
fn an_answer_that_does_not_come_within_the_timeout_is_unknown() {
    let door = Door::closed();
    let wait = Arc::clone(&door);
    let api = Api::answering(move |seen, _| {
        if seen.record == 2 && seen.time == 1 {
            wait.pass();
        }
        Answer::status(200)
    });
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\ntimeout = \"150ms\"\n[retry]\ninterval = \"1ms\"\n",
        api.url()
    ));
    site.import(1, 1..=3);
    pass(&site);
    assert_eq!(undelivered(&site, 2), "UNKNOWN 1 -");
    site.run(&["drain"]).assert_code(0);
    door.open();
    assert_eq!((api.times()[&1], api.times()[&2]), (1, 2));
}

#[test]
fn a_refused_connection_is_not_unknown_and_nothing_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"http://{address}/records\"\n[gate]\nprobe_interval = \"50ms\"\n"
    ));
    site.import(1, 1..=3);
    pass(&site);
    assert_eq!(
        site.shell("SELECT waiting, unknown, delivered, dead FROM delivery_summary"),
        "3 0 0 0"
    );
    let api = Api::listening_at(&address.to_string(), |_, _| Answer::status(200));
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=3);
}
