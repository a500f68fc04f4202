//! `ferryd audit` and the receiver's journal: what holds is not doubted, and each way to break a promise is found.

use crate::harness::{Api, Site, eventually};
use ferryd::server::Answer;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

/// A `ferryd receiver` with a journal; killed when dropped.
struct Receiver {
    child: Child,
    url: String,
}

impl Receiver {
    #[track_caller]
    fn start(site: &Site, listen: &str) -> Receiver {
        let mut command = site.ferryd(&["receiver", "--listen", listen]);
        command.args(["--journal", "journal", "--summary"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_string();
        Receiver { child, url }
    }

    /// A site whose configuration points at a receiver of its own, with further TOML lines.
    fn with_site(toml: &str) -> (Site, Receiver) {
        let site = Site::new();
        let receiver = Receiver::start(&site, "127.0.0.1:0");
        site.configure(&format!("[api]\nurl = \"{}\"\n{toml}", receiver.url));
        (site, receiver)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The audit's JSON; its exit code must agree with it.
#[track_caller]
fn audit(site: &Site, arguments: &[&str]) -> Value {
    let ran = site.run(&[&["audit", "--json"], arguments].concat());
    let report: Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
    let code = if report["holds"] == true { 0 } else { 1 };
    assert_eq!(ran.code, code, "{report:#}");
    report
}

#[track_caller]
fn audit_with_journal(site: &Site) -> Value {
    audit(site, &["--journal", "journal"])
}

/// 30 delivered records in three batches of user 1, and 3 of user 2 that wait.
fn delivered_and_waiting() -> Site {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 10\n");
    site.import(1, 1..=30);
    site.run(&["drain"]).assert_code(0);
    site.import(2, 41..=43);
    site
}

#[test]
fn every_record_is_counted_where_it_stands() {
    let api = Api::answering(|seen, _| match seen.record % 10 {
        0 => Answer::status(400),
        1 => Answer::status(500),
        2 => Answer::Hangup,
        _ => Answer::status(200),
    });
    let site = Site::with(&api, "[batch]\nsize = 20\n");
    site.import(1, 1..=100);
    site.run(&["drain", "--once"]).assert_code(3);
    site.import(2, 101..=107);
    site.connect()
        .execute_batch("DELETE FROM user_record WHERE id IN (3, 4, 20)")
        .unwrap();
    let report = audit(&site, &[]);
    assert_eq!(report["holds"], true, "{report:#}");
    let words = "records delivered waiting retrying unknown dead gone users";
    let counts: Vec<i64> = words
        .split(' ')
        .map(|word| report[word].as_i64().unwrap())
        .collect();
    assert_eq!(counts, [104, 68, 7, 10, 10, 9, 2, 2], "{words}");
    let ran = site.run(&["audit"]).assert_code(0);
    assert!(ran.stdout.contains("every promise holds"), "{}", ran.stdout);
}

/// A fault put into the file, and the promise that it breaks.
const FAULTS: &[(&str, &str)] = &[
    (
        "INSERT INTO user_cursor (user_id, planned_through) VALUES (2, 1000)",
        "no record counts as delivered that no batch has delivered",
    ),
    (
        "UPDATE processing_batch_status SET deleted_count = 1 WHERE id = 2",
        "each record of a batch is delivered, deleted, waiting or in undelivered_record",
    ),
    (
        "INSERT INTO undelivered_record (record_id, user_id, batch_id, state, first_seen_at) VALUES (7, 1, 1, 'RETRY', '')",
        "a SUCCESS batch leaves no record behind",
    ),
    (
        "DELETE FROM backlog",
        "each record that is to be sent is on its way",
    ),
    (
        "UPDATE processing_batch_status SET start_id = 10 WHERE id = 2",
        "the ranges of a user do not overlap",
    ),
    (
        "UPDATE processing_batch_status SET batch_offset = 5 WHERE id = 3",
        "the batches of a user are numbered without gaps",
    ),
    (
        "INSERT INTO undelivered_record (record_id, user_id, state, first_seen_at) VALUES (999, 1, 'LATE', '')",
        "what is remembered about a record goes away with it",
    ),
    (
        "UPDATE user_cursor SET deleted = 1",
        "user_cursor adds up the SUCCESS batches",
    ),
    (
        "UPDATE user_cursor SET retrying = 1, resting_left = 1",
        "user_cursor counts what stands open",
    ),
    (
        "UPDATE delivery_total SET pending_batches = 1",
        "delivery_total adds up the users",
    ),
    (
        "UPDATE user_cursor SET delivered = 29",
        "user_progress says what the tables hold",
    ),
    (
        "UPDATE user_cursor SET success_batches = 4",
        "delivery_summary says what the tables hold",
    ),
];

#[test]
fn each_way_to_break_a_promise_is_found() {
    for (fault, promise) in FAULTS {
        let site = delivered_and_waiting();
        assert_eq!(audit(&site, &[])["holds"], true);
        site.connect().execute_batch(fault).unwrap();
        let ran = site.run(&["audit"]).assert_code(1);
        let found = ran.stdout.contains(&format!("BROKEN: {promise} ("));
        assert!(found, "{fault}\n{}", ran.stdout);
    }
}

#[test]
fn the_journal_of_a_receiver_agrees_with_the_file() {
    for style in ["bare", "quoted"] {
        let (site, _receiver) = Receiver::with_site(&format!("idempotency_key = \"{style}\"\n"));
        site.import(1, -50..=50);
        site.run(&["drain"]).assert_code(0);
        let report = audit_with_journal(&site);
        assert_eq!(report["holds"], true, "{report:#}");
        assert_eq!(report["journal"]["accepted"], 101, "{style}");
        assert_eq!(report["journal"]["repeated"], 0);
    }
}

/// What an audit says after the journal's line of record 5, of 30, was changed.
#[track_caller]
fn audit_after(change: impl Fn(&str) -> String) -> Value {
    let (site, _receiver) = Receiver::with_site("[batch]\nsize = 10\n");
    site.import(1, 1..=30);
    site.run(&["drain"]).assert_code(0);
    let journal = std::fs::read_to_string(site.path("journal")).unwrap();
    let is_record_5 = |line: &&str| line.contains("\"record\":5}");
    let line = journal.lines().find(is_record_5).unwrap().to_string() + "\n";
    let changed = journal.replace(&line, &change(&line));
    std::fs::write(site.path("journal"), changed).unwrap();
    audit_with_journal(&site)
}

#[test]
fn a_record_without_a_2xx_is_lost_and_its_batch_falsely_successful() {
    let refused = |line: &str| line.replace("\"status\":200", "\"status\":500");
    let missing = |_: &str| String::new();
    for report in [audit_after(refused), audit_after(missing)] {
        assert_eq!(report["holds"], false);
        assert_eq!(report["journal"]["lost"], 1);
        assert_eq!(report["journal"]["falsely_successful"], 1);
    }
}

#[test]
fn a_repeat_under_the_same_key_is_counted_and_one_under_another_key_is_broken() {
    let report = audit_after(|line| line.repeat(3));
    assert_eq!(report["holds"], true, "{report:#}");
    assert_eq!(report["journal"]["repeated"], 2);
    let report = audit_after(|line| line.to_string() + &line.replace(".1.5\"", ".2.5\""));
    assert_eq!(report["holds"], false);
    assert_eq!(report["journal"]["repeated_with_another_key"], 1);
}

#[test]
fn lines_of_another_file_are_no_proof() {
    let report = audit_after(|line| line.replace("\"key\":\"", "\"key\":\"x"));
    assert_eq!(report["journal"]["foreign"], 1);
    assert_eq!(report["journal"]["lost"], 1);
}

#[test]
fn a_row_that_was_put_in_anew_is_sent_anew_and_not_repeated() {
    let (site, _receiver) = Receiver::with_site("");
    site.import(1, 1..=30);
    site.run(&["drain"]).assert_code(0);
    site.connect()
        .execute_batch(
            "DELETE FROM user_record WHERE id = 4; INSERT INTO user_record VALUES (4, 1, '4', 'Faro');
             REPLACE INTO user_record VALUES (5, 2, '5', 'Faro'); UPDATE user_record SET user_id = 3 WHERE id = 6",
        )
        .unwrap();
    site.run(&["drain"]).assert_code(0);
    let report = audit_with_journal(&site);
    assert_eq!(report["holds"], true, "{report:#}");
    assert_eq!(report["journal"]["sent_anew"], 2);
    assert_eq!(
        (&report["delivered"], &report["gone"]),
        (&30.into(), &2.into())
    );
}

#[test]
fn what_was_accepted_without_the_file_knowing_it_is_counted_and_no_broken_promise() {
    let (site, _receiver) = Receiver::with_site("");
    site.import(1, 1..=30);
    site.run(&["drain"]).assert_code(0);
    // As if a kill had come before the last two outcomes were written down.
    site.connect()
        .execute_batch(
            "DROP TRIGGER success_is_final;
             UPDATE processing_batch_status SET status = 'RUNNING', sent_through = 28, delivered_count = 28",
        )
        .unwrap();
    let report = audit_with_journal(&site);
    assert_eq!(report["holds"], true, "{report:#}");
    assert_eq!(report["journal"]["will_be_repeated"], 2);
}

#[test]
fn a_killed_receiver_has_written_down_what_it_answered() {
    let toml = "[retry]\ninterval = \"50ms\"\nmax_interval = \"50ms\"\n[gate]\nprobe_interval = \"50ms\"\n";
    let (site, mut receiver) = Receiver::with_site(toml);
    let listen = receiver.url.trim_start_matches("http://");
    let listen = listen.trim_end_matches('/').to_string();
    site.import(1, 1..=3000);
    let daemon = site.daemon();
    for part in 1..=4 {
        eventually("a part is delivered", || {
            site.value::<i64>("SELECT delivered FROM delivery_summary") >= part * 500
        });
        drop(receiver);
        receiver = Receiver::start(&site, &listen);
    }
    site.await_delivered(3000);
    assert_eq!(daemon.terminate().0, 0);
    let report = audit_with_journal(&site);
    assert_eq!(report["holds"], true, "{report:#}");
    assert_eq!(report["journal"]["lost"], 0);
}

#[test]
fn what_is_no_journal_is_refused_by_line() {
    let site = delivered_and_waiting();
    site.run(&["audit", "--journal", "ferryd.toml"])
        .assert_code(65)
        .assert_says("ferryd.toml:1: this is no line of a journal");
    site.run(&["audit", "--journal", "missing"])
        .assert_code(74)
        .assert_says("missing");
}
