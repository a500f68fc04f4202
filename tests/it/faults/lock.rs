//! The write lock, held by another program for as long as it likes.

use std::time::{Duration, Instant};

use super::{SETTINGS, WORKERS, assert_goes_on_within, assert_unharmed, await_work, slow_api};
use super::{await_silence, times_logged};
use crate::harness::{Api, Daemon, Site, eventually};
use crate::restart::lock;

const AFTER_RELEASE: Duration = Duration::from_secs(5);

/// The test's own process holds the lock.
fn holder() -> String {
    format!("(pid {}) holds the write lock", std::process::id())
}

#[test]
fn while_another_program_holds_the_write_lock_sending_waits_and_names_it() {
    let api = slow_api();
    let site = Site::with(&api, SETTINGS);
    site.import(1, 1..=200);
    site.import(2, 201..=400);
    let daemon = site.daemon();
    await_work(&api);
    let lock = lock(&site);
    let before = api.seen().len();
    daemon.await_log(&holder());
    await_silence(&api);
    let meanwhile = api.seen().len() - before;
    // One whose outcome cannot be written, and one beyond.
    assert!(meanwhile <= 2 * WORKERS, "{meanwhile} were sent meanwhile");
    lock.execute_batch("COMMIT").unwrap();
    assert_goes_on_within(AFTER_RELEASE, &api);
    daemon.await_log("The database can be written again");
    assert_unharmed(&site, &api, daemon, 400);
    assert_eq!(times_logged(&site, "cannot be written"), 1);
}

#[test]
fn a_start_waits_for_the_write_lock_and_names_who_holds_it() {
    let api = slow_api();
    let site = Site::with(&api, SETTINGS);
    site.import(1, 1..=100);
    let lock = lock(&site);
    let mut daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    daemon.await_log("The start waits");
    daemon.await_log(&holder());
    lock.execute_batch("COMMIT").unwrap();
    assert_goes_on_within(AFTER_RELEASE, &api);
    daemon.await_ready();
    assert_unharmed(&site, &api, daemon, 100);
    assert_eq!(times_logged(&site, "The start waits"), 1);
}

/// A connection that keeps the lock of the whole file from one transaction to the next, and has no -shm.
fn lock_the_whole_file(site: &Site) -> rusqlite::Connection {
    let conn = site.connect();
    let sql = "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT";
    conn.execute_batch(sql).unwrap();
    conn
}

#[test]
fn a_start_names_who_keeps_the_whole_file_locked() {
    let api = slow_api();
    let site = Site::with(&api, SETTINGS);
    site.import(1, 1..=50);
    let lock = lock_the_whole_file(&site);
    let mut daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    daemon.await_log("The start waits");
    daemon.await_log(&holder());
    drop(lock);
    assert_goes_on_within(AFTER_RELEASE, &api);
    daemon.await_ready();
    assert_unharmed(&site, &api, daemon, 50);
}

#[test]
fn commands_that_look_name_who_keeps_the_whole_file_locked_and_the_remedy() {
    let site = Site::with(&Api::accepting(), SETTINGS);
    site.import(1, 1..=3);
    let _lock = lock_the_whole_file(&site);
    std::thread::scope(|scope| {
        for command in ["status", "pause", "check"] {
            let site = &site;
            scope.spawn(move || {
                let ran = site.run(&[command]).assert_code(74);
                ran.assert_says(&holder()).assert_says("or end it");
            });
        }
    });
}

#[test]
fn a_stop_ends_the_wait_of_the_start() {
    let site = Site::with(&Api::accepting(), SETTINGS);
    site.import(1, 1..=3);
    let _lock = lock_the_whole_file(&site);
    for (command, code, said) in [
        ("run", 0, "Stopped."),
        ("drain", 3, "stopped while the start waited"),
    ] {
        let log = site.path(&format!("{command}.log"));
        let daemon = Daemon::spawn(site.ferryd(&[command]), log.clone());
        daemon.await_log("The start waits");
        let (ended, took) = daemon.terminate();
        assert_eq!(ended, code, "{command}");
        assert!(took <= Duration::from_secs(1), "{command}: {took:?}");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains(said), "{log}");
    }
}

#[test]
fn a_command_that_waits_for_a_lock_soon_says_so() {
    let site = Site::with(&Api::accepting(), "");
    site.run(&["init"]).assert_code(0);
    let other = site.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let said = site.path("said");
    let mut command = site.ferryd(&["pause"]);
    command.stderr(std::fs::File::create(&said).unwrap());
    let start = Instant::now();
    let mut paused = command.spawn().unwrap();
    eventually("it says what it waits for", || {
        let said = std::fs::read_to_string(&said).unwrap();
        said.contains("The database is locked; waiting for it.")
    });
    let silent = start.elapsed();
    other.execute_batch("ROLLBACK").unwrap();
    assert!(paused.wait().unwrap().success());
    assert!(silent < Duration::from_secs(4), "{silent:?}");
}
