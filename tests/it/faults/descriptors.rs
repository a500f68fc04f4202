//! File descriptors run short: before the start, and while the daemon runs.

use crate::harness::{Api, Daemon, Ran, Site, eventually};
use ferryd::server::Answer;
use std::process::Command;
use std::time::Duration;

fn site(api: &Api) -> Site {
    let site = Site::with(api, "[gate]\nprobe_interval = \"500ms\"\n");
    site.run(&["init"]);
    site
}

/// `ferryd run` with this limit on open files.
fn run_with(site: &Site, limit: &str) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={limit}"));
    command.args([env!("CARGO_BIN_EXE_ferryd"), "run"]);
    command.current_dir(site.path(""));
    command
}

/// Lets a daemon that runs open so many files more than it has open.
fn leave_room_for(daemon: &Daemon, files: usize) {
    let open = std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    limit(daemon, open.count() + files);
}

fn limit(daemon: &Daemon, files: usize) {
    let mut command = Command::new("prlimit");
    let pid = format!("--pid={}", daemon.pid());
    command.args([pid, format!("--nofile={files}:")]);
    assert!(command.status().unwrap().success());
}

fn import_for_ten_users(site: &Site) {
    for user in 0..10 {
        site.import(user, user * 20 + 1..=user * 20 + 20);
    }
}

#[test]
fn a_start_with_too_few_files_fails_with_the_limit_and_the_remedy() {
    let api = Api::accepting();
    let site = site(&api);
    site.insert(1, 1);
    for limit in ["12", "20", "25"] {
        let ran = Ran::wait(run_with(&site, limit)).assert_code(74);
        let line = format!("ferryd: too few files may be open at a time ({limit}, ");
        assert!(ran.stderr.starts_with(&line), "{ran:?}");
        assert!(ran.stderr.contains("raise LimitNOFILE="), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
    assert_eq!(api.seen().len(), 0);
}

#[test]
fn a_low_soft_limit_is_raised_as_far_as_needed() {
    let api = Api::accepting();
    let site = site(&api);
    let daemon = Daemon::start(run_with(&site, "16:"), site.path("daemon.log"));
    import_for_ten_users(&site);
    site.await_delivered(200);
    daemon.assert_small();
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=200);
}

#[test]
fn without_a_file_for_any_connection_the_gate_says_so_and_opens_by_itself() {
    let api = Api::accepting();
    let site = site(&api);
    let daemon = site.daemon();
    // Below what is open already: nothing more can be opened.
    limit(&daemon, 3);
    import_for_ten_users(&site);
    daemon.await_log("this process has too many files open; raise LimitNOFILE= in the unit");
    let held = "SELECT gate, delivered, retrying, unknown, dead FROM delivery_summary";
    eventually("nothing is under way", || {
        site.shell(held) == "closed 0 0 0 0"
    });
    assert_eq!(api.seen().len(), 0);
    limit(&daemon, 1024);
    site.await_delivered(200);
    assert_eq!(
        site.shell("SELECT max(retry_count) FROM processing_batch_status"),
        "0"
    );
    daemon.assert_small();
    let warnings = daemon.log().matches(" WARN ").count();
    assert_eq!(warnings, 1, "{}", daemon.log());
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=200);
}

#[test]
fn workers_share_the_few_connections_that_files_are_left_for() {
    // A gate that were closed for the usual half minute between two records would be a stall.
    let api = Api::answering(|_, request| {
        request.sleep(Duration::from_millis(20));
        Answer::status(200)
    });
    let site = Site::with(&api, "[gate]\nfailures = 20\n");
    site.run(&["init", "--database", "ferryd.db"]);
    let daemon = site.daemon();
    leave_room_for(&daemon, 2);
    import_for_ten_users(&site);
    site.await_delivered(200);
    daemon.assert_small();
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=200);
}
