//! What the owner, or the operator, may do to the file behind ferryd's back: nothing of it may lose a record.

use crate::harness::{Api, Site, eventually};
use ferryd::server::Answer;

const REBUILD: &str = "BEGIN;
    CREATE TABLE fresh (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, network_id TEXT, city TEXT, note TEXT);
    INSERT INTO fresh SELECT id, user_id, network_id, city, NULL FROM user_record;
    DROP TABLE user_record;
    ALTER TABLE fresh RENAME TO user_record;
    INSERT INTO user_record VALUES (4, 7, '4', 'Faro', NULL);
    COMMIT;";

/// As a tool would that knows nothing of views and triggers.
const LEGACY: &str = "PRAGMA legacy_alter_table = ON; PRAGMA foreign_keys = OFF;";

#[test]
fn rows_of_a_user_record_that_was_made_anew_are_delivered_after_the_next_start() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(7, 1..=3);
    site.run(&["drain"]).assert_code(0);
    site.write(&format!("{LEGACY}{REBUILD}"));
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=4);
    site.write("INSERT INTO user_record VALUES (5, 7, '5', 'Faro', NULL)");
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=5);
}

#[test]
fn a_running_daemon_notices_that_user_record_was_made_anew() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(7, 1..=3);
    let daemon = site.daemon();
    site.await_delivered(3);
    site.write(&format!("{LEGACY}{REBUILD}"));
    site.await_delivered(4);
    api.assert_each_once(1..=4);
    assert!(daemon.log().contains("made anew"), "{}", daemon.log());
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_copy_that_is_not_in_wal_mode_is_put_back_into_it() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(7, 1..=3);
    site.write(&format!("VACUUM INTO '{}'", site.path("copy.db").display()));
    site.run(&["--database", "copy.db", "drain"]).assert_code(0);
    let mode = crate::harness::shell(&site.path("copy.db"), &[], "PRAGMA journal_mode");
    assert_eq!(mode, "wal");
    api.assert_each_once(1..=3);
}

#[test]
fn a_second_name_of_the_file_does_not_let_a_second_daemon_in() {
    let site = Site::with(&Api::accepting(), "");
    let daemon = site.daemon();
    std::os::unix::fs::symlink(site.database(), site.path("alias.db")).unwrap();
    site.run(&["--database", "alias.db", "run"])
        .assert_code(75)
        .assert_says(&daemon.pid().to_string());
}

#[test]
fn status_shows_the_users_beside_a_row_that_has_none() {
    let site = Site::with(&Api::accepting(), "");
    site.import(7, 1..=3);
    site.write("INSERT INTO user_record VALUES (9, 'abc', NULL, NULL)");
    let said = site.run(&["status"]).assert_code(0).stdout;
    assert!(said.contains("dead 1"), "{said}");
}

#[test]
fn a_single_pass_probes_a_gate_whose_time_has_come() {
    let up = std::sync::atomic::AtomicBool::new(false);
    let up = std::sync::Arc::new(up);
    let is_up = up.clone();
    let api = Api::answering(
        move |_, _| match is_up.load(std::sync::atomic::Ordering::SeqCst) {
            true => Answer::status(200),
            false => Answer::status(401),
        },
    );
    let site = Site::with(&api, "[gate]\nprobe_interval = \"100ms\"\n");
    site.import(7, 1..=3);
    site.run(&["drain", "--once"]).assert_code(3);
    up.store(true, std::sync::atomic::Ordering::SeqCst);
    eventually("a single pass delivers", || {
        site.run(&["drain", "--once"]).code == 0
    });
    assert_eq!(site.shell("SELECT delivered FROM delivery_summary"), "3");
}

#[test]
fn import_waits_for_the_write_lock_as_long_as_another_program_holds_it() {
    let site = Site::with(&Api::accepting(), "");
    site.import(7, 1..=3);
    let other = site.connect();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::fs::write(site.path("more.csv"), "id,user_id\n4,7\n").unwrap();
    let log = std::fs::File::create(site.path("import.log")).unwrap();
    let mut import = site
        .ferryd(&["import", "more.csv"])
        .stderr(log)
        .spawn()
        .unwrap();
    eventually("it says that it waits, and for whom", || {
        let said = std::fs::read_to_string(site.path("import.log")).unwrap();
        said.contains("is locked") && said.contains(&std::process::id().to_string())
    });
    other.execute_batch("COMMIT").unwrap();
    assert!(import.wait().unwrap().success());
    assert_eq!(site.shell("SELECT count(*) FROM user_record"), "4");
}

#[test]
fn json_numbers_are_stored_as_they_are_written() {
    let site = Site::new();
    let line = "{\"user_id\":1,\"network_id\":18446744073709551615,\"city\":1.10}\n";
    std::fs::write(site.path("a.jsonl"), line).unwrap();
    site.run(&["import", "a.jsonl"]).assert_code(0);
    assert_eq!(
        site.shell("SELECT network_id, city FROM user_record"),
        "18446744073709551615 1.10"
    );
}
