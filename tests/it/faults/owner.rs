//! Files that another user has made, so that ferryd cannot write to them; and a directory that it may not search.

use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use super::{SETTINGS, assert_goes_on_within, assert_unharmed};
use super::{await_silence, await_work, slow_api, times_logged};
use crate::harness::{Api, Daemon, Ran, Site};
use crate::rights::skip;

#[test]
fn a_wal_or_shm_of_another_user_is_refused_by_name() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.import(1, 1..=3);
    let ours = [
        "ferryd.db",
        "ferryd.db-wal",
        "ferryd.db-shm",
        "ferryd.db.lock",
    ];
    if !rustix::process::geteuid().is_root() {
        return skip("needs root, to give files to another user");
    }
    chown(site.path(""), Some(65534), None).unwrap();
    for name in ours {
        chown(site.path(name), Some(65534), None).unwrap();
    }
    for foreign in &ours[..3] {
        let file = site.path(foreign);
        chown(&file, Some(0), None).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        for command in ["run", "drain", "check", "pause"] {
            let Some(command) = site.ferryd_without_rights(&[command]) else {
                return skip("setpriv cannot start the executable");
            };
            let ran = Ran::wait(command).assert_code(77);
            let ran = ran.assert_says(&format!("{foreign}: no permission"));
            ran.assert_says(
                "it belongs to the user with id 0); give this user read and write access",
            );
        }
        chown(&file, Some(65534), None).unwrap();
    }
    let drain = site.ferryd_without_rights(&["drain"]).unwrap();
    Ran::wait(drain).assert_code(0);
    api.assert_each_once(1..=3);
}

fn set_mode(site: &Site, directory: &str, mode: u32) {
    let mode = PermissionsExt::from_mode(mode);
    std::fs::set_permissions(site.path(directory), mode).unwrap();
}

#[test]
fn a_directory_that_may_not_be_searched_holds_sending_and_is_no_lost_database() {
    let api = slow_api();
    let site = Site::with_disk(&api, SETTINGS);
    site.import(1, 1..=400);
    let Some(run) = site.ferryd_without_rights(&["run"]) else {
        return skip("setpriv cannot start the executable");
    };
    if rustix::process::geteuid().is_root() {
        let files = std::fs::read_dir(site.path("disk")).unwrap();
        let files = files.map(|file| file.unwrap().path());
        for file in files.chain([site.path("disk")]) {
            chown(file, Some(65534), Some(65534)).unwrap();
        }
    }
    let daemon = Daemon::start(run, site.path("daemon.log"));
    await_work(&api);
    set_mode(&site, "disk", 0o000);
    daemon.await_log("a directory on its path may not be searched");
    await_silence(&api);
    for command in ["status", "pause", "check", "init"] {
        let ran = Ran::wait(site.ferryd_without_rights(&[command]).unwrap());
        let remedy = "give this user read and write access to the file and its directory";
        ran.assert_code(77).assert_says(remedy);
    }
    let drain = Ran::wait(site.ferryd_without_rights(&["drain"]).unwrap());
    drain
        .assert_code(77)
        .assert_says("give this user the right");
    set_mode(&site, "disk", 0o755);
    assert_goes_on_within(Duration::from_secs(10), &api);
    assert_unharmed(&site, &api, daemon, 400);
    assert_eq!(times_logged(&site, "deleted or moved away"), 0);
}
