//! Rows that change their id or user, and rows whose user is no whole number.

use super::{drain, failing_first, held_at_the_first_of_sixty, rows, site, waiting};
use crate::harness::{Api, Site, eventually};

#[test]
fn a_row_moved_to_another_user_before_it_is_sent_is_sent_once_for_that_user() {
    let (api, latch, site) = held_at_the_first_of_sixty();
    site.write(&rows(2, 61, 62));
    let daemon = site.daemon();
    api.await_request();
    eventually("62 records are planned", || {
        site.shell("SELECT total(batch_size) FROM processing_batch_status") == "62.0"
    });
    // Below and above the cursor of user 2, and to a user that was not there.
    site.write("UPDATE user_record SET user_id = 2 WHERE id = 30; UPDATE user_record SET user_id = 3 WHERE id = 31");
    site.write("UPDATE user_record SET id = 90, user_id = 2 WHERE id = 32; UPDATE user_record SET id = 91 WHERE id = 33");
    assert_eq!(waiting(&site), "62");
    latch.open();
    site.await_delivered(62);
    assert_eq!(daemon.terminate().0, 0);
    // network_id, by which the API tells a record, moved along with rows 32 and 33.
    api.assert_each_once(1..=62);
    assert_eq!(
        site.shell("SELECT user_id, delivered, waiting FROM user_progress ORDER BY 1"),
        "1 57 0\n2 4 0\n3 1 0"
    );
    site.assert_adds_up(0);
}

#[test]
fn a_row_moved_before_it_is_planned_is_sent_once_for_its_new_user() {
    let api = Api::accepting();
    let site = site(&api);
    site.write(&rows(1, 1, 3));
    site.write("UPDATE user_record SET user_id = 2 WHERE id = 2");
    assert_eq!(
        site.shell("SELECT user_id, waiting FROM user_progress ORDER BY 1"),
        "1 2\n2 1"
    );
    drain(&site);
    api.assert_each_once(1..=3);
    site.assert_adds_up(0);
}

#[test]
fn a_delivered_row_that_moves_is_not_sent_again() {
    let api = Api::accepting();
    let site = site(&api);
    site.write(&(rows(1, 1, 5) + &rows(2, 10, 12)));
    drain(&site);
    site.write("UPDATE user_record SET user_id = 2 WHERE id IN (1, 5)");
    site.write("UPDATE user_record SET id = 50, user_id = 2 WHERE id = 2");
    site.write("UPDATE user_record SET id = 60 WHERE id = 3; UPDATE user_record SET user_id = 7 WHERE id = 4");
    site.assert_adds_up(0);
    site.write(
        &(rows(2, 40, 55) + &rows(1, 58, 62) + &rows(7, 1, 9))
            .replace("INSERT", "INSERT OR IGNORE"),
    );
    drain(&site);
    let new = (40..=55).filter(|&id| id != 50);
    let new = new.chain((58..=62).filter(|&id| id != 60));
    let new = new.chain([2, 3, 6, 7, 8, 9]);
    api.assert_each_once((1..=5).chain(10..=12).chain(new));
    site.assert_adds_up(0);
}

#[test]
fn a_failed_row_that_moves_is_sent_for_its_new_user() {
    let api = failing_first(&[2]);
    let site = site(&api);
    site.write(&rows(1, 1, 3));
    site.run(&["drain", "--once"]).assert_code(3);
    site.write("UPDATE user_record SET user_id = 2 WHERE id = 2");
    assert_eq!(
        site.shell("SELECT status FROM processing_batch_status"),
        "SUCCESS"
    );
    drain(&site);
    assert_eq!(api.times()[&2], 2);
    assert_eq!(
        site.shell("SELECT user_id, delivered FROM user_progress ORDER BY 1"),
        "1 2\n2 1"
    );
    site.assert_adds_up(0);
}

#[test]
fn a_user_id_that_is_no_whole_number_makes_a_dead_row_with_its_reason_until_it_is_mended() {
    let api = Api::accepting();
    let site = site(&api);
    site.write("INSERT INTO user_record VALUES (1, 'anna', '1', ''), (2, 1.5, '2', ''), (3, x'07', '3', ''), (4, '7', '4', ''), (5, 8.0, '5', ''), (6, 'x', '6', '')");
    site.run(&["drain"]).assert_code(3);
    let dead = "SELECT record_id, state, batch_id IS NULL, reason FROM undelivered ORDER BY 1";
    let reason = "DEAD 1 will not be sent again: user_id is not a whole number";
    assert_eq!(
        site.shell(dead),
        format!("1 {reason}\n2 {reason}\n3 {reason}\n6 {reason}")
    );
    site.assert_adds_up(0);
    site.write("UPDATE user_record SET user_id = 7 WHERE id = 1; UPDATE user_record SET user_id = 8 WHERE id = 2; DELETE FROM user_record WHERE id IN (3, 6)");
    drain(&site);
    api.assert_each_once([1, 2, 4, 5]);
    assert_eq!(site.shell("SELECT count(*) FROM undelivered"), "0");
    site.assert_adds_up(0);
}

#[test]
fn rows_of_an_adopted_table_without_a_user_are_dead_with_their_reason() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.write(
        "CREATE TABLE user_record (id INTEGER PRIMARY KEY, user_id INTEGER, network_id TEXT, city TEXT);
         INSERT INTO user_record VALUES (1, NULL, '1', ''), (2, 'b', '2', ''), (3, 3, '3', '')",
    );
    site.run(&["drain"]).assert_code(3);
    site.insert(3, 4);
    site.write("INSERT INTO user_record VALUES (5, NULL, '5', '')");
    assert_eq!(
        site.shell("SELECT group_concat(record_id) FROM (SELECT record_id FROM undelivered_record WHERE state = 'DEAD' ORDER BY 1)"),
        "1,2,5"
    );
    site.run(&["drain"]).assert_code(3);
    api.assert_each_once([3, 4]);
    site.assert_adds_up(0);
}
