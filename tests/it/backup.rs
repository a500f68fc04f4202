//! Backups: complete, checked, one file; and what a restored one says and does.

use crate::harness::{Api, Latch, Site, eventually, shell, signal};
use ferryd::server::Answer;
use std::os::unix::fs::PermissionsExt;

/// The records of two users, one of them delivered.
fn half_delivered(api: &Api) -> Site {
    let site = Site::with(api, "[batch]\nsize = 5\n");
    site.import(1, 1..=10);
    site.run(&["drain"]).assert_code(0);
    site.import(2, 101..=103);
    site
}

/// The steps of the README.
fn restore(site: &Site, backup: &str) {
    for file in ["ferryd.db", "ferryd.db-wal", "ferryd.db-shm"] {
        let _ = std::fs::remove_file(site.path(file));
    }
    std::fs::copy(site.path(backup), site.database()).unwrap();
}

const ALL: &str =
    "SELECT * FROM user_record; SELECT * FROM processing_batch_status; SELECT * FROM user_cursor;
                   SELECT * FROM backlog; SELECT id FROM instance; SELECT * FROM mine";

#[test]
fn a_backup_is_one_file_with_everything_in_it_and_the_mark_of_a_copy() {
    let api = Api::accepting();
    let site = half_delivered(&api);
    site.write("CREATE TABLE mine (a TEXT); INSERT INTO mine VALUES ('x'), ('y'); DELETE FROM mine WHERE a = 'x'");
    let said = site.run(&["backup", "copy.db"]).assert_code(0).stdout;
    assert!(said.starts_with("copy.db: made and checked, "), "{said}");
    let rowid = "SELECT rowid FROM mine";
    let copy = |sql: &str| {
        shell(
            &site.path("copy.db"),
            &["-readonly", "-separator", " "],
            sql,
        )
    };
    assert_eq!(copy(ALL), site.shell(ALL));
    assert_eq!(copy(rowid), "2", "the owner's row ids stay");
    assert_eq!(
        copy("PRAGMA journal_mode; PRAGMA integrity_check"),
        "delete\nok"
    );
    assert_eq!(
        copy("SELECT backup_at IS NOT NULL, restored_at IS NULL FROM instance"),
        "1 1"
    );
    assert_eq!(site.shell("SELECT backup_at IS NULL FROM instance"), "1");
    for suffix in ["-wal", "-shm", "-journal", ".partial"] {
        assert!(!site.path(&format!("copy.db{suffix}")).exists(), "{suffix}");
    }
}

#[test]
fn a_backup_can_be_read_by_those_who_can_read_the_database() {
    let api = Api::accepting();
    let site = half_delivered(&api);
    for mode in [0o640, 0o600] {
        std::fs::set_permissions(site.database(), PermissionsExt::from_mode(mode)).unwrap();
        let name = format!("{mode:o}.db");
        site.run(&["backup", &name]).assert_code(0);
        let made = std::fs::metadata(site.path(&name)).unwrap();
        assert_eq!(made.permissions().mode() & 0o777, mode);
    }
}

#[test]
fn no_file_is_replaced_and_none_is_left_that_is_no_backup() {
    let api = Api::accepting();
    let site = half_delivered(&api);
    for (file, said) in [
        ("copy.db", "there is such a file already"),
        ("copy.db-wal", "belongs to another database"),
        ("copy.db.partial", "a backup is being made there"),
    ] {
        std::fs::write(site.path(file), "mine").unwrap();
        site.run(&["backup", "copy.db"])
            .assert_code(73)
            .assert_says(said);
        assert_eq!(std::fs::read(site.path(file)).unwrap(), b"mine");
        std::fs::remove_file(site.path(file)).unwrap();
    }
    site.run(&["backup", "missing/copy.db"])
        .assert_code(73)
        .assert_says("missing/copy.db.partial: the backup cannot be created");
    assert!(!site.path("copy.db").exists());
}

#[test]
fn a_damaged_database_makes_no_backup() {
    let api = Api::accepting();
    let site = half_delivered(&api);
    site.write("PRAGMA wal_checkpoint(TRUNCATE)");
    let page: u32 =
        site.value("SELECT rootpage FROM sqlite_schema WHERE name = 'ferryd_record_by_user'");
    let mut bytes = std::fs::read(site.database()).unwrap();
    let end = page as usize * 4096;
    bytes[end - 4096..end].fill(0xaa);
    std::fs::write(site.database(), bytes).unwrap();
    site.run(&["backup", "copy.db"])
        .assert_code(65)
        .assert_says("malformed");
    assert!(!site.path("copy.db").exists() && !site.path("copy.db.partial").exists());
}

#[test]
fn a_backup_is_made_while_the_daemon_delivers_and_holds_one_moment() {
    let api = Api::accepting();
    let site = Site::with(&api, "[batch]\nsize = 50\n");
    site.import(1, 1..=2000);
    let daemon = site.daemon();
    for copy in ["a.db", "b.db", "c.db"] {
        site.run(&["backup", copy]).assert_code(0);
        site.run(&["audit", "--database", copy]).assert_code(0);
    }
    site.await_delivered(2000);
    assert_eq!(daemon.terminate().0, 0);
    api.assert_each_once(1..=2000);
}

#[test]
fn a_restored_copy_says_once_that_repeats_are_possible() {
    let api = Api::accepting();
    let site = half_delivered(&api);
    site.run(&["backup", "copy.db"]).assert_code(0);
    restore(&site, "copy.db");
    let status = || site.run(&["status"]).assert_code(0).stdout;
    assert!(
        status().contains("restored  from a backup of 2"),
        "{}",
        status()
    );
    let said = "was restored from a backup of 2";
    site.run(&["drain"]).assert_code(0).assert_says(said);
    let again = site.run(&["drain"]).assert_code(0);
    assert!(!again.stderr.contains("restored"), "{again:?}");
    assert!(site.run(&["check"]).stdout.contains("restored"));
    assert_eq!(site.shell("PRAGMA journal_mode"), "wal");
}

#[test]
fn import_and_the_daemon_say_it_too() {
    let api = Api::accepting();
    let site = half_delivered(&api);
    site.run(&["backup", "copy.db"]).assert_code(0);
    restore(&site, "copy.db");
    std::fs::write(site.path("more.csv"), "id,user_id\n500,7\n").unwrap();
    site.run(&["import", "more.csv"])
        .assert_code(0)
        .assert_says("was restored from a backup");
    restore(&site, "copy.db");
    let daemon = site.daemon();
    daemon.await_log("was restored from a backup of 2");
}

#[test]
fn a_copy_over_a_lost_file_needs_no_lock_file_removed() {
    let api = Api::accepting();
    let site = half_delivered(&api);
    site.run(&["backup", "copy.db"]).assert_code(0);
    site.daemon().kill();
    std::fs::remove_file(site.database()).unwrap();
    site.run(&["drain"])
        .assert_code(65)
        .assert_says("put it or a backup back");
    restore(&site, "copy.db");
    site.run(&["drain"]).assert_code(0);
    site.run(&["audit"]).assert_code(0);
}

#[test]
fn what_was_in_a_batch_is_repeated_with_its_key_and_new_rows_never_get_a_used_one() {
    // Record 3 was sent before the loss, without an answer that the backup could know of.
    let latch = Latch::default();
    let held = latch.clone();
    let api = Api::answering(move |seen, request| {
        if seen.record == 3 {
            held.wait(request);
        }
        Answer::status(200)
    });
    let site = Site::with(&api, "[workers]\nthreads = 1\n");
    site.import(1, 1..=5);
    let daemon = site.daemon();
    eventually("3 is under way", || api.order().contains(&3));
    site.run(&["backup", "copy.db"]).assert_code(0);
    latch.open();
    site.await_delivered(5);
    site.import(1, 6..=8);
    site.await_delivered(8);
    daemon.kill();

    restore(&site, "copy.db");
    // The application gives the ids of the lost rows to others.
    site.import(1, 6..=8);
    site.run(&["drain"]).assert_code(0);
    site.run(&["audit"]).assert_code(0);
    let keys = |record: i64| -> Vec<String> {
        let seen = api.seen().into_iter().filter(|seen| seen.record == record);
        seen.map(|seen| seen.key).collect()
    };
    for repeated in [4, 5] {
        let keys = keys(repeated);
        assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    }
    for new in 6..=8 {
        let keys = keys(new);
        assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
    }
}

#[test]
fn a_stop_ends_a_backup_and_leaves_nothing_behind() {
    let api = Api::accepting();
    let site = half_delivered(&api);
    site.write(
        "CREATE TABLE big (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         INSERT INTO big SELECT zeroblob(3900) FROM n",
    );
    let mut backup = site.ferryd(&["backup", "copy.db"]);
    let mut child = backup.stderr(std::process::Stdio::null()).spawn().unwrap();
    eventually("it has begun", || site.path("copy.db.partial").exists());
    signal(child.id(), "TERM");
    let code = child.wait().unwrap().code();
    // It may have been done already.
    assert_eq!(code == Some(0), site.path("copy.db").exists());
    assert!(!site.path("copy.db.partial").exists());
}
