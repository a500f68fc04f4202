//! Files that are deleted or replaced under the daemon. SQLite would go on with what nobody can reach any more.

use std::path::Path;
use std::time::Duration;

use super::{SETTINGS, assert_goes_on_within, assert_unharmed, await_silence};
use super::{await_work, slow_api, times_logged};
use crate::harness::{Api, Site};

const AFTER_RETURN: Duration = Duration::from_secs(10);

/// Takes a file away, lets something be done in its place, and brings it back.
#[track_caller]
fn assert_held_without(name: &str, said: &str, replace: impl Fn(&Path)) {
    let api = slow_api();
    let site = Site::with(&api, SETTINGS);
    site.import(1, 1..=400);
    let daemon = site.daemon();
    await_work(&api);
    let (file, away) = (site.path(name), site.path("away"));
    std::fs::rename(&file, &away).unwrap();
    replace(&file);
    daemon.await_log(&format!("{name} was {said}"));
    await_silence(&api);
    std::fs::rename(&away, &file).unwrap();
    assert_goes_on_within(AFTER_RETURN, &api);
    assert_unharmed(&site, &api, daemon, 400);
    assert_eq!(times_logged(&site, "The gate is closed"), 1);
}

#[test]
fn a_database_that_is_moved_away_holds_sending_until_it_is_back() {
    let said = "deleted or moved away; put the same file back";
    assert_held_without("ferryd.db", said, |_| {});
}

#[test]
fn a_database_that_is_replaced_holds_sending_until_it_is_back() {
    let said = "replaced by another file; put the same file back, or stop ferryd";
    assert_held_without("ferryd.db", said, |file| std::fs::write(file, "").unwrap());
}

#[test]
fn a_wal_that_is_deleted_holds_sending_until_it_is_back() {
    let said = "deleted or moved away; put the same file back, or restart ferryd";
    assert_held_without("ferryd.db-wal", said, |_| {});
}

#[test]
fn after_the_wal_was_deleted_a_restart_loses_nothing_and_goes_on() {
    let api = slow_api();
    let site = Site::with(&api, SETTINGS);
    site.import(1, 1..=400);
    let daemon = site.daemon();
    await_work(&api);
    for suffix in ["wal", "shm"] {
        std::fs::remove_file(site.path(&format!("ferryd.db-{suffix}"))).unwrap();
    }
    daemon.await_log("ferryd.db-wal was deleted");
    assert_eq!(daemon.terminate().0, 0);
    let daemon = site.daemon();
    assert_goes_on_within(AFTER_RETURN, &api);
    assert_unharmed(&site, &api, daemon, 400);
}

#[test]
fn a_lost_database_is_not_replaced_by_an_empty_one() {
    let site = Site::with(&Api::accepting(), SETTINGS);
    site.import(1, 1..=10);
    assert_eq!(site.daemon().terminate().0, 0);
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(site.path(&format!("ferryd.db{suffix}"))).unwrap();
    }
    for command in ["run", "drain", "status", "batches", "pause"] {
        let ran = site.run(&[command]).assert_code(65);
        ran.assert_says("the database is gone; put it or a backup back");
        assert!(!site.database().exists());
    }
    let checked = site.run(&["check"]).assert_code(65).stdout;
    assert!(checked.contains("FAIL  schema "), "{checked}");
    assert!(checked.contains("the database is gone"), "{checked}");
}
