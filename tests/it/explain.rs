//! `ferryd explain`: one exact reason for each way in which a record can stand, daemon up and down.

use ferryd::server::Answer;
use std::time::Duration;

use crate::harness::{Api, Site, eventually};

/// Nothing happens by itself within a test: no retry and no probe is due.
const STILL: &str =
    "[retry]\ninterval = \"1h\"\n[gate]\nprobe_interval = \"1h\"\n[workers]\nthreads = 1\n";

/// Short batches are not planned within a test.
const LINGERING: &str = "[batch]\nlinger = \"1h\"\n";

const IN_BATCH_1: &str = "it waits its turn in batch 1 of user 1 (offset 0), which is";

const DOWN: &str = "; ferryd is not running";

impl Site {
    #[track_caller]
    fn explain(&self, record: i64) -> String {
        let ran = self.run(&["explain", &record.to_string()]).assert_code(0);
        ran.stdout.trim_end().to_string()
    }

    /// What is said with the daemon up, which must be the same with it down, but for that.
    #[track_caller]
    fn explain_down_and_up(&self, record: i64) -> String {
        let down = self.explain(record);
        let daemon = self.daemon();
        let up = self.explain(record);
        assert_eq!(down.replace(DOWN, ""), up);
        let is_held = up.contains("is not delivered") && !up.contains("DEAD,");
        let is_dead = up.contains("not a whole number");
        assert_eq!(down.contains(DOWN), is_held && !is_dead, "{down}");
        assert_eq!(daemon.terminate().0, 0);
        up
    }

    /// The batch with its offset, and when it ended.
    fn batch(&self, batch: i64) -> String {
        let sql = format!(
            "SELECT 'batch ' || id || ' of user ' || user_id || ' (offset ' || batch_offset || '), which ended at '
                    || last_attempt_at FROM processing_batch_status WHERE id = {batch}"
        );
        self.value(&sql)
    }

    fn due(&self) -> String {
        self.value("SELECT next_attempt_at FROM processing_batch_status")
    }
}

/// A site whose API answers record 2 like this, after one pass over the records 1 to 3.
fn after_one_pass(answer: fn() -> Answer) -> (Site, Api) {
    let api = Api::answering(move |seen, _| match seen.record {
        2 => answer(),
        _ => Answer::status(200),
    });
    let site = Site::with(&api, STILL);
    site.import(1, 1..=3);
    site.run(&["drain", "--once"]);
    (site, api)
}

#[test]
fn a_record_that_is_not_planned_waits_to_be_cut_into_a_batch() {
    let site = Site::with(&Api::accepting(), LINGERING);
    site.import(1, 1..=3);
    assert_eq!(
        site.explain_down_and_up(2),
        "record 2 is not delivered: it waits to be cut into a batch of user 1"
    );
}

#[test]
fn a_record_in_a_batch_waits_its_turn() {
    let api = Api::answering(|seen, request| {
        if seen.record == 1 {
            request.sleep(Duration::from_secs(20));
        }
        Answer::status(200)
    });
    let site = Site::with(&api, STILL);
    site.import(1, 1..=3);
    let daemon = site.daemon();
    eventually("the first is under way", || !api.seen().is_empty());
    let said = format!("record 2 is not delivered: {IN_BATCH_1} RUNNING");
    assert_eq!(site.explain(2), said);
    daemon.kill();
    let said = format!("{said}, left by a dead process, freed at the next start{DOWN}");
    assert_eq!(site.explain(2), said);
    site.run(&["pause"]).assert_code(0);
    let held = "sending is held, the gate is paused: paused by an operator";
    assert_eq!(site.explain(2), format!("{said}; {held}"));
}

#[test]
fn a_record_behind_a_closed_gate_is_held_and_the_reason_is_named() {
    let api = Api::answering(|_, _| Answer::text(401, "who are you?"));
    let site = Site::with(&api, STILL);
    site.import(1, 1..=3);
    site.run(&["drain", "--once"]).assert_code(3);
    let held = "sending is held, the gate is closed: HTTP 401 Unauthorized: who are you?";
    let said = |status: &str| format!("record 2 is not delivered: {IN_BATCH_1} {status}; {held}");
    assert_eq!(site.explain(2), said(&format!("PENDING{DOWN}")));
    let daemon = site.daemon();
    eventually("the daemon waits at the gate", || {
        site.explain(2) == said("RUNNING")
    });
    site.insert(2, 9);
    let said = "record 9 is not delivered: it waits its turn in batch 2 of user 2 (offset 0), which is RUNNING";
    eventually("a new record is held too", || {
        site.explain(9) == format!("{said}; {held}")
    });
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_late_record_waits_for_a_batch_of_its_own() {
    let site = Site::with(
        &Api::accepting(),
        &format!("{LINGERING}[gate]\nfailures = 3\n"),
    );
    site.import(1, [10, 12]);
    // The API is gone, but nobody asks it: the batch is cut and waits.
    site.run(&["drain", "--once"]).assert_code(3);
    site.insert(1, 11);
    let said = site.explain(11);
    let start = "record 11 is not delivered: LATE, came in below an id that was already planned; waits for a batch of its own";
    assert!(said.starts_with(start), "{said}");
}

#[test]
fn a_late_record_is_explained_alike_with_the_daemon_down_and_up() {
    let api = Api::accepting();
    let site = Site::with(&api, LINGERING);
    site.import(1, [10, 12]);
    site.run(&["drain"]).assert_code(0);
    site.insert(1, 11);
    assert_eq!(
        site.explain_down_and_up(11),
        "record 11 is not delivered: LATE, came in below an id that was already planned; waits for a batch of its own"
    );
}

#[test]
fn a_record_to_be_sent_again_names_its_answer_and_when_it_is_due() {
    let (site, _api) = after_one_pass(|| Answer::text(500, "tea break"));
    let due = site.due();
    assert_eq!(
        site.explain_down_and_up(2),
        format!(
            "record 2 is not delivered: RETRY, will be sent again: HTTP 500 Internal Server Error: tea break; \
             1 attempt; batch 1 is due at {due}"
        )
    );
}

#[test]
fn a_record_without_an_answer_may_have_been_accepted() {
    let (site, _api) = after_one_pass(|| Answer::Hangup);
    let due = site.due();
    let said = site.explain_down_and_up(2);
    let start = "record 2 is not delivered: UNKNOWN, no answer was seen, so it may have been accepted; will be sent again: no answer: ";
    assert!(said.starts_with(start), "{said}");
    let end = format!("; 1 attempt; batch 1 is due at {due}");
    assert!(said.ends_with(&end), "{said}");
}

#[test]
fn a_dead_record_names_the_answer_that_killed_it_and_the_way_back() {
    let (site, _api) = after_one_pass(|| Answer::text(422, "no such city"));
    assert_eq!(
        site.explain_down_and_up(2),
        "record 2 is not delivered: DEAD, will not be sent again: HTTP 422 Unprocessable Entity: no such city; \
         1 attempt; batch 1 is DEAD; `ferryd retry record:2` sends it again"
    );
}

#[test]
fn a_record_whose_user_is_no_number_is_told_so_and_no_vain_retry_is_advised() {
    let api = Api::accepting();
    let site = Site::with(&api, STILL);
    site.import(1, []);
    let conn = site.connect();
    let insert = "INSERT INTO user_record VALUES (1, 'Anna', '1', 'Lisboa')";
    conn.execute(insert, []).unwrap();
    let said = site.explain_down_and_up(1);
    assert!(said.contains("user_id is not a whole number"), "{said}");
    assert!(!said.contains("ferryd retry"), "{said}");
    conn.execute("UPDATE user_record SET user_id = 1", [])
        .unwrap();
    site.run(&["drain"]).assert_code(0);
    assert!(site.explain(1).contains("is delivered"));
}

#[test]
fn a_delivered_record_names_its_batch_and_the_time() {
    let (site, _api) = after_one_pass(|| Answer::status(200));
    assert_eq!(
        site.explain_down_and_up(2),
        format!("record 2 is delivered, with {}", site.batch(1))
    );
}

#[test]
fn a_delivered_record_of_a_batch_with_failures_is_delivered_all_the_same() {
    let (site, _api) = after_one_pass(|| Answer::status(500));
    assert_eq!(
        site.explain_down_and_up(1),
        "record 1 is delivered, with batch 1 of user 1 (offset 0), which is FAILED"
    );
}

#[test]
fn a_record_that_was_delivered_late_names_the_batch_of_late_rows() {
    let api = Api::accepting();
    let site = Site::with(&api, STILL);
    site.import(1, [10, 12]);
    site.run(&["drain"]).assert_code(0);
    site.import(1, [5]);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(
        site.explain_down_and_up(5),
        format!("record 5 is delivered, with {}", site.batch(2))
    );
}

/// The file does not keep which of the two it was.
#[test]
fn a_late_record_inside_an_older_batch_is_not_said_to_be_delivered_before_it_came() {
    let api = Api::accepting();
    let site = Site::with(&api, STILL);
    site.import(1, [10, 12]);
    site.run(&["drain"]).assert_code(0);
    site.import(1, [11]);
    site.run(&["drain"]).assert_code(0);
    assert_eq!(
        site.explain_down_and_up(11),
        format!(
            "record 11 is delivered, with {}, or, if it came in late, with {}",
            site.batch(1),
            site.batch(2)
        )
    );
}

#[test]
fn a_record_that_was_delivered_before_it_moved_to_another_user_stays_delivered() {
    let (site, api) = after_one_pass(|| Answer::status(200));
    let sql = "UPDATE user_record SET user_id = 8 WHERE id = 2";
    site.connect().execute(sql, []).unwrap();
    assert_eq!(
        site.explain_down_and_up(2),
        "record 2 is delivered, by a batch of late rows, or under the id or user that it had before"
    );
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=3);
}

#[test]
fn a_record_that_is_not_there_was_deleted_or_never_came() {
    let (site, _api) = after_one_pass(|| Answer::status(200));
    let sql = "DELETE FROM user_record WHERE id = 2";
    site.connect().execute(sql, []).unwrap();
    for record in [2, 99, i64::MIN, i64::MAX] {
        let said = "is not in user_record: it was never there, or its owner deleted it";
        assert_eq!(
            site.explain_down_and_up(record),
            format!("record {record} {said}")
        );
    }
}

#[test]
fn a_record_that_never_left_this_machine_has_had_no_attempt() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, [1]);
    site.write("UPDATE user_record SET city = x'ff'");
    site.run(&["drain"]).assert_code(3);
    let said = site.run(&["explain", "1"]).assert_code(0).stdout;
    assert!(
        said.contains("; batch 1 is DEAD") && !said.contains("attempt"),
        "{said}"
    );
    assert!(api.seen().is_empty());
}
