//! Retry: when a FAILED batch is due, what is sent again, and when it is given up.

use crate::harness::{Api, Change, Door, Site, eventually};
use ferryd::server::Answer;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Fails unless a delay is the wanted one, give or take the jitter of 10 % and the milliseconds of the file.
#[track_caller]
pub fn assert_delay(found: f64, wanted: f64) {
    let spread = wanted * 0.1 + 0.002;
    assert!((found - wanted).abs() <= spread, "{found} s, not {wanted}");
}

#[test]
fn delays_are_the_interval_times_the_backoff_up_to_the_longest_with_jitter() {
    let api = Api::answering(|seen, _| Answer::status(if seen.time < 6 { 500 } else { 200 }));
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"80ms\"\nbackoff = 2.0\nmax_interval = \"500ms\"\n[batch]\nsize = 1\n",
    );
    site.import(1, 1..=8);
    site.keep_journal();
    site.run(&["drain"]).assert_code(0);

    let journal = site.journal();
    let mut first_delays = HashSet::new();
    for batch in 1..=8 {
        let of_batch = |change: &&Change| change.batch == batch;
        let failed: Vec<f64> = journal
            .iter()
            .filter(of_batch)
            .filter_map(|c| c.delay)
            .collect();
        assert_eq!(failed.len(), 5, "{journal:#?}");
        for (found, wanted) in failed.iter().zip([0.08, 0.16, 0.32]) {
            assert_delay(*found, wanted);
        }
        for found in &failed[3..] {
            assert!((0.45..=0.501).contains(found), "{found}");
        }
        first_delays.insert((failed[2] * 1000.0).round() as i64);
    }
    assert!(first_delays.len() > 1, "no jitter: {first_delays:?}");
    for late in journal.iter().filter_map(|change| change.late) {
        assert!(late > -0.002, "taken up {late} s after it was due");
        assert!(late < 5.0, "taken up {late} s after it was due");
    }
}

#[test]
fn a_backoff_of_one_is_a_fixed_delay() {
    let api = Api::answering(|seen, _| Answer::status(if seen.time < 5 { 503 } else { 200 }));
    let site = Site::with(&api, "[retry]\ninterval = \"100ms\"\nbackoff = 1.0\n");
    site.import(1, 1..=2);
    site.keep_journal();
    site.run(&["drain"]).assert_code(0);
    let delays: Vec<f64> = site.journal().iter().filter_map(|c| c.delay).collect();
    assert_eq!(delays.len(), 4);
    delays.iter().for_each(|found| assert_delay(*found, 0.1));
    let times: Vec<Instant> = api.seen().iter().map(|seen| seen.at).collect();
    for (earlier, later) in times.iter().zip(&times[2..]) {
        assert!(*later - *earlier >= Duration::from_millis(89));
    }
}

#[test]
fn only_the_failed_records_are_sent_again() {
    let api = Api::answering(|seen, _| {
        let fails = match seen.record {
            3 | 700 | 1500 => seen.time < 3,
            9 => seen.time < 2,
            _ => false,
        };
        Answer::status(if fails { 500 } else { 200 })
    });
    let site = Site::with(&api, "[retry]\ninterval = \"20ms\"\nbackoff = 1.0\n");
    let daemon = site.daemon();
    site.import(1, 1..=1500);
    site.await_delivered(1500);
    assert_eq!(daemon.terminate().0, 0);
    for (record, times) in api.times() {
        let wanted = match record {
            3 | 700 | 1500 => 3,
            9 => 2,
            _ => 1,
        };
        assert_eq!(times, wanted, "record {record}");
    }
    assert_eq!(
        site.shell("SELECT batch_offset, status, retry_count, delivered_count FROM processing_batch_status ORDER BY 1"),
        "0 SUCCESS 2 1000\n1 SUCCESS 2 500"
    );
}

#[test]
fn a_record_is_sent_again_as_it_is_when_its_turn_comes() {
    let api = Api::answering(|seen, _| Answer::status(if seen.time == 1 { 500 } else { 200 }));
    let site = Site::with(&api, "[retry]\ninterval = \"1ms\"\n");
    site.import(1, 1..=2);
    site.run(&["drain", "--once"]).assert_code(3);
    site.connect()
        .execute("UPDATE user_record SET city = 'Porto' WHERE id = 2", [])
        .unwrap();
    site.run(&["drain"]).assert_code(0);
    let seen = api.seen();
    assert!(seen[2].body.contains("Lisboa") && seen[3].body.contains("Porto"));
}

#[test]
fn the_last_attempt_makes_a_record_dead_and_says_so() {
    let api = Api::answering(|seen, _| match seen.record {
        2 => Answer::text(500, "no"),
        4 => Answer::Hangup,
        _ => Answer::status(200),
    });
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"5ms\"\nbackoff = 1.0\nmax_attempts = 3\n",
    );
    site.import(1, 1..=5);
    site.run(&["drain"]).assert_code(3);
    assert_eq!(
        (api.times()[&2], api.times()[&4], api.times()[&1]),
        (3, 3, 1)
    );
    assert_eq!(
        site.shell("SELECT status, retry_count, delivered_count, next_attempt_at IS NULL FROM processing_batch_status"),
        "DEAD 3 3 1"
    );
    let message: String = site.value("SELECT error_message FROM failed_batches");
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(
        lines[0],
        "id=2: gave up after 3 attempts: HTTP 500 Internal Server Error: no"
    );
    assert!(lines[1].starts_with("id=4: gave up after 3 attempts: no answer"));
    assert_eq!(
        site.shell("SELECT record_id, state, attempts FROM undelivered_record ORDER BY 1"),
        "2 DEAD 3\n4 DEAD 3"
    );
}

#[test]
fn without_a_limit_a_record_is_tried_until_it_is_delivered() {
    let api = Api::answering(|seen, _| Answer::status(if seen.time <= 30 { 500 } else { 200 }));
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"1ms\"\nbackoff = 1.0\nmax_attempts = 0\n",
    );
    site.import(1, [1]);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(api.times()[&1], 31);
}

#[test]
fn a_record_is_never_under_way_twice_at_a_time_and_a_batch_has_one_owner() {
    let inside = Arc::new(Mutex::new(HashSet::new()));
    let overlap = Arc::new(AtomicBool::new(false));
    let (entered, seen_overlap) = (Arc::clone(&inside), Arc::clone(&overlap));
    let api = Api::answering(move |seen, request| {
        if !entered.lock().unwrap().insert(seen.record) {
            seen_overlap.store(true, Ordering::SeqCst);
        }
        request.sleep(Duration::from_millis(1));
        entered.lock().unwrap().remove(&seen.record);
        let fails = seen.record % 3 == 0 && seen.time <= 3;
        Answer::status(if fails { 500 } else { 200 })
    });
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"1ms\"\nbackoff = 1.0\n[workers]\nthreads = 8\nqueue = 2\n[batch]\nsize = 10\n",
    );
    site.import(1, 1..=200);
    site.import(2, 201..=300);
    site.keep_journal();
    site.run(&["drain"]).assert_code(0);
    assert!(!overlap.load(Ordering::SeqCst));

    let mut last: HashMap<i64, String> = HashMap::new();
    let mut claims: HashMap<i64, i64> = HashMap::new();
    for change in site.journal() {
        let before = last.insert(change.batch, change.status.clone());
        let legal = match change.status.as_str() {
            "PENDING" => before.is_none(),
            "RUNNING" => matches!(before.as_deref(), Some("PENDING" | "FAILED")),
            _ => before.as_deref() == Some("RUNNING"),
        };
        assert!(legal, "{before:?} to {change:?}");
        *claims.entry(change.batch).or_insert(0) += i64::from(change.status == "RUNNING");
    }
    assert_eq!(claims.len(), 30);
    // Three failures each, then the success.
    assert!(claims.values().all(|claims| *claims == 4), "{claims:?}");
    assert!(last.values().all(|status| status == "SUCCESS"));
}

#[test]
fn drain_once_makes_one_pass_and_leaves_what_failed() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record == 5 { 500 } else { 200 }));
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"1ms\"\nbackoff = 1.0\n[batch]\nsize = 10\n",
    );
    site.import(1, 1..=100);
    site.run(&["drain", "--once"]).assert_code(3);
    api.assert_each_once(1..=100);
    assert_eq!(
        site.shell("SELECT success_batches, failed_batches, pending_batches, running_batches, retrying FROM delivery_summary"),
        "9 1 0 0 1"
    );
    // The next pass takes up what is due, and only that.
    site.run(&["drain", "--once"]).assert_code(3);
    assert_eq!(api.seen().len(), 101);
}

#[test]
fn drain_once_does_not_wait_for_what_is_not_due() {
    let api = Api::answering(|_, _| Answer::status(500));
    let site = Site::with(&api, "");
    site.import(1, [1]);
    site.run(&["drain", "--once"]).assert_code(3);
    site.run(&["drain", "--once"]).assert_code(3);
    assert_eq!(api.seen().len(), 1);
}

#[test]
fn drain_ends_when_its_time_is_up() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record == 5 { 500 } else { 200 }));
    let site = Site::with(&api, "");
    site.import(1, 1..=10);
    let start = Instant::now();
    let ran = site.run(&["drain", "--timeout", "1s"]).assert_code(3);
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(10));
    assert!(ran.stdout.contains("the time was up"), "{ran:#?}");
    assert_eq!(
        site.shell(
            "SELECT delivered, retrying, failed_batches, running_batches FROM delivery_summary"
        ),
        "9 1 1 0"
    );
}

#[test]
fn a_drain_whose_time_is_up_frees_its_batches_and_the_next_one_goes_on() {
    let door = Door::closed();
    let wait = Arc::clone(&door);
    let api = Api::answering(move |seen, _| {
        if seen.record >= 30 && seen.time == 1 {
            wait.pass();
        }
        Answer::status(200)
    });
    let site = Site::with(
        &api,
        "[shutdown]\ngrace = \"50ms\"\n[retry]\ninterval = \"1ms\"\n[workers]\nthreads = 1\n",
    );
    site.import(1, 1..=60);
    site.run(&["drain", "--timeout", "2s"]).assert_code(3);
    assert_eq!(
        site.shell(
            "SELECT delivered, unknown, pending_batches, running_batches FROM delivery_summary"
        ),
        "29 1 1 0"
    );
    door.open();
    site.run(&["drain"]).assert_code(0);
    for (record, times) in api.times() {
        assert_eq!(times, if record == 30 { 2 } else { 1 }, "record {record}");
    }
}

#[test]
fn a_failed_batch_of_one_user_does_not_hold_up_the_others() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record <= 10 { 500 } else { 200 }));
    let site = Site::with(
        &api,
        "[workers]\nthreads = 1\nqueue = 1\n[batch]\nsize = 10\n[retry]\ninterval = \"50ms\"\nbackoff = 1.0\nmax_attempts = 0\n",
    );
    site.import(1, 1..=10);
    let daemon = site.daemon();
    eventually("the first user's batch failed", || {
        site.value::<i64>("SELECT retrying FROM delivery_summary") == 10
    });
    site.import(2, 11..=200);
    site.import(1, 201..=220);
    site.await_delivered(210);
    assert_eq!(daemon.terminate().0, 0);
    for record in 11..=220 {
        assert_eq!(api.times()[&record], 1);
    }
}

#[test]
fn due_times_outlive_a_restart() {
    let api = Api::answering(|seen, _| Answer::status(if seen.time == 1 { 500 } else { 200 }));
    let site = Site::with(&api, "[retry]\ninterval = \"700ms\"\n");
    site.import(1, 1..=3);
    site.keep_journal();
    site.run(&["drain", "--once"]).assert_code(3);
    let due: String = site.value("SELECT next_attempt_at FROM processing_batch_status");
    let daemon = site.daemon();
    assert_eq!(daemon.terminate().0, 0);
    let _daemon = site.daemon();
    site.await_delivered(3);
    assert!(!due.is_empty());
    let late: Vec<f64> = site.journal().iter().filter_map(|c| c.late).collect();
    assert!(late.len() == 1 && late[0] > -0.002, "{late:?}");
}
