//! Answers that misbehave on purpose, and answers that must not.

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn answering(answer: Answer) -> Server {
    serve(move |_| answer.clone(), Limits::default())
}

#[test]
fn raw_bytes_are_sent_as_they_are_and_end_the_connection() {
    let server = answering(Answer::Raw(b"HTTP/1.1 2xx what\n".to_vec()));
    assert_eq!(only_answer(&server, GET), "HTTP/1.1 2xx what\n");
}

#[test]
fn a_hangup_sends_nothing() {
    let server = answering(Answer::Hangup);
    assert_eq!(only_answer(&server, GET), "");
}

#[test]
fn a_dripped_answer_takes_a_pause_for_each_byte() {
    let server = answering(Answer::Drip {
        bytes: b"HTTP/1.1 200 OK".to_vec(),
        pause: Duration::from_millis(5),
    });
    let start = Instant::now();
    assert_eq!(only_answer(&server, GET), "HTTP/1.1 200 OK");
    assert!(start.elapsed() >= Duration::from_millis(75));
}

#[test]
fn an_answer_can_ask_for_the_end_of_the_connection() {
    let server = answering(Answer::Full {
        status: 200,
        headers: vec![("connection".into(), "close".into())],
        body: b"x".to_vec(),
    });
    let answer = only_answer(&server, GET);
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\nconnection: close\r\nContent-Length: 1\r\n\r\nx"
    );
}

#[test]
fn a_header_cannot_smuggle_another_one() {
    let server = answering(Answer::Full {
        status: 200,
        headers: vec![
            ("X".into(), "a\r\nY: b".into()),
            ("Connection".into(), "close".into()),
        ],
        body: Vec::new(),
    });
    assert!(only_answer(&server, GET).contains("\r\nX: a  Y: b\r\n"));
}

#[test]
fn a_status_without_a_body_sends_none() {
    for (status, length) in [(101, false), (204, false), (304, true)] {
        let server = answering(Answer::text(status, "body"));
        let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let answer = only_answer(&server, request);
        assert_eq!(status_of(&answer), status.to_string());
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(answer.contains("Content-Length"), length, "{answer}");
    }
}

#[test]
fn a_large_answer_arrives_whole() {
    let server = answering(Answer::text(200, "x".repeat(8_000_000)));
    let mut client = Client::connect(&server);
    for _ in 0..2 {
        client.send(GET);
        client.until("\r\n\r\n");
        let mut body = vec![0; 8_000_000];
        client.0.read_exact(&mut body).unwrap();
        assert!(body.iter().all(|byte| *byte == b'x'));
    }
}

#[test]
fn a_handler_that_panics_costs_its_own_connection_only() {
    let server = serve(
        |request| match request.target() {
            "/panic" => panic!("on purpose"),
            _ => Answer::status(200),
        },
        Limits::default(),
    );
    assert_eq!(
        only_answer(&server, "GET /panic HTTP/1.1\r\nHost: x\r\n\r\n"),
        ""
    );
    assert_eq!(
        status_of(&only_answer(&server, "GET / HTTP/1.0\r\n\r\n")),
        "200"
    );
    eventually(|| lock(&server.shared.open).is_empty());
}
