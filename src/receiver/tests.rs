//! The receiver as its clients and its user see it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn quiet() -> Options {
    Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        print: false,
        ..Options::default()
    }
}

/// Sends one POST and returns the whole answer.
fn post(addr: SocketAddr, key: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST /v1/records HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIdempotency-Key: {key}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// An output whose text can be looked at.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(lock(&self.0).clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn printing_to(out: impl Write + Send + 'static) -> Receiver {
    let options = Options {
        print: true,
        ..quiet()
    };
    let door = Door::open(&options).unwrap();
    Receiver::serve(bind(&options).unwrap(), door, options, out).unwrap()
}

#[test]
fn requests_and_repeated_keys_are_counted() {
    let receiver = Receiver::start(quiet()).unwrap();
    for key in ["a", "b", "a"] {
        assert!(post(receiver.addr(), key, "{}").starts_with("HTTP/1.1 200 "));
    }
    let expected = Counts {
        requests: 3,
        accepted: 3,
        refused: 0,
        distinct_keys: 2,
        repeated: 1,
        records: (0, 0),
    };
    assert_eq!(receiver.counts(), expected);
}

#[test]
fn a_failed_request_gets_the_fail_status_and_retry_after() {
    let options = Options {
        fail_rate: 1.0,
        fail_status: 503,
        retry_after: Some(7),
        ..quiet()
    };
    let receiver = Receiver::start(options).unwrap();
    let answer = post(receiver.addr(), "a", "{}");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 7\r\n"), "{answer}");
    let counts = receiver.counts();
    assert_eq!((counts.refused, counts.distinct_keys), (1, 0));
}

#[test]
fn an_accepted_request_gets_no_retry_after() {
    let options = Options {
        status: 202,
        retry_after: Some(7),
        ..quiet()
    };
    let receiver = Receiver::start(options).unwrap();
    let answer = post(receiver.addr(), "a", "{}");
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(!answer.contains("Retry-After"), "{answer}");
}

#[test]
fn a_share_of_the_requests_is_chosen_to_fail() {
    for rate in [0.0, 0.01, 0.3, 1.0] {
        let chosen = (0..100_000).filter(|&n| is_chosen(n, rate)).count() as f64;
        let share = chosen / 100_000.0;
        assert!((share - rate).abs() < 0.005, "{rate} gave {share}");
    }
    assert!((0..100_000).all(|n| !is_chosen(n, 0.0) && is_chosen(n, 1.0)));
}

#[test]
fn an_answer_takes_the_latency() {
    let options = Options {
        latency: Duration::from_millis(60),
        ..quiet()
    };
    let receiver = Receiver::start(options).unwrap();
    let start = Instant::now();
    post(receiver.addr(), "a", "{}");
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_stop_during_the_latency_hangs_up_and_counts_nothing() {
    let options = Options {
        latency: Duration::from_secs(3600),
        ..quiet()
    };
    let mut receiver = Receiver::start(options).unwrap();
    let addr = receiver.addr();
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let start = Instant::now();
    receiver.stop();
    assert!(start.elapsed() < PATIENCE);
    // Nothing, or a reset if the stop came before the request was read.
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty());
    assert_eq!(receiver.counts(), Counts::default());
}

#[test]
fn only_loopback_is_listened_on() {
    for listen in [
        "0.0.0.0:0",
        "[::]:0",
        "192.0.2.1:80",
        "[::ffff:192.0.2.1]:80",
    ] {
        let options = Options {
            listen: listen.parse().unwrap(),
            ..quiet()
        };
        let error = Receiver::start(options).err().expect(listen);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("loopback"), "{error}");
    }
}

#[test]
fn nonsense_in_the_options_is_refused() {
    let rates = [-0.1, 1.1, f64::NAN].map(|fail_rate| Options {
        fail_rate,
        ..quiet()
    });
    let statuses = [0, 99, 1000].map(|status| Options { status, ..quiet() });
    for options in rates.into_iter().chain(statuses) {
        let error = Receiver::start(options).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn an_address_in_use_is_named() {
    let taken = Receiver::start(quiet()).unwrap();
    let options = Options {
        listen: taken.addr(),
        ..quiet()
    };
    let error = Receiver::start(options).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&taken.addr().to_string()));
}

#[test]
fn a_request_is_printed_as_one_printable_line() {
    let page = Page::default();
    let mut receiver = printing_to(page.clone());
    post(
        receiver.addr(),
        "k-1",
        "{\"city\": \"Z\u{fc}rich\n\u{202e}\"}",
    );
    receiver.stop();
    assert_eq!(
        page.text(),
        "POST /v1/records 200 key=k-1 body={\"city\": \"Zürich\\n\\u{202e}\"}\n"
    );
}

#[test]
fn a_long_body_is_cut() {
    let page = Page::default();
    let mut receiver = printing_to(page.clone());
    post(receiver.addr(), "k", &"ü".repeat(1000));
    receiver.stop();
    let text = page.text();
    assert!(text.ends_with("ü…\n") && text.len() < 260, "{text}");
}

#[test]
fn lines_appear_while_the_receiver_runs() {
    let (reader, writer) = io::pipe().unwrap();
    let receiver = printing_to(writer);
    post(receiver.addr(), "a", "{}");
    // Would hang without the flusher; a test run that hangs has failed.
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).unwrap();
    assert!(line.starts_with("POST /v1/records 200 key=a"), "{line}");
}

#[test]
fn a_closed_output_ends_the_printing_but_not_the_receiver() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let receiver = printing_to(writer);
    post(receiver.addr(), "a", "{}");
    let printer = receiver.printer.as_ref().unwrap();
    printer.flush();
    assert!(printer.is_closed());
    assert!(post(receiver.addr(), "b", "{}").starts_with("HTTP/1.1 200 "));
    assert_eq!(receiver.counts().accepted, 2);
}

#[test]
fn an_answer_is_in_the_journal_before_it_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let options = Options {
        status: 202,
        journal: Some(path.clone()),
        ..quiet()
    };
    let receiver = Receiver::start(options).unwrap();
    post(receiver.addr(), "\"ab.1.42\"", "{}");
    // The receiver still runs: what is in the file is all that a kill of it would leave.
    let line = std::fs::read_to_string(&path).unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["status"], &line["record"]),
        (&202.into(), &42.into())
    );
    assert_eq!(line["key"], "\"ab.1.42\"");
}

#[test]
fn what_cannot_be_written_to_the_journal_is_not_accepted() {
    let options = Options {
        journal: Some("/dev/full".into()),
        ..quiet()
    };
    let receiver = Receiver::start(options).unwrap();
    let answer = post(receiver.addr(), "a", "{}");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
}
