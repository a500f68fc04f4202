//! A disk on which no further file can be made: all its inodes are used, while there is room in bytes.

use std::time::Duration;

use super::mounts::{self, mount};
use super::{SETTINGS, assert_goes_on_within, assert_unharmed};
use super::{await_work, slow_api, times_logged};
use crate::harness::{Api, Daemon, Site, eventually};

const AFTER_FREEING: Duration = Duration::from_secs(10);

const SAID: &str = "no inodes are left; remove some files";

/// A site whose database has a disk of its own with few inodes.
fn on_a_disk_of_few_inodes(api: &Api) -> Site {
    let site = Site::with_disk(api, SETTINGS);
    let few = ["-t", "tmpfs", "-o", "size=50m,nr_inodes=30", "none"];
    mount("mount", &few, &site.path("disk"));
    site
}

impl Site {
    fn use_all_inodes(&self) {
        let used = (0..100).any(|i| std::fs::write(self.path(&format!("disk/{i}")), "").is_err());
        assert!(used, "the disk has inodes without end");
    }

    fn free_inodes(&self) {
        (0..10).for_each(|i| std::fs::remove_file(self.path(&format!("disk/{i}"))).unwrap());
    }
}

#[test]
fn a_start_that_finds_no_inode_for_the_wal_waits_for_one() {
    if !mounts::are_own() {
        return;
    }
    let api = slow_api();
    let site = on_a_disk_of_few_inodes(&api);
    site.import(1, 1..=100);
    // Whoever closes the file last removes the -wal and the -shm.
    site.write("PRAGMA journal_mode");
    assert!(!site.path("disk/ferryd.db-wal").exists());
    site.use_all_inodes();
    site.run(&["status"]).assert_code(74).assert_says(SAID);
    let mut daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    daemon.await_log("The start waits, and goes on by itself");
    daemon.await_log(SAID);
    site.free_inodes();
    assert_goes_on_within(AFTER_FREEING, &api);
    daemon.await_ready();
    assert_unharmed(&site, &api, daemon, 100);
    assert_eq!(times_logged(&site, "The start waits"), 1);
}

#[test]
fn a_first_start_that_finds_no_inode_waits_for_one() {
    if !mounts::are_own() {
        return;
    }
    let api = Api::accepting();
    let site = on_a_disk_of_few_inodes(&api);
    site.use_all_inodes();
    let mut daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    daemon.await_log("The start waits, and goes on by itself");
    daemon.await_log(SAID);
    site.free_inodes();
    daemon.await_ready();
    assert_eq!(daemon.terminate().0, 0);
}

#[test]
fn a_daemon_at_work_needs_no_further_inode() {
    if !mounts::are_own() {
        return;
    }
    let api = slow_api();
    let site = on_a_disk_of_few_inodes(&api);
    site.import(1, 1..=400);
    let daemon = site.daemon();
    await_work(&api);
    let ballast = site.path("disk/ferryd.db.ballast");
    eventually("the ballast cannot be made again", || {
        site.use_all_inodes();
        let _ = std::fs::remove_file(&ballast);
        std::fs::write(site.path("disk/in its place"), "").is_ok()
    });
    assert_goes_on_within(AFTER_FREEING, &api);
    // Longer than the watcher takes from one look to the next.
    let before = std::time::Instant::now();
    eventually("some looks were taken", || {
        before.elapsed() > Duration::from_millis(2500)
    });
    assert!(!ballast.exists(), "it was made without an inode");
    assert_unharmed(&site, &api, daemon, 400);
    assert_eq!(times_logged(&site, "The gate is closed"), 0);
}
