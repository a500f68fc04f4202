//! Planning: which records become which batch, in which order, and that none is planned twice.

use crate::harness::{Api, Site, eventually};
use ferryd::server::Answer;
use std::time::{Duration, Instant};

const BATCHES: &str = "SELECT user_id, batch_offset, batch_size, start_id, end_id FROM processing_batch_status ORDER BY 1, 2";

#[test]
fn a_batch_is_the_next_records_of_its_user_in_id_order_whatever_lies_between() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 3\n");
    site.import(1, [900, 3, 5, 70, 71, 72, 8]);
    site.import(2, [4, 6, 1000]);
    site.import(-9, [-20, 7, -1, 0]);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(
        site.shell(BATCHES),
        "-9 0 3 -20 0\n-9 1 1 7 7\n\
         1 0 3 3 8\n1 1 3 70 72\n1 2 1 900 900\n\
         2 0 3 4 1000"
    );
    api.assert_each_once([900, 3, 5, 70, 71, 72, 8, 4, 6, 1000, -20, 7, -1, 0]);
    site.assert_adds_up(0);
}

#[test]
fn the_records_of_a_batch_are_sent_in_id_order() {
    let api = Api::accepting();
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.import(1, (1..=600).rev());
    site.run(&["drain"]).assert_code(0);
    assert_eq!(api.order(), (1..=600).collect::<Vec<_>>());
}

#[test]
fn batch_size_cuts_the_batches() {
    for (size, batches) in [(1, "12"), (5, "3"), (12, "1"), (100_000, "1")] {
        let api = Api::accepting();
        let site = Site::with(&api, &format!("[batch]\nsize = {size}\n"));
        site.import(1, 1..=12);
        site.run(&["drain"]).assert_code(0);
        let sql = "SELECT success_batches FROM delivery_summary";
        assert_eq!(site.shell(sql), batches, "size {size}");
        api.assert_each_once(1..=12);
        site.assert_adds_up(0);
    }
}

#[test]
fn a_batch_that_is_done_is_never_planned_again_and_later_rows_get_the_next_number() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 4\n");
    site.import(1, 1..=6);
    site.run(&["drain"]).assert_code(0);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(site.shell(BATCHES), "1 0 4 1 4\n1 1 2 5 6");
    site.import(1, 7..=8);
    let daemon = site.daemon();
    site.await_delivered(8);
    site.insert(1, 9);
    site.await_delivered(9);
    daemon.kill();
    site.import(1, 10..=14);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(
        site.shell(BATCHES),
        "1 0 4 1 4\n1 1 2 5 6\n1 2 2 7 8\n1 3 1 9 9\n1 4 4 10 13\n1 5 1 14 14"
    );
    api.assert_each_once(1..=14);
    site.assert_adds_up(0);
}

#[test]
fn a_smaller_batch_size_leaves_planned_batches_alone() {
    let (api, latch) = Api::held();
    let site = Site::with(&api, "[batch]\nsize = 5\n");
    site.import(1, 1..=10);
    let daemon = site.daemon();
    eventually("both batches are planned", || {
        site.shell("SELECT count(*) FROM processing_batch_status") == "2"
    });
    daemon.kill();
    latch.open();
    site.configure(&format!(
        "[api]\nurl = \"{}\"\n[batch]\nsize = 2\n",
        api.url()
    ));
    site.import(1, 11..=13);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(
        site.shell(BATCHES),
        "1 0 5 1 5\n1 1 5 6 10\n1 2 2 11 12\n1 3 1 13 13"
    );
}

#[test]
fn a_user_with_many_records_does_not_keep_the_others_waiting() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 5\n[workers]\nthreads = 1\n");
    site.import(1, 1..=100);
    site.import(2, 101..=105);
    site.import(3, 106..=110);
    site.import(4, 111..=113);
    site.run(&["drain"]).assert_code(0);
    let users = "SELECT group_concat(user_id) FROM (SELECT user_id FROM processing_batch_status ORDER BY id LIMIT 6)";
    assert_eq!(site.shell(users), "1,2,3,4,1,1");
    let order = api.order();
    assert_eq!(order[..5], [1, 2, 3, 4, 5]);
    assert_eq!(order[5..18], (101..=113).collect::<Vec<_>>());
    assert_eq!(order[18..], (6..=100).collect::<Vec<_>>());
}

#[test]
fn users_take_turns_however_many_there_are() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 2\n");
    let mut csv = String::from("id,user_id,network_id\n");
    for id in 0..150 * 4 {
        csv.push_str(&format!("{id},{},{id}\n", id % 150));
    }
    site.import_file("a.csv", csv);
    site.run(&["drain"]).assert_code(0);
    let rounds =
        "SELECT batch_offset, count(*), max(id) - min(id) FROM processing_batch_status GROUP BY 1";
    assert_eq!(site.shell(rounds), "0 150 149\n1 150 149");
    api.assert_each_once(0..600);
    site.assert_adds_up(0);
}

#[test]
fn a_user_who_comes_while_another_is_in_work_has_the_next_turn() {
    let (api, latch) = Api::held();
    let toml = "[batch]\nsize = 1\n[workers]\nthreads = 1\nqueue = 1\n";
    let site = Site::with(&api, toml);
    site.import(1, 1..=50);
    let daemon = site.daemon();
    api.await_request();
    site.insert(2, 100);
    latch.open();
    site.await_delivered(51);
    assert_eq!(daemon.terminate().0, 0);
    let turn = api.order().iter().position(|&record| record == 100);
    // One is sent, one is in the queue, and up to two are planned or claimed by then.
    assert!(turn.unwrap() <= 5, "{:?}", api.order());
}

#[test]
fn a_full_queue_holds_the_planner_back_and_loses_nothing() {
    let (api, latch) = Api::held();
    let toml = "[batch]\nsize = 1\n[workers]\nthreads = 2\nqueue = 3\n";
    let site = Site::with(&api, toml);
    site.import(1, 1..=200);
    let daemon = site.daemon();
    eventually("the queue is full", || {
        site.shell("SELECT running_batches >= 5 FROM delivery_summary") == "1"
    });
    // 2 are sent and 3 wait in the queue; the planner holds one more at most, and one is planned.
    let open = "SELECT running_batches + pending_batches <= 7 FROM delivery_summary";
    assert_eq!(site.shell(open), "1");
    latch.open();
    site.await_delivered(200);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=200);
}

#[test]
fn drain_of_one_user_leaves_the_others_alone() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 2\n");
    site.import(1, 1..=5);
    site.import(-2, 6..=10);
    let said = site.run(&["drain", "--user", "-2"]).assert_code(0).stdout;
    assert!(said.contains("delivered 5 records"), "{said}");
    api.assert_each_once(6..=10);
    assert_eq!(
        site.shell("SELECT user_id, waiting, delivered FROM user_progress ORDER BY 1"),
        "-2 0 5\n1 5 0"
    );
    site.run(&["drain", "--user", "77"]).assert_code(0);
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=10);
}

#[test]
fn drain_of_one_user_leaves_planned_batches_of_the_others_alone() {
    let (api, latch) = Api::held();
    let site = Site::with(&api, "");
    site.import(1, 1..=5);
    let daemon = site.daemon();
    api.await_request();
    daemon.kill();
    latch.open();
    let sent = api.seen().len();
    site.import(2, 6..=7);
    site.run(&["drain", "--user", "2"]).assert_code(0);
    assert_eq!(api.order()[sent..], [6, 7]);
    assert_eq!(
        site.shell("SELECT pending_batches FROM delivery_summary"),
        "1"
    );
}

#[test]
fn linger_holds_a_short_batch_and_lets_full_ones_go() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 5\nlinger = \"1h\"\n");
    site.import(1, 1..=12);
    let daemon = site.daemon();
    site.await_delivered(10);
    assert_eq!(site.shell("SELECT waiting FROM delivery_summary"), "2");
    site.import(1, 13..=15);
    site.await_delivered(15);
    assert_eq!(site.shell("SELECT waiting FROM delivery_summary"), "0");
    site.import(1, 16..=17);
    site.import(2, 18..=22);
    site.await_delivered(20);
    assert_eq!(daemon.terminate().0, 0);
    assert_eq!(
        site.shell(BATCHES),
        "1 0 5 1 5\n1 1 5 6 10\n1 2 5 11 15\n2 0 5 18 22"
    );
    api.assert_each_once((1..=15).chain(18..=22));
    site.assert_adds_up(0);
}

#[test]
fn drain_waits_for_no_further_rows() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nlinger = \"1h\"\n");
    site.import(1, 1..=3);
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=3);
}

#[test]
fn a_short_batch_goes_when_it_has_lingered() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nlinger = \"400ms\"\n");
    let daemon = site.daemon();
    let start = Instant::now();
    site.insert(1, 1);
    site.insert(1, 2);
    site.await_delivered(2);
    let lingered = api.seen()[0].at.duration_since(start);
    assert!(lingered >= Duration::from_millis(390), "{lingered:?}");
    assert_eq!(daemon.terminate().0, 0);
    assert_eq!(site.shell(BATCHES), "1 0 2 1 2");
}

#[test]
fn new_records_and_retries_take_turns_when_there_are_more_of_both_than_the_api_can_take() {
    let api = Api::answering(|seen, request| {
        request.sleep(Duration::from_millis(1));
        Answer::status(if seen.record < 1000 { 500 } else { 200 })
    });
    let toml = "[batch]\nsize = 1\n[workers]\nthreads = 1\nqueue = 1\n[retry]\ninterval = \"1ms\"\nbackoff = 1.0\nmax_attempts = 0\n";
    let site = Site::with(&api, toml);
    site.import(1, 1..=100);
    let _daemon = site.daemon();
    eventually("all of user 1 wait for a retry", || api.seen().len() > 150);
    site.import(2, 1000..1200);
    site.await_delivered(200);
    let order = api.order();
    let first_new = order.iter().position(|id| *id >= 1000).unwrap();
    let retries = order[first_new..].iter().filter(|id| **id < 1000).count();
    assert!((100..=400).contains(&retries), "{retries} beside 200");
}
