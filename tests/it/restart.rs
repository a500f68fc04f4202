//! Restart: what a kill, a stop or a lock of another program interrupted goes on where it was, and nothing is lost.

use crate::harness::{Api, Door, Site, eventually, signal};
use ferryd::server::Answer;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Fails unless every record came with one key only, and no more often in sum than this above once each.
#[track_caller]
pub fn assert_repeats(api: &Api, records: usize, at_most: usize) {
    let mut keys: HashMap<i64, String> = HashMap::new();
    let seen = api.seen();
    for seen in &seen {
        let key = keys.entry(seen.record).or_insert_with(|| seen.key.clone());
        assert_eq!(*key, seen.key, "record {}", seen.record);
    }
    assert_eq!(keys.len(), records);
    let repeats = seen.len() - records;
    assert!(repeats <= at_most, "{repeats} repeats, not {at_most}");
}

/// An API that takes a moment for each answer.
pub fn slow_api() -> Api {
    Api::answering(|_, request| {
        request.sleep(Duration::from_millis(1));
        Answer::status(200)
    })
}

/// An API that holds the answer to these records until the door opens.
pub fn holding(door: &Arc<Door>, held: impl Fn(i64) -> bool + Send + Sync + 'static) -> Api {
    let door = Arc::clone(door);
    Api::answering(move |seen, _| {
        if held(seen.record) {
            door.pass();
        }
        Answer::status(200)
    })
}

/// What SQLite says about the file.
#[track_caller]
pub fn assert_intact(site: &Site) {
    let found: String = site.value("PRAGMA integrity_check");
    assert_eq!(found, "ok");
}

/// Fails unless the database file has all of it, also without its -wal.
#[track_caller]
pub fn assert_checkpointed(site: &Site, delivered: i64) {
    let copy = site.path("copy.db");
    std::fs::copy(site.database(), &copy).unwrap();
    let conn = Connection::open(&copy).unwrap();
    let sql = "SELECT delivered FROM delivery_summary";
    let found: i64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(found, delivered);
}

#[test]
fn what_a_killed_process_left_running_is_taken_up_and_delivered() {
    let door = Door::closed();
    let api = holding(&door, |record| record % 10 == 7);
    let site = Site::with(&api, "[workers]\nthreads = 3\n[batch]\nsize = 10\n");
    site.import(1, 1..=60);
    let daemon = site.daemon();
    eventually("each worker waits for an answer", || door.waiting() == 3);
    daemon.kill();
    let running = "SELECT running_batches FROM delivery_summary";
    assert!(site.value::<i64>(running) >= 3);
    door.open();
    let daemon = site.daemon();
    assert!(daemon.log().contains("Freed batches"), "{}", daemon.log());
    site.await_delivered(60);
    assert_repeats(&api, 60, 2 * 3);
    eventually("the last batch has ended", || {
        site.value::<i64>(running) == 0
    });
    let attempts = "SELECT max(retry_count), max(delivered_count) FROM processing_batch_status";
    assert_eq!(site.shell(attempts), "0 10");
}

#[test]
fn ten_kills_in_a_row_lose_nothing_and_repeat_at_most_two_records_a_worker_each() {
    let api = slow_api();
    let site = Site::with(&api, "[workers]\nthreads = 4\n[batch]\nsize = 30\n");
    site.import(1, 1..=800);
    site.import(2, 801..=1600);
    for cycle in 1..=10 {
        let daemon = site.daemon();
        let wanted = api.seen().len() + 70 + cycle;
        eventually("some more came", || api.seen().len() >= wanted);
        site.insert(1, 1600 + cycle as i64);
        daemon.kill();
        assert_intact(&site);
    }
    assert!(api.times().len() < 1610, "nothing was left to interrupt");
    let daemon = site.daemon();
    site.await_delivered(1610);
    assert_eq!(daemon.terminate().0, 0);
    assert_repeats(&api, 1610, 10 * 2 * 4);
    assert_intact(&site);
    let left = "SELECT waiting + retrying + unknown + dead FROM delivery_summary";
    assert_eq!(site.value::<i64>(left), 0);
}

#[test]
fn kills_between_retries_lose_nothing_and_keep_the_attempts() {
    let api = Api::answering(|seen, _| {
        let fails = seen.record % 5 == 0 && seen.time <= 2;
        Answer::status(if fails { 500 } else { 200 })
    });
    let site = Site::with(
        &api,
        "[workers]\nthreads = 2\n[batch]\nsize = 20\n[retry]\ninterval = \"20ms\"\nbackoff = 1.0\n",
    );
    site.import(1, 1..=400);
    for _ in 1..=5 {
        let daemon = site.daemon();
        let wanted = api.seen().len() + 40;
        eventually("some more came", || api.seen().len() >= wanted);
        daemon.kill();
    }
    site.run(&["drain"]).assert_code(0);
    // 80 records are sent three times, and what the kills repeated.
    assert_repeats(&api, 400, 2 * 80 + 5 * 2 * 2);
}

#[test]
fn sigterm_and_sigint_end_it_with_exit_code_0_and_repeat_nothing() {
    let api = slow_api();
    let site = Site::with(&api, "[workers]\nthreads = 4\n[batch]\nsize = 30\n");
    site.import(1, 1..=700);
    site.import(2, 701..=1400);
    for cycle in 1..=5 {
        let daemon = site.daemon();
        let wanted = api.seen().len() + 60;
        eventually("some more came", || api.seen().len() >= wanted);
        signal(daemon.pid(), ["TERM", "INT"][cycle % 2]);
        assert_eq!(daemon.await_end(), 0);
        assert_intact(&site);
        assert_eq!(
            site.shell("SELECT running_batches, retrying, unknown FROM delivery_summary"),
            "0 0 0"
        );
        assert_checkpointed(&site, api.seen().len() as i64);
    }
    assert!(api.seen().len() < 1400, "nothing was left to interrupt");
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=1400);
    let attempts = "SELECT max(retry_count) FROM processing_batch_status";
    assert_eq!(site.value::<i64>(attempts), 0);
}

/// Takes the write lock as another program would.
pub fn lock(site: &Site) -> Connection {
    let conn = site.connect();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    conn
}

#[test]
fn a_second_daemon_on_the_same_file_is_refused_and_disturbs_nothing() {
    let door = Door::closed();
    let api = holding(&door, |record| record == 4);
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.import(1, 1..=10);
    let daemon = site.daemon();
    eventually("record 4 is in the API", || door.waiting() == 1);
    let pid = daemon.pid().to_string();
    for command in ["run", "drain"] {
        site.run(&[command]).assert_code(75).assert_says(&pid);
    }
    assert_eq!(
        site.shell("SELECT status, delivered_count FROM processing_batch_status"),
        "RUNNING 3"
    );
    door.open();
    site.await_delivered(10);
    api.assert_each_once(1..=10);
    assert_eq!(daemon.terminate().0, 0);
}
