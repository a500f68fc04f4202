//! Pruning: what was delivered long ago goes, the counts stay, and nothing goes of which it is not certain.

use crate::harness::{Api, Site, eventually};
use ferryd::server::Answer;

const LONG_AGO: &str =
    "UPDATE processing_batch_status SET last_attempt_at = '2020-01-01T00:00:00.000Z'";

/// Users 1 and 2 with three batches each, and 3 with one that holds a dead record, all of long ago.
fn delivered_long_ago(api: &Api) -> Site {
    let site = Site::with(api, "[batch]\nsize = 10\n");
    site.import(1, 1..=30);
    site.import(2, 101..=125);
    site.import(3, 201..=210);
    site.run(&["drain"]).assert_code(3);
    site.write(LONG_AGO);
    site
}

fn refusing_205() -> Api {
    Api::answering(|seen, _| Answer::status(if seen.record == 205 { 422 } else { 200 }))
}

const COUNTS: &str = "SELECT * FROM delivery_summary; SELECT * FROM user_progress";

fn batches(site: &Site) -> i64 {
    site.value("SELECT count(*) FROM processing_batch_status")
}

fn records(site: &Site) -> i64 {
    site.value("SELECT count(*) FROM user_record")
}

#[track_caller]
fn prune(site: &Site, options: &[&str]) -> String {
    let arguments = [&["prune", "--older-than", "30d"], options].concat();
    let said = site.run(&arguments).assert_code(0).stdout;
    site.run(&["audit"]).assert_code(0);
    said
}

#[test]
fn success_batches_go_and_everything_stays_counted() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    let before = site.shell(COUNTS);
    assert_eq!(
        prune(&site, &[]),
        "ferryd.db: pruned 6 batches and 0 records\n"
    );
    assert_eq!(
        site.shell("SELECT user_id, status FROM processing_batch_status"),
        "3 DEAD"
    );
    assert_eq!((batches(&site), records(&site)), (1, 65));
    assert_eq!(site.shell(COUNTS), before);
    assert_eq!(
        prune(&site, &[]),
        "ferryd.db: pruned 0 batches and 0 records\n"
    );
}

#[test]
fn with_records_the_delivered_rows_of_the_batches_go_and_no_other() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    let before = site.shell(COUNTS);
    assert_eq!(
        prune(&site, &["--records"]),
        "ferryd.db: pruned 6 batches and 55 records\n"
    );
    assert_eq!(records(&site), 10);
    assert_eq!(site.shell(COUNTS), before);
}

#[test]
fn delivery_goes_on_after_a_prune_with_the_numbers_that_come_next() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    prune(&site, &["--records"]);
    site.write("INSERT INTO user_record (user_id, network_id) VALUES (1, '211')");
    site.run(&["drain"]).assert_code(3);
    assert_eq!(api.times()[&211], 1);
    let last =
        "SELECT max(id) || ' ' || max(batch_offset) FROM processing_batch_status WHERE user_id = 1";
    assert_eq!(site.shell(last), "8 3");
    site.run(&["audit"]).assert_code(0);
}

#[test]
fn what_ended_lately_stays() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    site.write("UPDATE processing_batch_status SET last_attempt_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE user_id = 2");
    assert_eq!(
        prune(&site, &["--records"]),
        "ferryd.db: pruned 3 batches and 30 records\n"
    );
}

#[test]
fn the_last_row_stays_so_that_its_id_is_not_given_again() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=5);
    site.run(&["drain"]).assert_code(0);
    site.write(LONG_AGO);
    prune(&site, &["--records"]);
    site.write("INSERT INTO user_record (user_id) VALUES (1)");
    assert_eq!(
        site.shell("SELECT group_concat(id) FROM user_record"),
        "5,6"
    );
}

#[test]
fn rows_that_came_late_moved_or_were_replaced_are_sent_before_they_can_go() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 10\n");
    site.import(1, (2..=20).step_by(2));
    site.import(2, 101..=105);
    site.run(&["drain"]).assert_code(0);
    site.write(LONG_AGO);
    // 5 comes late; 6 is replaced by a new row, 8 is not the user's any more, 102 becomes the user's 7.
    site.insert(1, 5);
    site.write(
        "INSERT OR REPLACE INTO user_record VALUES (6, 1, '6', 'Faro');
         UPDATE user_record SET user_id = 9 WHERE id = 8;
         UPDATE user_record SET user_id = 1, id = 7 WHERE id = 102",
    );
    prune(&site, &["--records"]);
    let left = site.shell("SELECT group_concat(id) FROM (SELECT id FROM user_record ORDER BY id)");
    assert_eq!(left, "5,6,7,8,105");
    site.run(&["drain"]).assert_code(0);
    assert_eq!((api.times()[&5], api.times()[&6]), (1, 2));
    site.run(&["audit"]).assert_code(0);
}

#[test]
fn a_range_that_a_younger_batch_of_late_rows_reaches_over_stays_until_that_is_old() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, (2..=20).step_by(2));
    site.run(&["drain"]).assert_code(0);
    site.write(LONG_AGO);
    site.insert(1, 5);
    site.run(&["drain"]).assert_code(0);
    site.import(2, [100]);
    assert_eq!(
        prune(&site, &["--records"]),
        "ferryd.db: pruned 0 batches and 0 records\n"
    );
    site.write(LONG_AGO);
    assert_eq!(
        prune(&site, &["--records"]),
        "ferryd.db: pruned 2 batches and 11 records\n"
    );
}

#[test]
fn rows_that_came_while_nobody_watched_never_go() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    site.write(
        "CREATE TABLE other AS SELECT * FROM user_record; DROP TABLE user_record;
         CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, network_id TEXT, city TEXT);
         INSERT INTO user_record SELECT * FROM other",
    );
    site.run(&["drain"]).assert_code(3);
    site.write(LONG_AGO);
    assert_eq!(
        prune(&site, &["--records"]),
        "ferryd.db: pruned 6 batches and 0 records\n"
    );
}

#[test]
fn a_foreign_key_of_the_owners_that_forbids_it_is_named_and_nothing_goes() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    site.write("CREATE TABLE visit (record INTEGER REFERENCES user_record (id)); INSERT INTO visit VALUES (2)");
    site.run(&["prune", "--older-than", "30d", "--records"])
        .assert_code(74)
        .assert_says("FOREIGN KEY constraint failed");
    assert_eq!((batches(&site), records(&site)), (7, 65));
    prune(&site, &[]);
}

#[test]
fn an_open_batch_cannot_be_deleted_by_anybody() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    let said = site.refused("DELETE FROM processing_batch_status");
    assert!(
        said.contains("only SUCCESS batches may be deleted"),
        "{said}"
    );
    site.write("DELETE FROM processing_batch_status WHERE user_id = 1");
    site.run(&["audit"]).assert_code(0);
}

#[test]
fn explain_says_that_a_record_may_have_been_pruned_and_that_a_batch_was() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    prune(&site, &[]);
    let said = |id: &str| site.run(&["explain", id]).assert_code(0).stdout;
    assert_eq!(said("7"), "record 7 is delivered; its batch was pruned\n");
    assert!(!said("999").contains("pruned"));
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    prune(&site, &["--records"]);
    let gone = said_of(&site, "7");
    assert!(
        gone.contains("or it was delivered and then pruned"),
        "{gone}"
    );
}

fn said_of(site: &Site, id: &str) -> String {
    site.run(&["explain", id]).assert_code(0).stdout
}

#[test]
fn explain_does_not_credit_a_late_batch_alone_for_what_a_pruned_one_may_have_delivered() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, (2..=20).step_by(2));
    site.run(&["drain"]).assert_code(0);
    site.write(LONG_AGO);
    site.insert(1, 5);
    site.insert(1, 9);
    site.run(&["drain"]).assert_code(0);
    prune(&site, &[]);
    let said = said_of(&site, "6");
    assert!(
        said.starts_with(
            "record 6 is delivered; its batch was pruned, or, if it came in late, with batch 2"
        ),
        "{said}"
    );
}

#[test]
fn a_file_is_pruned_beside_the_daemon_that_delivers() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    let daemon = site.daemon();
    site.import(4, 301..=400);
    prune(&site, &["--records"]);
    site.await_delivered(64 + 100);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once((1..=30).chain(101..=125).chain(201..=210).chain(301..=400));
    site.run(&["audit"]).assert_code(0);
}

#[test]
fn the_daemon_prunes_by_itself_and_says_so_once() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    let toml = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    site.configure(&format!(
        "{toml}\n[retention]\nolder_than = \"30d\"\nrecords = true\n"
    ));
    let daemon = site.daemon();
    daemon.await_log("Pruned what was delivered long ago.");
    eventually("only the dead batch is left", || batches(&site) == 1);
    assert_eq!(records(&site), 10);
    assert_eq!(
        daemon.log().matches("Pruned").count(),
        1,
        "{}",
        daemon.log()
    );
    assert!(
        daemon.log().contains("batches=6 records=55"),
        "{}",
        daemon.log()
    );
    assert_eq!(daemon.terminate().0, 0);
    site.run(&["audit"]).assert_code(0);
}

#[test]
fn retention_that_is_switched_on_by_a_reload_begins_and_a_foreign_key_does_not_end_the_daemon() {
    let api = refusing_205();
    let site = delivered_long_ago(&api);
    site.write("CREATE TABLE visit (record INTEGER REFERENCES user_record (id)); INSERT INTO visit VALUES (2)");
    let daemon = site.daemon();
    let toml = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    site.configure(&format!(
        "{toml}\n[retention]\nolder_than = \"10s\"\nrecords = true\n"
    ));
    crate::harness::signal(daemon.pid(), "HUP");
    daemon.await_log("Old batches are not pruned: ");
    site.write("DELETE FROM visit");
    eventually("only the dead batch is left", || batches(&site) == 1);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn an_age_that_is_none_is_refused() {
    let site = Site::new();
    site.run(&["prune"])
        .assert_code(2)
        .assert_says("--older-than");
    site.configure("[retention]\nolder_than = \"0s\"\n");
    site.run(&["check"])
        .assert_code(78)
        .assert_says("retention.older_than = \"0s\": must be longer than zero, or \"off\"");
}
