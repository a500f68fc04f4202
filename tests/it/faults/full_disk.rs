//! A full disk, under a daemon at work and before its start.

use std::io::Write;
use std::time::Duration;

use super::mounts::{self, mount};
use super::{MEMORY, SETTINGS, WORKERS, assert_goes_on_within, await_silence};
use super::{assert_unharmed, await_work, slow_api, times_logged};
use crate::harness::{Api, Daemon, Site, eventually};
use crate::restart::assert_repeats;

const AFTER_FREEING: Duration = Duration::from_secs(10);

/// A site whose database has a small disk of its own.
fn on_a_small_disk(api: &Api) -> Site {
    let site = Site::with_disk(api, SETTINGS);
    let small = ["-t", "tmpfs", "-o", "size=8m", "none"];
    mount("mount", &small, &site.path("disk"));
    site
}

impl Site {
    /// Leaves not one byte.
    fn fill_disk(&self) {
        let mut file = std::fs::File::create(self.path("disk/filler")).unwrap();
        let full = (0..100_000).any(|_| file.write_all(&[7; 4096]).is_err());
        assert!(full, "the disk has no end");
    }

    fn free_disk(&self) {
        std::fs::remove_file(self.path("disk/filler")).unwrap();
    }

    #[track_caller]
    fn await_full(&self) {
        let reason = "SELECT coalesce(gate_reason, '') FROM delivery_summary";
        eventually("the gate is closed for the full disk", || {
            let reason = self.value::<String>(reason);
            reason.contains("is full; free at least 2 MiB")
        });
    }
}

/// A daemon in the midst of its work, when the disk becomes full and it has seen that.
fn fill_at_work(site: &Site, api: &Api) -> Daemon {
    let daemon = site.daemon();
    await_work(api);
    site.fill_disk();
    site.await_full();
    daemon
}

#[test]
fn a_disk_that_fills_up_holds_sending_says_why_and_lets_it_go_on_when_it_is_freed() {
    if !mounts::are_own() {
        return;
    }
    let api = slow_api();
    let site = on_a_small_disk(&api);
    site.import(1, 1..=400);
    site.import(2, 401..=800);
    let daemon = fill_at_work(&site, &api);
    await_silence(&api);
    // What was sent is in the file, although there was no room: only what is under way may be missing.
    let delivered = site.value::<i64>("SELECT delivered FROM delivery_summary") as usize;
    assert!(delivered + WORKERS >= api.seen().len(), "{delivered}");
    let said = site.run(&["status"]).assert_code(0).stdout;
    assert!(said.contains("is full; free at least 2 MiB"), "{said}");
    site.free_disk();
    assert_goes_on_within(AFTER_FREEING, &api);
    assert_unharmed(&site, &api, daemon, 800);
    assert_eq!(times_logged(&site, "The gate is closed"), 1);
}

#[test]
fn a_restart_on_a_full_disk_works_and_keeps_sending_held() {
    if !mounts::are_own() {
        return;
    }
    let api = slow_api();
    let site = on_a_small_disk(&api);
    site.import(1, 1..=400);
    let daemon = fill_at_work(&site, &api);
    daemon.kill();
    // What was under way has arrived, or never will.
    await_silence(&api);
    let sent = api.seen().len();
    assert_eq!(site.daemon().terminate().0, 0, "a start and a stop");
    let daemon = site.daemon();
    site.await_full();
    await_silence(&api);
    assert_eq!(api.seen().len(), sent, "nothing was sent in between");
    site.free_disk();
    assert_goes_on_within(AFTER_FREEING, &api);
    site.await_delivered(400);
    assert!(daemon.peak_memory() <= MEMORY);
    assert_eq!(daemon.terminate().0, 0);
    assert_repeats(&api, 400, 2 * WORKERS);
    site.assert_adds_up(0);
}

#[test]
fn a_start_on_a_full_disk_that_has_no_room_for_the_wal_waits_for_room() {
    if !mounts::are_own() {
        return;
    }
    let api = slow_api();
    let site = on_a_small_disk(&api);
    site.import(1, 1..=300);
    // Whoever closes the file last removes the -wal and the -shm.
    site.write("PRAGMA journal_mode");
    assert!(!site.path("disk/ferryd.db-wal").exists());
    site.fill_disk();
    let mut daemon = Daemon::spawn(site.ferryd(&["run"]), site.path("daemon.log"));
    daemon.await_log("The start waits, and goes on by itself");
    daemon.await_log("the disk is full; free some space");
    site.free_disk();
    assert_goes_on_within(AFTER_FREEING, &api);
    daemon.await_ready();
    assert_unharmed(&site, &api, daemon, 300);
    assert_eq!(times_logged(&site, "The start waits"), 1);
}

#[test]
fn an_import_into_a_full_disk_stores_nothing_and_names_the_remedy() {
    if !mounts::are_own() {
        return;
    }
    let site = on_a_small_disk(&Api::accepting());
    site.import(1, 1..=10);
    site.fill_disk();
    let rows: String = (11..=40_000).map(|id| format!("{id},1\n")).collect();
    std::fs::write(site.path("many.csv"), format!("id,user_id\n{rows}")).unwrap();
    let ran = site.run(&["import", "many.csv"]).assert_code(74);
    ran.assert_says("free some space");
    site.free_disk();
    assert_eq!(site.value::<i64>("SELECT count(*) FROM user_record"), 10);
}

#[test]
fn a_restart_on_a_full_disk_without_its_ballast_stays_held() {
    if !mounts::are_own() {
        return;
    }
    let api = slow_api();
    let site = on_a_small_disk(&api);
    site.import(1, 1..=400);
    let daemon = fill_at_work(&site, &api);
    assert_eq!(daemon.terminate().0, 0);
    // Its room is free now, and nobody has it.
    let _ = std::fs::remove_file(site.path("disk/ferryd.db.ballast"));
    let sent = api.seen().len();
    let daemon = site.daemon();
    await_silence(&api);
    assert_eq!(api.seen().len(), sent, "nothing was sent in between");
    site.await_full();
    site.free_disk();
    assert_goes_on_within(AFTER_FREEING, &api);
    site.await_delivered(400);
    assert_eq!(daemon.terminate().0, 0);
}
