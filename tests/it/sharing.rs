//! Workers that share a batch: a slow API is used as far as there are workers, each record is sent once, and nobody waits for
//! a slow one.

use crate::harness::{Api, Door, Site, eventually};
use ferryd::server::Answer;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TEN: &str = "[workers]\nthreads = 10\n[retry]\ninterval = \"1ms\"\n";

fn slow(time: Duration) -> Api {
    Api::answering(move |_, request| {
        request.sleep(time);
        Answer::status(200)
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
    let waits = Arc::clone(&door);
    let api = Api::answering(move |seen, request| {
        request.sleep(Duration::from_millis(3));
        if seen.record == 5 {
            waits.pass();
        }
        Answer::status(200)
    });
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
