//! `check`: a line per thing that can be wrong, and the exit code of the first that is.

use crate::harness::{Api, Ran, Site};
use crate::rights::skip;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;

fn ready() -> (Api, Site) {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    site.run(&["init"]).assert_code(0);
    (api, site)
}

/// The first words of the lines.
fn verdicts(stdout: &str) -> Vec<String> {
    let words = |line: &str| {
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    stdout.lines().map(words).collect()
}

#[test]
fn a_sound_site_gets_an_ok_for_everything() {
    let (api, site) = ready();
    let ran = site.run(&["check", "--probe"]).assert_code(0);
    assert_eq!(
        verdicts(&ran.stdout),
        [
            "ok config",
            "ok api.url",
            "ok retention",
            "ok permissions",
            "ok disk",
            "ok daemon",
            "ok schema",
            "ok columns",
            "ok clock",
            "ok wal",
            "ok integrity",
            "ok probe"
        ]
    );
    assert_eq!(ran.stderr, "");
    assert_eq!(api.seen().len(), 0, "the probe sends no request");
}

#[test]
fn check_works_beside_the_daemon() {
    let (_api, site) = ready();
    let said = site.run(&["check"]).assert_code(0).stdout;
    assert!(said.contains("daemon       not running"), "{said}");
    let daemon = site.daemon();
    let said = site.run(&["check", "--probe"]).assert_code(0).stdout;
    let running = format!("daemon       running, pid {}\n", daemon.pid());
    assert!(said.contains(&running), "{said}");
}

#[test]
fn a_clock_that_is_behind_the_file_is_doubted() {
    let (_api, site) = ready();
    site.write("UPDATE gate SET since = '2099-01-01T00:00:00.000Z'");
    let said = site.run(&["check"]).assert_code(0).stdout;
    assert!(said.contains("warn  clock "), "{said}");
    assert!(
        said.contains("the file was written at 2099-01-01T00:00:00.000Z; set the clock"),
        "{said}"
    );
}

#[test]
fn whoever_keeps_the_wal_from_being_emptied_is_named() {
    let (_api, site) = ready();
    let reader = site.connect();
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM user_record")
        .unwrap();
    site.write("CREATE TABLE big (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
                INSERT INTO big SELECT zeroblob(3900) FROM n");
    let said = site.run(&["check"]).assert_code(0).stdout;
    let named = format!("(pid {}) keeps it; let that end", std::process::id());
    assert!(
        said.contains("warn  wal ") && said.contains(&named),
        "{said}"
    );
}

#[test]
fn retention_is_told() {
    let api = Api::accepting();
    let site = Site::with(&api, "[retention]\nolder_than = \"30d\"\nrecords = true\n");
    let said = site.run(&["check"]).assert_code(0).stdout;
    assert!(
        said.contains("SUCCESS batches and their records go after 30d"),
        "{said}"
    );
}

#[test]
fn a_retention_of_records_without_an_age_is_noted() {
    let site = Site::with(&Api::accepting(), "[retention]\nrecords = true\n");
    let said = site.run(&["check"]).assert_code(0).stdout;
    let note = "note  retention    retention.records has no effect without retention.older_than";
    assert!(said.contains(note), "{said}");
}

#[test]
fn a_socket_in_a_directory_that_is_not_there_is_73() {
    let listen = |path: &str| format!("[status]\nlisten = \"unix:{path}\"\n");
    let site = Site::with(&Api::accepting(), &listen("nowhere/s.sock"));
    let said = site.run(&["check"]).assert_code(73).stdout;
    assert!(said.contains("FAIL  listener "), "{said}");
    let site = Site::with(&Api::accepting(), &listen("s.sock"));
    let said = site.run(&["check"]).assert_code(0).stdout;
    assert!(said.contains("ok    listener     unix:s.sock"), "{said}");
}

#[test]
fn a_database_that_is_yet_to_be_made_is_no_failure() {
    let api = Api::accepting();
    let site = Site::with(&api, "");
    let ran = site.run(&["check"]).assert_code(0);
    assert!(ran.stdout.contains("not set up yet"), "{ran:?}");
    assert!(ran.stdout.contains("ferryd.db can be created"), "{ran:?}");
    assert!(!site.database().exists());
}

#[test]
fn a_missing_url_is_78_and_hides_no_other_line() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    let ran = site
        .run(&["check"])
        .assert_code(78)
        .assert_says("api.url is not set");
    assert_eq!(
        verdicts(&ran.stdout),
        [
            "ok config",
            "FAIL api.url",
            "ok retention",
            "ok permissions",
            "ok disk",
            "ok daemon",
            "ok schema",
            "ok columns",
            "ok clock",
            "ok wal",
            "ok integrity"
        ]
    );
}

#[test]
fn a_column_that_is_not_there_is_78_in_one_line() {
    let api = Api::accepting();
    let site = Site::with(&api, "[api.body]\nwhere = \"town\"\n");
    site.run(&["init"]).assert_code(0);
    let ran = site
        .run(&["check"])
        .assert_code(78)
        .assert_says("names the column \"town\"");
    assert_eq!(ran.stdout.lines().count(), 11, "{ran:?}");
    assert!(ran.stdout.contains("it has id, user_id, network_id, city"));
}

#[test]
fn an_api_out_of_reach_is_69() {
    let (_api, site) = ready();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let mut command = site.ferryd(&["check", "--probe"]);
    command.env("FERRYD_API_URL", format!("http://{free}/"));
    let ran = Ran::wait(command)
        .assert_code(69)
        .assert_says("cannot be reached");
    assert!(ran.stderr.contains("Connection refused"), "{ran:?}");
    assert!(verdicts(&ran.stdout).contains(&"FAIL probe".to_string()));
}

#[test]
fn the_password_of_the_url_is_not_shown() {
    let (_api, site) = ready();
    let mut command = site.ferryd(&["check", "--probe"]);
    command.env("FERRYD_API_URL", "http://me:geheim@127.0.0.1:1/");
    let ran = Ran::wait(command).assert_code(69);
    assert!(ran.stdout.contains("http://…@127.0.0.1:1/"), "{ran:?}");
    assert!(!format!("{ran:?}").contains("geheim"), "{ran:?}");
}

#[test]
fn a_file_that_is_no_database_is_65() {
    let (_api, site) = ready();
    std::fs::write(site.path("junk.db"), "x".repeat(5000)).unwrap();
    site.run(&["check", "--database", "junk.db"])
        .assert_code(65)
        .assert_says("the file is damaged or not a database");
}

/// Overwrites the first page of this table or index.
fn damage(site: &Site, name: &str) {
    let conn = site.connect();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    conn.query_row(checkpoint, [], |_| Ok(())).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: u32 = conn.query_row(sql, [name], |row| row.get(0)).unwrap();
    drop(conn);
    let file = std::fs::File::options().write(true).open(site.database());
    let at = u64::from(page - 1) * 4096;
    file.unwrap().write_all_at(&[0xaa; 4096], at).unwrap();
}

#[test]
fn a_damaged_page_is_65() {
    for (name, finder) in [
        ("ferryd_record_by_user", "check"),
        ("user_record", "check"),
        ("backlog", "status"),
    ] {
        let (_api, site) = ready();
        site.import(1, 1..=10);
        damage(&site, name);
        let ran = site
            .run(&[finder])
            .assert_code(65)
            .assert_says("ferryd.db: ");
        assert!(ran.stderr.contains("malformed"), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
}

#[test]
fn files_of_others_and_of_a_newer_ferryd_are_65() {
    let (_api, site) = ready();
    for (sql, said) in [
        (
            "PRAGMA application_id = 77",
            "belongs to another application",
        ),
        (
            "PRAGMA user_version = 3",
            "another program keeps its schema version",
        ),
        (
            "CREATE TABLE user_record (id INTEGER PRIMARY KEY)",
            "cannot be adopted: it has no column user_id",
        ),
        (
            "PRAGMA application_id = 0x46455259; PRAGMA user_version = 999",
            "the file has schema 999, this ferryd knows up to ",
        ),
    ] {
        let path = site.path("other.db");
        let _ = std::fs::remove_file(&path);
        let conn = rusqlite::Connection::open(&path).unwrap();
        conn.execute_batch(&format!("CREATE TABLE t (a); {sql}"))
            .unwrap();
        drop(conn);
        site.run(&["check", "--database", "other.db"])
            .assert_code(65)
            .assert_says(said);
    }
}

#[test]
fn a_missing_directory_is_73() {
    let (_api, site) = ready();
    site.run(&["check", "--database", "missing/a.db"])
        .assert_code(73)
        .assert_says("the directory does not exist");
}

#[test]
fn a_directory_that_may_not_be_written_to_is_77() {
    let (_api, site) = ready();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    let closed = site.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, mode).unwrap();
    for command in ["check", "drain"] {
        let arguments = [command, "--database", "closed/a.db"];
        let Some(command) = site.ferryd_without_rights(&arguments) else {
            return skip("needs a user without special rights");
        };
        Ran::wait(command)
            .assert_code(77)
            .assert_says("Permission denied");
    }
}

#[test]
fn a_database_that_may_not_be_read_is_77() {
    let (_api, site) = ready();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(site.database(), mode).unwrap();
    for command in ["status", "check"] {
        let Some(command) = site.ferryd_without_rights(&[command]) else {
            return skip("needs a user without special rights");
        };
        Ran::wait(command)
            .assert_code(77)
            .assert_says("give this user read and write access");
    }
}
