//! Threads cannot be had: the start fails whole, whichever thread is the one that is missing.

use crate::harness::{Api, Ran, Site, eventually};
use crate::rights::skip;
use std::process::{Command, Stdio};

/// A user of these tests alone: the kernel counts threads by user, and does not count root's.
const USER: u32 = 61_203;

/// More than a daemon with two workers has.
const ENOUGH: u32 = 30;

fn run_with(site: &Site, threads: u32) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={USER}"), format!("--regid={USER}")])
        .args(["--clear-groups", "prlimit"])
        .arg(format!("--nproc={threads}"))
        .args([env!("CARGO_BIN_EXE_ferryd"), "run"])
        .current_dir(site.path(""))
        .stdin(Stdio::null());
    command
}

/// Gives the directory and all in it to the user of these tests.
fn give_away(site: &Site) {
    let directory = site.path("");
    let files = std::fs::read_dir(&directory).unwrap();
    let files = files.map(|file| file.unwrap().path());
    for path in files.chain([directory.clone()]) {
        std::os::unix::fs::chown(path, Some(USER), Some(USER)).unwrap();
    }
}

#[test]
fn a_start_without_enough_threads_fails_in_one_line_and_sends_nothing() {
    if !rustix::process::geteuid().is_root() {
        skip("it takes root to become a user that has no threads yet");
        return;
    }
    let api = Api::accepting();
    let site = Site::with(&api, "[workers]\nthreads = 2\n");
    site.import(1, 1..=50);
    give_away(&site);
    let mut missing = Vec::new();
    for threads in 1..ENOUGH {
        let mut command = run_with(&site, threads);
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
            "BatchProcessor-1",
            "BatchProcessor-2",
            "steward",
            "timer",
            "watcher",
            "planner"
        ]
    );
    api.assert_each_once(1..=50);
}
