//! An operator's `retry` and `plan`, from the command line and through the `command` table, daemon up and down.

use ferryd::server::Answer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::harness::{Api, Site, eventually};

const QUICK: &str = "[workers]\nthreads = 2\n[retry]\ninterval = \"50ms\"\nbackoff = 1.0\n";

/// Retries are an hour away, so that only an operator brings them sooner.
const SLOW: &str = "[workers]\nthreads = 2\n[retry]\ninterval = \"1h\"\n";

/// Record 2 of user 1 is answered with a status that can be changed; all others are accepted.
struct Trouble {
    api: Api,
    status: Arc<AtomicU16>,
    site: Site,
}

impl Trouble {
    fn new(status: u16, toml: &str) -> Trouble {
        let status = Arc::new(AtomicU16::new(status));
        let answer = Arc::clone(&status);
        let api = Api::answering(move |seen, _| match seen.record {
            2 => Answer::text(answer.load(SeqCst), "not today"),
            _ => Answer::status(200),
        });
        let site = Site::with(&api, toml);
        site.import(1, 1..=5);
        site.import(7, 6..=10);
        Trouble { api, status, site }
    }

    fn mend(&self) {
        self.status.store(200, SeqCst);
    }

    fn batch_of_user_1(&self) -> String {
        let sql = "SELECT status, delivered_count, retry_count, coalesce(error_message, '-')
                     FROM processing_batch_status WHERE user_id = 1";
        self.site.shell(sql)
    }

    fn record_2(&self) -> String {
        let sql = "SELECT state, attempts, http_status FROM undelivered_record WHERE record_id = 2";
        self.site.shell(sql)
    }

    #[track_caller]
    fn await_batches(&self, kind: &str, batches: i64) {
        let sql = format!("SELECT {kind}_batches FROM delivery_summary");
        eventually(&format!("{batches} batches are {kind}"), || {
            self.site.value::<i64>(&sql) == batches
        });
    }

    /// Record 2 was sent so many times with one key, all others once, and everything is delivered.
    #[track_caller]
    fn assert_delivered(&self, times: usize) {
        let seen = self.api.seen();
        let of_2: Vec<_> = seen.iter().filter(|s| s.record == 2).collect();
        assert_eq!(of_2.len(), times);
        assert!(of_2.iter().all(|s| s.key == of_2[0].key));
        assert_eq!(seen.len(), 9 + times, "the others were sent once");
        let sql = "SELECT delivered, dead, success_batches, dead_batches FROM delivery_summary";
        assert_eq!(self.site.shell(sql), "10 0 2 0");
        assert_eq!(self.record_2(), "");
    }
}

#[test]
fn a_drain_carries_out_the_commands_that_waited_for_it_before_it_ends() {
    let trouble = Trouble::new(422, QUICK);
    trouble.site.run(&["drain"]).assert_code(3);
    trouble.mend();
    let sql = "INSERT INTO command (verb, target) VALUES ('retry', 'dead')";
    trouble.site.write(sql);
    trouble.site.run(&["drain"]).assert_code(0);
    assert_eq!(
        trouble.site.shell("SELECT delivered FROM delivery_summary"),
        "10"
    );
}

#[test]
fn a_pause_that_is_answered_stands_in_the_file() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    let conn = rusqlite::Connection::open(site.path("ferryd.db")).unwrap();
    for (verb, gate) in [("pause", "paused"), ("resume", "open")].repeat(10) {
        site.write(&format!("INSERT INTO command (verb) VALUES ('{verb}')"));
        let seen = "SELECT gate FROM delivery_summary
             WHERE NOT EXISTS (SELECT 1 FROM command WHERE done_at IS NULL)";
        // What is wrong lasts a moment only, so that nothing may pass between two looks.
        let deadline = Instant::now() + Duration::from_secs(30);
        let first: String = loop {
            if let Ok(gate) = conn.query_row(seen, [], |row| row.get(0)) {
                break gate;
            }
            assert!(Instant::now() < deadline, "it is not answered");
        };
        assert_eq!(first, gate);
    }
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn dead_records_come_back_by_each_target_and_a_dead_batch_becomes_success() {
    for target in ["batch:1", "user:1", "record:2", "dead"] {
        let trouble = Trouble::new(422, QUICK);
        trouble.site.run(&["drain"]).assert_code(3);
        assert_eq!(
            trouble.batch_of_user_1(),
            "DEAD 4 1 id=2: HTTP 422 Unprocessable Entity: not today"
        );
        assert_eq!(trouble.record_2(), "DEAD 1 422");
        trouble.site.run(&["drain"]).assert_code(3);
        assert_eq!(trouble.api.seen().len(), 10, "dead is not sent again");
        trouble.mend();
        let said = trouble.site.run(&["retry", target]).assert_code(0);
        let wanted = "1 record of 1 batch is sent again\n";
        assert_eq!(said.stdout, wanted, "{target}");
        assert_eq!(trouble.record_2(), "RETRY 0 422");
        trouble.site.run(&["drain"]).assert_code(0);
        assert_eq!(trouble.batch_of_user_1(), "SUCCESS 5 1 -");
        trouble.assert_delivered(2);
    }
}

#[test]
fn retry_reaches_a_running_daemon_from_the_command_line_and_through_the_table() {
    for by_table in [false, true] {
        let trouble = Trouble::new(422, QUICK);
        let daemon = trouble.site.daemon();
        trouble.await_batches("dead", 1);
        trouble.mend();
        let site = &trouble.site;
        let answer = match by_table {
            true => site.command("'retry', 'record:2'"),
            false => site.run(&["retry", "record:2"]).assert_code(0).stdout,
        };
        assert_eq!(answer.trim_end(), "1 record of 1 batch is sent again");
        site.await_delivered(10);
        trouble.await_batches("success", 2);
        trouble.assert_delivered(2);
        assert_eq!(daemon.terminate().0, 0);
    }
}

#[test]
fn records_that_wait_for_a_retry_are_sent_at_once_by_each_target() {
    for target in ["batch:1", "user:1", "record:2", "failed"] {
        let trouble = Trouble::new(500, SLOW);
        trouble.site.run(&["drain", "--once"]).assert_code(3);
        assert_eq!(trouble.record_2(), "RETRY 1 500");
        trouble.site.run(&["drain", "--once"]).assert_code(3);
        assert_eq!(trouble.api.seen().len(), 10, "it is not due");
        trouble.mend();
        trouble.site.run(&["retry", target]).assert_code(0);
        let kept = "RETRY 1 500";
        assert_eq!(trouble.record_2(), kept, "its attempts are not forgotten");
        trouble.site.run(&["drain", "--once"]).assert_code(0);
        trouble.assert_delivered(2);
    }
}

#[test]
fn a_running_daemon_sends_at_once_what_an_operator_makes_due() {
    let trouble = Trouble::new(500, SLOW);
    let daemon = trouble.site.daemon();
    trouble.await_batches("failed", 1);
    trouble.mend();
    trouble.site.command("'retry', 'failed'");
    trouble.site.await_delivered(10);
    trouble.await_batches("success", 2);
    assert_eq!(daemon.terminate().0, 0);
    trouble.assert_delivered(2);
}

#[test]
fn attempts_are_capped_per_record_and_start_anew_when_an_operator_says_so() {
    let trouble = Trouble::new(500, &format!("{QUICK}max_attempts = 3\n"));
    let sent = || trouble.api.times()[&2];
    trouble.site.run(&["drain"]).assert_code(3);
    assert_eq!((trouble.record_2().as_str(), sent()), ("DEAD 3 500", 3));
    let error = trouble.batch_of_user_1();
    let reason = "id=2: gave up after 3 attempts: HTTP 500";
    assert!(error.contains(reason), "{error}");
    trouble.site.run(&["retry", "dead"]).assert_code(0);
    trouble.site.run(&["drain"]).assert_code(3);
    assert_eq!((trouble.record_2().as_str(), sent()), ("DEAD 3 500", 6));
    trouble.mend();
    trouble.site.run(&["retry", "dead"]).assert_code(0);
    trouble.site.run(&["drain"]).assert_code(0);
    trouble.assert_delivered(7);
}

#[test]
fn a_target_that_names_nothing_is_answered_clearly_daemon_down_and_up() {
    let trouble = Trouble::new(200, QUICK);
    trouble.site.run(&["drain"]).assert_code(0);
    let ask_for_each = || {
        for (target, why) in [
            ("batch:1", "no record of batch 1 failed or is dead"),
            ("batch:99", "there is no batch 99"),
            ("user:99", "no record of user 99 failed or is dead"),
            ("record:1", "there is no record 1 that failed or is dead"),
            (
                "record:-99",
                "there is no record -99 that failed or is dead",
            ),
            ("dead", "no record is dead"),
            ("failed", "no record waits for a retry"),
        ] {
            let said = trouble.site.run(&["retry", target]).assert_code(0);
            assert_eq!(said.stdout, format!("nothing to retry: {why}\n"));
        }
    };
    ask_for_each();
    let daemon = trouble.site.daemon();
    ask_for_each();
    assert_eq!(daemon.terminate().0, 0);
    trouble.assert_delivered(1);
}

#[test]
fn a_target_that_is_none_is_wrong_usage_and_names_the_right_ones() {
    let site = Site::with(&Api::accepting(), "");
    for target in ["all", "batch:", "batch:x", "dead:1", "record:1.5"] {
        site.run(&["retry", target])
            .assert_code(2)
            .assert_says("use batch:N, user:N, record:N, dead or failed");
    }
}

#[test]
fn steering_a_database_that_is_not_there_makes_none() {
    let site = Site::with(&Api::accepting(), "");
    for command in [
        &["pause"][..],
        &["resume"],
        &["retry", "dead"],
        &["explain", "1"],
    ] {
        site.run(command)
            .assert_code(1)
            .assert_says("there is no such database");
    }
    assert!(!site.database().exists());
}

#[test]
fn the_command_plan_waits_for_no_further_rows() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nlinger = \"1h\"\n");
    site.import(1, 1..=3);
    let daemon = site.daemon();
    assert_eq!(site.command("'plan'"), "1 batch was planned");
    site.await_delivered(3);
    assert_eq!(site.command("'plan'"), "0 batches were planned");
    assert_eq!(daemon.terminate().0, 0);
}
