//! Output that nobody takes: `ferryd … | head`, a full disk behind a redirection, a closed standard error. The work is
//! done, and the exit code says how it went.

use crate::harness::{Api, Ran, Site, eventually};
use std::process::{Command, Stdio};

/// Commands that print, and how they end when all goes well.
const PRINTING: [(&[&str], i32); 7] = [
    (&["init"], 0),
    (&["import", "records.csv"], 0),
    (&["drain"], 0),
    (&["check"], 0),
    (&["status"], 0),
    (&["--help"], 0),
    (&["demo", "--records", "3", "--fail-rate", "0"], 0),
];

fn site(api: &Api) -> Site {
    let site = Site::with(api, "");
    std::fs::write(site.path("records.csv"), "user_id,network_id\n7,1\n").unwrap();
    site
}

/// The writing end of a pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// Runs with the streams that the command has; `Ran::wait` would replace them.
fn code_of(mut command: Command) -> i32 {
    command.status().unwrap().code().unwrap_or(-1)
}

fn with_closed_stdout(site: &Site, arguments: &[&str]) -> (i32, String) {
    let error = site.path("stderr");
    let mut command = site.ferryd(arguments);
    command.env("TMPDIR", site.path(""));
    command.stdout(closed_pipe());
    command.stderr(std::fs::File::create(&error).unwrap());
    let code = code_of(command);
    (code, std::fs::read_to_string(error).unwrap())
}

#[test]
fn a_reader_that_has_gone_changes_neither_the_work_nor_the_exit_code() {
    let api = Api::accepting();
    let site = site(&api);
    for (arguments, code) in PRINTING {
        let ended = with_closed_stdout(&site, arguments);
        assert_eq!(ended, (code, String::new()), "{arguments:?}");
    }
    assert_eq!(site.shell("SELECT delivered FROM delivery_summary"), "1");
}

#[test]
fn status_watch_ends_when_its_reader_has_gone() {
    let api = Api::accepting();
    let site = site(&api);
    site.run(&["init"]).assert_code(0);
    let ended = with_closed_stdout(&site, &["status", "--watch"]);
    assert_eq!(ended, (0, String::new()));
}

#[test]
fn a_failure_keeps_its_code_and_its_line_without_a_reader() {
    let site = Site::new();
    let (code, error) = with_closed_stdout(&site, &["check"]);
    assert_eq!(code, 78);
    assert!(error.starts_with("ferryd: api.url is not set"), "{error}");
}

#[test]
fn a_full_disk_behind_standard_output_is_no_panic() {
    let api = Api::accepting();
    let site = site(&api);
    for (arguments, _) in PRINTING {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = site.ferryd(arguments);
        command.env("TMPDIR", site.path(""));
        command.stdout(full).stderr(Stdio::null());
        let code = code_of(command);
        // What was asked for is the output itself only for `status`.
        let wanted = if arguments == ["status"] { 74 } else { 0 };
        assert_eq!(code, wanted, "{arguments:?}");
    }
}

#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    let api = Api::accepting();
    let site = site(&api);
    for (arguments, code) in [
        (&["import", "records.csv"][..], 0),
        (&["drain", "-v"], 0),
        (&["check"], 0),
        (&["import", "missing.csv"], 74),
        (&["wat"], 2),
    ] {
        let mut command = site.ferryd(arguments);
        command.stdout(Stdio::null()).stderr(closed_pipe());
        assert_eq!(code_of(command), code, "{arguments:?}");
    }
}

#[test]
fn the_daemon_works_and_stops_in_order_with_all_its_streams_closed() {
    let api = Api::accepting();
    let site = site(&api);
    site.run(&["import", "records.csv"]).assert_code(0);
    let mut command = Command::new("sh");
    let script = "exec \"$0\" run <&- >&- 2>&-";
    command.args(["-c", script, env!("CARGO_BIN_EXE_ferryd")]);
    command.current_dir(site.path(""));
    let mut daemon = command.spawn().unwrap();
    site.await_delivered(1);
    crate::harness::signal(daemon.id(), "TERM");
    let mut code = None;
    eventually("the daemon has ended", || {
        code = daemon.try_wait().unwrap();
        code.is_some()
    });
    assert_eq!(code.unwrap().code(), Some(0));
    assert_eq!(site.shell("PRAGMA integrity_check"), "ok");
}

#[test]
fn several_problems_are_a_line_each_that_begins_with_the_program() {
    let site = Site::new();
    let mut command = site.ferryd(&["status"]);
    command
        .env("FERRYD_BATCH_SIZE", "0")
        .env("FERRYD_API_URL", "x");
    let ran = Ran::wait(command).assert_code(78);
    assert_eq!(ran.stderr.lines().count(), 2);
    assert!(
        ran.stderr
            .lines()
            .all(|line| line.starts_with("ferryd: FERRYD_")),
        "{ran:?}"
    );
}
