//! Whoever writes to user_record, with whatever statement: nothing is lost, nothing is sent twice, and the numbers add up.

mod moves;

use crate::harness::{Api, Latch, Site, eventually};
use ferryd::server::Answer;

/// Batches of 20 and one worker, so that a test knows what is sent when.
const TOML: &str = "[batch]\nsize = 20\n[workers]\nthreads = 1\n[retry]\ninterval = \"1h\"\n";

fn site(api: &Api) -> Site {
    let site = Site::with(api, TOML);
    site.run(&["init"]).assert_code(0);
    site
}

/// Rows for one user, with `network_id` = the id.
fn rows(user: i64, first: i64, last: i64) -> String {
    format!(
        "INSERT INTO user_record
         WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last})
         SELECT i, {user}, i, 'Lisboa' FROM n;"
    )
}

fn waiting(site: &Site) -> String {
    site.shell("SELECT waiting FROM delivery_summary")
}

#[track_caller]
fn drain(site: &Site) {
    site.run(&["drain"]).assert_code(0);
}

/// The API refuses these records with 500 the first time and takes them afterwards.
fn failing_first(records: &'static [i64]) -> Api {
    Api::answering(move |seen, _| {
        let fails = seen.time == 1 && records.contains(&seen.record);
        Answer::status(if fails { 500 } else { 200 })
    })
}

/// A daemon at work on three batches of user 1, records 1 to 60: the first record is held, the first page of 16 is loaded.
fn held_at_the_first_of_sixty() -> (Api, Latch, Site) {
    let (api, latch) = Api::held();
    let site = site(&api);
    site.write(&rows(1, 1, 60));
    (api, latch, site)
}

fn await_all_planned(site: &Site) {
    eventually("60 records are planned", || {
        site.shell("SELECT total(batch_size) FROM processing_batch_status") == "60.0"
    });
}

#[test]
fn rows_written_before_the_daemon_runs_are_sent_as_they_are_then() {
    let api = Api::accepting();
    let site = site(&api);
    site.write(&(rows(1, 1, 30) + &rows(2, 31, 45)));
    site.write("UPDATE user_record SET city = 'Porto' WHERE id = 7");
    site.write("DELETE FROM user_record WHERE id BETWEEN 11 AND 15 OR id = 45");
    assert_eq!(waiting(&site), "39");
    site.assert_adds_up(0);
    drain(&site);
    api.assert_each_once((1..=10).chain(16..=44));
    let seen = api.seen();
    let seventh = seen.iter().find(|seen| seen.record == 7).unwrap();
    assert!(seventh.body.contains("Porto"));
    site.assert_adds_up(0);
}

#[test]
fn rows_changed_while_the_daemon_works_on_them_are_sent_as_they_are_or_not_at_all() {
    let (api, latch, site) = held_at_the_first_of_sixty();
    let daemon = site.daemon();
    api.await_request();
    await_all_planned(&site);
    site.write("DELETE FROM user_record WHERE id IN (18, 40, 41, 60)");
    site.write("UPDATE user_record SET city = 'Porto' WHERE id = 50");
    site.write(&rows(1, 61, 65));
    assert_eq!(waiting(&site), "61");
    latch.open();
    site.await_delivered(61);
    let gone = [18, 40, 41, 60];
    api.assert_each_once((1..=65).filter(|id| !gone.contains(id)));
    let seen = api.seen();
    let fiftieth = seen.iter().find(|seen| seen.record == 50).unwrap();
    assert!(fiftieth.body.contains("Porto"));
    assert_eq!(daemon.terminate().0, 0);
    let batches = "SELECT batch_offset, batch_size, delivered_count, deleted_count, status FROM processing_batch_status ORDER BY 1";
    assert_eq!(
        site.shell(batches),
        "0 20 19 1 SUCCESS\n1 20 19 1 SUCCESS\n2 20 18 2 SUCCESS\n3 5 5 0 SUCCESS"
    );
    site.assert_adds_up(0);
}

#[test]
fn a_batch_whose_rows_are_all_deleted_before_they_are_sent_succeeds_with_the_count() {
    let (api, latch, site) = held_at_the_first_of_sixty();
    let daemon = site.daemon();
    api.await_request();
    await_all_planned(&site);
    site.write("DELETE FROM user_record WHERE id > 20");
    assert_eq!(waiting(&site), "20");
    latch.open();
    eventually("all batches are done", || {
        site.shell("SELECT success_batches FROM delivery_summary") == "3"
    });
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=20);
    assert_eq!(
        site.shell("SELECT sum(deleted_count) FROM processing_batch_status"),
        "40"
    );
    site.assert_adds_up(0);
}

#[test]
fn a_row_deleted_while_it_waits_for_a_retry_leaves_its_batch_a_success() {
    let api = failing_first(&[3]);
    let site = site(&api);
    site.write(&rows(1, 1, 5));
    site.run(&["drain", "--once"]).assert_code(3);
    site.write("DELETE FROM user_record WHERE id = 3");
    let batch = "SELECT status, delivered_count, deleted_count, next_attempt_at IS NULL, error_message IS NULL FROM processing_batch_status";
    assert_eq!(site.shell(batch), "SUCCESS 4 1 1 1");
    assert_eq!(site.shell("SELECT count(*) FROM undelivered"), "0");
    drain(&site);
    api.assert_each_once(1..=5);
    site.assert_adds_up(0);
}

#[test]
fn a_late_row_deleted_before_it_is_sent_is_not_sent() {
    let api = Api::accepting();
    let site = site(&api);
    site.write(&rows(1, 10, 12));
    drain(&site);
    site.write(&rows(1, 1, 3));
    assert_eq!(waiting(&site), "3");
    site.write("DELETE FROM user_record WHERE id = 2");
    assert_eq!(waiting(&site), "2");
    drain(&site);
    api.assert_each_once([1, 3, 10, 11, 12]);
    site.assert_adds_up(0);
}

#[test]
fn a_replaced_row_that_waits_is_one_record() {
    let api = Api::accepting();
    let site = site(&api);
    site.write(&rows(1, 1, 5));
    for city in ["Porto", "Faro"] {
        site.write(&format!(
            "INSERT OR REPLACE INTO user_record VALUES (3, 1, '3', '{city}')"
        ));
    }
    site.write(
        "INSERT OR REPLACE INTO user_record VALUES (4, 2, '4', 'Porto'), (6, 2, '6', 'Porto')",
    );
    assert_eq!(waiting(&site), "6");
    assert_eq!(
        site.shell("SELECT user_id, waiting FROM user_progress ORDER BY 1"),
        "1 4\n2 2"
    );
    site.assert_adds_up(0);
    drain(&site);
    api.assert_each_once(1..=6);
    assert!(api.seen().iter().any(|seen| seen.body.contains("Faro")));
    site.assert_adds_up(0);
}

#[test]
fn a_row_replaced_after_it_was_planned_is_sent_once_as_it_is_now() {
    let (api, latch, site) = held_at_the_first_of_sixty();
    let daemon = site.daemon();
    api.await_request();
    await_all_planned(&site);
    site.write(
        "INSERT OR REPLACE INTO user_record VALUES (30, 1, '30', 'Porto'), (31, 2, '31', 'Faro')",
    );
    assert_eq!(waiting(&site), "60");
    latch.open();
    site.await_delivered(60);
    api.assert_each_once(1..=60);
    let changed = |city: &str| {
        api.seen()
            .iter()
            .filter(|seen| seen.body.contains(city))
            .count()
    };
    assert_eq!((changed("Porto"), changed("Faro")), (1, 1));
    assert_eq!(daemon.terminate().0, 0);
    site.assert_adds_up(0);
}

#[test]
fn a_delivered_row_that_is_replaced_is_a_new_record_with_a_new_key() {
    let api = Api::accepting();
    let site = site(&api);
    site.write(&rows(1, 1, 3));
    drain(&site);
    site.write("INSERT OR REPLACE INTO user_record VALUES (2, 1, '2', 'Porto')");
    drain(&site);
    let keys: Vec<String> = api
        .seen()
        .iter()
        .filter(|seen| seen.record == 2)
        .map(|seen| seen.key.clone())
        .collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0], keys[1]);
    site.assert_adds_up(1);
}

#[test]
fn a_failed_row_that_is_replaced_is_sent_as_a_new_record() {
    let api = failing_first(&[2]);
    let site = site(&api);
    site.write(&rows(1, 1, 3));
    site.run(&["drain", "--once"]).assert_code(3);
    site.write("INSERT OR REPLACE INTO user_record VALUES (2, 1, '2', 'Porto')");
    assert_eq!(waiting(&site), "1");
    drain(&site);
    assert_eq!(api.times()[&2], 2);
    site.assert_adds_up(0);
}

#[test]
fn a_failed_row_that_goes_away_for_a_unique_column_does_not_keep_its_batch_open() {
    let api = failing_first(&[2]);
    let site = Site::with(
        &api,
        "[retry]\ninterval = \"100ms\"\nmax_interval = \"100ms\"\n",
    );
    site.write(
        "CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER, network_id TEXT, city TEXT, mail TEXT UNIQUE);
         INSERT INTO user_record VALUES (1, 1, '1', '', 'a@x'), (2, 1, '2', '', 'b@x')",
    );
    site.run(&["drain", "--once"]).assert_code(3);
    // No delete trigger runs for record 2.
    site.write("INSERT OR REPLACE INTO user_record VALUES (3, 1, '3', '', 'b@x')");
    drain(&site);
    api.assert_each_once([1, 2, 3]);
    assert_eq!(
        site.shell("SELECT status, delivered_count, deleted_count FROM processing_batch_status"),
        "SUCCESS 1 1\nSUCCESS 1 0"
    );
    site.assert_adds_up(0);
}

#[test]
fn an_insert_that_is_ignored_or_becomes_an_update_is_no_new_record() {
    let api = Api::accepting();
    let site = site(&api);
    let again = "INSERT OR IGNORE INTO user_record VALUES (1, 1, '1', 'Porto'), (2, 9, '2', 'Porto');
                 INSERT INTO user_record VALUES (3, 1, '3', 'Faro') ON CONFLICT (id) DO NOTHING;
                 INSERT INTO user_record VALUES (4, 1, '4', 'Faro') ON CONFLICT (id) DO UPDATE SET city = excluded.city, user_id = excluded.user_id";
    site.write(&rows(1, 1, 5));
    site.write(again);
    assert_eq!(waiting(&site), "5");
    drain(&site);
    site.write(again);
    drain(&site);
    api.assert_each_once(1..=5);
    let faro = api
        .seen()
        .iter()
        .filter(|seen| seen.body.contains("Faro"))
        .count();
    assert_eq!(faro, 1, "the upsert of a waiting row is sent, once");
    site.assert_adds_up(0);
    site.write("DELETE FROM user_record WHERE id = 1");
    site.write("INSERT INTO user_record VALUES (1, 1, '1', 'Porto')");
    drain(&site);
    assert_eq!(api.times()[&1], 2, "a row inserted anew is a new record");
    site.assert_adds_up(1);
}

#[test]
fn every_id_of_64_bits_is_delivered_whatever_the_order_of_insertion() {
    let api = Api::accepting();
    let site = site(&api);
    let waves = [
        [0, i64::MAX],
        [-5, i64::MIN],
        [7, i64::MAX - 1],
        [i64::MIN + 1, -1],
    ];
    for wave in waves {
        for id in wave {
            site.insert(i64::MIN, id);
        }
        drain(&site);
        site.assert_adds_up(0);
    }
    site.insert(i64::MAX, 1);
    drain(&site);
    api.assert_each_once(waves.concat().into_iter().chain([1]));
    assert_eq!(
        site.shell("SELECT user_id, delivered FROM user_progress ORDER BY 1"),
        format!("{} 8\n{} 1", i64::MIN, i64::MAX)
    );
    site.assert_adds_up(0);
}

#[test]
fn rows_below_the_cursor_get_a_batch_of_their_own_after_the_short_last_batch_succeeded() {
    let api = Api::accepting();
    let site = site(&api);
    site.write(&rows(1, 100, 124));
    let daemon = site.daemon();
    site.await_delivered(25);
    site.write(&(rows(1, 1, 3) + &rows(1, 130, 131)));
    site.await_delivered(30);
    site.insert(1, 110 - 105);
    site.await_delivered(31);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once((100..=124).chain(1..=3).chain(130..=131).chain([5]));
    assert_eq!(
        site.shell("SELECT batch_offset, start_id, end_id, batch_size, kind FROM processing_batch_status ORDER BY 1"),
        "0 100 119 20 RANGE\n1 120 124 5 RANGE\n2 1 3 3 LATE\n3 130 131 2 RANGE\n4 5 5 1 LATE"
    );
    site.assert_adds_up(0);
}

#[test]
fn a_row_inserted_into_a_batch_in_work_is_late_and_sent_once() {
    let (api, latch) = Api::held();
    let site = site(&api);
    site.write("INSERT INTO user_record SELECT id * 2, 1, id * 2, 'Lisboa' FROM (SELECT value AS id FROM generate_series(1, 40))");
    let daemon = site.daemon();
    api.await_request();
    site.write(&(rows(1, 3, 3) + &rows(1, 35, 35) + &rows(1, 77, 77)));
    latch.open();
    site.await_delivered(43);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once((1..=40).map(|n| n * 2).chain([3, 35, 77]));
    site.assert_adds_up(0);
}

#[test]
fn everything_of_a_transaction_that_is_rolled_back_is_forgotten() {
    let api = Api::accepting();
    let site = site(&api);
    site.write(&rows(1, 1, 5));
    site.write(&format!("BEGIN; {} DELETE FROM user_record WHERE id = 1; UPDATE user_record SET user_id = 2 WHERE id = 2; ROLLBACK", rows(1, 6, 9)));
    assert_eq!(waiting(&site), "5");
    drain(&site);
    api.assert_each_once(1..=5);
    site.assert_adds_up(0);
}
