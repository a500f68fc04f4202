//! Threads cannot be had: the start fails whole, whichever thread is the one that is missing.

use crate::harness::{Api, Daemon, Ran, Site, eventually};
use crate::rights::skip;
use std::process::{Command, Stdio};

/// A user of each test alone: the kernel counts threads by user, and does not count root's.
const STARTING: u32 = 61_203;
const RUNNING: u32 = 61_204;

/// More than a daemon with two workers has.
const ENOUGH: u32 = 30;

/// A program as this user, with a limit on the user's threads.
fn limited(user: u32, threads: u32) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={user}"), format!("--regid={user}")])
        .args(["--clear-groups", "prlimit"])
        .arg(format!("--nproc={threads}"));
    command
}

fn run_as(user: u32, site: &Site, threads: u32) -> Command {
    let mut command = limited(user, threads);
    command
        .args([env!("CARGO_BIN_EXE_ferryd"), "run"])
        .current_dir(site.path(""))
        .stdin(Stdio::null());
    command
}

/// Gives the directory and all in it to this user; nothing where that cannot be done.
fn give_to(user: u32, site: &Site) -> Option<()> {
    if !rustix::process::geteuid().is_root() {
        skip("it takes root to become a user that has no threads yet");
        return None;
    }
    let directory = site.path("");
    let files = std::fs::read_dir(&directory).unwrap();
    let files = files.map(|file| file.unwrap().path());
    for path in files.chain([directory.clone()]) {
        std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    }
    Some(())
}

#[test]
fn a_start_without_enough_threads_fails_in_one_line_and_sends_nothing() {
    let api = Api::accepting();
    let site = Site::with(&api, "[workers]\nthreads = 2\n");
    site.import(1, 1..=50);
    let Some(()) = give_to(STARTING, &site) else {
        return;
    };
    let mut missing = Vec::new();
    for threads in 1..ENOUGH {
        let mut command = run_as(STARTING, &site, threads);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut ended = false;
        eventually("it has failed or works", || {
            ended = child.try_wait().unwrap().is_some();
            ended || !api.seen().is_empty()
        });
        if !ended {
            site.await_delivered(50);
            crate::harness::signal(child.id(), "TERM");
            Ran::finish(child).assert_code(0);
            break;
        }
        let ran = Ran::finish(child).assert_code(74);
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert!(ran.stderr.contains("raise TasksMax="), "{ran:?}");
        let name = ran.stderr.split(" cannot be started").next().unwrap();
        missing.push(name.replace("ferryd: the thread ", ""));
        assert_eq!(api.seen().len(), 0, "{ran:?}");
    }
    // Each of them was the first one that could not be had; the planner is the last, for it begins the work.
    assert_eq!(
        missing,
        [
            "for signals",
            "of the pool of readers",
            "writer",
            "checkpoints",
            "BatchProcessor-1",
            "BatchProcessor-2",
            "steward",
            "timer",
            "retention",
            "watcher",
            "planner"
        ]
    );
    api.assert_each_once(1..=50);
}

#[test]
fn a_daemon_that_runs_needs_no_further_thread_not_even_for_a_name_lookup() {
    let (api, latch) = Api::held();
    let url = api.url().replace("127.0.0.1", "localhost");
    let site = Site::new();
    site.configure(&format!("[api]\nurl = \"{url}\"\n"));
    site.run(&["init", "--database", "ferryd.db"]);
    let Some(()) = give_to(RUNNING, &site) else {
        return;
    };
    let daemon = Daemon::start(run_as(RUNNING, &site, ENOUGH), site.path("daemon.log"));
    let mut command = limited(RUNNING, 1);
    command.arg(format!("--pid={}", daemon.pid()));
    assert!(command.status().unwrap().success());
    for user in 1..=20 {
        site.insert(user, user);
    }
    eventually("ten requests are in flight", || api.seen().len() == 10);
    latch.open();
    site.await_delivered(20);
    daemon.assert_small();
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=20);
}
