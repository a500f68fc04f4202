//! `run` and `drain` as commands: how they start, end, and tell what became of the records.

use crate::background::Background;
use crate::harness::{Api, Site, eventually, signal};
use ferryd::server::Answer;
use std::time::{Duration, Instant};

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3600);

#[test]
fn run_ends_with_0_on_sigterm_and_on_sigint() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    assert_eq!(site.daemon().terminate().0, 0);
    let daemon = site.daemon();
    signal(daemon.pid(), "INT");
    eventually("the daemon has stopped", || {
        daemon.log().matches("Stopped.").count() == 2
    });
}

#[test]
fn a_second_signal_ends_run_within_a_second_and_the_next_run_repairs() {
    let api = Api::answering(|seen, request| {
        if seen.time == 1 {
            request.sleep(FOREVER);
        }
        Answer::status(200)
    });
    let site = Site::with(&api, "[shutdown]\ngrace = \"1h\"\n");
    let daemon = site.daemon();
    site.insert(1, 1);
    eventually("the request is in flight", || !api.seen().is_empty());
    signal(daemon.pid(), "TERM");
    eventually("the first signal is told", || {
        daemon.log().contains("A second signal ends at once.")
    });
    let start = Instant::now();
    assert_eq!(daemon.terminate().0, 1);
    assert!(start.elapsed() < Duration::from_secs(1));

    let daemon = site.daemon();
    site.await_delivered(1);
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn run_logs_one_line_a_change_of_state_with_time_and_level() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    site.insert(7, 1);
    site.await_delivered(1);
    eventually("the batch is logged", || {
        daemon.log().contains("Batch delivered.")
    });
    let log = daemon.log();
    for line in log.lines() {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.len() == 24, "{line}");
        assert!(rest.starts_with("INFO "), "{line}");
    }
    assert!(log.contains("batch=1 user=7 offset=0 sent=1"), "{log}");
}

#[test]
fn the_log_does_not_show_the_password_of_the_url() {
    let api = Api::accepting();
    let site = Site::new();
    let url = api.url().replace("http://", "http://me:geheim@");
    site.configure(&format!("[api]\nurl = \"{url}\"\n"));
    let daemon = site.daemon();
    assert!(
        daemon.log().contains("api=http://…@127.0.0.1:"),
        "{}",
        daemon.log()
    );
    assert!(!daemon.log().contains("geheim"));
}

#[test]
fn another_ferryd_on_the_same_file_is_refused_and_told_the_pid() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    for command in ["run", "drain"] {
        site.run(&[command]).assert_code(75).assert_says(&format!(
            "another ferryd works on this file (pid {})",
            daemon.pid()
        ));
    }
}

#[test]
fn import_and_status_work_beside_the_daemon() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let _daemon = site.daemon();
    site.import(1, 1..=50);
    site.await_delivered(50);
    let status = site.run(&["status"]).assert_code(0).stdout;
    assert!(status.contains("delivered 50"), "{status}");
}

#[test]
fn run_and_drain_without_a_url_say_where_to_set_it() {
    let site = Site::new();
    for command in ["run", "drain"] {
        site.run(&[command])
            .assert_code(78)
            .assert_says("api.url is not set: set url in section [api]");
    }
    assert!(!site.database().exists());
}

#[test]
fn a_body_with_a_column_that_is_not_there_is_a_configuration_error_in_one_line() {
    let api = Api::accepting();
    let site = Site::with(&api, "[api.body]\nwhere = \"town\"\n");
    for command in ["run", "drain"] {
        let ran = site.run(&[command]).assert_code(78);
        assert_eq!(
            ran.stderr,
            "ferryd: api.body.where names the column \"town\", which is not in user_record; \
             it has id, user_id, network_id, city\n"
        );
    }
}

#[test]
fn drain_tells_what_it_delivered() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let said = site.run(&["drain"]).assert_code(0).stdout;
    assert!(said.starts_with("delivered 3 records in "), "{said}");
    let said = site.run(&["drain"]).assert_code(0).stdout;
    assert!(said.starts_with("delivered 0 records in "), "{said}");
    assert_eq!(site.run(&["drain", "-q"]).assert_code(0).stdout, "");
}

#[test]
fn drain_of_one_user_leaves_the_others_waiting() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    site.import(-2, 4..=5);
    site.run(&["drain", "--user", "-2"]).assert_code(0);
    api.assert_each_once(4..=5);
    assert_eq!(site.shell("SELECT waiting FROM delivery_summary"), "3");
}

#[test]
fn drain_once_sends_each_record_once_and_ends_with_3_when_some_wait_for_a_retry() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record == 2 { 500 } else { 200 }));
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let ran = site.run(&["drain", "--once"]).assert_code(3);
    assert!(ran.stdout.starts_with("delivered 2 records"), "{ran:?}");
    assert!(ran.stdout.ends_with("1 retrying\n"), "{ran:?}");
    api.assert_each_once(1..=3);
}

#[test]
fn drain_ends_with_3_when_a_record_is_dead() {
    let api = Api::answering(|seen, _| Answer::status(if seen.record == 2 { 422 } else { 200 }));
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let ran = site.run(&["drain"]).assert_code(3);
    assert!(ran.stdout.ends_with("1 dead\n"), "{ran:?}");
}

#[test]
fn drain_ends_when_its_time_is_up() {
    let api = Api::answering(|_, _| Answer::status(500));
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let ran = site.run(&["drain", "--timeout", "300ms"]).assert_code(3);
    assert!(
        ran.stdout.ends_with("3 retrying; the time was up\n"),
        "{ran:?}"
    );
}

#[test]
fn a_signal_ends_drain_in_order() {
    let api = Api::answering(|_, _| Answer::status(500));
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let drain = Background::start(&site, &["drain"]);
    eventually("all records were tried", || {
        site.value::<i64>("SELECT retrying FROM delivery_summary") == 3
    });
    let (code, said) = drain.end("TERM");
    assert_eq!(code, 3);
    assert!(
        said.ends_with("3 retrying; stopped by a signal\n"),
        "{said}"
    );
}

#[test]
fn verbose_says_more_and_quiet_says_less() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=1);
    site.run(&["drain", "-v"])
        .assert_code(0)
        .assert_says("Batch delivered.");
    site.import(1, 2..=2);
    assert_eq!(site.run(&["drain"]).assert_code(0).stderr, "");

    let api = Api::answering(|_, _| Answer::status(422));
    let site = Site::with(&api, "");
    site.import(1, 1..=1);
    site.run(&["drain"])
        .assert_code(3)
        .assert_says("Batch has dead records.");
    site.import(1, 2..=2);
    assert_eq!(site.run(&["drain", "-q", "-q"]).assert_code(3).stderr, "");
}

#[test]
fn a_killed_daemon_leaves_nothing_that_holds_up_the_next() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.daemon().kill();
    site.import(1, 1..=3);
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=3);
}
