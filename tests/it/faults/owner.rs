//! Files that another user has made, so that ferryd cannot write to them.

use std::os::unix::fs::{PermissionsExt, chown};

use crate::harness::{Api, Ran, Site};
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
