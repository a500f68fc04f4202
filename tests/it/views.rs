//! What people see and say with the system's sqlite3 shell: the views, daemon up and down, and the command table.

use crate::harness::{Api, Latch, Site, eventually};
use ferryd::server::Answer;
use std::process::Command;

const VIEWS: [&str; 5] = [
    "delivery_summary",
    "user_progress",
    "failed_batches",
    "undelivered",
    "recent_batches",
];

/// Users 0 to 3 with a batch each: 31 to 35 are all fine; of 1 to 5, 3 and 4 are answered 500 and 5 is answered 422; of
/// 11 to 15, 12 is answered 422; of 21 to 23, the last two wait for the latch.
fn troubled() -> (Api, Latch) {
    let latch = Latch::default();
    let held = latch.clone();
    let api = Api::answering(move |seen, request| {
        if [22, 23].contains(&seen.record) {
            held.wait(request);
        }
        Answer::status(match seen.record {
            3 | 4 if seen.time == 1 => 500,
            5 | 12 => 422,
            _ => 200,
        })
    });
    (api, latch)
}

fn fill(site: &Site) {
    site.import(0, 31..=35);
    site.import(1, 1..=5);
    site.import(2, 11..=15);
    site.import(3, 21..=23);
}

/// What the views say once all but records 22 and 23 were answered.
fn look(site: &Site) -> String {
    let summary =
        "SELECT waiting, delivered, retrying, unknown, dead, pending_batches, running_batches,
                          success_batches, failed_batches, dead_batches, gate, gate_reason IS NULL,
                          oldest_waiting_at IS NOT NULL FROM delivery_summary;";
    let users = "SELECT user_id, waiting, delivered, retrying, unknown, dead, success_batches, open_batches,
                        last_attempt_at IS NULL FROM user_progress ORDER BY 1;";
    let failed = "SELECT user_id, batch_offset, status, retry_count, batch_size, delivered_count,
                         next_attempt_at > last_attempt_at, error_message FROM failed_batches;";
    let undelivered = "SELECT record_id, user_id, network_id, city, state, attempts, http_status,
                              next_attempt_at IS NOT NULL, reason FROM undelivered ORDER BY 1;";
    let recent = "SELECT user_id, batch_offset, batch_size, delivered_count, seconds >= 0 FROM recent_batches;";
    site.shell(&[summary, users, failed, undelivered, recent].concat())
}

const TOLD: &str = "\
2 12 2 0 2 0 1 1 1 1 open 1 1
0 0 5 0 0 0 1 0 0
1 0 2 2 0 1 0 1 0
2 0 4 0 0 1 0 1 0
3 2 1 0 0 0 0 1 1
2 0 DEAD 1 5 4  id=12: HTTP 422 Unprocessable Entity

1 0 FAILED 1 5 2 1 id=3: HTTP 500 Internal Server Error
id=4: HTTP 500 Internal Server Error
id=5: HTTP 422 Unprocessable Entity

3 1 3 Lisboa RETRY 1 500 1 will be sent again: HTTP 500 Internal Server Error
4 1 4 Lisboa RETRY 1 500 1 will be sent again: HTTP 500 Internal Server Error
5 1 5 Lisboa DEAD 1 422 1 will not be sent again: HTTP 422 Unprocessable Entity
12 2 12 Lisboa DEAD 1 422 0 will not be sent again: HTTP 422 Unprocessable Entity
3 0 3 1 1
2 0 5 4 1
1 0 5 2 1
0 0 5 5 1";

#[test]
fn the_views_tell_the_same_numbers_with_the_daemon_up_and_down() {
    let (api, latch) = troubled();
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    fill(&site);
    let daemon = site.daemon();
    eventually("the last records are held", || api.order().contains(&22));
    // The outcome before the held one is committed a moment after its request.
    eventually("all others are settled", || look(&site) == TOLD);
    daemon.kill();
    assert_eq!(look(&site), TOLD);
    latch.open();
    site.run(&["drain", "--once"]).assert_code(3);
    let summary = "SELECT waiting, delivered, retrying, dead, running_batches, success_batches FROM delivery_summary";
    assert_eq!(site.shell(summary), "0 14 2 2 0 2");
    site.assert_adds_up(0);
}

#[test]
fn a_member_of_the_group_reads_every_view_without_write_access() {
    if !we_are_root() {
        println!("skipped: only root can read as somebody else");
        return;
    }
    let (api, latch) = troubled();
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.run(&["init"]).assert_code(0);
    give_to_group(&site);
    assert_eq!(read_as_member(&site, "delivery_summary"), "1", "just made");
    fill(&site);
    let daemon = site.daemon();
    eventually("the last records are held", || api.order().contains(&22));
    for view in VIEWS {
        assert_ne!(read_as_member(&site, view), "0", "{view}, daemon up");
    }
    latch.open();
    eventually("no batch is open but the failed", || {
        site.shell("SELECT pending_batches + running_batches FROM delivery_summary") == "0"
    });
    assert_eq!(daemon.terminate().0, 0);
    for view in VIEWS {
        assert_ne!(read_as_member(&site, view), "0", "{view}, daemon down");
    }
}

/// The group of "nobody" may read the file and enter the directory, and nothing else.
fn give_to_group(site: &Site) {
    let directory = site.path("");
    let steps = "chgrp 65534 . ferryd.db ferryd.db-wal ferryd.db-shm && chmod 750 . && chmod 640 ferryd.db*";
    let status = Command::new("sh")
        .args(["-c", steps])
        .current_dir(directory)
        .status();
    assert!(status.unwrap().success());
}

fn read_as_member(site: &Site, view: &str) -> String {
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["sqlite3", "-readonly"])
        .arg(site.database())
        .arg(format!("SELECT count(*) FROM {view}"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && error.is_empty(),
        "{view}: {error}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

fn we_are_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[test]
fn a_view_of_nothing_is_a_row_of_zeros() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    let summary = "SELECT waiting, delivered, retrying, unknown, dead, pending_batches, running_batches,
                          success_batches, failed_batches, dead_batches, oldest_waiting_at IS NULL, gate
                     FROM delivery_summary";
    assert_eq!(site.shell(summary), "0 0 0 0 0 0 0 0 0 0 1 open");
    for view in &VIEWS[1..] {
        let sql = format!("SELECT count(*) FROM {view}");
        assert_eq!(site.shell(&sql), "0", "{view}");
    }
}

#[test]
fn every_legal_command_is_taken() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    site.write(
        "INSERT INTO command (verb) VALUES ('pause'), ('resume'), ('plan');
         INSERT INTO command (verb, target) VALUES ('retry', 'batch:42'), ('retry', 'user:-7'), ('retry', 'record:0'),
                ('retry', 'record:-9223372036854775808'), ('retry', 'dead'), ('retry', 'failed')",
    );
    let open = "SELECT count(*), count(done_at), count(result), count(created_at) FROM command";
    assert_eq!(site.shell(open), "9 0 0 9");
}

#[test]
fn a_command_that_is_not_legal_is_refused_with_the_reason() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    for (columns, values, reason) in [
        (
            "verb",
            "'stop'",
            "unknown verb: use retry, pause, resume or plan",
        ),
        ("verb", "'RETRY'", "unknown verb"),
        ("verb", "''", "unknown verb"),
        ("verb", "NULL", "unknown verb"),
        ("target", "'dead'", "unknown verb"),
        (
            "verb, target",
            "'pause', 'dead'",
            "this verb takes no target",
        ),
        ("verb, target", "'plan', ''", "this verb takes no target"),
        (
            "verb",
            "'retry'",
            "retry needs a target: batch:N, user:N, record:N, dead or failed",
        ),
        ("verb, target", "'retry', 'all'", "retry needs a target"),
        ("verb, target", "'retry', 'batch:'", "retry needs a target"),
        ("verb, target", "'retry', 'batch:x'", "retry needs a target"),
        (
            "verb, target",
            "'retry', 'batch:1.5'",
            "retry needs a target",
        ),
        (
            "verb, target",
            "'retry', 'batch: 1'",
            "retry needs a target",
        ),
        (
            "verb, target",
            "'retry', 'user:1 OR 1'",
            "retry needs a target",
        ),
        (
            "verb, target",
            "'retry', 'record:9223372036854775808'",
            "retry needs a target",
        ),
        ("verb, target", "'retry', 7", "retry needs a target"),
        (
            "verb, result",
            "'pause', 'done'",
            "done_at and result are the daemon's to write",
        ),
        (
            "verb, done_at",
            "'pause', '2026'",
            "done_at and result are the daemon's to write",
        ),
    ] {
        let said = site.refused(&format!(
            "INSERT INTO command ({columns}) VALUES ({values})"
        ));
        assert!(said.contains(reason), "{values}: {said}");
    }
    assert_eq!(site.shell("SELECT count(*) FROM command"), "0");
}
