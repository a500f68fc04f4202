//! The -wal: it stays small, and who keeps it from being emptied is named.

use std::time::{Duration, Instant};

use super::assert_unharmed;
use super::injection::Injection;
use crate::harness::{Api, Site, eventually};

fn wal_size(site: &Site) -> u64 {
    std::fs::metadata(site.path("ferryd.db-wal")).map_or(0, |file| file.len())
}

#[test]
fn the_wal_stays_below_4_mb_in_normal_work() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 100\n");
    for user in 1..=3 {
        let first = user * 1500 - 1499;
        site.import(user, first..=first + 1499);
    }
    let daemon = site.daemon();
    let mut most = 0;
    eventually("all is delivered", || {
        most = most.max(wal_size(&site));
        site.value::<i64>("SELECT delivered FROM delivery_summary") == 4500
    });
    assert_unharmed(&site, &api, daemon, 4500);
    assert!(most < 4_000_000, "{most} bytes");
    assert!(
        most > 2_000_000,
        "{most} bytes: it was never put to the test"
    );
}

#[test]
fn a_reader_that_pins_the_wal_is_named_once_and_sending_goes_on() {
    let api = Api::accepting();
    let site = Site::with(&api, "[workers]\nthreads = 1\n[batch]\nsize = 100\n");
    site.import(1, 1..=4000);
    let reader = site.connect();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM user_record")
        .unwrap();
    let daemon = site.daemon();
    daemon.await_log("The -wal file cannot be emptied");
    let pid = format!("(pid {})", std::process::id());
    assert!(daemon.log().contains(&pid), "{}", daemon.log());
    site.await_delivered(4000);
    assert_eq!(daemon.log().matches("cannot be emptied").count(), 1);
    reader.execute_batch("COMMIT").unwrap();
    assert_unharmed(&site, &api, daemon, 4000);
}

/// A checkpoint goes no further than the reader, and one that has nothing to do syncs nothing.
#[test]
fn a_reader_that_pins_the_wal_does_not_keep_outcomes_from_being_safe_in_a_power_cut() {
    let api = Api::accepting();
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.import(1, 1..=1);
    let daemon = site.daemon();
    site.await_delivered(1);
    let delivered = Instant::now();
    let a_while = Duration::from_secs(2);
    eventually("that is synced", || delivered.elapsed() > a_while);
    let reader = site.connect();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM user_record")
        .unwrap();
    site.write("PRAGMA wal_checkpoint(PASSIVE)");
    let calls = site.path("calls");
    let calls = calls.to_str().unwrap();
    let Some(strace) = Injection::watch(&daemon, "fsync,fdatasync", calls) else {
        return;
    };
    site.import(1, 2..=2);
    site.await_delivered(2);
    eventually("the outcome is synced", || {
        let calls = std::fs::read_to_string(calls).unwrap_or_default();
        calls.lines().any(|line| line.contains("ferryd.db-wal"))
    });
    strace.end();
    reader.execute_batch("COMMIT").unwrap();
    assert_unharmed(&site, &api, daemon, 2);
}
