//! The whole way once: if this fails, look here first.

use crate::harness::{Api, Site};

#[test]
fn records_of_a_csv_reach_the_api_once_each_in_batches_of_the_right_size() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=2500);
    site.import(2, 2501..=4300);
    site.import(3, 4301..=5300);
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=5300);
    assert_eq!(
        site.shell("SELECT user_id, batch_offset, batch_size, start_id, end_id, status FROM processing_batch_status ORDER BY 1, 2"),
        "1 0 1000 1 1000 SUCCESS\n1 1 1000 1001 2000 SUCCESS\n1 2 500 2001 2500 SUCCESS\n\
         2 0 1000 2501 3500 SUCCESS\n2 1 800 3501 4300 SUCCESS\n3 0 1000 4301 5300 SUCCESS"
    );
}

#[test]
fn ten_percent_failing_the_first_time_are_delivered_and_no_other_record_is_repeated() {
    let api = Api::answering(|seen, _| {
        let fails = seen.record % 10 == 0 && seen.time == 1;
        ferryd::server::Answer::status(if fails { 500 } else { 200 })
    });
    let site = Site::with(&api, "[retry]\ninterval = \"200ms\"\n");
    site.import(1, 1..=2300);
    site.run(&["drain"]).assert_code(0);
    for (record, times) in api.times() {
        let wanted = if record % 10 == 0 { 2 } else { 1 };
        assert_eq!(times, wanted, "record {record}");
    }
    assert_eq!(
        site.shell("SELECT delivered, waiting + retrying + dead FROM delivery_summary"),
        "2300 0"
    );
}

#[test]
fn the_daemon_finds_rows_that_another_program_inserts() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    site.insert(7, 1);
    site.await_delivered(1);
    site.insert(7, 2);
    site.insert(8, 3);
    site.await_delivered(3);
    api.assert_each_once(1..=3);
    assert_eq!(daemon.terminate().0, 0);
}
