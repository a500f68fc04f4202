//! Workers that share a batch: a slow API is used as far as there are workers, each record is sent once, and nobody waits for
//! a slow one.

use crate::harness::{Api, DEADLINE, Door, Site, eventually};
use ferryd::server::Answer;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

const TEN: &str = "[workers]\nthreads = 10\n[retry]\ninterval = \"1ms\"\n";

fn slow(time: Duration) -> Api {
    Api::answering(move |_, request| {
        request.sleep(time);
        Answer::status(200)
    })
}

/// Slow enough that help is called for; record 5 waits at the door when it comes for the first time.
fn holding_five(door: &Arc<Door>, status: impl Fn(i64) -> u16 + Send + Sync + 'static) -> Api {
    let door = Arc::clone(door);
    Api::answering(move |seen, request| {
        request.sleep(Duration::from_millis(3));
        if (seen.record, seen.time) == (5, 1) {
            door.pass();
        }
        Answer::status(status(seen.record))
    })
}

#[test]
fn one_batch_is_sent_by_all_workers_and_each_record_once() {
    let api = slow(Duration::from_millis(50));
    let site = Site::with(&api, TEN);
    site.import(7, 1..=100);
    let start = Instant::now();
    site.run(&["drain"]).assert_code(0);
    // One after the other they would take 5 s.
    let took = start.elapsed();
    assert!(took < Duration::from_millis(2500), "{took:?}");
    api.assert_each_once(1..=100);
    assert_eq!(
        site.shell(
            "SELECT status, sent_through, delivered_count, retry_count FROM processing_batch_status"
        ),
        "SUCCESS 100 100 0"
    );
}

#[test]
fn a_slow_record_holds_up_neither_those_behind_it_nor_other_batches() {
    let door = Door::closed();
    let api = holding_five(&door, |_| 200);
    let site = Site::with(&api, "[workers]\nthreads = 2\n[batch]\nsize = 40\n");
    site.import(7, 1..=120);
    let daemon = site.daemon();
    site.await_delivered(119);
    assert_eq!(
        site.shell("SELECT record_id, state, attempts, error FROM undelivered_record"),
        "5 UNKNOWN 0 no answer yet"
    );
    door.open();
    site.await_delivered(120);
    eventually("no batch is open", || {
        site.shell("SELECT count(*) FROM processing_batch_status WHERE status <> 'SUCCESS'") == "0"
    });
    assert_eq!(site.shell("SELECT count(*) FROM undelivered_record"), "0");
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=120);
    site.assert_adds_up(0);
}

#[test]
fn what_the_gate_held_between_delivered_records_is_sent_when_it_opens() {
    let api = Api::answering(|seen, request| {
        request.sleep(Duration::from_millis(5));
        let refused = seen.time == 1 && seen.record % 7 == 3;
        Answer::status(if refused { 401 } else { 200 })
    });
    let gate = "[gate]\nfailures = 1000000\nprobe_interval = \"20ms\"\n";
    let site = Site::with(&api, &format!("{TEN}{gate}"));
    site.import(7, 1..=60);
    site.run(&["drain"]).assert_code(0);
    for (record, times) in api.times() {
        let wanted = 1 + usize::from(record % 7 == 3);
        assert_eq!(times, wanted, "record {record}");
    }
    assert_eq!(
        site.shell("SELECT status, delivered_count, retry_count FROM processing_batch_status"),
        "SUCCESS 60 0"
    );
    site.assert_adds_up(0);
}

#[test]
fn a_refused_record_is_dead_and_a_failed_one_sent_again_whoever_sends_them() {
    let api = Api::answering(|seen, request| {
        request.sleep(Duration::from_millis(5));
        Answer::status(match (seen.record % 10, seen.time) {
            (3, _) => 422,
            (5, 1) => 500,
            _ => 200,
        })
    });
    let site = Site::with(&api, TEN);
    site.import(7, 1..=60);
    site.run(&["drain"]).assert_code(3);
    for (record, times) in api.times() {
        let wanted = 1 + usize::from(record % 10 == 5);
        assert_eq!(times, wanted, "record {record}");
    }
    assert_eq!(
        site.shell("SELECT status, delivered_count, retry_count FROM processing_batch_status"),
        "DEAD 54 2"
    );
    site.assert_adds_up(0);
}

#[test]
fn a_stop_in_a_shared_batch_repeats_nothing() {
    let under_way = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (under_way.clone(), most.clone());
    let api = Api::answering(move |_, request| {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        request.sleep(Duration::from_millis(20));
        now.fetch_sub(1, Ordering::SeqCst);
        Answer::status(200)
    });
    let site = Site::with(&api, TEN);
    site.import(7, 1..=1000);
    let daemon = site.daemon();
    eventually("it is shared", || most.load(Ordering::SeqCst) >= 8);
    assert_eq!(daemon.terminate().0, 0);
    let sent = api.seen().len();
    assert!(sent < 1000, "the stop came in the middle");
    assert_eq!(
        site.shell("SELECT delivered, unknown, retrying FROM delivery_summary"),
        format!("{sent} 0 0")
    );
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=1000);
}

#[test]
fn a_kill_in_a_shared_batch_repeats_at_most_two_requests_of_each_worker() {
    let api = slow(Duration::from_millis(10));
    let site = Site::with(&api, TEN);
    site.import(7, 1..=400);
    for _ in 0..3 {
        let before = api.seen().len();
        let daemon = site.daemon();
        eventually("it is at work", || api.seen().len() > before + 60);
        daemon.kill();
    }
    site.run(&["drain"]).assert_code(0);
    let repeats = api.seen().len() - 400;
    assert!(repeats <= 3 * 20, "{repeats} repeats of 3 kills");
    assert_eq!(api.times().len(), 400);
    site.assert_adds_up(0);
}

#[test]
fn a_slow_record_that_the_destination_is_at_fault_for_keeps_its_place() {
    let api = Api::answering(|seen, request| {
        request.sleep(Duration::from_millis(3));
        if (seen.record, seen.time) == (5, 1) {
            request.sleep(Duration::from_millis(800));
            return Answer::status(401);
        }
        Answer::status(200)
    });
    let toml =
        "[workers]\nthreads = 2\n[retry]\ninterval = \"1h\"\n[gate]\nprobe_interval = \"50ms\"\n";
    let site = Site::with(&api, toml);
    site.import(7, 1..=40);
    site.run(&["drain", "--timeout", "8s"]).assert_code(0);
    assert_eq!(
        site.shell("SELECT status, delivered_count, retry_count FROM processing_batch_status"),
        "SUCCESS 40 0"
    );
}

#[test]
fn a_slow_record_beside_a_refused_one_holds_up_nobody() {
    let door = Door::closed();
    let api = holding_five(&door, |record| if record == 20 { 422 } else { 200 });
    let site = Site::with(&api, "[workers]\nthreads = 2\n[batch]\nsize = 40\n");
    site.import(7, 1..=120);
    let _daemon = site.daemon();
    eventually("all are sent while record 5 has no answer", || {
        api.seen().len() == 120
    });
    door.open();
}

#[test]
fn a_record_without_an_answer_at_a_kill_is_sent_again_at_the_next_start() {
    let door = Door::closed();
    let api = holding_five(&door, |_| 200);
    let site = Site::with(&api, "[workers]\nthreads = 2\n[retry]\ninterval = \"1h\"\n");
    site.import(7, 1..=40);
    let daemon = site.daemon();
    site.await_delivered(39);
    daemon.kill();
    door.open();
    site.run(&["drain", "--timeout", "20s"]).assert_code(0);
    assert_eq!(
        site.shell("SELECT status, delivered_count, retry_count FROM processing_batch_status"),
        "SUCCESS 40 0"
    );
}

#[test]
fn a_record_that_an_operator_asks_for_while_its_batch_is_under_way_is_sent_when_that_ends() {
    let door = Door::closed();
    let waits = Arc::clone(&door);
    let api = Api::answering(move |seen, _| {
        if seen.record == 9 {
            waits.pass();
        }
        Answer::status(if (seen.record, seen.time) == (2, 1) {
            422
        } else {
            200
        })
    });
    let toml = "[workers]\nthreads = 1\n[retry]\ninterval = \"1h\"\n";
    let site = Site::with(&api, toml);
    site.import(7, 1..=10);
    let _daemon = site.daemon();
    eventually("record 9 is in the API", || door.waiting() == 1);
    site.run(&["retry", "record:2"]).assert_code(0);
    door.open();
    site.await_delivered(10);
}

/// Takes one connection; all others hang while they are being made. From the third request on it answers only once it may.
/// Sends what keeps the others hanging as soon as that is in place.
fn one_connection(
    listener: TcpListener,
    seen: Arc<AtomicUsize>,
    may_go_on: Arc<AtomicBool>,
    in_place: Sender<(TcpStream, TcpListener)>,
) {
    let (mut stream, _) = listener.accept().unwrap();
    // It fills the queue of the listener.
    let filler = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    in_place.send((filler, listener)).unwrap();
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
        let seen = seen.fetch_add(1, Ordering::SeqCst) + 1;
        // Slow enough that the other worker is called for help.
        std::thread::sleep(Duration::from_millis(20));
        while seen >= 3 && !may_go_on.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    }
}

#[test]
fn a_stop_forgets_no_answer_behind_a_connection_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let (seen, may_go_on) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
    let (count, may) = (seen.clone(), may_go_on.clone());
    let (in_place, kept) = std::sync::mpsc::channel();
    std::thread::spawn(move || one_connection(listener, count, may, in_place));
    let site = Site::new();
    site.configure(&format!(
        "[workers]\nthreads = 2\n[api]\nurl = \"http://{address}/\"\nconnect_timeout = \"20s\"\n[shutdown]\ngrace = \"500ms\"\n"
    ));
    site.import(7, 1..=10);
    let daemon = site.daemon();
    let _kept = kept.recv_timeout(DEADLINE).unwrap();
    eventually("three records are there", || {
        seen.load(Ordering::SeqCst) == 3
    });
    daemon.begin_stop("TERM");
    may_go_on.store(true, Ordering::SeqCst);
    assert_eq!(daemon.await_end(), 0);
    assert_eq!(
        site.shell("SELECT delivered FROM delivery_summary"),
        seen.load(Ordering::SeqCst).to_string()
    );
}
