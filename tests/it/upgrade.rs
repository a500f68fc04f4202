//! Files of earlier schemas: a newer ferryd brings them up, keeps every row, and goes on where the old one was.
//!
//! `tests/golden/` holds a dump of each schema, made by the ferryd of its time. They are never made anew.

use crate::harness::{Api, Daemon, Site, shell};
use crate::restart::lock;
use std::time::Duration;

const SCHEMA_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/schema_1.sql");
const SCHEMA_3: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/schema_3.sql");

/// Everything of schema 1 that an upgrade must keep, row by row.
const KEPT: [&str; 9] = [
    "SELECT * FROM user_record",
    "SELECT * FROM processing_batch_status",
    "SELECT record_id, user_id, batch_id, state, attempts, tried_in, http_status, error, first_seen_at, last_attempt_at FROM undelivered_record",
    "SELECT user_id, planned_through, next_offset, success_batches, delivered, deleted FROM user_cursor",
    "SELECT * FROM backlog",
    "SELECT * FROM left_out",
    "SELECT * FROM command",
    "SELECT * FROM gate",
    "SELECT id, created_at FROM instance",
];

/// What the views of schema 1 and of this one must say alike.
const SAID: [&str; 4] = [
    "SELECT * FROM delivery_summary",
    "SELECT user_id, waiting, delivered, retrying, unknown, dead, success_batches, open_batches FROM user_progress ORDER BY 1",
    "SELECT * FROM failed_batches",
    "SELECT * FROM undelivered ORDER BY 1",
];

fn schema_1(api: &Api) -> Site {
    let site = Site::with(api, "[batch]\nsize = 5\n");
    shell(&site.database(), &[], &format!(".read {SCHEMA_1}"));
    site
}

fn read_all(site: &Site, queries: &[&str]) -> Vec<String> {
    queries.iter().map(|sql| site.shell(sql)).collect()
}

#[test]
fn a_file_of_schema_1_is_brought_up_with_every_row_and_its_delivery_is_finished() {
    let api = Api::accepting();
    let site = schema_1(&api);
    let (kept, said) = (read_all(&site, &KEPT), read_all(&site, &SAID));
    site.run(&["init"]).assert_code(0);
    assert_eq!(site.shell("PRAGMA user_version"), "4");
    assert_eq!(read_all(&site, &KEPT), kept);
    assert_eq!(read_all(&site, &SAID), said);
    site.run(&["audit"]).assert_code(0);

    site.write("INSERT INTO command (verb, target) VALUES ('retry', 'dead'), ('retry', 'failed')");
    site.run(&["drain"]).assert_code(3);
    site.run(&["audit"]).assert_code(0);
    // Only a row that belongs to no user is left.
    let left = site.shell("SELECT waiting, retrying, unknown, dead FROM delivery_summary");
    assert_eq!(left, "0 0 0 1");
    let sent = [
        -7, 0, 100, 103, 104, 105, 202, 303, 304, 305, 699, 700, 900, 901,
    ];
    let waited = (401..=412).chain(501..=507).chain(601..=604);
    let gone = [409, 602];
    let wanted = sent
        .into_iter()
        .chain(waited)
        .filter(|id| !gone.contains(id));
    api.assert_each_once(wanted);
    let key_of_103 = api.seen().into_iter().find(|seen| seen.record == 103);
    assert_eq!(key_of_103.unwrap().key, "668c0109b00797e1.2.103");
}

#[test]
fn a_file_of_schema_3_is_brought_up_with_every_row_and_its_delivery_is_finished() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 5\n");
    shell(&site.database(), &[], &format!(".read {SCHEMA_3}"));
    let of_bulk = [
        "SELECT record_id, chunk FROM undelivered_record",
        "SELECT * FROM begun",
    ];
    let queries = [&KEPT[..], &SAID, &of_bulk].concat();
    let before = read_all(&site, &queries);
    let users = site.run(&["status"]).assert_code(0).stdout;
    site.run(&["init"]).assert_code(0);
    assert_eq!(site.shell("PRAGMA user_version"), "4");
    assert_eq!(read_all(&site, &queries), before);
    assert_eq!(site.run(&["status"]).assert_code(0).stdout, users);
    site.run(&["audit"]).assert_code(0);

    // Before a worker has the batches in hand, for which it would be too late.
    site.run(&["retry", "dead"]).assert_code(0);
    site.run(&["retry", "failed"]).assert_code(0);
    site.run(&["drain"]).assert_code(3);
    site.run(&["audit"]).assert_code(0);
    let left = "SELECT waiting, retrying, unknown, dead, delivered FROM delivery_summary";
    assert_eq!(site.shell(left), "0 0 0 1 40");
}

#[test]
fn views_of_the_owners_are_in_no_upgrades_way_and_stay_as_they_are() {
    let site = schema_1(&Api::accepting());
    let views = "SELECT name, sql FROM sqlite_schema WHERE name LIKE 'my_%' ORDER BY name";
    site.write(
        "CREATE VIEW my_summary AS SELECT waiting FROM delivery_summary;
         CREATE VIEW my_users AS SELECT count(*) AS users FROM user_cursor;
         CREATE VIEW my_mistake AS SELECT * FROM no_such_table",
    );
    let before = site.shell(views);
    let users = site.shell("SELECT users FROM my_users");
    site.run(&["init"]).assert_code(0);
    assert_eq!(site.shell("PRAGMA user_version"), "4");
    assert_eq!(site.shell(views), before);
    assert_eq!(site.shell("SELECT users FROM my_users"), users);
    assert_eq!(site.shell("SELECT waiting FROM my_summary"), "31");
}

#[test]
fn a_file_of_schema_1_is_read_and_not_changed_by_those_who_only_look() {
    let site = schema_1(&Api::accepting());
    let before = std::fs::read(site.database()).unwrap();
    let ran = site.run(&["status"]).assert_code(0);
    assert!(ran.stdout.contains("waiting 31"), "{}", ran.stdout);
    site.run(&["explain", "103"]).assert_code(0);
    site.run(&["audit"])
        .assert_code(65)
        .assert_says("the file has schema 1, this command needs 4; `ferryd init`");
    assert_eq!(std::fs::read(site.database()).unwrap(), before);
}

#[test]
fn counts_are_made_anew_with_the_triggers_that_keep_them() {
    let api = Api::accepting();
    let site = schema_1(&api);
    site.run(&["init"]).assert_code(0);
    let said = read_all(&site, &SAID);
    site.write(
        "UPDATE user_cursor SET pending_batches = 7, resting_left = 9, dead = 3;
         UPDATE delivery_total SET delivered = 5, userless = 8, unplanned = 77;
         DROP VIEW delivery_summary",
    );
    site.run(&["init"]).assert_code(0);
    assert_eq!(read_all(&site, &SAID), said);
    site.run(&["audit"]).assert_code(0);
}

#[test]
fn a_stop_ends_the_wait_for_a_file_that_has_to_be_brought_up() {
    let site = schema_1(&Api::accepting());
    let lock = lock(&site);
    let daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    daemon.await_log("The start waits");
    let holder = format!("(pid {}) holds the write lock", std::process::id());
    daemon.await_log(&holder);
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took <= Duration::from_secs(1), "{took:?}");
    let log = std::fs::read_to_string(site.path("daemon.log")).unwrap();
    assert!(log.find("The start waits") < log.find("Stopping"), "{log}");
    lock.execute_batch("COMMIT").unwrap();
    site.run(&["audit"]).assert_code(65);
}
