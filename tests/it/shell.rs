//! `ferryd db`: the sqlite3 shell, read-only.

use crate::harness::{Api, Ran, Site};

fn filled() -> Site {
    let site = Site::with(&Api::accepting(), "");
    site.import(7, 1..=3);
    site
}

#[test]
fn it_runs_sql_as_the_shell_does_for_scripts() {
    let site = filled();
    let query = "SELECT waiting, gate FROM delivery_summary";
    assert_eq!(site.run(&["db", query]).assert_code(0).stdout, "3|open\n");
    let ran = site
        .run(&["db", "--", "-header", "-csv", query])
        .assert_code(0);
    assert_eq!(ran.stdout, "waiting,gate\n3,open\n");
}

#[test]
fn nothing_can_be_written() {
    let site = filled();
    let ran = site.run(&["db", "DELETE FROM user_record"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("readonly"), "{ran:?}");
    assert_eq!(site.shell("SELECT count(*) FROM user_record"), "3");
}

#[test]
fn on_a_terminal_it_draws_boxes_with_headers() {
    let site = filled();
    let exe = env!("CARGO_BIN_EXE_ferryd");
    let mut script = std::process::Command::new("script");
    let call = format!("{exe} db 'SELECT waiting, gate_reason FROM delivery_summary'");
    script
        .args(["-qec", &call, "/dev/null"])
        .current_dir(site.path(""))
        .env("TERM", "xterm");
    script.stdin(std::process::Stdio::null());
    let ran = Ran::wait(script).assert_code(0);
    assert!(ran.stdout.contains("│ waiting │ gate_reason │"), "{ran:?}");
    assert!(ran.stdout.contains("│ 3       │ -           │"), "{ran:?}");
}

#[test]
fn without_the_shell_it_says_what_to_install() {
    let site = filled();
    let mut command = site.ferryd(&["db"]);
    command.env("PATH", site.path(""));
    Ran::wait(command)
        .assert_code(1)
        .assert_says("the sqlite3 shell is not installed; install it");
}

#[test]
fn a_file_that_is_not_there_is_not_made() {
    let site = Site::new();
    site.run(&["db"])
        .assert_code(1)
        .assert_says("there is no such database");
    assert!(!site.database().exists());
}

#[test]
fn the_settings_suit_the_shell_alone_too() {
    let site = filled();
    let rc = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/sqliterc");
    let said = crate::harness::shell(
        &site.database(),
        &["-readonly", "-init", rc],
        "SELECT gate FROM delivery_summary",
    );
    assert!(said.contains("│ open │"), "{said}");
}
