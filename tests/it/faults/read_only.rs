//! A file system that is mounted read-only. The kernel refuses to remount one while files are open for writing, so the
//! daemon at work sees it at the path alone; errors of writing are in `io_error`.

use std::time::Duration;

use super::mounts::{self, mount};
use super::{SETTINGS, assert_goes_on_within, assert_unharmed, await_silence};
use super::{await_work, slow_api, times_logged};
use crate::harness::{Daemon, Site, eventually};

const AFTER_FAULT: Duration = Duration::from_secs(10);

impl Site {
    fn mount_disk_read_only(&self) {
        let disk = self.path("disk");
        mount("mount", &["--bind", disk.to_str().unwrap()], &disk);
        mount("mount", &["-o", "remount,bind,ro"], &disk);
    }
}

#[test]
fn a_file_system_that_is_mounted_read_only_holds_sending_and_lets_it_go_on() {
    if !mounts::are_own() {
        return;
    }
    let api = slow_api();
    let site = Site::with_disk(&api, SETTINGS);
    site.import(1, 1..=400);
    let daemon = site.daemon();
    await_work(&api);
    site.mount_disk_read_only();
    daemon.await_log("is mounted read-only; mount it for writing again");
    let held = "SELECT gate = 'closed' AND gate_reason LIKE '%read-only%' FROM delivery_summary";
    eventually("the gate says so", || site.shell(held) == "1");
    await_silence(&api);
    mount("umount", &[], &site.path("disk"));
    assert_goes_on_within(AFTER_FAULT, &api);
    assert_unharmed(&site, &api, daemon, 400);
}

#[test]
fn a_start_on_a_read_only_file_system_waits_until_it_can_be_written() {
    if !mounts::are_own() {
        return;
    }
    let api = slow_api();
    let site = Site::with_disk(&api, SETTINGS);
    site.import(1, 1..=100);
    site.mount_disk_read_only();
    let mut daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    daemon.await_log("The start waits");
    daemon.await_log("mounted read-only; mount it for writing again");
    site.run(&["status"]).assert_code(0);
    mount("mount", &["-o", "remount,bind,rw"], &site.path("disk"));
    assert_goes_on_within(AFTER_FAULT, &api);
    daemon.await_ready();
    assert_unharmed(&site, &api, daemon, 100);
    assert_eq!(times_logged(&site, "The start waits"), 1);
}
