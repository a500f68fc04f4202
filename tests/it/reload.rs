//! SIGHUP: a new configuration takes effect while records are sent, a wrong one changes nothing, and what is in flight ends
//! as it began.

mod gate;
mod load;
mod secrets;

use crate::harness::{Api, Daemon, Door, Site, eventually, signal};
use crate::restart::{holding, lock, slow_api};
use std::time::{Duration, Instant};

/// Sends a SIGHUP and waits until the log says what became of it.
#[track_caller]
fn reload(daemon: &Daemon) {
    let ends = ["were read again.", "The old configuration stays in use."];
    let count = || -> usize {
        let log = daemon.log();
        ends.iter().map(|end| log.matches(end).count()).sum()
    };
    let before = count();
    signal(daemon.pid(), "HUP");
    eventually("the log says what became of it", || count() > before);
}

/// Writes `ferryd.toml` with this URL and further lines, as [`Site::with`] does.
fn configure(site: &Site, api: &Api, toml: &str) {
    site.configure(&format!("[api]\nurl = \"{}\"\n{toml}", api.url()));
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing_and_says_why() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    let url = api.url();
    let wrong = [
        ("[api".to_string(), "ferryd.toml:1: not TOML"),
        (
            format!("[api]\nurl = \"{url}\"\ntimeot = \"1s\"\n"),
            "did you mean \"api.timeout\"?",
        ),
        (String::new(), "api.url is not set"),
        (
            "[api]\nurl = \"http://api.example/\"\n".into(),
            "must begin with https://",
        ),
        (
            format!("[api]\nurl = \"{url}\"\n[api.body]\nx = \"town\"\ny = \"village\"\n"),
            "api.body.x names the column \"town\", which is not in user_record",
        ),
        (
            format!("[api]\nurl = \"{url}\"\n[api.auth]\nbearer_token_file = \"nothing\"\n"),
            "api.auth.bearer_token_file: nothing cannot be read",
        ),
    ];
    for (id, (toml, says)) in (1..).zip(wrong) {
        site.configure(&toml);
        reload(&daemon);
        daemon.await_log(says);
        assert!(!daemon.log().contains("were read again"), "{toml}");
        site.insert(1, id);
        site.await_delivered(id);
    }
    let log = daemon.log();
    assert!(log.contains("api.body.y names the column"), "{log}");
    std::fs::remove_file(site.path("ferryd.toml")).unwrap();
    reload(&daemon);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=6);
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_takes_effect() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let daemon = site.daemon();
    let threads = daemon.threads();
    configure(
        &site,
        &api,
        "[batch]\nsize = 5\n[workers]\nthreads = 3\n[database]\npath = \"other.db\"\n[status]\nlisten = \"127.0.0.1:0\"\n",
    );
    reload(&daemon);
    daemon.await_log("were read again. changed=batch.size,gate.failures");
    daemon.await_log("needs a restart; the old values stay in use. keys=database.path,workers.threads,status.listen");
    site.write(
        "INSERT INTO user_record
         WITH n(id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < 10) SELECT id, 1, id, 'x' FROM n",
    );
    site.await_delivered(10);
    assert_eq!(
        site.shell("SELECT group_concat(batch_size) FROM processing_batch_status"),
        "5,5"
    );
    assert_eq!(daemon.threads().len(), threads.len());
    // Nothing has changed since.
    reload(&daemon);
    daemon.await_log("were read again. changed=none");
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_reload_that_is_asked_for_before_the_start_is_over_is_not_lost() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, [1]);
    let held = lock(&site);
    let mut daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    daemon.await_log("The start waits");
    signal(daemon.pid(), "HUP");
    drop(held);
    daemon.await_ready();
    daemon.await_log("were read again. changed=none");
    site.await_delivered(1);
}

#[test]
fn a_hangup_during_the_stop_is_no_second_signal() {
    let door = Door::closed();
    let api = holding(&door, |record| record == 4);
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.import(1, 1..=10);
    let daemon = site.daemon();
    eventually("record 4 is in the API", || door.waiting() == 1);
    daemon.begin_stop("TERM");
    for _ in 0..3 {
        signal(daemon.pid(), "HUP");
    }
    door.open();
    assert_eq!(daemon.await_end(), 0);
    api.assert_each_once(1..=4);
}

#[test]
fn a_stop_cuts_off_what_began_before_the_reload_too() {
    let door = Door::closed();
    let old = holding(&door, |_| true);
    let new = Api::accepting();
    let grace = "[shutdown]\ngrace = \"300ms\"\n";
    let site = Site::with(&old, grace);
    site.import(1, [1]);
    let daemon = site.daemon();
    eventually("record 1 is in the API", || door.waiting() == 1);
    configure(&site, &new, grace);
    for _ in 0..3 {
        reload(&daemon);
    }
    let (code, took) = daemon.terminate();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(
        site.shell("SELECT record_id, state FROM undelivered_record"),
        "1 UNKNOWN"
    );
    door.open();
}

#[test]
fn drain_stops_at_a_hangup_as_at_any_signal() {
    let api = slow_api();
    let site = Site::with(&api, "[batch]\nsize = 10\n");
    site.import(1, 1..=3000);
    let mut drain = site.ferryd(&["drain", "-q"]).spawn().unwrap();
    eventually("some came", || api.seen().len() >= 50);
    signal(drain.id(), "HUP");
    let mut code = None;
    eventually("it has ended", || {
        code = drain.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(3));
    site.run(&["drain"]).assert_code(0);
    api.assert_each_once(1..=3000);
}

#[test]
fn who_waits_for_a_turn_goes_by_the_new_pace_at_once() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    configure(&site, &api, "rate_limit = \"1/h\"\n");
    site.import(1, 1..=20);
    site.import(2, 21..=40);
    let daemon = site.daemon();
    eventually("the first came", || api.seen().len() == 1);
    configure(&site, &api, "rate_limit = \"1000/s\"\nmax_in_flight = 1\n");
    reload(&daemon);
    let start = Instant::now();
    site.await_delivered(40);
    assert!(start.elapsed() < Duration::from_secs(10));
    daemon.await_log("changed=api.rate_limit,api.max_in_flight");
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=40);
}
