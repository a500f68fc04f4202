//! A disk that gives errors for a while.

use std::time::Duration;

use super::injection::Injection;
use super::{SETTINGS, assert_goes_on_within, assert_unharmed, await_silence};
use super::{await_work, slow_api, times_logged};
use crate::harness::Site;

const AFTER_FAULT: Duration = Duration::from_secs(10);

/// These calls fail for a while, and the log says this meanwhile, once.
#[track_caller]
fn assert_survived(calls: &str, error: &str, settings: &str, said: &str) {
    let api = slow_api();
    let site = Site::with(&api, &format!("{SETTINGS}{settings}"));
    site.import(1, 1..=250);
    site.import(2, 251..=500);
    let daemon = site.daemon();
    await_work(&api);
    let Some(injection) = Injection::start(&daemon, calls, error) else {
        return;
    };
    daemon.await_log(said);
    await_silence(&api);
    injection.end();
    assert!(api.seen().len() < 450, "nothing was left to send");
    assert_goes_on_within(AFTER_FAULT, &api);
    assert_unharmed(&site, &api, daemon, 500);
    assert_eq!(times_logged(&site, said), 1);
}

#[test]
fn write_errors_hold_sending_and_it_goes_on_after_them() {
    let said = "cannot be written: disk I/O error; see to the disk and its mount";
    assert_survived("pwrite64", "EIO", "", said);
}

#[test]
fn a_commit_whose_sync_failed_is_done_again_and_counted_once() {
    let settings = "[database]\ndurability = \"full\"\n";
    let said = "cannot be written: disk I/O error; see to the disk and its mount";
    assert_survived("fsync,fdatasync", "EIO", settings, said);
}

#[test]
fn read_errors_are_no_damage_and_it_goes_on_after_them() {
    let said = "The database cannot be read: a page cannot be read";
    assert_survived("pread64", "EIO", "", said);
}

#[test]
fn a_file_system_that_turns_read_only_after_an_error_holds_sending() {
    assert_survived("pwrite64", "EROFS", "", "see to the disk and its mount");
}
