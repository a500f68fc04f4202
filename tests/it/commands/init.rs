//! `init`: makes what is missing, and never touches what is there.

use crate::harness::{Ran, Site};
use crate::rights::skip;

#[test]
fn init_makes_a_configuration_and_a_database_and_says_what_comes_next() {
    let site = Site::new();
    let said = site.run(&["init"]).assert_code(0).stdout;
    assert_eq!(
        said,
        "ferryd.toml: made\nferryd.db: made\nnext: set api.url in ferryd.toml, then `ferryd check --probe`\n"
    );
    assert_eq!(site.shell("SELECT count(*) FROM user_record"), "0");
    assert_eq!(site.shell("PRAGMA application_id"), 0x4645_5259.to_string());
    let text = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    assert!(text.contains("# url = "), "{text}");
}

#[test]
fn a_second_init_changes_neither_file() {
    let site = Site::new();
    site.run(&["init"]).assert_code(0);
    site.configure("# mine\n[batch]\nsize = 7\n");
    site.insert(1, 1);
    let said = site.run(&["init"]).assert_code(0).stdout;
    assert!(said.starts_with("ferryd.toml: kept as it was\nferryd.db: kept as it was\n"));
    let text = std::fs::read_to_string(site.path("ferryd.toml")).unwrap();
    assert_eq!(text, "# mine\n[batch]\nsize = 7\n");
    assert_eq!(site.shell("SELECT count(*) FROM user_record"), "1");
}

#[test]
fn init_writes_where_config_and_database_say() {
    let site = Site::new();
    std::fs::create_dir(site.path("etc")).unwrap();
    site.run(&["init", "--config", "etc/my.toml", "--database", "my.db"])
        .assert_code(0);
    assert!(site.path("etc/my.toml").exists() && site.path("my.db").exists());
    assert!(!site.path("ferryd.toml").exists() && !site.database().exists());

    let mut command = site.ferryd(&["init"]);
    command
        .env("FERRYD_CONFIG", "etc/other.toml")
        .env("FERRYD_DATABASE_PATH", "other.db");
    Ran::wait(command).assert_code(0);
    assert!(site.path("etc/other.toml").exists() && site.path("other.db").exists());
}

#[test]
fn init_sets_up_the_database_of_a_configuration_that_is_there() {
    let site = Site::new();
    site.configure("[database]\npath = \"records.db\"\n[api]\nurl = \"http://127.0.0.1:1/\"\n");
    let said = site.run(&["init"]).assert_code(0).stdout;
    assert_eq!(said, "ferryd.toml: kept as it was\nrecords.db: made\n");
}

#[test]
fn a_file_that_cannot_be_made_is_73_in_one_line_with_the_remedy() {
    let site = Site::new();
    let ran = site
        .run(&["init", "--config", "missing/ferryd.toml"])
        .assert_code(73);
    assert_eq!(
        ran.stderr,
        "ferryd: missing/ferryd.toml: the file cannot be created (No such file or directory (os error 2)); \
         make the directory, or name another with --config\n"
    );
    for command in [&["init"][..], &["import", "ferryd.toml"]] {
        let arguments = [command, &["--database", "missing/ferryd.db"]].concat();
        let ran = site
            .run(&arguments)
            .assert_code(73)
            .assert_says("make its directory");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
        assert_eq!(ran.stderr.matches("os error").count(), 1, "{ran:?}");
    }
    assert!(!site.path("missing").exists());
}

#[test]
fn a_directory_without_the_right_to_write_is_said_to_be_so() {
    let site = Site::new();
    let closed = site.path("closed");
    std::fs::create_dir(&closed).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    std::fs::set_permissions(&closed, mode).unwrap();
    let arguments = ["init", "--config", "closed/ferryd.toml"];
    let Some(command) = site.ferryd_without_rights(&arguments) else {
        return skip("needs a user without special rights");
    };
    Ran::wait(command)
        .assert_code(73)
        .assert_says("Permission denied");
}

#[test]
fn init_leaves_a_file_of_something_else_alone() {
    let site = Site::new();
    std::fs::write(site.database(), "not a database, but somebody's\n").unwrap();
    site.run(&["init"])
        .assert_code(65)
        .assert_says("ferryd.db: the file is damaged or not a database");
    let text = std::fs::read_to_string(site.database()).unwrap();
    assert_eq!(text, "not a database, but somebody's\n");
}

#[test]
fn an_empty_variable_for_the_configuration_is_a_configuration_error() {
    let site = Site::new();
    let mut command = site.ferryd(&["init"]);
    command.env("FERRYD_CONFIG", "");
    Ran::wait(command)
        .assert_code(78)
        .assert_says("FERRYD_CONFIG: is empty");
}
