//! Stopping: what is in flight may finish, what does not is cut off, and the stop waits for nobody beyond that.

use crate::harness::{Api, Daemon, Door, Site, eventually, signal};
use crate::restart::{assert_checkpointed, assert_intact, assert_repeats, holding, lock, slow_api};
use ferryd::server::Answer;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A stop may take this much longer than `shutdown.grace`.
const AFTER_GRACE: Duration = Duration::from_secs(2);

/// Waits for the end that a signal was sent for; returns the exit code and the time since `start`.
#[track_caller]
fn end_of(daemon: Daemon, start: Instant) -> (i32, Duration) {
    let code = daemon.await_end();
    (code, start.elapsed())
}

#[test]
fn an_idle_daemon_stops_at_once() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    site.insert(1, 1);
    site.await_delivered(1);
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_checkpointed(&site, 1);
}

#[test]
fn a_request_in_flight_may_finish_within_the_grace() {
    let door = Door::closed();
    let api = holding(&door, |record| record == 4);
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.import(1, 1..=10);
    let daemon = site.daemon();
    eventually("record 4 is in the API", || door.waiting() == 1);
    daemon.begin_stop("TERM");
    door.open();
    assert_eq!(daemon.await_end(), 0);
    api.assert_each_once(1..=4);
    assert_eq!(
        site.shell(
            "SELECT status, retry_count, sent_through, delivered_count FROM processing_batch_status"
        ),
        "PENDING 0 4 4"
    );
    assert_eq!(site.shell("SELECT count(*) FROM undelivered_record"), "0");
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=10);
}

#[test]
fn a_request_that_outlasts_the_grace_is_cut_off_and_its_record_unknown() {
    let door = Door::closed();
    let api = holding(&door, |record| record % 10 == 4);
    let site = Site::with(
        &api,
        "[shutdown]\ngrace = \"300ms\"\n[workers]\nthreads = 2\n[batch]\nsize = 10\n[retry]\ninterval = \"1ms\"\n",
    );
    site.import(1, 1..=30);
    let daemon = site.daemon();
    eventually("two records are in the API", || door.waiting() == 2);
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_millis(300) + AFTER_GRACE, "{took:?}");
    assert_eq!(
        site.shell("SELECT DISTINCT status, retry_count FROM processing_batch_status"),
        "PENDING 0"
    );
    assert_eq!(
        site.shell("SELECT record_id, state, attempts FROM undelivered_record"),
        "4 UNKNOWN 1\n14 UNKNOWN 1"
    );
    let sent = site.shell("SELECT delivered FROM delivery_summary");
    assert_checkpointed(&site, sent.parse().unwrap());
    assert_intact(&site);

    door.open();
    site.run(&["drain"]).assert_code(0);
    assert_repeats(&api, 30, 2);
    assert_eq!((api.times()[&4], api.times()[&14]), (2, 2));
}

#[test]
fn what_a_stop_cuts_off_goes_at_once_at_the_next_start_also_at_the_end_of_a_batch() {
    for bulk in ["", "[api.bulk]\nrecords = 3\n"] {
        let door = Door::closed();
        let api = holding(&door, move |record| !bulk.is_empty() || record == 3);
        let site = Site::with(
            &api,
            &format!(
                "[shutdown]\ngrace = \"100ms\"\n[workers]\nthreads = 1\n[retry]\nmax_attempts = 1\n{bulk}"
            ),
        );
        site.import(1, 1..=3);
        let daemon = site.daemon();
        eventually("it is in the API", || door.waiting() == 1);
        let (code, _) = daemon.terminate();
        assert_eq!(code, 0);
        assert_eq!(
            site.shell("SELECT status, retry_count FROM processing_batch_status"),
            "PENDING 0"
        );
        assert_eq!(
            site.shell("SELECT DISTINCT state, attempts, error FROM undelivered_record"),
            "UNKNOWN 1 no answer: ferryd was stopped before it came"
        );
        door.open();
        let daemon = site.daemon();
        site.await_delivered(3);
        assert_eq!(daemon.terminate().0, 0);
        let held = api.seen().pop().unwrap().record;
        assert_eq!(api.times()[&held], 2, "it was taken in unseen");
        assert_intact(&site);
    }
}

#[test]
fn a_stop_in_the_middle_of_a_retry_is_not_an_attempt() {
    let door = Door::closed();
    let wait = Arc::clone(&door);
    let api = Api::answering(move |seen, _| {
        if seen.record == 5 && seen.time == 2 {
            wait.pass();
        }
        Answer::status(if seen.time == 1 { 500 } else { 200 })
    });
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"1ms\"\nbackoff = 1.0\n[workers]\nthreads = 1\n",
    );
    site.import(1, 1..=9);
    let daemon = site.daemon();
    eventually("record 5 is in the API again", || door.waiting() == 1);
    daemon.begin_stop("TERM");
    door.open();
    assert_eq!(daemon.await_end(), 0);
    assert_eq!(
        site.shell("SELECT status, retry_count, delivered_count FROM processing_batch_status"),
        "PENDING 1 5"
    );
    site.run(&["drain"]).assert_code(0);
    assert!(api.times().values().all(|times| *times == 2));
    assert_eq!(
        site.shell("SELECT status, retry_count FROM processing_batch_status"),
        "SUCCESS 1"
    );
}

#[test]
fn a_second_signal_ends_it_within_a_second_and_the_next_start_repairs() {
    for second in ["TERM", "INT"] {
        let door = Door::closed();
        let api = holding(&door, |record| record == 4);
        let site = Site::with(&api, "[workers]\nthreads = 1\n");
        site.import(1, 1..=10);
        let daemon = site.daemon();
        eventually("record 4 is in the API", || door.waiting() == 1);
        daemon.begin_stop("TERM");
        let start = Instant::now();
        signal(daemon.pid(), second);
        let (code, took) = end_of(daemon, start);
        assert_ne!(code, 0);
        assert!(took < Duration::from_secs(1), "{took:?}");
        door.open();
        site.run(&["drain"]).assert_code(0);
        assert_repeats(&api, 10, 2);
    }
}

#[test]
fn drain_stops_in_order_too() {
    let api = slow_api();
    let site = Site::with(&api, "[batch]\nsize = 10\n");
    site.import(1, 1..=3000);
    let mut drain = site.ferryd(&["drain", "-q"]).spawn().unwrap();
    eventually("some came", || api.seen().len() >= 50);
    signal(drain.id(), "TERM");
    let mut code = None;
    eventually("it has ended", || {
        code = drain.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(3));
    assert_eq!(
        site.shell("SELECT running_batches FROM delivery_summary"),
        "0"
    );
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=3000);
}

#[test]
fn a_stop_does_not_wait_for_the_write_lock_of_another_program() {
    let api = slow_api();
    let site = Site::with(
        &api,
        "[workers]\nthreads = 3\n[batch]\nsize = 100\n[shutdown]\ngrace = \"300ms\"\n",
    );
    site.import(1, 1..=500);
    let daemon = site.daemon();
    eventually("some came", || api.seen().len() >= 50);
    let lock = lock(&site);
    let (code, took) = daemon.terminate();
    assert_ne!(code, 0, "outcomes were not written");
    assert!(took < Duration::from_millis(300) + AFTER_GRACE, "{took:?}");
    let log = std::fs::read_to_string(site.path("daemon.log")).unwrap();
    assert!(log.contains("could not be written before"), "{log}");
    drop(lock);
    site.run(&["drain"]).assert_code(0);
    assert_repeats(&api, 500, 2 * 3);
    assert_intact(&site);
}

#[test]
fn an_idle_daemon_stops_although_another_program_holds_the_write_lock() {
    let api = Api::accepting();
    let site = Site::with(&api, "[shutdown]\ngrace = \"300ms\"\n");
    site.import(1, 1..=3);
    let daemon = site.daemon();
    site.await_delivered(3);
    let _lock = lock(&site);
    let (_, took) = daemon.terminate();
    assert!(took < Duration::from_millis(300) + AFTER_GRACE, "{took:?}");
}

#[test]
fn a_reader_that_stays_does_not_hold_up_sending_or_the_stop() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let reader = site.connect();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM user_record")
        .unwrap();
    let daemon = site.daemon();
    site.await_delivered(3);
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took < AFTER_GRACE, "{took:?}");
}

/// An address where connecting takes forever: the queue of the listener is full, so the kernel drops what comes.
struct BlackHole {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> BlackHole {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok();
        let queue = (0..100).map_while(connect).collect();
        BlackHole {
            listener,
            _queue: queue,
        }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// How many connections are being tried, from `/proc/net/tcp`: remote address and the state SYN_SENT.
    fn tried(&self) -> usize {
        let remote = format!(" 0100007F:{:04X} 02 ", self.address().port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        table.matches(&remote).count()
    }
}

#[test]
fn a_stop_does_not_wait_for_a_connection_that_does_not_come_about() {
    let hole = BlackHole::new();
    let site = Site::new();
    site.configure(&format!(
        "[api]\nurl = \"http://{}/records\"\nconnect_timeout = \"20s\"\n[shutdown]\ngrace = \"300ms\"\n",
        hole.address()
    ));
    site.import(1, 1..=3);
    let daemon = site.daemon();
    eventually("it tries to connect", || hole.tried() == 1);
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took < Duration::from_millis(300) + AFTER_GRACE, "{took:?}");
    assert_eq!(
        site.shell("SELECT status, retry_count, waiting, unknown FROM processing_batch_status, delivery_summary"),
        "PENDING 0 3 0"
    );
    assert_checkpointed(&site, 0);
}
