//! `failures` and `batches`: what they list, in which order, and as which programs can rely on it.

use crate::harness::{Api, Ran, Site};
use ferryd::server::Answer;
use serde_json::Value;
use std::process::Command;

/// Of the records 1 to 6 the even ones of user 7 fail: 2 is tried again, 4 is dead, 6 is unknown. 11 of user 8 is dead.
fn mixed() -> (Api, Site) {
    let api = Api::answering(|seen, _| match seen.record {
        2 => Answer::status(503),
        4 | 11 => Answer::text(422, "no \"such\", city"),
        6 => Answer::Hangup,
        _ => Answer::status(200),
    });
    let site = Site::with(&api, "[batch]\nsize = 3\n[workers]\nthreads = 1\n");
    site.import(7, 1..=6);
    site.run(&["drain", "--once"]).assert_code(3);
    site.import(8, [11]);
    site.run(&["drain", "--once"]).assert_code(3);
    (api, site)
}

fn objects(ran: Ran) -> Vec<Value> {
    let out = ran.assert_code(0).stdout;
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn numbers(objects: &[Value], key: &str) -> Vec<i64> {
    objects
        .iter()
        .map(|object| object[key].as_i64().unwrap())
        .collect()
}

#[test]
fn failures_are_the_rows_of_undelivered_the_newest_first() {
    let (_api, site) = mixed();
    let failures = objects(site.run(&["failures", "--json"]));
    assert_eq!(numbers(&failures, "record_id"), [11, 6, 4, 2]);
    for failure in failures {
        for (key, value) in failure.as_object().unwrap() {
            let sql = format!(
                "SELECT coalesce({key}, 'null') FROM undelivered WHERE record_id = {}",
                failure["record_id"]
            );
            let shown = value.as_str().map_or(value.to_string(), String::from);
            assert_eq!(shown, site.shell(&sql), "{key}");
        }
    }
}

#[test]
fn the_keys_of_failures_and_batches_stay_as_they_are() {
    let (_api, site) = mixed();
    let keys = |arguments: &[&str]| {
        let object = objects(site.run(arguments)).remove(0);
        object
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        keys(&["failures", "--json"]),
        "record_id user_id state reason attempts http_status batch_id next_attempt_at first_seen_at last_attempt_at"
    );
    assert_eq!(
        keys(&["batches", "--json"]),
        "id user_id batch_offset status batch_size delivered_count deleted_count retry_count start_id end_id created_at \
         started_at last_attempt_at next_attempt_at seconds records_per_second error_message"
    );
}

#[test]
fn failures_are_chosen_by_user_state_and_number() {
    let (_api, site) = mixed();
    let chosen = |arguments: &[&str]| {
        let arguments = [&["failures", "--json"], arguments].concat();
        numbers(&objects(site.run(&arguments)), "record_id")
    };
    assert_eq!(chosen(&["--user", "7"]), [6, 4, 2]);
    assert_eq!(chosen(&["--state", "dead"]), [11, 4]);
    assert_eq!(chosen(&["--state", "retry"]), [2]);
    assert_eq!(chosen(&["--state", "unknown"]), [6]);
    assert_eq!(chosen(&["--state", "late"]), [0; 0]);
    assert_eq!(chosen(&["--limit", "2"]), [11, 6]);
    assert_eq!(
        chosen(&["--user", "7", "--state", "dead", "--limit", "1"]),
        [4]
    );
}

#[test]
fn batches_are_chosen_by_user_status_and_number() {
    let (_api, site) = mixed();
    let chosen = |arguments: &[&str]| {
        let arguments = [&["batches", "--json"], arguments].concat();
        numbers(&objects(site.run(&arguments)), "id")
    };
    assert_eq!(chosen(&[]), [3, 2, 1]);
    assert_eq!(chosen(&["--user", "7"]), [2, 1]);
    assert_eq!(chosen(&["--status", "dead"]), [3]);
    assert_eq!(chosen(&["--status", "failed", "--limit", "1"]), [2]);
    assert_eq!(chosen(&["--status", "success"]), [0; 0]);
}

#[test]
fn the_records_own_columns_are_told_only_when_they_are_asked_for() {
    let (_api, site) = mixed();
    site.write("ALTER TABLE user_record ADD COLUMN phone TEXT; UPDATE user_record SET phone = '=\"1\",' || char(10) || '2'");
    for arguments in [
        &["failures"][..],
        &["failures", "--csv"],
        &["failures", "--json"],
    ] {
        let out = site.run(arguments).assert_code(0).stdout;
        assert!(!out.contains("Lisboa") && !out.contains("phone"), "{out}");
    }
    let all = objects(site.run(&["failures", "--json", "--all-columns", "--limit", "1"]));
    assert_eq!(all[0]["city"], "Lisboa");
    assert_eq!(all[0]["phone"], "=\"1\",\n2");
    site.run(&["failures", "--all-columns"])
        .assert_code(2)
        .assert_says("--json|--csv");
}

#[test]
fn csv_is_read_back_by_the_sqlite3_shell_as_it_was_written() {
    let (_api, site) = mixed();
    let out = site
        .run(&["failures", "--csv", "--all-columns"])
        .assert_code(0)
        .stdout;
    assert!(
        out.starts_with("record_id,state,reason,") && out.ends_with("\r\n"),
        "{out}"
    );
    std::fs::write(site.path("failures.csv"), out).unwrap();
    let read = Command::new("sqlite3")
        .args([":memory:", "-cmd", ".import --csv failures.csv f"])
        .arg("SELECT group_concat(record_id || ' ' || reason, ';') FROM f WHERE state = 'DEAD'")
        .current_dir(site.path(""))
        .output()
        .unwrap();
    let reason = "will not be sent again: HTTP 422 Unprocessable Entity: no \"such\", city";
    assert_eq!(
        String::from_utf8(read.stdout).unwrap().trim_end(),
        format!("11 {reason};4 {reason}")
    );
}

#[test]
fn a_table_shows_the_newest_and_says_when_there_are_more() {
    let api = Api::answering(|_, _| Answer::status(422));
    let site = Site::with(&api, "");
    site.import(7, 1..=21);
    site.run(&["drain", "--once"]);
    let shown = site.run(&["failures"]).assert_code(0).stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 22, "{shown}");
    assert_eq!(lines[21], "… and more: use --limit, --csv or --json");
    let all = site
        .run(&["failures", "--limit", "21"])
        .assert_code(0)
        .stdout;
    assert_eq!(all.lines().count(), 22, "{all}");
    assert!(!all.contains("and more"), "{all}");
    let one = site.run(&["batches", "--limit", "1"]).assert_code(0).stdout;
    assert!(
        one.starts_with("batch  user  status") && !one.contains("and more"),
        "{one}"
    );
}

#[test]
fn nothing_to_list_is_said_to_people_and_is_nothing_for_programs() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    for command in ["failures", "batches"] {
        assert_eq!(site.run(&[command]).assert_code(0).stdout, "none\n");
        assert_eq!(site.run(&[command, "--json"]).assert_code(0).stdout, "");
        let csv = site.run(&[command, "--csv"]).assert_code(0).stdout;
        assert_eq!(csv.lines().count(), 1, "{csv}");
    }
}

#[test]
fn many_rows_come_page_by_page_each_once() {
    let api = Api::answering(|_, _| Answer::status(422));
    let site = Site::with(&api, "[batch]\nsize = 1\n");
    site.import(7, 1..=1203);
    site.run(&["drain", "--once"]);
    let mut failures = numbers(&objects(site.run(&["failures", "--json"])), "record_id");
    failures.sort_unstable();
    assert_eq!(failures, (1..=1203).collect::<Vec<i64>>());
    let batches = numbers(&objects(site.run(&["batches", "--json"])), "id");
    assert_eq!(batches, (1..=1203).rev().collect::<Vec<i64>>());
    let csv = site
        .run(&["batches", "--csv", "--limit", "1000"])
        .assert_code(0)
        .stdout;
    // An error's lines are fields of several lines.
    assert_eq!(csv.matches("\r\n").count(), 1001);
}

#[test]
fn a_reader_that_waits_holds_no_transaction_open() {
    let api = Api::answering(|_, _| Answer::status(422));
    let site = Site::with(&api, "");
    site.import(7, 1..=5000);
    site.run(&["drain", "--once"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = site.ferryd(&["failures", "--json"]);
    let mut listing = command.stdout(writer).spawn().unwrap();
    drop(command);
    // Far more than a pipe holds: it waits for its reader now.
    let mut reader = std::io::BufReader::new(reader);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    crate::harness::eventually("the -wal can be emptied", || {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        site.connect()
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
            == 0
    });
    assert!(
        listing.try_wait().unwrap().is_none(),
        "the pipe took it all"
    );
    drop(reader);
    let mut code = None;
    crate::harness::eventually("it ends without its reader", || {
        code = listing.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(0));
}

#[test]
fn the_output_that_cannot_be_written_is_an_error_because_it_is_all_that_was_asked_for() {
    let (_api, site) = mixed();
    for arguments in [&["failures", "--csv"][..], &["batches", "--json"]] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = site.ferryd(arguments);
        let code = command.stdout(full).status().unwrap().code();
        assert_eq!(code, Some(74), "{arguments:?}");
    }
}
